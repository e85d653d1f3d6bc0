"""Comparisons over run directories, on runs of two steps."""

import shutil

import keras
import numpy as np
import pandas as pd
import pytest

from transfusion_tf.datasets import load_card, prepare
from transfusion_tf.input_pipeline import eval_batches
from transfusion_tf.models import build, stage_names
from transfusion_tf.representations import (
    Sampling,
    Settings,
    by_initializations,
    cka,
    compare_before_and_after,
    compare_population,
    compare_runs,
    compare_stage_pairs,
    compare_start_and_end,
    load_run_model,
    named_outputs,
    over_repeats,
    regress_end_on_start,
    run_images,
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


# What is compared: the weights, the images.


def test_the_model_is_the_runs_with_its_weights(runs):
    initial = load_run_model(runs[0], "initial").get_layer("conv1").kernel
    best = load_run_model(runs[0]).get_layer("conv1").kernel
    stored = RunDirectory(runs[0]).first_layer()
    np.testing.assert_array_equal(initial, stored[0])
    np.testing.assert_array_equal(best, stored[1])


def test_images_are_the_validation_split_as_evaluation_sees_it(
    runs, data_root, prepared
):
    images = run_images(runs[0], data_root)
    rows = prepared.examples("validation")
    expected = next(iter(eval_batches(prepared, "validation", len(rows))))["image"]
    assert images.shape == (len(rows), 64, 64, 3)
    np.testing.assert_array_equal(images[:], expected)
    np.testing.assert_array_equal(images[[3, 1]], expected.numpy()[[3, 1]])


def test_data_are_prepared_again_where_they_are_gone(runs, tmp_path):
    assert len(run_images(runs[0], tmp_path)) == 20


def test_images_that_are_no_longer_the_runs_are_refused(broken, tmp_path, clinic_root):
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


def test_runs_on_two_versions_of_a_data_set_are_warned_about(runs, broken, data_root):
    config = RunDirectory(broken).config()
    RunDirectory(broken).write_config(config.replace(data="another"))
    with pytest.warns(UserWarning, match="another version of clinic"):
        compare_runs(runs[1], broken, data_root, settings=SETTINGS)


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
        compare_runs(
            runs[0],
            runs[1],
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
    table = compare_runs(runs[0], runs[1], data_root, settings=SETTINGS)
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
    alone = compare_runs(runs[0], runs[2], data_root, settings=SETTINGS)
    together = table[
        (table["run_a"] == runs[0].name) & (table["run_b"] == runs[2].name)
    ]
    np.testing.assert_allclose(together["value"], alone["value"])


def test_a_population_is_summarised_by_initializations(runs, data_root):
    table = compare_population(runs, data_root, settings=SETTINGS)
    summary = by_initializations(table).query("measure == 'cca' and stage == 'pool1'")
    assert summary.set_index("pair")["pairs"].to_dict() == {
        "random – random": 1,
        "gabor – random": 2,
    }
    mixed = table.query("pair == 'gabor – random' and measure == 'cca'")
    mixed = mixed[mixed["stage"] == "pool1"]
    assert summary.set_index("pair").loc["gabor – random", "value"] == pytest.approx(
        mixed["value"].mean()
    )


def test_start_and_end_stand_side_by_side(runs, data_root):
    table = compare_start_and_end(runs, data_root, settings=SETTINGS)
    assert len(table) == 3 * len(STAGES) * 2
    start = compare_runs(
        runs[0], runs[1], data_root, weights="initial", settings=SETTINGS
    )
    expected = over_repeats(start)["value"]
    pair = table[(table["run_a"] == runs[0].name) & (table["run_b"] == runs[1].name)]
    np.testing.assert_allclose(pair["value_at_start"], expected)
    assert not np.allclose(pair["value_at_end"], expected)


def planted(start, end):
    return pd.DataFrame(
        {
            "model": "cbr_tiny", "pair": "random – random", "stage": "pool1",
            "measure": "cca", "value_at_start": start, "value_at_end": end,
        }
    )  # fmt: skip


def test_the_regression_finds_the_planted_line_and_its_r_squared():
    start = np.random.default_rng(0).uniform(size=30)
    end = 0.5 * start + 0.2 + 0.05 * np.random.default_rng(1).standard_normal(30)
    row = regress_end_on_start(planted(start, end)).iloc[0]
    expected = np.corrcoef(start, end)[0, 1] ** 2
    assert row["r_squared"] == pytest.approx(expected)
    assert row["slope"] == pytest.approx(0.5, abs=0.1)
    assert row["pairs"] == 30


@pytest.mark.parametrize("start", [[0.2, 0.4], [1.0, 1.0, 1.0]])
def test_no_line_is_fitted_where_nothing_could_be_learned(start):
    row = regress_end_on_start(planted(start, np.linspace(0.1, 0.5, len(start))))
    assert row["r_squared"].isna().all()


def test_every_stage_is_compared_with_every_stage(runs, data_root):
    model_a, model_b = (load_run_model(run) for run in runs[:2])
    images = run_images(runs[0], data_root)
    table = compare_stage_pairs(model_a, model_b, images, batch_size=32, progress=False)
    assert len(table) == 16
    found = table[(table["stage_a"] == "pool2") & (table["stage_b"] == "pool4")]
    one, other = (
        np.asarray(activations_of(model, name, images[:]))
        for model, name in ((model_a, "pool2"), (model_b, "pool4"))
    )
    assert found["cka"].item() == pytest.approx(cka(one, other).value, abs=1e-6)


def activations_of(model, name, images):
    output = keras.Model(model.input, named_outputs(model, [name])[name])
    activations = np.asarray(output(images.astype(np.float32)))
    return activations.reshape(len(images), -1)


# Mistakes.


def test_a_run_without_weights_is_named(broken, data_root):
    file = RunDirectory(broken).best_weights
    file.unlink()
    with pytest.raises(ValueError, match=f"has no {file.name} .*train it to its end"):
        compare_before_and_after(broken, data_root)


def test_weights_that_are_not_those_that_the_run_left_are_named(broken):
    file = RunDirectory(broken).best_weights
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=f"{file.name} is not the file .*SHA"):
        load_run_model(broken)


def test_damaged_weights_of_an_older_run_are_named(broken):
    RunDirectory(broken).update_status(sha256={})
    (broken / "best.weights.h5").write_bytes(b"half a file")
    with pytest.raises(ValueError, match=r"best\.weights\.h5 is not a readable"):
        load_run_model(broken)


def test_weights_that_are_not_numbers_are_named(broken):
    RunDirectory(broken).update_status(sha256={})
    model = load_run_model(broken)
    kernel = model.get_layer("conv3").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    model.save_weights(broken / "best.weights.h5")
    with pytest.raises(ValueError, match=r"best\.weights\.h5 is broken: conv3/kernel"):
        load_run_model(broken)


def test_an_unfinished_run_is_warned_about(broken):
    load_run_model(broken).save_weights(broken / "best.weights.h5")
    RunDirectory(broken).update_status(state="stopped", step=1, sha256={})
    with pytest.warns(UserWarning, match="not finished .*step 1 of 2"):
        load_run_model(broken)


def test_what_is_no_run_is_named(tmp_path, data_root):
    with pytest.raises(ValueError, match="not a run directory"):
        compare_before_and_after(tmp_path, data_root)


def test_an_unknown_stage_lists_the_stages_and_some_layers(runs, data_root):
    settings = Settings(stages=("block1",), progress=False)
    with pytest.raises(ValueError, match=r"no stage 'block1'.*pool1, pool2.*layers"):
        compare_runs(runs[0], runs[1], data_root, settings=settings)


def test_a_layer_can_stand_for_a_stage(runs, data_root):
    settings = Settings(
        stages=("relu2", "pool2"), measures=("cca",), sampling=Sampling(200, 8),
        repeats=1, progress=False,
    )  # fmt: skip
    table = compare_runs(runs[0], runs[1], data_root, settings=settings)
    assert table["stage"].tolist() == ["relu2", "pool2"]


def test_runs_of_different_image_sizes_are_refused(broken, runs, data_root):
    directory = RunDirectory(broken)
    directory.write_config(directory.config().replace(image_size=96))
    with pytest.raises(ValueError, match=r"takes images of 64 × 64 .* 96 × 96"):
        compare_runs(runs[1], broken, data_root)


def test_heads_of_different_widths_do_not_matter(runs, broken, data_root):
    RunDirectory(broken).update_status(sha256={})
    values = RunDirectory(broken).dataset()
    model = build("cbr_tiny", (64, 64, 3), 2, seed=0)
    for name in ("initial.weights.h5", "best.weights.h5"):
        model.save_weights(broken / name)
    RunDirectory(broken).write_dataset(values | {"classes": ["no", "yes"]})
    table = compare_runs(runs[1], broken, data_root, settings=SETTINGS)
    assert set(table["stage"]) == set(stage_names(model))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [([0, 0], "is given twice"), ([0], "needs 2 runs or more")],
)
def test_a_population_is_made_of_different_runs(runs, data_root, chosen, message):
    with pytest.raises(ValueError, match=message):
        compare_population([runs[index] for index in chosen], data_root)
