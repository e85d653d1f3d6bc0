"""What the feature-reuse paper's claims are put together from, seed by seed.

Numbers of different test sets have no patients in common: where they are averaged, the
interval is over seeds alone (`over_seeds`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from transfusion_tf.evaluation import Quantity, mean_quantity
from transfusion_tf.report.evidence import Evidence, MissingEvidenceError
from transfusion_tf.representations import average_travel
from transfusion_tf.studies.study_folder import Run
from transfusion_tf.training import RunConfig

Cell = Sequence[RunConfig]
_HEAD = "head"


def ratio(numerator: Quantity, denominator: Quantity) -> Quantity:
    """One over the other, on one test set.

    Raises:
      MissingEvidenceError: the denominator is not above 0 in some seed.
    """
    if any(value <= 0 for value in denominator.values.values()):
        raise MissingEvidenceError("a number of 0 or less is nothing to divide by")
    seeds = sorted(set(numerator.values) & set(denominator.values))
    replicates = None
    if numerator.replicates is not None and denominator.replicates is not None:
        # Samples in which the denominator is 0 are left out of the interval.
        with np.errstate(divide="ignore", invalid="ignore"):
            replicates = {
                seed: numerator.replicates[seed] / denominator.replicates[seed]
                for seed in seeds
            }
    return Quantity(
        {seed: numerator.values[seed] / denominator.values[seed] for seed in seeds},
        replicates,
        numerator.patients,
        numerator.test_set,
    )


def over_seeds(quantity: Quantity) -> Quantity:
    """The same without its test patients."""
    return Quantity(quantity.values)


def mean_over_tests(quantities: Sequence[Quantity]) -> Quantity:
    """Mean of numbers that may be of different test sets."""
    if len({quantity.test_set for quantity in quantities}) == 1:
        return mean_quantity(quantities)
    return mean_quantity([over_seeds(quantity) for quantity in quantities])


def relative_gain(evidence: Evidence, weights: Cell, random: Cell) -> Quantity:
    """WT / RI of the test metric."""
    return ratio(evidence.test(weights), evidence.test(random))


def reuse_share(evidence: Evidence, weights: Cell, statistics: Cell) -> Quantity:
    """(WT - ST) / WT of the test metric."""
    found = evidence.test(weights)
    return ratio(found - evidence.test(statistics), found)


def rank_correlation(pairs: Sequence[tuple[Quantity, Quantity]]) -> Quantity:
    """Spearman's correlation over the pairs, seed by seed; over seeds that all have."""
    seeds = set.intersection(*(set(side.values) for pair in pairs for side in pair))
    values = {}
    for seed in sorted(seeds):
        sides = np.array([[side.values[seed] for side in pair] for pair in pairs]).T
        if len(pairs) > 2 and np.ptp(sides, axis=1).min() > 0:
            values[seed] = float(stats.spearmanr(*sides).statistic)
    if not values:
        raise MissingEvidenceError("too few settings that differ to correlate")
    return Quantity(values)


def of_runs(
    evidence: Evidence,
    cell: Cell,
    analysis: str,
    measure: Callable[[pd.DataFrame], float],
) -> Quantity:
    """A number of each run's rows of an analysis.

    Args:
      evidence: of the study.
      cell: the runs.
      analysis: its name, as of its tables.
      measure: from the rows of one run, in their order.

    Raises:
      MissingEvidenceError: no run of the cell was analysed.
    """
    table = evidence.table(analysis)
    values = {}
    for seed, run in evidence.runs(cell).items():
        rows = table[table["run"] == run.run_id]
        if len(rows):
            values[seed] = measure(rows)
    if not values:
        raise MissingEvidenceError(f"{analysis}: none of these runs was analysed")
    return Quantity(values)


def travelled(rows: pd.DataFrame) -> float:
    """Mean distance that a run's layers travelled, the head's left out."""
    means = average_travel(rows)
    return float(means.loc[means["stage"] != _HEAD, "distance"].mean())


def mean_drop(rows: pd.DataFrame) -> float:
    """Mean loss of the metric where a layer is set back, the head's left out."""
    return float(rows.loc[rows["stage"] != _HEAD, "drop"].mean())


def knn_score(rows: pd.DataFrame, depth: float) -> float:
    """k-NN score at a depth: 0 is the first stage, 1 the last, the head left out.

    Of a transformer's tokens, those that do best there.
    """
    rows = rows[rows["stage"] != _HEAD]
    positions = sorted(set(rows["position"]))
    place = positions[round(depth * (len(positions) - 1))]
    return float(rows.loc[rows["position"] == place, "value"].max())


def nearest_head(rows: pd.DataFrame) -> float:
    """Pixels that the head looks at which looks nearest, in the first block."""
    return float(rows.loc[rows["position"] == 0, "distance"].min())


def diagonal(rows: pd.DataFrame) -> pd.Series:
    """CKA of each layer with itself, from the input up, the head left out."""
    same = rows[(rows["position_a"] == rows["position_b"]) & (rows["stage_a"] != _HEAD)]
    return same.sort_values("position_a")["cka"].reset_index(drop=True)


def early_minus_late(rows: pd.DataFrame) -> float:
    """CKA on the diagonal, mean of the first half of layers minus the second's."""
    found = diagonal(rows)
    half = len(found) // 2
    return float(found[:half].mean() - found[len(found) - half :].mean())


def alike_after(evidence: Evidence, statistics: Cell, weights: Cell) -> Quantity:
    """Mean CKA on the diagonal between runs from statistics and from weights."""
    table = evidence.table("layer_cka_pairs")
    left, right = evidence.runs(statistics), evidence.runs(weights)
    values = {}
    for seed in sorted(set(left) & set(right)):
        rows = table[
            (table["run_a"] == left[seed].run_id)
            & (table["run_b"] == right[seed].run_id)
        ]
        if len(rows):
            values[seed] = float(diagonal(rows).mean())
    if not values:
        raise MissingEvidenceError("these runs were not compared")
    return Quantity(values)


def distances(evidence: Evidence, cells: Mapping[str, Cell]) -> dict[str, float]:
    """Fréchet distance of each task's images to the source's, by the task's name."""
    table = evidence.table("frechet").drop_duplicates("dataset").set_index("dataset")
    found = {}
    for task, cell in cells.items():
        name = _any(evidence.runs(cell)).dataset["name"]
        if name in table.index:
            row = table.loc[name]
            found[task] = float(
                row["corrected"] if np.isfinite(row["corrected"]) else row["value"]
            )
    if len(found) < 2:
        raise MissingEvidenceError("fewer than two data sets have a distance")
    return found


def above_the_line(levels: Sequence[tuple[float, Quantity]]) -> Quantity:
    """How far a sweep lies above the straight line between its ends, on average.

    Args:
      levels: fraction of the stages that were transferred, from 0 to 1, and the test
        metric there.
    """
    (_, low), *between, (_, high) = levels
    if not between:
        raise MissingEvidenceError("there are no levels between statistics and weights")
    return mean_quantity(
        [
            metric - low * (1 - fraction) - high * fraction
            for fraction, metric in between
        ]
    )


def _any(runs: Mapping[int, Run]) -> Run:
    return next(iter(runs.values()))
