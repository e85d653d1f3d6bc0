"""CCA against an independent float64 SVD of the centred data, rank by rank."""

import warnings

import numpy as np
import pytest

from tests.textbook import projection_weighted
from transfusion_tf.errors import UserError
from transfusion_tf.representations import (
    Moments,
    RepresentationWarning,
    cca,
    cca_from_moments,
    cka,
    pwcca,
)

POINTS, CHANNELS = 4000, 48


def svd_cca(x, y, tolerance=1e-13):
    """Textbook CCA: correlations of orthonormal bases of the centred data."""

    def basis(values):
        values = np.asarray(values, np.float64)
        varies = values.min(0) < values.max(0)
        centred = values[:, varies] - values[:, varies].mean(0)
        left, s, _ = np.linalg.svd(centred / centred.std(0), full_matrices=False)
        return left[:, s > tolerance * s[0]]

    correlations = np.linalg.svd(basis(x).T @ basis(y), compute_uv=False)
    return np.clip(correlations, 0, 1)


def correlated(points=POINTS, channels=CHANNELS, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((points, channels)) @ rng.standard_normal(
        (channels, channels)
    )
    y = 0.3 * x @ rng.standard_normal((channels, channels))
    return x, y + 5 * rng.standard_normal((points, channels))


def conditioned(condition, seed):
    """A mixing matrix with singular values from 1 down to 1 / condition."""
    rng = np.random.default_rng(seed)
    left, right = (
        np.linalg.qr(rng.standard_normal((CHANNELS, CHANNELS)))[0] for _ in range(2)
    )
    return left * np.logspace(0, -np.log10(condition), CHANNELS) @ right


def white(seed):
    return np.random.default_rng(seed).standard_normal((POINTS, CHANNELS))


def degenerate_cases():
    x, y = correlated()
    dead, constant, duplicated = x.copy(), x.copy(), x.copy()
    dead[:, :8] = 0
    constant[:, 3:11] = 0.1234567
    duplicated[:, :8] = 3 * duplicated[:, 8:16] - 1
    rng = np.random.default_rng(1)
    low_rank = x[:, :20] @ rng.standard_normal((20, CHANNELS))
    relu = np.maximum(white(2) - np.linspace(0, 4, CHANNELS), 0)
    return {
        "dead": (dead, y, CHANNELS - 8),
        "constant": (constant, y, CHANNELS - 8),
        "duplicated": (duplicated, y, CHANNELS - 8),
        "rank deficient": (low_rank, y, 20),
        "scales 1 to 1e-8": (x * np.logspace(0, -8, CHANNELS), y, CHANNELS),
        "far from zero": (x + 1e3, y - 1e3, CHANNELS),
        "sparse": (relu, y, int(np.sum(relu.max(0) > 0))),
    }


DEGENERATE = degenerate_cases()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_generic_activations_agree_with_the_svd(dtype):
    x, y = (side.astype(dtype) for side in correlated())
    np.testing.assert_allclose(cca(x, y).coefficients, svd_cca(x, y), atol=1e-12)


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_channels_lower_the_rank_and_invent_nothing(name):
    x, y, rank = DEGENERATE[name]
    found = cca(x, y)
    assert (found.rank_x, found.rank_y) == (rank, CHANNELS)
    np.testing.assert_allclose(found.coefficients, svd_cca(x, y), atol=1e-9)


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_float32_channels_agree_with_those_before_rounding(name):
    x, y, rank = DEGENERATE[name]
    found = cca(x.astype("float32"), y.astype("float32"))
    assert found.rank_x == rank
    np.testing.assert_allclose(found.coefficients, svd_cca(x, y), atol=1e-3)


@pytest.mark.parametrize(
    ("condition", "tolerance"),
    [(1e4, 1e-8), (1e6, 1e-8), (1e8, 1e-8), (1e10, 1e-6)],
)
def test_ill_conditioned_activations_agree_with_the_svd(condition, tolerance):
    x = white(0) @ conditioned(condition, 1)
    y = (white(0) + white(2)) @ conditioned(condition, 3)
    found = cca(x, y)
    assert found.rank_x == CHANNELS
    np.testing.assert_allclose(found.coefficients, svd_cca(x, y), atol=tolerance)


@pytest.mark.parametrize("condition", [1.0, 1e8])
def test_an_invertible_map_changes_nothing(condition):
    x = white(0)
    found = cca(x, x @ conditioned(condition, 1))
    assert found.coefficients.min() > 1 - 1e-9
    assert found.mean == pytest.approx(1, abs=1e-9)


def test_coefficients_never_exceed_one():
    x = white(0)
    assert cca(x, x).coefficients.max() <= 1


def test_streamed_moments_give_what_the_activations_give():
    x, y = correlated()
    moments = Moments()
    for start in range(0, POINTS, 700):
        moments.update(x[start : start + 700], y[start : start + 700])
    streamed = cca_from_moments(moments)
    np.testing.assert_allclose(
        streamed.coefficients, cca(x, y).coefficients, atol=1e-12
    )


def test_moments_alone_warn_where_they_cannot_tell_ill_conditioned_from_dependent():
    moments = Moments()
    moments.update(white(0) @ conditioned(1e8, 1), white(0))
    with pytest.warns(RepresentationWarning, match=r"x: .*cca\(x, y\) on the activ"):
        cca_from_moments(moments)


def test_mean_divides_by_the_lower_rank():
    x, _ = correlated()
    found = cca(x, x[:, :5])
    assert found.coefficients.shape == (5,)
    assert found.mean == pytest.approx(1)


def test_thresholded_mean_stops_at_98_percent_of_the_sum():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200_00, 10))
    # Correlations near 0.995 for six channels and 0 for four.
    y = np.concatenate([x[:, :6], rng.standard_normal((200_00, 4))], 1)
    y[:, :6] += 0.1 * rng.standard_normal((200_00, 6))
    found = cca(x, y)
    leading = np.cumsum(found.coefficients) / found.coefficients.sum()
    kept = int(np.argmax(leading >= 0.98)) + 1
    assert 5 < kept < 10
    assert found.thresholded_mean == pytest.approx(found.coefficients[:kept].mean())
    assert found.thresholded_mean > found.mean


