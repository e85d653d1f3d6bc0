"""The fused operation gives what Keras's batch norm gives, but for rounding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf.models import batch_norm_layers, build, set_synchronized_batch_norm
from transfusion_tf.training.fused_batch_norm import fuse_batch_norm

SIZE, CHANNELS = 6, 4


def network(**arguments):
    """One batch norm with weights that are not the trivial ones."""
    image = keras.Input((SIZE, SIZE, CHANNELS))
    model = keras.Model(image, keras.layers.BatchNormalization(**arguments)(image))
    generator = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(generator.uniform(0.5, 2.0, weight.shape))
    return model


def pair(**arguments):
    """Keras's and the fused one, with the same weights."""
    ours = network(**arguments)
    assert fuse_batch_norm(ours) == 1
    return network(**arguments), ours


def images(batch=5):
    return tf.random.stateless_normal([batch, SIZE, SIZE, CHANNELS], [1, 2]) * 3 + 7


def gradients(model, x, **call):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model(x, **call)
        target = tf.random.stateless_normal(y.shape, [3, 4])
        loss = tf.reduce_sum(tf.cast(y, tf.float32) * target)
    variables = [v.value for v in model.trainable_variables]
    return [y, *tape.gradient(loss, [x, *variables])]


ARGUMENTS = [{}, {"scale": False}, {"center": False}, {"axis": 3, "epsilon": 1.001e-5}]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_outputs_gradients_and_moving_statistics_are_keras_s(arguments):
    theirs, ours = pair(**arguments)
    for expected, got in zip(
        gradients(theirs, images(), training=True),
        gradients(ours, images(), training=True),
        strict=True,
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    for expected, got in zip(theirs.weights, ours.weights, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_evaluation_uses_the_moving_statistics():
    theirs, ours = pair()
    before = ours.get_weights()
    np.testing.assert_allclose(
        ours(images(), training=False),
        theirs(images(), training=False),
        rtol=1e-4,
        atol=1e-4,
    )
    for old, new in zip(before, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_batch_of_one_value_a_channel_leaves_finite_statistics():
    image = keras.Input((1, 1, CHANNELS))
    model = keras.Model(image, keras.layers.BatchNormalization()(image))
    fuse_batch_norm(model)
    model(tf.ones([1, 1, 1, CHANNELS]), training=True)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_a_frozen_layer_goes_on_as_keras_has_it():
    theirs, ours = pair()
    for model in (theirs, ours):
        model.layers[-1].trainable = False
    np.testing.assert_array_equal(
        ours(images(), training=True), theirs(images(), training=True)
    )
    np.testing.assert_array_equal(ours.get_weights()[2], network().get_weights()[2])


def test_synchronized_layers_are_left_alone():
    model = network()
    set_synchronized_batch_norm(model)
    assert fuse_batch_norm(model) == 0


def test_a_model_saves_and_clones_as_plain_keras(tmp_path):
    theirs, ours = pair()
    ours.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[-1]) is keras.layers.BatchNormalization
    assert "call" not in vars(loaded.layers[-1])
    np.testing.assert_array_equal(loaded(images()), theirs(images()))


@pytest.mark.parametrize("name", ["cbr_tiny", "resnet50", "inception_v3"])
@pytest.mark.slow
def test_every_batch_norm_of_every_model_is_fused(name):
    model = build(name, (96, 96, 3), 2, seed=0)
    x = tf.random.stateless_uniform([1, 96, 96, 3], [1, 2], 0, 255)
    before = model(x, training=False)
    assert fuse_batch_norm(model) == len(batch_norm_layers(model)) > 0
    np.testing.assert_allclose(model(x, training=False), before, rtol=1e-4, atol=1e-5)
