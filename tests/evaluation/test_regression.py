"""The line, its slope's interval and its band, against a published example."""

import numpy as np
import pytest

from transfusion_tf.evaluation.regression import regression_line

# Anscombe's first data set (1973): y = 3.0001 + 0.5001 x, R² 0.6665, the slope's
# standard error 0.1179 with 9 degrees of freedom (t = 2.2622).
X = np.array([10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5], dtype=float)
Y = np.array([8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68])


def test_anscombes_first_line():
    line = regression_line(X, Y)
    assert line.slope == pytest.approx(0.5001, abs=5e-5)
    assert line.intercept == pytest.approx(3.0001, abs=5e-5)
    assert line.r_squared == pytest.approx(0.6665, abs=5e-5)
    assert (line.low, line.high) == pytest.approx((0.2334, 0.7668), abs=3e-4)
    assert line.points == 11


def test_the_band_at_the_mean_is_that_of_a_mean_around_the_line():
    line = regression_line(X, Y)
    left = Y - line.at(X)
    half = 2.26216 * np.sqrt(np.sum(left**2) / 9 / 11)
    low, high = line.band(np.array([X.mean()]))
    assert high[0] - line.at(X.mean()) == pytest.approx(half, rel=1e-4)
    assert low[0] == pytest.approx(2 * line.at(X.mean()) - high[0])


def test_the_band_holds_the_true_line_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    x = np.linspace(0, 1, 12)
    held = 0
    for _ in range(800):
        y = 1 - 2 * x + generator.normal(0, 0.3, len(x))
        low, high = regression_line(x, y).band(np.array([0.2]))
        held += low[0] <= 0.6 <= high[0]
    assert 0.93 < held / 800 < 0.97


@pytest.mark.parametrize("x", [[1.0, 2.0], [3.0, 3.0, 3.0, 3.0]])
def test_too_few_points_or_all_at_one_place_make_no_line(x):
    assert regression_line(x, np.arange(len(x))) is None


def test_points_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        regression_line([1, 2, np.nan], [1, 2, 3])
