"""One run: what it leaves, that it repeats, that it can be stopped at any step."""

import keras
import numpy as np
import pandas as pd
import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.models import build, named_tensors
from transfusion_tf.training import NonFiniteError, RunDirectory, train
from transfusion_tf.training.state import read_state
from transfusion_tf.training.weights import load_run_weights


def final_weights(result):
    model = keras.saving.load_model(result.directory.final_model, compile=False)
    return [np.asarray(variable) for variable in model.weights]


def read_weights(run, weights):
    model = build("cbr_tiny", (64, 64, 3), 5)
    load_run_weights(model, run, weights)
    return {tensor.path: tensor.value() for tensor in named_tensors(model)}


def assert_same_run(a, b):
    for ours, theirs in zip(final_weights(a), final_weights(b), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for name in ("metrics.jsonl", "initialization.csv", "dataset.json"):
        assert (a.directory.path / name).read_bytes() == (
            b.directory.path / name
        ).read_bytes()
    for split in ("validation", "test"):
        assert a.directory.predictions(split).equals(b.directory.predictions(split))


def test_a_finished_run_leaves_all_that_the_report_reads(finished, prepared):
    directory = finished.directory
    assert directory.finished()
    assert directory.config().run_id == finished.run_id
    assert list(directory.metrics()["step"]) == [0, 2, 4, 6]
    assert np.isfinite(directory.metrics()["validation/referable_auc"]).all()
    assert len(directory.predictions("test")) == len(prepared.examples("test"))
    images, labels = directory.samples()
    assert len(images) == len(labels)
    assert (labels.sum(axis=0) > 0).all()
    assert directory.initialization()["scheme"].eq("random").all()
    assert any(directory.events.iterdir())
    assert not directory.state.exists()
    status = directory.status()
    assert status["images_per_second"] > 0
    assert 0 <= status["input_wait_share"] <= 1
    assert status["peak_memory_mib"] > 0
    assert status["parameters_table1"] == 1_076_480


def test_the_best_weights_are_those_of_the_best_validation_metric(finished):
    metrics = finished.directory.metrics()
    best = metrics.loc[metrics["validation/referable_auc"].idxmax()]
    assert finished.best_step == best["step"]
    assert finished.validation["referable_auc"] == pytest.approx(
        best["validation/referable_auc"]
    )


def test_the_first_layer_is_kept_before_and_after(finished):
    initial, best = finished.directory.first_layer("best")
    assert initial.shape == (5, 5, 3, 32)
    tensors = read_weights(finished.directory, "initial")
    np.testing.assert_array_equal(initial, tensors["conv1/kernel"])
    assert (finished.best_step > 0) == (not np.array_equal(initial, best))
    _, final = finished.directory.first_layer()
    tensors = read_weights(finished.directory, "final")
    np.testing.assert_array_equal(final, tensors["conv1/kernel"])


def test_the_same_seed_gives_the_same_run_bit_for_bit(
    config, options, finished, tmp_path
):
    assert_same_run(train(config, tmp_path / "again", options), finished)


@pytest.mark.slow
def test_curves_of_the_test_split_are_recorded_and_choose_nothing(
    config, options, finished, tmp_path
):
    shown = train(config.replace(test_curve=True), tmp_path / "shown", options)
    for ours, theirs in zip(final_weights(shown), final_weights(finished), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert shown.best_step == finished.best_step
    curves = shown.directory.metrics().set_index("step")
    plain = finished.directory.metrics().set_index("step")
    pd.testing.assert_frame_equal(curves[plain.columns], plain)
    # The one number that both have of the test split.
    at_best = curves.loc[shown.best_step, "test/referable_auc"]
    assert at_best == pytest.approx(finished.test["referable_auc"])


def test_a_run_of_no_steps_leaves_the_weights_that_training_starts_from(
    config, options, finished, tmp_path
):
    start = train(config.replace(steps=0), tmp_path / "start", options)
    initial, last = start.directory.first_layer()
    np.testing.assert_array_equal(initial, last)
    np.testing.assert_array_equal(initial, finished.directory.first_layer()[0])
    assert list(start.directory.metrics()["step"]) == [0]


def test_another_seed_gives_another_run(config, options, finished, tmp_path):
    other = train(config.replace(seed=1), tmp_path / "other", options)
    assert other.run_id != finished.run_id
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(final_weights(other), final_weights(finished), strict=True)
    )


@pytest.mark.parametrize("step", [1, pytest.param(4, marks=pytest.mark.exhaustive), 5])
@pytest.mark.slow
def test_a_stopped_run_goes_on_as_if_undisturbed(
    config, options, stop_at, finished, tmp_path, step
):
    folder = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        train(config, folder, stop_at(step, save_every_steps=1))
    assert RunDirectory(folder).status()["state"] == "stopped"
    result = train(config, folder, options)
    assert_same_run(result, finished)
    assert result.directory.status()["images_per_second"] > 0


@pytest.mark.slow
def test_a_damaged_last_state_costs_an_interval_not_the_run(
    config, options, stop_at, finished, tmp_path, capsys
):
    folder = tmp_path / "damaged"
    with pytest.raises(KeyboardInterrupt):
        train(config, folder, stop_at(5))
    latest = folder / "state" / "latest.npz"
    latest.write_bytes(latest.read_bytes()[:1000])
    assert_same_run(train(config, folder, options), finished)
    assert "went back to previous.npz" in capsys.readouterr().out


def test_a_finished_run_is_not_trained_again(config, options, finished):
    before = (finished.directory.path / "status.json").stat().st_mtime_ns
    again = train(config, finished.directory.path, options)
    assert again == finished
    assert (finished.directory.path / "status.json").stat().st_mtime_ns == before


def test_a_folder_that_holds_another_run_is_refused(config, options, finished):
    with pytest.raises(UserError, match="holds another run"):
        train(config.replace(seed=9), finished.directory.path, options)


@pytest.mark.slow
def test_frozen_stages_keep_weights_and_statistics(config, options, tmp_path):
    result = train(config.replace(freeze="pool2"), tmp_path / "frozen", options)
    final = keras.saving.load_model(result.directory.final_model, compile=False)
    before = read_weights(result.directory, "initial")
    moved: dict[str, bool] = {}
    for tensor in named_tensors(final):
        layer = tensor.path.split("/")[0]
        same = np.array_equal(before[tensor.path], tensor.value())
        moved[layer] = moved.get(layer, False) or not same
    below = {name for name in moved if name[-1] in "12"}
    assert below
    assert not any(moved[name] for name in below)
    assert all(moved[name] for name in set(moved) - below)


@pytest.mark.slow
def test_early_stopping_ends_a_run_that_does_not_improve(config, options, tmp_path):
    # A rate so small that the metric cannot change.
    config = config.replace(learning_rate=1e-12, early_stopping=1, dropout=0.0)
    config = config.replace(batch_norm_momentum=0.999999)
    result = train(config, tmp_path / "early", options)
    assert result.directory.finished()
    assert result.directory.status()["step"] < config.steps


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(
    config, options, tmp_path
):
    folder = tmp_path / "nan"
    with pytest.raises(NonFiniteError, match=r"(at|after) step \d+ .*learning_rate"):
        train(config.replace(learning_rate=1e30), folder, options)
    directory = RunDirectory(folder)
    assert directory.status()["state"] == "failed"
    assert directory.status()["step"] == 0
    for state in ("latest", "best"):
        _, values = read_state(directory.state / f"{state}.npz")
        assert all(np.isfinite(value).all() for value in values)


@pytest.mark.slow
def test_a_run_can_start_from_another_run(config, options, finished, tmp_path):
    donor = str(finished.directory.path)
    result = train(
        config.replace(initialization="transfer", donor=donor, seed=5),
        tmp_path / "transfer",
        options,
    )
    initial, _ = result.directory.first_layer()
    _, best = finished.directory.first_layer("best")
    np.testing.assert_array_equal(initial, best)
    assert set(result.directory.initialization()["scheme"]) == {"transfer", "random"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"initialization": "transfer"}, "needs --donor"),
        ({"initialization": "transfer", "donor": "nowhere"}, "no donor 'nowhere'"),
        ({"initialization": "transfr"}, "unknown initialization"),
        ({"model": "resnet51"}, "unknown model 'resnet51'"),
        ({"metric": "auc"}, "unknown metric"),
        ({"train_examples": 4000}, "has only"),
        ({"freeze": "block7"}, "pool1"),
    ],
)
def test_what_cannot_be_trained_is_said_at_once(
    config, options, tmp_path, changes, message
):
    with pytest.raises(UserError, match=message):
        train(config.replace(**changes), tmp_path / "bad", options)


def test_a_folder_that_cannot_be_written_is_named(config, options, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        train(config, tmp_path / "file" / "run", options)


@pytest.mark.slow
def test_mixed_precision_trains_and_leaves_the_policy_alone(config, options, tmp_path):
    result = train(config.replace(mixed_precision=True), tmp_path / "mixed", options)
    assert np.isfinite(list(result.test.values())).all()
    assert keras.mixed_precision.dtype_policy().name == "float32"


def test_what_xla_cannot_compile_names_the_flag(config, options, tmp_path):
    with pytest.raises(UserError, match=r"cbr_tiny \(.*\): leave --xla out"):
        train(config.replace(xla=True), tmp_path / "run", options)


@pytest.mark.slow
def test_a_profile_is_written_where_tensorboard_looks(config, options, tmp_path):
    import dataclasses

    profiled = dataclasses.replace(options, profile_steps=(2, 4))
    result = train(config, tmp_path / "profiled", profiled)
    assert list(result.directory.events.rglob("*.xplane.pb"))
