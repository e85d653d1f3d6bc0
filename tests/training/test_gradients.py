"""Clipping and the l2 penalty are those of the whole batch, on all devices together."""

import binaries
import keras
import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf.training.gradients import clipped, penalized

GRADIENTS = [tf.constant([3.0, 0.0]), None, tf.constant([[0.0], [4.0]])]


def test_a_long_gradient_is_cut_to_the_limit_and_keeps_its_direction():
    first, none, second = clipped(GRADIENTS, 1.0)
    np.testing.assert_allclose(first, [0.6, 0.0], rtol=1e-6)
    np.testing.assert_allclose(second, [[0.0], [0.8]], rtol=1e-6)
    assert none is None


def test_a_short_gradient_is_left_alone():
    first, _, second = clipped(GRADIENTS, 5.1)
    np.testing.assert_array_equal(first, GRADIENTS[0])
    np.testing.assert_array_equal(second, GRADIENTS[2])


def test_the_limit_is_of_gradients_without_the_scale_of_their_loss():
    first, _, _ = clipped(GRADIENTS, 0.5, scale=tf.constant(5.0))
    np.testing.assert_allclose(first, [1.5, 0.0], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_gradient_that_is_not_finite_stays_so(bad):
    first, second = clipped([tf.constant([bad, 1.0]), tf.constant([1.0])], 1.0)
    assert not np.isfinite(first).any()
    assert not np.isfinite(second).any()


def test_kernels_alone_are_penalized():
    kernel = keras.Variable([[2.0]], name="kernel")
    bias = keras.Variable([2.0], name="bias")
    gradients = [tf.constant([[1.0]]), tf.constant([1.0])]
    first, second = penalized(gradients, [kernel, bias], 0.25)
    np.testing.assert_array_equal(first, [[1.5]])
    np.testing.assert_array_equal(second, [1.0])


SCRIPT = """
import keras, numpy as np, tensorflow as tf
from transfusion_tf.training import RunConfig
from transfusion_tf.training.schedules import decay_kernels_only, make_optimizer
from transfusion_tf.training.gradients import clipped, penalized
from transfusion_tf.training.strategy import make_strategy, split_cpu
split_cpu(2)
strategy = make_strategy("mirrored")
with strategy.scope():
    kernel = keras.Variable([[2.0, 0.0]], name="kernel")

@tf.function
def total(parts):
    def replica(part):
        cut = clipped([part], 1.0)
        return penalized(cut, [kernel], 0.25)[0]
    gradients = strategy.run(replica, (parts,))
    return strategy.reduce(tf.distribute.ReduceOp.SUM, gradients, axis=None)

parts = strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant(
        [[[6.0, 0.0]], [[0.0, 8.0]]][context.replica_id_in_sync_group]
    )
)
np.testing.assert_allclose(total(parts), [[0.6 + 0.5, 0.8]], rtol=1e-6)

config = RunConfig(dataset="x", model="x", optimizer="adamw", weight_decay=0.5)
with strategy.scope():
    optimizer = make_optimizer(config.replace(learning_rate=0.1), 1)
    decay_kernels_only(optimizer, [kernel])
    optimizer.build([kernel])
step = tf.function(
    lambda: strategy.run(lambda: optimizer.apply([tf.zeros((1, 2))], [kernel]))
)
step()
np.testing.assert_allclose(kernel, [[2.0 * (1 - 0.1 * 0.5), 0.0]], rtol=1e-6)
"""


@pytest.mark.slow
def test_two_replicas_together_are_cut_to_the_limit_penalized_and_decayed_once():
    binaries.run_script(SCRIPT)
