"""Moving statistics say what was averaged, and not what was learnt."""

import keras
import numpy as np
import pytest

from transfusion_tf.models import batch_norm_layers, build
from transfusion_tf.representations import compare_models
from transfusion_tf.representations.batch_norm_statistics import estimate_statistics
from transfusion_tf.training.fused_batch_norm import fuse_batch_norm

SIZE = 64
IMAGES = np.random.default_rng(0).integers(0, 256, (48, SIZE, SIZE, 3), np.uint8)


def with_other_statistics(name):
    """Two models with the same trainable weights; one has seen training."""
    start, trained = (build(name, (SIZE, SIZE, 3), 2, seed=1) for _ in range(2))
    fuse_batch_norm(trained)
    rng = np.random.default_rng(2)
    for layer in batch_norm_layers(trained):
        shape = layer.moving_mean.shape
        layer.moving_mean.assign(0.3 * rng.standard_normal(shape))
        layer.moving_variance.assign(rng.uniform(0.2, 3, shape))
    return start, trained


def similarities(a, b):
    how = {"points": 48, "channels": 8, "repeats": 1, "measures": ["cca"]}
    table = compare_models(a, b, IMAGES, **how, progress=False)
    return table.set_index("stage")["value"]


@pytest.mark.filterwarnings("ignore:.* points are few")
def test_models_with_the_same_trainable_weights_are_alike_at_every_stage():
    models = with_other_statistics("cbr_tiny")
    assert similarities(*models).min() < 0.9
    estimated = [estimate_statistics(model, IMAGES) for model in models]
    assert similarities(*estimated).min() > 0.999


def test_they_are_mean_and_variance_of_what_the_layer_sees():
    model, _ = with_other_statistics("cbr_tiny")
    first = batch_norm_layers(model)[0]
    seen = keras.Model(model.inputs, first.input).predict(IMAGES, verbose=0)
    found = estimate_statistics(model, IMAGES)
    np.testing.assert_allclose(
        found.value(first.moving_mean), seen.mean((0, 1, 2)), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        found.value(first.moving_variance), seen.var((0, 1, 2)), rtol=1e-4
    )


def test_those_of_a_model_within_the_model_are_estimated_too():
    inner, _ = with_other_statistics("cbr_tiny")
    images = keras.Input((SIZE, SIZE, 3))
    outer = keras.Model(images, inner(images))
    first = batch_norm_layers(inner)[0]
    expected = estimate_statistics(inner, IMAGES).value(first.moving_mean)
    found = estimate_statistics(outer, IMAGES).value(first.moving_mean)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.abs(found).max() > 0


def test_all_else_is_the_models_own_and_the_model_stays_as_it_is():
    _, model = with_other_statistics("cbr_tiny")
    before = [np.array(weight) for weight in model.weights]
    outputs = model.predict(IMAGES, verbose=0)
    found = estimate_statistics(model, IMAGES)
    for weight, own, now in zip(model.weights, before, found.weights, strict=True):
        np.testing.assert_array_equal(weight, own)
        assert "moving" in weight.path or np.array_equal(own, now)
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), outputs)
