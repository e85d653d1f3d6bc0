"""The images of a run's data: those that it was trained on, decoded once."""

import dataclasses
import shutil

import numpy as np
import pytest

from transfusion_tf.datasets import load_card, prepare
from transfusion_tf.input_pipeline import eval_batches
from transfusion_tf.studies.measurements.image_sources import SplitImages
from transfusion_tf.studies.measurements.run_images import (
    held_out_images,
    run_images,
)
from transfusion_tf.training import RunDirectory


@pytest.fixture(scope="module")
def runs(trained_root):
    return sorted((trained_root / "runs").iterdir())


@pytest.mark.slow
def test_images_are_the_validation_split_as_evaluation_sees_it(
    runs, data_root, prepared
):
    images = run_images(runs[0], data_root)
    rows = prepared.examples("validation")
    expected = next(iter(eval_batches(prepared, "validation", len(rows))))["image"]
    assert images.shape == (len(rows), 32, 32, 3)
    np.testing.assert_array_equal(images[:], expected)
    np.testing.assert_array_equal(images[[3, 1]], expected.numpy()[[3, 1]])


@pytest.mark.slow
def test_stages_are_compared_on_all_images_that_a_run_was_not_trained_on(
    runs, data_root, prepared
):
    images = held_out_images(runs[0], data_root)
    validation, test = (
        next(iter(eval_batches(prepared, split, len(prepared.examples(split)))))
        for split in ("validation", "test")
    )
    expected = np.concatenate([validation["image"], test["image"]])
    np.testing.assert_array_equal(images[:], expected)
    assert images.description.startswith("validation and test splits of ")


def test_an_image_of_two_splits_is_there_once(prepared):
    # Of a paper's fold, which weights are chosen on and which is the test split.
    twice = SplitImages(prepared, "test", "test")
    assert len(twice) == len(prepared.examples("test"))


@pytest.mark.slow
def test_data_are_prepared_again_where_they_are_gone(runs, tmp_path):
    assert len(run_images(runs[0], tmp_path)) == 20


@pytest.mark.slow
def test_images_that_are_no_longer_the_runs_are_refused(runs, tmp_path, clinic_root):
    broken = shutil.copytree(runs[0], tmp_path / runs[0].name)
    folder = shutil.copytree(clinic_root, tmp_path / "clinic")
    card = folder / "dataset.toml"
    card.write_text(card.read_text().replace("validation = 0.25", "validation = 0.2"))
    card.write_text(card.read_text().replace("test = 0.25", "test = 0.3"))
    config = RunDirectory(broken).config()
    RunDirectory(broken).write_config(config.replace(dataset=str(card)))
    data = prepare(load_card(card), tmp_path / "data", workers=1, progress=False)
    assert data.fingerprint != config.data
    with pytest.raises(ValueError, match=r"no longer what run .* was trained on"):
        run_images(broken, tmp_path / "data")


@pytest.mark.slow
def test_runs_on_the_same_data_share_their_images(runs, data_root):
    assert run_images(runs[0], data_root) is run_images(runs[1], data_root)


def test_images_of_a_small_split_are_decoded_once(prepared, tmp_path):
    stored = shutil.copytree(prepared.path, tmp_path / "stored")
    images = SplitImages(dataclasses.replace(prepared, path=stored), "test")
    read = images[[3, 1]]
    for file in stored.glob("*.tfrecord*"):
        file.write_bytes(b"")
    np.testing.assert_array_equal(images[[1, 3, 1]], read[[1, 0, 1]])
    with pytest.raises(Exception, match="cut off"):
        images[[0]]
