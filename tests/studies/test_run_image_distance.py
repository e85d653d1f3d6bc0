"""Distance of a run's images from those that its donor was trained on."""

import pytest

from transfusion_tf.representations import RepresentationWarning
from transfusion_tf.studies.measurements.data_set_distance import (
    has_images,
    is_run,
    run_image_distance,
)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::transfusion_tf.representations.RepresentationWarning"
)
def test_images_are_compared_in_the_features_of_a_donor_that_is_a_run(
    trained_root, data_root
):
    run, donor = sorted((trained_root / "runs").iterdir())[:2]
    assert is_run(str(donor))
    table = run_image_distance(run, str(donor), data_root, most_images=10)
    row = table.iloc[0]
    assert row["dataset"] == "clinic"
    assert (row["images_source"], row["images_target"]) == (10, 10)
    assert row["source"].startswith("test split of")
    assert row["target"].startswith("train split of")
    assert row["features"] == 256
    assert row["value"] > 0


def test_a_published_donor_without_its_images_is_warned_about(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not is_run("imagenet")
    assert not has_images(None)
    with pytest.warns(RepresentationWarning, match="no Fréchet distances"):
        assert not has_images("imagenet")
