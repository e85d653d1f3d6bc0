"""What transfer gains: ratios of test metrics, and how much sooner training gets there.

Feature reuse, figure 1 and section 3: the relative increase WT / RI from transferred
weights over random ones, and the share (WT - ST) / WT of their metric that the weights'
statistics do not account for: feature reuse. Figure 8: convergence speed-up. Means are
taken over runs first and then divided, as the paper does; the intervals are Fieller's
(1954), for ratios of means of independent normal samples.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from transfusion_tf.evaluation.intervals import Interval


def ratio_of_means(
    numerator: npt.ArrayLike, denominator: npt.ArrayLike, level: float = 0.95
) -> Interval:
    """Mean of one sample over the mean of another, with Fieller's interval.

    Args:
      numerator: one value a run; NaN is left out.
      denominator: one value a run, of other runs.
      level: intended coverage.

    Returns:
      The ratio; NaN where a side has no value or the denominator's mean is not above 0
      (a kappa below chance is no baseline to divide by). The interval is NaN where a
      side has one run, and where the denominator is not significantly above 0.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    top, bottom = _defined(numerator), _defined(denominator)
    if not top.size or not bottom.size or bottom.mean() <= 0:
        return Interval(np.nan, np.nan, np.nan, level)
    ratio = top.mean() / bottom.mean()
    if top.size < 2 or bottom.size < 2:
        return Interval(float(ratio), np.nan, np.nan, level)
    low, high = _fieller(top, bottom, level)
    return Interval(float(ratio), low, high, level)


def relative_gain(
    transferred: npt.ArrayLike, random: npt.ArrayLike, level: float = 0.95
) -> Interval:
    """WT / RI: 1 where transferred weights do as well as random ones.

    Args:
      transferred: test metric of each run from transferred weights.
      random: test metric of each run from random ones.
      level: intended coverage.

    Returns:
      As `ratio_of_means`.
    """
    return ratio_of_means(transferred, random, level)


def feature_reuse_share(
    transferred: npt.ArrayLike, statistics: npt.ArrayLike, level: float = 0.95
) -> Interval:
    """(WT - ST) / WT: 0 where the weights' statistics do as well as the weights.

    Args:
      transferred: test metric of each run from transferred weights.
      statistics: test metric of each run from their statistics alone.
      level: intended coverage.

    Returns:
      1 - ST / WT, as `ratio_of_means`.
    """
    ratio = ratio_of_means(statistics, transferred, level)
    return Interval(1 - ratio.estimate, 1 - ratio.high, 1 - ratio.low, level)


def convergence_speedup(
    steps: Iterable[float | None],
    baseline_steps: Iterable[float | None],
    level: float = 0.95,
) -> Interval:
    """How many times sooner runs reach a threshold than the baseline's.

    The paper gives no formula. Here: mean steps of the baseline over mean steps, to one
    threshold for all (see `threshold_between` and `steps_to_threshold`).

    Args:
      steps: to the threshold, one a run; None, NaN or infinite where a run never
        reached it.
      baseline_steps: the same of the baseline's runs.
      level: intended coverage.

    Returns:
      As `ratio_of_means`; NaN where a run never reached the threshold, for the mean
      over those that did would favour a start that often fails. A run that was there
      before its first step counts 0 steps; if all were, the ratio is NaN.
    """
    ours, theirs = _steps(steps), _steps(baseline_steps)
    if not np.isfinite([*ours, *theirs]).all():
        return Interval(np.nan, np.nan, np.nan, level)
    return ratio_of_means(theirs, ours, level)


def between_extremes(values: npt.ArrayLike) -> np.ndarray:
    """Values laid linearly onto [0, 1], as the colours of figure 1 are.

    Args:
      values: of all settings that are shown together; NaN stays.

    Returns:
      float64 of the same shape; all 0.5 where they are all equal.
    """
    given = np.asarray(values, dtype=np.float64)
    known = given[~np.isnan(given)]
    if not known.size or known.min() == known.max():
        return np.where(np.isnan(given), np.nan, 0.5)
    return (given - known.min()) / (known.max() - known.min())


def _steps(given: Iterable[float | None]) -> np.ndarray:
    """Float64; NaN for whatever stands for no number, such as None or pandas' NA."""
    return np.array([np.nan if pd.isna(each) else each for each in given], np.float64)


def _defined(values: npt.ArrayLike) -> np.ndarray:
    given = np.asarray(values, dtype=np.float64).ravel()
    return given[~np.isnan(given)]


def _fieller(top: np.ndarray, bottom: np.ndarray, level: float) -> tuple[float, float]:
    """Ends of the interval; all ratios that a t-test of top - ratio bottom allows."""
    ratio = top.mean() / bottom.mean()
    top_variance = top.var(ddof=1) / top.size
    bottom_variance = bottom.var(ddof=1) / bottom.size
    at_ratio = ratio**2 * bottom_variance
    if top_variance + at_ratio == 0:
        return float(ratio), float(ratio)
    # Welch's degrees of freedom at the ratio found.
    degrees = (top_variance + at_ratio) ** 2 / (
        top_variance**2 / (top.size - 1) + at_ratio**2 / (bottom.size - 1)
    )
    t = stats.t.ppf((1 + level) / 2, degrees)
    doubt = (t / bottom.mean()) ** 2 * bottom_variance
    if doubt >= 1:
        return np.nan, np.nan
    inside = top_variance + at_ratio - doubt * top_variance
    half = t / bottom.mean() * np.sqrt(inside)
    return float((ratio - half) / (1 - doubt)), float((ratio + half) / (1 - doubt))
