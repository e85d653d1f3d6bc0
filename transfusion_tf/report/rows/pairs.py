"""Intervals of what is measured on pairs of runs.

Pairs that share a run are not independent, so an interval over pairs would be too
narrow. Here runs are left out one at a time (the jackknife of a U-statistic), which
asks how much another draw of runs would change the mean over their pairs.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy import stats

from transfusion_tf.evaluation import Difference
from transfusion_tf.representations import over_repeats

LEVEL = 0.95


def scores(table: pd.DataFrame, measure: str = "cca") -> pd.DataFrame:
    """One row a pair (or run) and stage: the measure's mean over repeats."""
    if table.empty:
        return table
    chosen = table[table["measure"] == measure]
    return over_repeats(chosen) if len(chosen) else chosen


def mean_of(pair: str) -> Callable[[pd.DataFrame], float]:
    """A statistic: the mean over the pairs of one kind."""
    return lambda table: float(table.loc[table["pair"] == pair, "value"].mean())


def difference_of(left: str, right: str) -> Callable[[pd.DataFrame], float]:
    """A statistic: mean over the pairs of one kind minus that of another."""
    return lambda table: mean_of(left)(table) - mean_of(right)(table)


def over_runs(
    table: pd.DataFrame,
    statistic: Callable[[pd.DataFrame], float],
    starts: Mapping[str, str],
) -> Difference | None:
    """A statistic of pairs with its interval over runs; None where it is undefined.

    Args:
      table: `run_a`, `run_b`, `pair`, `value`: one row a pair.
      statistic: of such a table.
      starts: run -> its initialization; runs are left out within their kind.

    Returns:
      The estimate; the interval is missing where a start has two runs or fewer,
      `std` is not given, `seeds` is the smallest number of runs of a start.
    """
    estimate = statistic(table)
    if not np.isfinite(estimate):
        return None
    groups: dict[str, list[str]] = {}
    for run in dict.fromkeys([*table["run_a"], *table["run_b"]]):
        groups.setdefault(starts[run], []).append(run)
    parts = []
    for runs in groups.values():
        without = np.array(
            [
                statistic(table[(table["run_a"] != run) & (table["run_b"] != run)])
                for run in runs
            ]
        )
        if np.ptp(without) == 0:
            continue  # A kind that the statistic does not look at.
        count = len(runs)
        variance = (count - 1) / count * np.sum((without - without.mean()) ** 2)
        parts.append((float(variance), count - 1))
    seeds = min(len(runs) for runs in groups.values())
    total = sum(variance for variance, _ in parts)
    low = high = freedom = np.nan
    if parts and np.isfinite(total):
        freedom = total**2 / sum(part**2 / degrees for part, degrees in parts)
        half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * np.sqrt(total)
        low, high = estimate - half, estimate + half
    return Difference(
        estimate=estimate,
        low=float(low),
        high=float(high),
        level=LEVEL,
        seeds=seeds,
        seed_variance=total if parts else None,
        patient_variance=None,
        degrees_of_freedom=float(freedom),
    )


def kinds(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Pairs of one start, and pairs of two, in the order in which they come."""
    found = [] if table.empty else list(dict.fromkeys(table["pair"]))
    same = [pair for pair in found if len(set(pair.split(" – "))) == 1]
    return same, [pair for pair in found if pair not in same]
