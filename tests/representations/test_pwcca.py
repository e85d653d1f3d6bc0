import numpy as np
import pytest

from tests.textbook import projection_weighted
from transfusion_tf.representations import RepresentationWarning, cca, pwcca

RNG = np.random.default_rng(0)
POINTS = 3000
X = RNG.standard_normal((POINTS, 8)) @ RNG.standard_normal((8, 8)) + 3
Y = X @ RNG.standard_normal((8, 12)) + 4 * RNG.standard_normal((POINTS, 12))


def test_agrees_with_the_paper_formula():
    assert pwcca(X, Y).value == pytest.approx(projection_weighted(X, Y), abs=1e-10)


def test_agrees_when_the_first_argument_is_the_wider():
    assert pwcca(Y, X).value == pytest.approx(projection_weighted(Y, X), abs=1e-10)


def test_agrees_when_channels_are_dependent():
    x = np.concatenate([X, X[:, :3], np.zeros((POINTS, 1))], axis=1)
    assert pwcca(x, Y).value == pytest.approx(projection_weighted(x, Y), abs=1e-9)


def test_weights_come_from_the_first_argument():
    assert pwcca(X, Y).value != pytest.approx(pwcca(Y, X).value, abs=1e-3)


def test_large_channels_of_the_first_argument_decide():
    noise = RNG.standard_normal((POINTS, 8))
    shared, private = X[:, :4], noise[:, :4]
    y = np.concatenate([shared, noise[:, 4:]], axis=1)
    loud_shared = np.concatenate([100 * shared, private], axis=1)
    loud_private = np.concatenate([shared, 100 * private], axis=1)
    assert pwcca(loud_shared, y).value > 0.95
    assert pwcca(loud_private, y).value < 0.2
    assert cca(loud_shared, y).mean == pytest.approx(cca(loud_private, y).mean)


def test_weights_sum_to_one():
    assert pwcca(X, Y).weights.sum() == pytest.approx(1)


def test_a_constant_side_scores_zero_with_a_warning():
    with pytest.warns(RepresentationWarning, match="x is constant"):
        assert pwcca(np.ones((POINTS, 3)), Y).value == 0
