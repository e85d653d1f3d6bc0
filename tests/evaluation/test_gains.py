"""Relative gains, on the paper's numbers and on drawn ones."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from transfusion_tf.evaluation.gains import (
    between_extremes,
    convergence_speedup,
    feature_reuse_share,
    ratio_of_means,
    relative_gain,
)


def five_runs(mean, std):
    """Five values of exactly this mean and standard deviation."""
    shape = np.array([-1.5, -0.5, 0.0, 0.5, 1.5])
    return mean + std * shape / shape.std(ddof=1)


# Feature reuse, table 1: DeiT-S on APTOS2019.
DEIT_APTOS = {
    "random": five_runs(0.684, 0.017),
    "mean_var": five_runs(0.721, 0.016),
    "transfer": five_runs(0.894, 0.017),
}


def test_gains_are_the_papers_ratios():
    random, statistics, weights = DEIT_APTOS.values()
    gain = relative_gain(weights, random)
    assert gain.estimate == pytest.approx(0.894 / 0.684)
    assert 1.2 < gain.low < gain.estimate < gain.high < 1.4
    share = feature_reuse_share(weights, statistics)
    assert share.estimate == pytest.approx((0.894 - 0.721) / 0.894)
    assert share.low < share.estimate < share.high


def test_ends_are_the_ratios_that_a_t_test_just_allows():
    top, bottom = five_runs(3.0, 0.4), np.array([1.0, 1.4, 1.1])
    found = ratio_of_means(top, bottom, level=0.9)
    variances = [z.var(ddof=1) / len(z) for z in (top, bottom)]
    at_ratio = found.estimate**2 * variances[1]
    degrees = (variances[0] + at_ratio) ** 2 / (variances[0] ** 2 / 4 + at_ratio**2 / 2)
    for end in (found.low, found.high):
        distance = top.mean() - end * bottom.mean()
        t = distance / np.sqrt(variances[0] + end**2 * variances[1])
        assert abs(t) == pytest.approx(stats.t.ppf(0.95, degrees))


def test_intervals_hold_the_true_ratio_as_often_as_they_say():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(1000):
        top, bottom = 0.9 + 0.05 * rng.standard_normal((2, 5)) - [[0.0], [0.2]]
        found = ratio_of_means(top, bottom)
        inside += found.low <= 0.9 / 0.7 <= found.high
    assert 0.93 < inside / 1000 < 0.975


def test_equal_runs_have_an_interval_of_no_width():
    found = ratio_of_means([0.8, 0.8], [0.4, 0.4])
    assert (found.low, found.estimate, found.high) == pytest.approx((2, 2, 2))


@pytest.mark.parametrize(
    ("top", "bottom", "estimate"),
    [
        ([0.8], [0.4, 0.5], 0.8 / 0.45),
        ([0.8, 0.9], [], np.nan),
        ([0.8, 0.9], [-0.1, 0.05], np.nan),
        ([0.8, np.nan], [0.4, np.nan], 2.0),
    ],
)
def test_what_runs_cannot_say_is_missing(top, bottom, estimate):
    found = ratio_of_means(top, bottom)
    assert found.estimate == pytest.approx(estimate, nan_ok=True)
    assert np.isnan([found.low, found.high]).all()


def test_a_baseline_that_may_be_zero_bounds_no_ratio():
    found = ratio_of_means([0.8, 0.9, 0.7], [0.01, -0.2, 0.3])
    assert found.estimate > 0
    assert np.isnan(found.low)


def test_the_speedup_is_the_baselines_steps_over_ours():
    found = convergence_speedup([100, 120, 110], [330, 300, 360])
    assert found.estimate == pytest.approx(3.0)
    assert 2.4 < found.low < 3.0 < found.high < 3.7


def test_a_run_that_never_got_there_leaves_no_speedup():
    assert np.isnan(convergence_speedup([100, None], [300, 310]).estimate)
    assert np.isnan(convergence_speedup([100, 110], [300, None]).estimate)


@pytest.mark.parametrize(
    "steps",
    [
        [np.nan, 20],
        [20, np.inf],
        pd.Series([None, 20]),
        pd.Series([None, 20], dtype=object),
        pd.Series([20, pd.NA], dtype="Int64"),
        np.array([np.nan, 20]),
    ],
)
def test_a_run_that_never_got_there_may_be_given_as_any_missing_value(steps):
    assert np.isnan(convergence_speedup(steps, [40, 50]).estimate)
    assert np.isnan(convergence_speedup([40, 50], steps).estimate)


def test_steps_may_be_a_series_or_an_array():
    found = convergence_speedup(pd.Series([10, 20]), np.array([30, 60]))
    assert found.estimate == pytest.approx(3.0)


def test_colours_run_from_the_least_to_the_most():
    np.testing.assert_allclose(
        between_extremes([0.2, np.nan, 0.4, 0.3]), [0, np.nan, 1, 0.5]
    )
    np.testing.assert_allclose(between_extremes([0.2, 0.2]), [0.5, 0.5])
