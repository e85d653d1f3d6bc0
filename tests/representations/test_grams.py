"""Gram matrices about the mean, in every way to them, against NumPy in float64."""

import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf.representations.grams import gram_matrix

RNG = np.random.default_rng(0)
# More features than a slice of 16 points holds, and no multiple of it.
WIDE = RNG.standard_normal((16, 9, 9, 501), np.float32)


def in_a_graph(activations):
    graph = tf.function(gram_matrix)
    return graph(tf.constant(activations))


WAYS = {
    "blas": gram_matrix,
    "ops": lambda activations: gram_matrix(activations, on_device=True),
    "graph": in_a_graph,
}


@pytest.fixture(params=WAYS)
def gram(request):
    return lambda activations: WAYS[request.param](activations).numpy()


def expected(activations):
    flat = np.float64(activations).reshape(len(activations), -1)
    centred = flat - flat.mean(axis=0)
    return centred @ centred.T


@pytest.mark.parametrize("mean", [0, 1000])
@pytest.mark.parametrize("shape", [WIDE.shape, (5, 7), (20, 3, 4), (4, 1)])
def test_inner_products_about_the_mean(gram, shape, mean):
    values = np.resize(WIDE, shape) + np.float32(mean)
    found = gram(values)
    assert found.dtype == np.float64
    np.testing.assert_allclose(
        found, expected(values), atol=1e-12 * np.trace(expected(values))
    )


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16, tf.float64, tf.uint8])
def test_numbers_of_any_kind_are_taken(gram, dtype):
    values = tf.cast(100 * (1 + np.abs(WIDE)) % 251, dtype)
    wanted = expected(tf.cast(values, tf.float64))
    np.testing.assert_allclose(gram(values), wanted, rtol=1e-9)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6])
def test_a_constant_layer_is_zero(gram, constant):
    values = np.tile(RNG.standard_normal(5000).astype("f4"), (16, 1)) * 1e-9
    values = np.float32(values + constant)
    assert (gram(values) == 0).all()


def test_a_small_change_on_a_large_mean_is_no_rounding(gram):
    values = np.full((16, 5000), 100.0, np.float32)
    values[3] += 0.01
    np.testing.assert_allclose(gram(values), expected(values), rtol=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_shows(gram, bad):
    values = WIDE.copy()
    values[2, 4, 4, 400] = bad
    assert not np.isfinite(np.trace(gram(values)))
