import pickle
from itertools import pairwise

import binaries
import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf.representations import Moments

RNG = np.random.default_rng(0)
X = RNG.standard_normal((1000, 140)) + 50
Y = X[:, :30] + RNG.standard_normal((1000, 30))


def moments_of_batches(*edges):
    moments = Moments()
    for start, stop in pairwise(edges):
        moments.update(X[start:stop], Y[start:stop])
    return moments


def assert_equal_to_numpy(covariances, count=1000):
    joint = np.cov(X[:count].T, Y[:count].T)
    assert covariances.count == count
    np.testing.assert_allclose(covariances.mean_x, X[:count].mean(0), rtol=1e-13)
    np.testing.assert_allclose(covariances.mean_y, Y[:count].mean(0), rtol=1e-13)
    np.testing.assert_allclose(covariances.xx, joint[:140, :140], atol=1e-12)
    np.testing.assert_allclose(covariances.yy, joint[140:, 140:], atol=1e-12)
    np.testing.assert_allclose(covariances.xy, joint[:140, 140:], atol=1e-12)


def test_batches_of_any_size_give_numpys_covariances():
    assert_equal_to_numpy(moments_of_batches(0, 1, 300, 1000).covariances())


def test_tensors_give_what_arrays_give():
    moments = Moments()
    moments.update(tf.constant(X), tf.constant(Y))
    assert_equal_to_numpy(moments.covariances())


def test_tensorflow_gives_what_blas_gives_and_the_two_merge():
    for kinds in ((True, True), (True, False), (False, True)):
        first, second = (Moments(on_device=kind) for kind in kinds)
        first.update(X[:300], Y[:300])
        first.update(tf.constant(X[300:500]), tf.constant(Y[300:500]))
        second.update(X[500:], Y[500:])
        first.merge(second)
        assert_equal_to_numpy(first.covariances())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int16"])
@pytest.mark.parametrize("on_device", [False, True])
def test_any_real_numbers_will_do(dtype, on_device):
    moments = Moments(on_device=on_device)
    x, y = tf.cast(X, dtype), tf.cast(10 * Y, dtype)
    moments.update(x, tf.constant(Y))
    moments.update(x.numpy(), y.numpy())
    both = np.concatenate([Y, y.numpy().astype("f8")])
    np.testing.assert_allclose(
        moments.covariances().yy, np.cov(both.T), rtol=1e-12, atol=1e-12
    )


def test_merged_shards_equal_the_whole():
    first, second = moments_of_batches(0, 700), moments_of_batches(700, 800, 1000)
    first.merge(second)
    assert_equal_to_numpy(first.covariances())


@pytest.mark.slow
def test_moments_of_mirrored_replicas_merge_to_those_of_one_device():
    """On two CPU devices, which must be there before TensorFlow starts."""
    script = """
import numpy as np, tensorflow as tf
from transfusion_tf.representations import Moments, cca_from_moments
from transfusion_tf.training.strategy import make_strategy, split_cpu
split_cpu(2)
strategy = make_strategy("mirrored")
assert strategy.num_replicas_in_sync == 2
rng = np.random.default_rng(0)
x = rng.standard_normal((1000, 20)) + 50
y = x[:, :10] + rng.standard_normal((1000, 10))
one, replicas = Moments(), [Moments(), Moments()]
one.update(x, y)
data = tf.data.Dataset.from_tensor_slices((x, y)).batch(200)
for batch in strategy.experimental_distribute_dataset(data):
    parts = [strategy.experimental_local_results(each) for each in batch]
    for moments, *points in zip(replicas, *parts, strict=True):
        moments.update(*points)
assert [moments.count for moments in replicas] == [500, 500]
replicas[0].merge(replicas[1])
for name in ("xx", "xy", "yy", "mean_x", "mean_y"):
    ours, theirs = (getattr(m.covariances(), name) for m in (replicas[0], one))
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
np.testing.assert_allclose(
    cca_from_moments(replicas[0]).coefficients,
    cca_from_moments(one).coefficients, atol=1e-12)
"""
    binaries.run_script(script)


