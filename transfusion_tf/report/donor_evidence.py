"""What a study of several donors measured, a number a fold, for claims about it."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from transfusion_tf.evaluation import Quantity, jackknife
from transfusion_tf.evaluation.regression import regression_line
from transfusion_tf.report.evidence import Evidence, MissingEvidenceError
from transfusion_tf.report.fold_quantity import FoldQuantity
from transfusion_tf.report.repetitions import test_to_train
from transfusion_tf.studies.measurements.agreement import run_similarity
from transfusion_tf.studies.study_folder import Run
from transfusion_tf.training import RunConfig

Cell = Sequence[RunConfig]


def test_difference(evidence: Evidence, left: Cell, right: Cell) -> FoldQuantity:
    """The main metric on test, left minus right, fold by fold."""
    ours, theirs = _both(evidence, left, right)
    values = {}
    for key in sorted(set(ours) & set(theirs)):
        scores = ours[key].score, theirs[key].score
        if scores[0] is None or scores[1] is None:
            raise MissingEvidenceError("the data have no test split")
        values[key] = scores[0].value - scores[1].value
    return _quantity(values, ours)


def similarity_excess(evidence: Evidence, left: Cell, right: Cell) -> FoldQuantity:
    """Prediction similarity minus that of independent mistakes, fold by fold."""
    ours, theirs = _both(evidence, left, right)
    return _quantity(
        {
            key: run_similarity(ours[key], theirs[key]).excess.estimate
            for key in sorted(set(ours) & set(theirs))
        },
        ours,
    )


def grown_apart(evidence: Evidence, left: Cell, right: Cell) -> FoldQuantity:
    """CCA of two donors before fine-tuning minus after it, mean over all stages."""
    ours, theirs = _both(evidence, left, right)
    values = {}
    for key in sorted(set(ours) & set(theirs)):
        before, after = (
            _of_pair(evidence.table(kind), ours[key], theirs[key])
            for kind in ("fold_initial", "fold_best")
        )
        values[key] = float((before - after).mean())
    return _quantity(values, ours)


def random_over_donors(
    evidence: Evidence, left: Cell, right: Cell, random: Cell, stages: Sequence[int]
) -> Quantity:
    """CCA of two random starts minus that of two donors, untrained, mean over stages.

    Pairs of random starts share runs, so there is one jackknife pseudo-value a fold.

    Args:
      evidence: of the study.
      left: runs from one donor.
      right: runs from the other.
      random: runs from random weights.
      stages: positions from the input.
    """
    ours, theirs = _both(evidence, left, right)
    starts = evidence.runs(random)
    table = evidence.table("random_initial")
    donors = {
        key: _of_pair(evidence.table("fold_initial"), ours[key], theirs[key])
        for key in sorted(set(ours) & set(theirs) & set(starts))
    }
    pairs = {
        (a, b): _of_pair(table, starts[a], starts[b])
        for a, b in itertools.combinations(sorted(donors), 2)
    }

    def statistic(keys: Sequence[int]) -> float:
        between = [
            pairs[pair].iloc[list(stages)].mean()
            for pair in itertools.combinations(sorted(keys), 2)
        ]
        own = [donors[key].iloc[list(stages)].mean() for key in keys]
        return float(np.mean(between) - np.mean(own)) if between else float("nan")

    return jackknife(sorted(donors), statistic)


def falling_slope(
    evidence: Evidence, cells: Sequence[tuple[Cell, Cell]], step: float
) -> Quantity:
    """How much less is gained per step of similarity, mean over stages.

    A point is a fold of a target: its gain over random weights, relative to theirs, and
    its CCA before and after fine-tuning. Folds are left out one at a time, with all
    their points, for one jackknife pseudo-value each.

    Args:
      evidence: of the study.
      cells: runs from a donor and from random weights, on each target.
      step: of CCA.

    Raises:
      MissingEvidenceError: there are too few points, or similarity does not vary over
        them, as where the best weights are the first of every run.
    """
    table = evidence.table("before_after")
    points = pd.concat(
        [_gains(evidence, table, *pair) for pair in cells], ignore_index=True
    )

    def statistic(keys: Sequence[int]) -> float:
        own = points[points["fold"].isin(keys)]
        found = [
            regression_line(part["cca"], part["gain"])
            for _, part in own.groupby("stage", sort=False)
        ]
        if not found or any(line is None for line in found):
            return float("nan")
        return -step * float(np.mean([line.slope for line in found if line]))

    keys = sorted(points["fold"].unique())
    if np.isnan(statistic(keys)):
        raise MissingEvidenceError(
            "models are too few, or all as similar to their start: no slope over that"
        )
    return jackknife(keys, statistic)


def _gains(
    evidence: Evidence, table: pd.DataFrame, cell: Cell, baseline: Cell
) -> pd.DataFrame:
    ours, theirs = _both(evidence, cell, baseline)
    rows = []
    for key in sorted(set(ours) & set(theirs)):
        scores = ours[key].score, theirs[key].score
        if scores[0] is None or scores[1] is None:
            raise MissingEvidenceError("the data have no test split")
        gain = scores[0].value / scores[1].value - 1
        own = table[table["run"] == ours[key].run_id]
        for stage, value in own.groupby("stage", sort=False)["value"].mean().items():
            rows.append((key, stage, float(value), gain))
    return pd.DataFrame(rows, columns=["fold", "stage", "cca", "gain"])


def _both(
    evidence: Evidence, left: Cell, right: Cell
) -> tuple[Mapping[int, Run], Mapping[int, Run]]:
    ours, theirs = evidence.runs(left), evidence.runs(right)
    if not set(ours) & set(theirs):
        raise MissingEvidenceError("no fold has both of the runs")
    return ours, theirs


def _quantity(values: dict[int, float], runs: Mapping[int, Run]) -> FoldQuantity:
    return FoldQuantity(values, test_to_train(runs[key] for key in values))


def _of_pair(table: pd.DataFrame, a: Run, b: Run) -> pd.Series:
    """CCA of two runs by stage, in network order, mean over repeats."""
    sides = {a.run_id, b.run_id}
    own = table[table["run_a"].isin(sides) & table["run_b"].isin(sides)]
    if own.empty:
        raise MissingEvidenceError(f"{a.run_id} and {b.run_id} were not compared")
    return own.groupby("stage", sort=False)["value"].mean()