def test_directions_give_variates_of_unit_variance_that_correlate_as_stated():
    x, y, _ = DEGENERATE["dead"]
    found = cca(x, y, directions=True)
    directions = found.directions
    u = (x - directions.mean_x) @ directions.x
    v = (y - directions.mean_y) @ directions.y
    count = len(found.coefficients)
    np.testing.assert_allclose(np.cov(u.T), np.eye(count), atol=1e-9)
    np.testing.assert_allclose(np.cov(v.T), np.eye(count), atol=1e-9)
    np.testing.assert_allclose(
        np.cov(u.T, v.T)[:count, count:], np.diag(found.coefficients), atol=1e-9
    )


def test_directions_are_left_out_unless_asked_for():
    assert cca(white(0), white(1)).directions is None


def test_fewer_points_than_channels_give_ones_and_a_warning():
    x, y = correlated(points=30)
    with pytest.warns(RepresentationWarning, match="whatever the activations hold"):
        found = cca(x, y)
    np.testing.assert_allclose(found.coefficients, 1, atol=1e-9)
    assert found.mean == pytest.approx(1)


def test_few_points_warn_with_what_unrelated_activations_would_score():
    x, y = white(0)[:500], white(1)[:500]
    with pytest.warns(RepresentationWarning, match=r"score about 0\.26"):
        found = cca(x, y)
    assert found.mean == pytest.approx(0.26, abs=0.01)


def test_enough_points_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cca(white(0), white(1))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_side_that_never_varies_scores_zero_with_a_warning(value):
    with pytest.warns(RepresentationWarning, match="y is constant"):
        found = cca(white(0), np.full((POINTS, 4), value))
    assert (found.mean, found.thresholded_mean, found.rank_y) == (0.0, 0.0, 0)
    assert found.coefficients.shape == (0,)


def test_unequal_numbers_of_points_are_an_error():
    with pytest.raises(ValueError, match="same points"):
        cca(white(0), white(1)[1:])


