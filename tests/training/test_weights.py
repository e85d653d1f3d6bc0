"""A run's weights come back: from a file, or from its seed and donor."""

import dataclasses
import shutil

import numpy as np
import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.models import build
from transfusion_tf.training import RunDirectory, train
from transfusion_tf.training.weights import load_run_weights


@pytest.fixture
def model():
    return build("cbr_tiny", (64, 64, 3), 5)


@pytest.fixture
def copy(finished, tmp_path):
    """A finished run that a test may damage."""
    return RunDirectory(shutil.copytree(finished.directory.path, tmp_path / "copy"))


def values(model):
    return [np.array(variable) for variable in model.weights]


def test_initial_weights_are_made_again_bit_for_bit(
    config, options, finished, model, tmp_path
):
    kept = dataclasses.replace(options, keep_initial_weights=True)
    result = train(config, tmp_path / "kept", kept)
    assert result.directory.initial_weights.exists()
    assert not finished.directory.initial_weights.exists()
    load_run_weights(model, result.directory, "initial")
    stored = values(model)
    load_run_weights(model, finished.directory, "initial")
    for ours, theirs in zip(values(model), stored, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_initial_weights_that_come_out_otherwise_are_refused(copy, model):
    copy.update_status(initial_sha256="0" * 64)
    with pytest.raises(UserError, match=r"made again .* --keep_initial_weights"):
        load_run_weights(model, copy, "initial")


def test_weights_that_are_best_and_last_are_in_one_file(config, options, tmp_path):
    # A single evaluation after the start is the last; the larger loss is the start's.
    short = config.replace(steps=4, eval_every=4, early_stopping_metric="loss")
    run = train(short, tmp_path / "short", options).directory
    assert run.status()["best_step"] == 4
    weights = sorted(
        f.name for f in run.path.iterdir() if f.suffix in (".h5", ".keras")
    )
    assert weights == ["final.keras"]
    assert run.best_weights == run.final_model


def test_the_best_weights_are_kept_beside_later_ones(config, options, tmp_path, model):
    # Too high a rate: the start is the best.
    wild = config.replace(learning_rate=1.0, early_stopping_metric="loss")
    run = train(wild, tmp_path / "wild", options).directory
    assert run.status()["best_step"] == 0
    load_run_weights(model, run, "initial")
    initial = values(model)
    load_run_weights(model, run, "best")
    for best, first in zip(values(model), initial, strict=True):
        np.testing.assert_array_equal(best, first)
    load_run_weights(model, run, "final")
    assert not np.array_equal(values(model)[0], initial[0])


def test_a_finished_run_without_its_weights_is_named(copy, model):
    copy.best_weights.unlink()
    with pytest.raises(UserError, match=r"has no (best\.weights\.h5|final\.keras)"):
        load_run_weights(model, copy, "best")


def test_an_unknown_kind_of_weights_lists_the_kinds(copy, model):
    with pytest.raises(UserError, match="initial, best, final"):
        load_run_weights(model, copy, "last")
