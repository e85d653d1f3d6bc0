import numpy as np
import pytest

from transfusion_tf.representations import cca, svcca

RNG = np.random.default_rng(0)
POINTS = 3000
# Ten channels of falling variance, and partners that share the leading three.
X = RNG.standard_normal((POINTS, 10)) * np.logspace(0, -2, 10) + 5
Y = RNG.standard_normal((POINTS, 10)) * np.logspace(0, -2, 10)
Y[:, :3] += X[:, :3]


def svd_svcca(x, y, keep_x, keep_y):
    """Textbook SVCCA: leading left singular vectors, then their correlations."""
    left = [
        np.linalg.svd(side - side.mean(0), full_matrices=False)[0] for side in (x, y)
    ]
    return np.linalg.svd(left[0][:, :keep_x].T @ left[1][:, :keep_y])[1]


def kept_for(x, share):
    variances = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2
    return int(np.argmax(np.cumsum(variances) >= share * variances.sum())) + 1


def test_a_number_of_directions_keeps_the_leading_ones():
    found = svcca(X, Y, num_directions=3)
    assert (found.rank_x, found.rank_y) == (3, 3)
    np.testing.assert_allclose(found.coefficients, svd_svcca(X, Y, 3, 3), atol=1e-9)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_variance_share_keeps_the_fewest_directions_that_hold_it(share):
    found = svcca(X, Y, variance_share=share)
    keep = kept_for(X, share), kept_for(Y, share)
    assert (found.rank_x, found.rank_y) == keep
    np.testing.assert_allclose(found.coefficients, svd_svcca(X, Y, *keep), atol=1e-9)


def test_all_of_the_variance_is_cca():
    np.testing.assert_allclose(
        svcca(X, Y, variance_share=1.0).coefficients, cca(X, Y).coefficients, atol=1e-9
    )


def test_dead_and_duplicated_channels_are_not_kept():
    x = np.concatenate([X, np.zeros((POINTS, 2)), X[:, :2]], axis=1)
    assert svcca(x, Y, num_directions=14).rank_x == 10


def test_directions_are_those_of_the_channels():
    found = svcca(X, Y, num_directions=3, directions=True)
    u = (X - found.directions.mean_x) @ found.directions.x
    v = (Y - found.directions.mean_y) @ found.directions.y
    np.testing.assert_allclose(
        np.cov(u.T, v.T)[:3, 3:], np.diag(found.coefficients), atol=1e-9
    )


@pytest.mark.parametrize(
    "option", [{"variance_share": 0.0}, {"variance_share": 1.5}, {"num_directions": 0}]
)
def test_options_out_of_range_are_an_error(option):
    with pytest.raises(ValueError, match="must be"):
        svcca(X, Y, **option)