def test_nan_activations_are_an_error():
    x = white(0)
    x[5, 7] = np.nan
    with pytest.raises(ValueError, match="channel 7 of x"):
        cca(x, white(1))


def dependent_case(kind, rng):
    """Activations with dependent channels, and as many that hold the same."""
    points, width = int(rng.choice([300, 1000])), int(rng.integers(4, 30))
    few = int(rng.integers(1, width))
    x = rng.standard_normal((points, width)) + rng.uniform(-5, 5, width)
    if kind == "sums":
        return np.column_stack([x, x[:, 0] + x[:, -1], x @ rng.standard_normal(width)])
    if kind == "few factors":
        return x[:, :few] @ rng.standard_normal((few, width + few)) + 3
    if kind == "softmax":
        odds = np.exp(rng.uniform(0.3, 3) * x)
        return odds / odds.sum(axis=1, keepdims=True)
    if kind == "constant":
        return np.column_stack([x, np.full((points, few), rng.uniform(-5, 5))])
    if kind == "duplicates":
        return np.column_stack([x, x[:, :few]])
    if kind == "scaled duplicates":
        scale = 10.0 ** rng.integers(-6, 6) * np.pi
        return np.column_stack([x, scale * (x[:, :few] + rng.uniform(-2, 2))])
    if kind == "tiny noise":
        noise = 10.0 ** rng.integers(-8, -3) * rng.standard_normal(points)
        return np.column_stack([x, x.sum(axis=1) + noise])
    counts = rng.integers(0, 9, (points, width))
    return np.column_stack([counts, counts[:, 0] - 2 * counts[:, -1]])


DEPENDENT = (
    "sums",
    "few factors",
    "softmax",
    "constant",
    "duplicates",
    "scaled duplicates",
    "tiny noise",
    "whole numbers",
)


@pytest.mark.filterwarnings("ignore:.* points are few")
@pytest.mark.parametrize("kind", DEPENDENT)
def test_dependent_float64_channels_agree_with_the_svd(kind):
    for seed in range(25):
        rng = np.random.default_rng(seed)
        x = dependent_case(kind, rng)
        y = x @ rng.standard_normal((x.shape[1], 7))
        y += y.std() * rng.uniform(0.05, 2) * rng.standard_normal(y.shape)
        found = cca(x, y)
        tolerance = 1e-6 if kind == "tiny noise" else 1e-8
        np.testing.assert_allclose(found.coefficients, svd_cca(x, y), atol=tolerance)
        weighted = pwcca(x, y).value
        assert weighted == pytest.approx(projection_weighted(x, y), abs=tolerance)


@pytest.mark.parametrize("offset", [3, 1e4])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float32 in float64"])
def test_rounding_of_dependent_channels_is_no_direction(offset, dtype):
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((2000, 8))
    x = factors @ rng.standard_normal((8, 40)) + offset
    y = factors @ rng.standard_normal((8, 10)) + 0.1 * rng.standard_normal((2000, 10))
    x = x.astype(dtype[:7])
    found = cca(x.astype("float64") if "in" in dtype else x, y)
    assert found.rank_x == 8
    assert found.mean == pytest.approx(cca(factors, y).mean, abs=1e-4)


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_neither_large_nor_small_values_change_anything(scale):
    assert cca(scale * white(0), white(1)).mean == pytest.approx(
        cca(white(0), white(1)).mean
    )


@pytest.mark.parametrize("scale", [1e-160, 1e-80, 1e80, 1e160])
@pytest.mark.parametrize("width", [1, 200])
def test_values_whose_products_leave_float64_are_an_error(scale, width):
    x = np.tile(white(0)[:300, :4], width)
    with pytest.raises(UserError, match="divide all of x by its largest value"):
        cka(scale * x, white(1)[:300])


def test_a_few_channels_of_such_values_count_as_constant_with_a_warning():
    x = white(0)
    x[:, 3] *= 1e-160
    with pytest.warns(RepresentationWarning, match=r"1 channels .* \(3\)"):
        assert cca(x, white(1)).rank_x == CHANNELS - 1
