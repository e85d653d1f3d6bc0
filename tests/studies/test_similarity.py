"""How alike runs are, on runs of two steps."""

import shutil

import numpy as np
import pandas as pd
import pytest

from transfusion_tf.models import build, stage_names
from transfusion_tf.representations import Sampling, Settings, over_repeats
from transfusion_tf.studies.measurements.stage_similarity import (
    compare_before_and_after,
    compare_population,
)
from transfusion_tf.training import RunDirectory

STAGES = ["pool1", "pool2", "pool3", "pool4"]
SETTINGS = Settings(
    sampling=Sampling(points=300, channels=8),
    measures=("cca", "cka"),
    repeats=2,
    progress=False,
)

# Few images and few points: enough to run, few enough to be warned about.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::transfusion_tf.representations.RepresentationWarning"
    ),
]


@pytest.fixture(scope="module")
def runs(trained_root):
    """Two from random weights, then one from Gabor filters."""
    folders = sorted((trained_root / "runs").iterdir())
    return sorted(folders, key=lambda run: "random" not in run.name)


@pytest.fixture
def broken(runs, tmp_path):
    """A copy of a run that a test may damage."""
    return shutil.copytree(runs[0], tmp_path / runs[0].name)


def test_runs_on_two_versions_of_a_data_set_are_warned_about(runs, broken, data_root):
    directory = RunDirectory(broken)
    directory.write_config(directory.config().replace(data="another"))
    directory.update_status(state="finished")
    with pytest.warns(UserWarning, match="another version of clinic"):
        compare_population([runs[1], broken], data_root, settings=SETTINGS)


# Comparisons.


def test_before_and_after_has_a_row_a_stage_repeat_and_measure(runs, data_root):
    table = compare_before_and_after(runs[0], data_root, settings=SETTINGS)
    assert set(table["run"]) == {runs[0].name}
    assert list(dict.fromkeys(table["stage"])) == STAGES
    assert len(table) == len(STAGES) * 2 * 2
    # Two steps move little: far above the floor, and not quite the same.
    scores = table[table["measure"] == "cca"]
    assert (scores["value"] > scores["noise_floor"] + 0.1).all()
    assert (scores["value"] < 1 - 1e-6).any()


def test_a_comparison_repeats_exactly_and_depends_on_its_seed(runs, data_root):
    first, again, other = (
        compare_population(
            runs[:2],
            data_root,
            settings=Settings(
                stages=("pool2",), measures=("cca",), sampling=Sampling(200, 8),
                repeats=1, seed=seed, progress=False,
            ),
        )
        for seed in (0, 0, 1)
    )  # fmt: skip
    pd.testing.assert_frame_equal(first, again)
    assert first["value"].item() != other["value"].item()


def test_the_spread_over_repeats_stands_beside_the_mean(runs, data_root):
    table = compare_population(runs[:2], data_root, settings=SETTINGS)
    summary = over_repeats(table).set_index(["stage", "measure"])
    values = table.query("stage == 'pool3' and measure == 'cka'")["value"]
    row = summary.loc[("pool3", "cka")]
    assert row["value"] == pytest.approx(values.mean())
    assert row["std"] == pytest.approx(values.std(ddof=1))
    assert row["repeats"] == 2


def test_a_population_holds_all_pairs_and_agrees_with_each_alone(runs, data_root):
    table = compare_population(runs, data_root, settings=SETTINGS)
    pairs = table[["run_a", "run_b"]].drop_duplicates()
    assert len(pairs) == 3
    alone = compare_population([runs[0], runs[2]], data_root, settings=SETTINGS)
    together = table[
        (table["run_a"] == runs[0].name) & (table["run_b"] == runs[2].name)
    ]
    np.testing.assert_allclose(together["value"], alone["value"])


def test_pairs_are_told_apart_by_their_initializations(runs, data_root):
    settings = Settings(
        stages=("pool1",), measures=("cca",), sampling=Sampling(200, 8), repeats=1,
        progress=False,
    )  # fmt: skip
    table = compare_population(runs, data_root, settings=settings)
    assert table["pair"].value_counts().to_dict() == {
        "random – random": 1,
        "gabor – random": 2,
    }
    assert set(table["model"]) == {"cbr_tiny"}


# Mistakes.


def test_a_run_without_weights_is_named(broken, data_root):
    file = RunDirectory(broken).final_model
    file.unlink()
    with pytest.raises(ValueError, match=f"has no {file.name} .*train it to its end"):
        compare_before_and_after(broken, data_root)


def test_what_is_no_run_is_named(tmp_path, data_root):
    with pytest.raises(ValueError, match="not a run directory"):
        compare_before_and_after(tmp_path, data_root)


def test_an_unknown_stage_lists_the_stages_and_some_layers(runs, data_root):
    settings = Settings(stages=("block1",), progress=False)
    with pytest.raises(ValueError, match=r"no stage 'block1'.*pool1, pool2.*layers"):
        compare_population(runs[:2], data_root, settings=settings)


def test_a_layer_can_stand_for_a_stage(runs, data_root):
    settings = Settings(
        stages=("relu2", "pool2"), measures=("cca",), sampling=Sampling(200, 8),
        repeats=1, progress=False,
    )  # fmt: skip
    table = compare_population(runs[:2], data_root, settings=settings)
    assert table["stage"].tolist() == ["relu2", "pool2"]


def test_runs_of_different_image_sizes_are_refused(broken, runs, data_root):
    directory = RunDirectory(broken)
    directory.write_config(directory.config().replace(image_size=96))
    directory.update_status(state="finished")
    with pytest.raises(ValueError, match=r"takes images of 32 × 32 .* 96 × 96"):
        compare_population([runs[1], broken], data_root)


def test_heads_of_different_widths_do_not_matter(runs, broken, data_root):
    RunDirectory(broken).update_status(sha256={})
    values = RunDirectory(broken).dataset()
    model = build("cbr_tiny", (64, 64, 3), 2, seed=0)
    model.save_weights(broken / "initial.weights.h5")
    model.save(broken / "final.keras")
    RunDirectory(broken).write_dataset(values | {"classes": ["no", "yes"]})
    table = compare_population([runs[1], broken], data_root, settings=SETTINGS)
    assert set(table["stage"]) == set(stage_names(model))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [([0, 0], "is given twice"), ([0], "2 models or more")],
)
def test_a_population_is_made_of_different_runs(runs, data_root, chosen, message):
    with pytest.raises(ValueError, match=message):
        compare_population([runs[index] for index in chosen], data_root)