def test_merging_into_an_empty_accumulator_leaves_the_other_alone():
    first, second = Moments(), moments_of_batches(0, 700)
    first.merge(second)
    first.update(X[700:], Y[700:])
    assert_equal_to_numpy(first.covariances())
    assert_equal_to_numpy(second.covariances(), count=700)


def test_merging_an_empty_accumulator_changes_nothing():
    moments = moments_of_batches(0, 1000)
    moments.merge(Moments())
    assert_equal_to_numpy(moments.covariances())


def test_shards_travel_between_processes():
    sent = pickle.loads(pickle.dumps(moments_of_batches(0, 1000)))
    assert_equal_to_numpy(sent.covariances())


def test_a_mean_of_a_billion_deviations_loses_no_more_than_its_digits():
    moments = Moments()
    moments.update(X + 1e9, Y)
    np.testing.assert_allclose(moments.covariances().xx, np.cov(X.T), atol=1e-5)


def test_one_update_of_many_points_equals_many_updates():
    x = RNG.standard_normal((80_000, 150)).astype("float32")
    at_once, in_parts = Moments(), Moments()
    at_once.update(x, x[:, :20])
    for part in np.split(x, 80):
        in_parts.update(part, part[:, :20])
    np.testing.assert_allclose(
        at_once.covariances().xx, in_parts.covariances().xx, atol=1e-13
    )


def test_state_does_not_grow_with_the_points():
    few, many = moments_of_batches(0, 100), moments_of_batches(*range(0, 1001, 100))
    assert len(pickle.dumps(few)) == pytest.approx(len(pickle.dumps(many)), rel=0.01)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_not_finite_names_its_channel_and_batch(bad):
    moments = moments_of_batches(0, 500)
    y = Y[500:].copy()
    y[17, 3] = bad
    with pytest.raises(
        ValueError, match="channel 3 of y is NaN or infinite in batch 1"
    ):
        moments.update(X[500:], y)


def test_a_refused_batch_leaves_the_accumulator_as_it_was():
    moments = moments_of_batches(0, 500)
    with pytest.raises(ValueError, match="NaN"):
        moments.update(np.full((10, 140), np.nan), Y[:10])
    moments.update(X[500:], Y[500:])
    assert_equal_to_numpy(moments.covariances())


def test_more_points_than_are_taken_at_once_give_numpys_covariances():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((30_000, 200)) + np.linspace(-1e6, 1e6, 200)
    y = x[:, :100] + rng.standard_normal((30_000, 100))
    moments = Moments()
    moments.update(x[:100], y[:100])
    bad = y.copy()
    bad[-1, -1] = np.nan
    with pytest.raises(ValueError, match="channel 99 of y is NaN or infinite in batc"):
        moments.update(x, bad)
    moments.update(x[100:], y[100:])
    covariances, joint = moments.covariances(), np.cov(x.T, y.T)
    np.testing.assert_allclose(covariances.mean_x, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(covariances.xx, joint[:200, :200], atol=1e-9)
    np.testing.assert_allclose(covariances.xy, joint[:200, 200:], atol=1e-9)
    np.testing.assert_allclose(covariances.yy, joint[200:, 200:], atol=1e-9)


def test_unequal_numbers_of_points_are_an_error():
    with pytest.raises(ValueError, match="x has 10 points and y has 9"):
        Moments().update(X[:10], Y[:9])


def test_activations_that_are_not_points_by_channels_are_an_error():
    with pytest.raises(ValueError, match=r"expected \[points, channels\]"):
        Moments().update(np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4, 3)))


def test_batches_of_other_channels_are_an_error():
    with pytest.raises(ValueError, match="earlier batches had"):
        moments_of_batches(0, 10).update(X[:10, :5], Y[:10])


def test_covariances_of_one_point_are_an_error():
    with pytest.raises(ValueError, match="2 points or more"):
        moments_of_batches(0, 1).covariances()
