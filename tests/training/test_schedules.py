"""Optimizers and rates against formulas of their own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf.models import build, named_tensors
from transfusion_tf.training import RunConfig
from transfusion_tf.training.schedules import (
    decay_kernels_only,
    is_kernel,
    make_head_optimizer,
    make_optimizer,
    plateau_schedule,
)

CONFIG = RunConfig(dataset="phantom_retina_64", model="cbr_tiny", learning_rate=0.01)


def rates(optimizer, steps):
    """The rate at each step, counted from 0."""
    variable = keras.Variable(0.0)
    optimizer.build([variable])
    found = []
    for _ in range(steps):
        found.append(float(optimizer.learning_rate))
        optimizer.apply([tf.constant(1.0)], [variable])
    return found


def adam(values, gradients, rate, decoupled=0.0, coupled=0.0):
    """Adam in float64: Kingma and Ba, algorithm 1; Loshchilov and Hutter, 2."""
    first = second = np.zeros_like(values)
    for step, gradient in enumerate(gradients, start=1):
        gradient = gradient + coupled * values
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        direction = (first / (1 - 0.9**step)) / (
            np.sqrt(second / (1 - 0.999**step)) + 1e-7
        )
        values = values - rate * decoupled * values - rate * direction
    return values


def test_the_rate_rises_from_zero_in_a_line():
    optimizer = make_optimizer(CONFIG.replace(warmup_steps=4), 100)
    np.testing.assert_allclose(
        rates(optimizer, 7), [0, 0.0025, 0.005, 0.0075, 0.01, 0.01, 0.01], rtol=1e-6
    )


def test_a_cosine_falls_to_zero_at_the_last_step():
    config = CONFIG.replace(schedule="cosine", steps=4)
    half_way = [0.01 * (1 + np.cos(np.pi * share)) / 2 for share in (0, 0.25, 0.5)]
    found = rates(make_optimizer(config, 100), 5)
    np.testing.assert_allclose(found[:3], half_way, rtol=1e-5)
    assert found[4] == pytest.approx(0, abs=1e-9)
    rising = config.replace(steps=8, warmup_steps=2, head_steps=2)
    found = rates(make_optimizer(rising, 100), 7)
    np.testing.assert_allclose(found[:5], [0, 0.005, *half_way], rtol=1e-5)
    assert found[6] == pytest.approx(0, abs=1e-9)


def test_a_plateau_divides_the_rate_by_ten_also_in_the_compiled_step():
    optimizer = make_optimizer(CONFIG.replace(schedule="plateau", optimizer="sgd"), 100)
    schedule = plateau_schedule(optimizer)
    variable = keras.Variable(0.0)
    optimizer.build([variable])
    optimizer.momentum = 0.0
    step = tf.function(lambda: optimizer.apply([tf.constant(1.0)], [variable]))
    moved = []
    for plateaus in (0, 1, 2):
        schedule.set_plateaus(plateaus)
        before = float(variable)
        step()
        moved.append(before - float(variable))
    np.testing.assert_allclose(moved, [0.01, 0.001, 0.0001], rtol=1e-3)


def test_the_rate_never_falls_below_the_least():
    config = CONFIG.replace(schedule="plateau", learning_rate=3e-4)
    optimizer = make_optimizer(config, 100)
    found = []
    for plateaus in range(5):
        plateau_schedule(optimizer).set_plateaus(plateaus)
        found.append(float(optimizer.learning_rate))
    np.testing.assert_allclose(found, [3e-4, 3e-5, 3e-6, 1e-6, 1e-6], rtol=1e-5)


def test_other_schedules_are_told_of_no_plateaus():
    for schedule in ("constant", "imagenet", "cosine"):
        optimizer = make_optimizer(CONFIG.replace(schedule=schedule), 100)
        assert plateau_schedule(optimizer) is None


def test_the_head_alone_has_a_constant_rate_of_its_own():
    config = CONFIG.replace(schedule="plateau", warmup_steps=5, head_steps=2)
    assert rates(make_head_optimizer(config), 2) == pytest.approx([0.01, 0.01])
    config = config.replace(head_learning_rate=0.3)
    assert rates(make_head_optimizer(config), 2) == pytest.approx([0.3, 0.3])


def test_adamw_decays_kernels_and_nothing_else():
    generator = np.random.default_rng(0)
    start = generator.normal(size=(3, 2))
    gradients = generator.normal(size=(4, 3, 2))
    kernel = keras.Variable(start, name="kernel")
    embedding = keras.Variable(start, name="position_embedding")
    optimizer = make_optimizer(CONFIG.replace(optimizer="adamw", weight_decay=0.5), 100)
    decay_kernels_only(optimizer, [kernel, embedding])
    optimizer.build([kernel, embedding])

    @tf.function
    def step(gradient):
        optimizer.apply([gradient, gradient], [kernel, embedding])

    for gradient in gradients:
        step(tf.constant(gradient, tf.float32))
    decayed = adam(start, gradients, 0.01, decoupled=0.5)
    np.testing.assert_allclose(kernel, decayed, rtol=1e-5, atol=1e-6)
    plain = adam(start, gradients, 0.01)
    np.testing.assert_allclose(embedding, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", ["cbr_tiny", "deit_mini", "swin_mini"])
def test_kernels_are_the_matrices_and_filters_of_a_model(model):
    tensors = named_tensors(build(model, (64, 64, 3), 2))
    trainable = [tensor for tensor in tensors if tensor.variable.trainable]
    kernels = {t.path for t in trainable if is_kernel(t.variable)}
    large = {t.path for t in trainable if len(t.shape) > 1}
    # The biases of attention's heads are a matrix.
    apart = ("bias", "token", "embedding", "relative_position_bias_table")
    assert kernels == {path for path in large if not path.endswith(apart)}
    assert "logits/kernel" in kernels
