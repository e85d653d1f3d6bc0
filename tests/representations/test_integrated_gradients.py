"""Integrated gradients: the axioms of Sundararajan et al. (2017), on real models."""

import keras
import numpy as np
import pytest
from skimage import data, transform

from transfusion_tf.errors import UserError
from transfusion_tf.models import build
from transfusion_tf.representations import integrated_gradients


@pytest.fixture(scope="module")
def photographs():
    """A cat and an astronaut, uint8 [2, 32, 32, 3]."""
    both = (data.chelsea(), data.astronaut())
    small = [transform.resize(image, (32, 32)) for image in both]
    return (255 * np.stack(small)).round().astype(np.uint8)


@pytest.fixture(scope="module")
def network():
    """CBR-Tiny with weights large enough that logits of two images differ."""
    model = build("cbr_tiny", (32, 32, 3), 4, seed=0)
    draw = np.random.default_rng(0)
    for variable in model.weights:
        value = np.array(variable)
        if "moving_mean" in variable.path or value.ndim == 1:
            variable.assign(value + 0.3 * draw.normal(size=value.shape) ** 2)
        else:
            variable.assign(1.5 * value)
    return model


def logits_of(model, images):
    read = keras.Model(model.inputs, model.get_layer("logits").output)
    return np.asarray(read([images.astype(np.float32)]))


def test_attributions_add_up_to_what_the_score_changes_by(network, photographs):
    directions = np.array([[1, -1, 0, 0], [0, 0, 0, -1]])
    found = integrated_gradients(network, photographs, directions)
    mean = photographs.astype(float).mean(axis=(1, 2), keepdims=True)
    flat = np.broadcast_to(mean, photographs.shape)
    change = logits_of(network, photographs) - logits_of(network, flat)
    expected = (change * directions).sum(axis=1)
    np.testing.assert_allclose(found.change, expected, atol=1e-3)
    assert np.abs(found.change).min() > 0.2
    assert found.complete.all()
    sums = found.values.sum(axis=(1, 2, 3))
    np.testing.assert_allclose(sums, expected, rtol=0.05, atol=0.05)


def test_of_a_linear_model_they_are_weights_times_differences(photographs):
    images = keras.Input((32, 32, 3))
    flat = keras.layers.Flatten()(images)
    linear = keras.layers.Dense(2, name="logits")(flat)
    model = keras.Model(images, linear)
    kernel = np.random.default_rng(1).normal(size=(32 * 32 * 3, 2)) / 1000
    model.get_layer("logits").kernel.assign(kernel)
    found = integrated_gradients(model, photographs, np.array([[1, 0], [-1, 2]]))
    mean = photographs.astype(float).mean(axis=(1, 2), keepdims=True)
    weights = [kernel[:, 0], 2 * kernel[:, 1] - kernel[:, 0]]
    for image, weight, values in zip(
        photographs - mean, weights, found.values, strict=True
    ):
        expected = weight.reshape(32, 32, 3) * image
        np.testing.assert_allclose(values, expected, atol=1e-4)


def test_an_image_of_one_colour_has_nothing_to_attribute(network):
    grey = np.full((1, 32, 32, 3), 90, np.uint8)
    found = integrated_gradients(network, grey, np.eye(4)[:1])
    assert found.change.tolist() == [0.0]
    assert not found.values.any()


def test_the_size_of_batches_changes_nothing(network, photographs):
    direction = np.eye(4)[:1]
    one, other = (
        integrated_gradients(network, photographs[:1], direction, batch_size=size)
        for size in (5, 16)
    )
    np.testing.assert_allclose(one.values, other.values, atol=1e-5)


def test_each_image_has_its_direction(network, photographs):
    with pytest.raises(UserError, match=r"as many directions, got \(2, 32"):
        integrated_gradients(network, photographs, np.eye(4)[:1])
