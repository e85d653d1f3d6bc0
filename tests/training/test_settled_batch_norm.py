"""Short runs are evaluated with batch norm statistics of their own weights."""

import keras
import numpy as np
import pytest

from transfusion_tf.input_pipeline import eval_batches
from transfusion_tf.models import batch_norm_layers
from transfusion_tf.training import train


@pytest.fixture(scope="module")
def settling(config):
    return config.replace(batch_norm_images=1000, steps=4)


def statistics(model):
    return [(layer.moving_mean, layer.moving_variance) for layer in layers(model)]


def layers(model):
    return batch_norm_layers(model)


@pytest.fixture(scope="module")
def settled(settling, options, tmp_path_factory):
    return train(settling, tmp_path_factory.mktemp("settled") / "run", options)


def final_model(result):
    return keras.saving.load_model(result.directory.final_model, compile=False)


def test_the_first_layers_statistics_are_those_of_all_training_images(
    settled, prepared
):
    model = final_model(settled)
    (first, *_) = layers(model)
    below = keras.Model(model.input, first.input)
    batches = eval_batches(prepared, "train", 4)
    seen = np.concatenate([below(b["image"])[b["mask"] > 0] for b in batches])
    np.testing.assert_allclose(first.moving_mean, seen.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(first.moving_variance, seen.var((0, 1, 2)), rtol=1e-3)


def test_training_is_the_same_whatever_evaluation_uses(
    settled, settling, options, tmp_path
):
    plain = train(settling.replace(batch_norm_images=0), tmp_path / "run", options)
    assert plain.run_id != settled.run_id
    for ours, theirs in zip(
        final_model(plain).trainable_weights,
        final_model(settled).trainable_weights,
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_a_stopped_run_goes_on_as_if_undisturbed(
    settled, settling, options, stop_at, tmp_path
):
    with pytest.raises(KeyboardInterrupt):
        train(settling, tmp_path / "run", stop_at(3, save_every_steps=1))
    again = train(settling, tmp_path / "run", options)
    for name in ("metrics.jsonl", "predictions.parquet"):
        ours, theirs = (run.directory.path / name for run in (again, settled))
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.slow
def test_frozen_layers_keep_what_they_train_with(settling, options, tmp_path):
    frozen = train(settling.replace(freeze="pool2"), tmp_path / "run", options)
    kept = [
        np.array_equal(mean, np.zeros(mean.shape))
        for mean, _ in statistics(final_model(frozen))
    ]
    assert kept == [True, True, False, False]


@pytest.mark.slow
def test_layers_above_frozen_ones_have_statistics_of_what_they_see(
    settling, prepared, options, tmp_path
):
    frozen = train(settling.replace(freeze="pool2"), tmp_path / "run", options)
    model = final_model(frozen)
    above = layers(model)[2]
    below = keras.Model(model.input, above.input)
    batches = eval_batches(prepared, "train", 4)
    seen = np.concatenate([below(b["image"])[b["mask"] > 0] for b in batches])
    np.testing.assert_allclose(above.moving_mean, seen.mean((0, 1, 2)), rtol=1e-3)
    np.testing.assert_allclose(above.moving_variance, seen.var((0, 1, 2)), rtol=1e-3)
