"""The fused update gives what Keras's Adam gives, but for rounding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf.training.fused_adam import FusedAdam


def trained(optimizer, steps=5):
    """Weights and the optimizer's variables after steps with known gradients."""
    variables = [keras.Variable(np.ones((3, 2))), keras.Variable(np.zeros(4))]
    optimizer.build(variables)

    @tf.function
    def step(number):
        gradients = [
            tf.random.stateless_normal(variable.shape, [number, key])
            for key, variable in enumerate(variables)
        ]
        optimizer.apply(gradients, variables)

    for number in range(steps):
        step(tf.constant(number))
    return [np.array(v) for v in (*variables, *optimizer.variables)]


RATES = {
    "constant": 0.01,
    "schedule": keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5),
}


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
def test_weights_and_moments_are_keras_s(rate):
    expected = trained(keras.optimizers.Adam(rate, epsilon=1e-3))
    for value, other in zip(
        trained(FusedAdam(rate, epsilon=1e-3)), expected, strict=True
    ):
        np.testing.assert_allclose(value, other, rtol=2e-5, atol=1e-7)


def test_loss_scaling_goes_around_it():
    optimizer = keras.optimizers.LossScaleOptimizer(FusedAdam(0.01), initial_scale=8.0)
    expected = trained(
        keras.optimizers.LossScaleOptimizer(
            keras.optimizers.Adam(0.01), initial_scale=8.0
        )
    )
    for value, other in zip(trained(optimizer), expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=2e-5, atol=1e-6)


def test_it_has_the_variables_of_keras_s_adam():
    ours, theirs = trained(FusedAdam(0.01)), trained(keras.optimizers.Adam(0.01))
    assert [v.shape for v in ours] == [v.shape for v in theirs]
