"""How fast a training got where it got, from its evaluations on validation."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

# Share of the way from chance to the baseline's best that counts as having learnt.
THRESHOLD_SHARE = 0.9


def steps_to_threshold(
    steps: npt.ArrayLike,
    values: npt.ArrayLike,
    threshold: float,
    *,
    at_evaluations: bool = False,
) -> float | None:
    """Steps until the metric first reaches the threshold.

    Between two evaluations the metric is taken to change linearly, so the answer
    does not jump with the spacing of the evaluations.

    Args:
      steps: rising, one an evaluation.
      values: the metric there; NaN is skipped.
      threshold: in the metric's unit.
      at_evaluations: whether the step of the first evaluation that is there counts, as
        in Transfusion's figures 7 and 8.

    Returns:
      Steps, or None when the threshold was never reached.
    """
    thresholds = np.array([threshold])
    found = steps_to_thresholds(
        steps, values, thresholds, at_evaluations=at_evaluations
    )[0]
    return None if np.isnan(found) else float(found)


def steps_to_thresholds(
    steps: npt.ArrayLike,
    values: npt.ArrayLike,
    thresholds: np.ndarray,
    *,
    at_evaluations: bool = False,
) -> np.ndarray:
    """`steps_to_threshold` of many thresholds: float64 [thresholds], NaN is never."""
    at, metric = _curve(steps, values)
    if not at.size:
        return np.full(len(thresholds), np.nan)
    first = np.searchsorted(np.maximum.accumulate(metric), thresholds)
    after = np.minimum(first, len(at) - 1)
    found = at[after]
    if not at_evaluations:
        before = np.maximum(after - 1, 0)
        rise = metric[after] - metric[before]
        share = (thresholds - metric[before]) / np.where(rise > 0, rise, np.nan)
        found = at[before] + share * (at[after] - at[before])
    found = np.where(first == 0, at[0], found)
    return np.where(first == len(at), np.nan, found)


def mean_while_learning(
    steps: npt.ArrayLike, values: npt.ArrayLike, until: float | None = None
) -> float:
    """Mean of the metric over the training, weighted by steps (trapezoids).

    It sums up the whole curve in the metric's own unit: a model that is always
    ahead, or ahead for longer, has more. Unlike the steps to a threshold it is
    defined for every run.

    Args:
      steps: rising, from the evaluation before the first step (0) on.
      values: the metric there; NaN is skipped.
      until: the common end of the curves compared. A run that ended earlier keeps
        its last value up to there; what lies beyond is left out.

    Returns:
      The mean; NaN without any evaluation.
    """
    at, metric = _curve(steps, values)
    if not at.size:
        return float("nan")
    end = float(at[-1]) if until is None else float(until)
    if end <= at[0]:
        return float(metric[0])
    last = np.interp(end, at, metric)
    inside = at < end
    metric = np.append(metric[inside], last)
    return float(np.trapezoid(metric, np.append(at[inside], end)) / (end - at[0]))


def threshold_between(
    best_values: Sequence[float], chance: float = 0.5, share: float = THRESHOLD_SHARE
) -> float:
    """The threshold that the initializations of one model are raced to.

    The rule: nine tenths of the way from chance to what the baseline (`random`)
    reaches at its best on *validation*, averaged over its seeds. It is fixed before
    the other initializations are looked at and never uses the test set, and a
    baseline that learns at all always has a number.

    Args:
      best_values: the baseline's best validation metric, one a seed.
      chance: the metric of a model that knows nothing.
      share: of the way from chance to the mean best.
    """
    best = float(np.mean(best_values))
    return chance + share * (best - chance)


def _curve(
    steps: npt.ArrayLike, values: npt.ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    at = np.asarray(steps, dtype=np.float64)
    metric = np.asarray(values, dtype=np.float64)
    if at.shape != metric.shape:
        raise ValueError(f"{len(at)} steps for {len(metric)} values")
    if (np.diff(at) <= 0).any():
        raise ValueError("steps must rise")
    measured = ~np.isnan(metric)
    return at[measured], metric[measured]
