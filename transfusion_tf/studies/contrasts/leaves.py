"""Contrasts that are measured on runs, and numbers that were not measured at all."""

import dataclasses
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.studies.contrasts.tree import Contrast, MissingMeasurementError
from transfusion_tf.studies.measurements.table import Measurements, PatientDraws
from transfusion_tf.studies.measurements.training_results import SCORE

# Positions from the input (-1 is the last), a depth from 0.0 to 1.0, `first quarter`,
# `first half` or `second half`; None is all of them. The head is always left out.
Stages = tuple[int, ...] | float | str | None

# A seed; in a cross-validation, seed and fold.
Repetition = tuple[int, ...]

_HEAD = "head"
_REDUCTIONS = ("mean", "max", "min")


@dataclasses.dataclass(frozen=True)
class Average(Contrast):
    """A quantity of runs that are repetitions of one another, mean over them.

    Attributes:
      quantity: what was measured.
      runs: of one model, start and data set; they differ in seed, fold or donor's seed.
      split: of the data, where the quantity was measured on one.
      of_class: the class, of a quantity that each class has.
      stages: of a quantity that every stage, or layer, has.
      reduce: how several rows of one stage, such as attention heads or kinds of tokens,
        become one number: `mean`, `max` or `min`.
      same_stage: of layers against layers: only each with itself.
    """

    quantity: str
    runs: tuple[Any, ...]
    split: str = ""
    of_class: str = ""
    stages: Stages = None
    reduce: str = "mean"
    same_stage: bool = False

    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        found = measurements.once(self, lambda: self.by_run(measurements))
        return mean_of_selected(found, selected)

    def by_run(self, measurements: Measurements) -> dict[str, float]:
        """The number of every run that has one."""
        rows = measurements.of(self.quantity, run=self.runs)
        # Of two states of one run, or of the run itself; not of pairs of runs.
        rows = rows[(rows["run_b"] == "") | (rows["run_b"] == rows["run"])]
        if self.split:
            rows = rows[rows["split"] == self.split]
        rows = rows[rows["class"] == self.of_class]
        if len(rows) and rows["position"].isna().all():
            by_run = rows.groupby("run", sort=False)["value"]
            return {str(run): value for run, value in by_run.agg(self.reduce).items()}
        found = {
            str(run): _over_stages(own, self.stages, self.reduce, self.same_stage)
            for run, own in rows.groupby("run", sort=False)
        }
        if not found:
            raise missing(measurements, self.runs, self.quantity)
        return found

    def draws(
        self, measurements: Measurements, selected: Collection[str]
    ) -> np.ndarray | None:
        if (self.quantity, self.split) != (SCORE, "test"):
            return None
        return mean_draws(measurements.patient_draws, self.runs, selected)


@dataclasses.dataclass(frozen=True)
class PairAverage(Contrast):
    """A similarity of pairs of models, mean over the pairs.

    Attributes:
      quantity: such as `cca`.
      runs: of one start.
      others: of another start; where empty, pairs are of `runs` among themselves.
      match: which of `runs` and `others` are pairs: `other` repetitions, for what two
        starts have in common beyond the data's order; or the `same` repetition, for two
        donors on one fold.
      weights: `initial` or `trained`, of both; `best` where predictions are compared.
      stages: as `Average`; of `runs`.
      other_stages: of `others`, in layers against layers.
      same_stage: as `Average`.
    """

    quantity: str
    runs: tuple[Any, ...]
    others: tuple[Any, ...] = ()
    match: str = "other"
    weights: str = "trained"
    stages: Stages = None
    other_stages: Stages = None
    same_stage: bool = False

    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        found = measurements.once(self, lambda: self.by_pair(measurements))
        kept = [value for pair, value in found.items() if set(pair) <= set(selected)]
        return float(np.mean(kept)) if kept else np.nan

    def by_pair(self, measurements: Measurements) -> dict[tuple[str, str], float]:
        """The number of every pair that was compared."""
        wanted = {frozenset(pair): pair for pair in self._pairs(measurements)}
        rows = measurements.of(
            self.quantity, weights=self.weights, weights_b=self.weights
        )
        found = {}
        for sides, own in rows.groupby(["run", "run_b"], sort=False):
            pair = wanted.get(frozenset(str(side) for side in sides))
            if pair is not None:
                own = _at_stages(own, "position_b", self.other_stages)
                found[pair] = _over_stages(own, self.stages, "mean", self.same_stage)
        if not found:
            raise missing(measurements, self.runs, self.quantity)
        return found

    def _pairs(self, measurements: Measurements) -> list[tuple[str, str]]:
        known = measurements.runs.index
        runs = [run for run in self.runs if run in known]
        if not self.others:
            return list(itertools.combinations(runs, 2))
        others = [run for run in self.others if run in known]
        keys = {run: repetition(measurements, run) for run in (*runs, *others)}
        return [
            (a, b)
            for a, b in itertools.product(runs, others)
            if (keys[a] == keys[b]) == (self.match == "same")
        ]


@dataclasses.dataclass(frozen=True)
class Constant(Contrast):
    """A number that was not measured, such as the share of stages transferred."""

    number: float

    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        return self.number

    def draws(
        self, measurements: Measurements, selected: Collection[str]
    ) -> np.ndarray | None:
        return np.asarray(self.number)


@dataclasses.dataclass(frozen=True)
class Unavailable(Contrast):
    """What a study cannot have measured, such as two data sets where there is one.

    Attributes:
      reason: why.
    """

    reason: str

    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        raise MissingMeasurementError(self.reason)


def mean_draws(
    sets: Mapping[str, PatientDraws], runs: Sequence[str], selected: Collection[str]
) -> np.ndarray | None:
    """Mean over runs of the metric in every bootstrap sample of patients they share."""
    found = [sets[run] for run in runs if run in selected and run in sets]
    if len({each.fingerprint for each in found}) != 1:
        return None
    return np.mean([each.draws for each in found], axis=0)


def on_test(runs: Sequence[Any]) -> Average:
    """The metric that the study reports, on test."""
    return Average(SCORE, tuple(runs), split="test")


def repetition(measurements: Measurements, run: str) -> Repetition:
    """What tells a run from others of its model, start and data set."""
    return measurements.once("repetitions", lambda: _repetitions(measurements))[run]


def _repetitions(measurements: Measurements) -> dict[str, Repetition]:
    runs = measurements.runs[["seed", "fold"]]
    return {
        str(run): tuple(int(value) for value in values if not pd.isna(value))
        for run, *values in runs.itertuples()
    }


def mean_of_selected(found: Mapping[str, float], selected: Collection[str]) -> float:
    """Mean of the selected runs' numbers; NaN of none."""
    kept = [value for run, value in found.items() if run in selected]
    return float(np.mean(kept)) if kept else np.nan


def _over_stages(
    rows: pd.DataFrame, stages: Stages, reduce: str, same_stage: bool
) -> float:
    """One number of one run, or pair: over repeats, then items, then stages."""
    if reduce not in _REDUCTIONS:
        raise ValueError(f"reduce must be one of {_REDUCTIONS}, got {reduce!r}")
    rows = rows[rows["stage"] != _HEAD]
    if same_stage:
        rows = rows[rows["position"] == rows["position_b"]]
    if rows["position"].isna().all():
        return float(rows["value"].agg(reduce))
    items = rows.groupby(["position", "item"])["value"].mean()
    by_stage = items.groupby("position").agg(reduce)
    return float(by_stage.iloc[_places(stages, len(by_stage))].mean())


def _at_stages(rows: pd.DataFrame, column: str, stages: Stages) -> pd.DataFrame:
    """The rows of some places of one side of layers against layers."""
    if stages is None:
        return rows
    places = sorted(rows.loc[rows["stage_b"] != _HEAD, column].unique())
    chosen = [places[index] for index in _places(stages, len(places))]
    return rows[rows[column].isin(chosen)]


def _places(stages: Stages, count: int) -> list[int]:
    if isinstance(stages, tuple):
        return list(stages)
    if isinstance(stages, float):
        return [round(stages * (count - 1))]
    places = list(range(count))
    halves = {
        "first quarter": slice(max(1, count // 4)),
        "first half": slice(count // 2),
        "second half": slice(-(count // 2), None),
    }
    return places if stages is None else places[halves[stages]]


def missing(
    measurements: Measurements, runs: Sequence[str], what: str
) -> MissingMeasurementError:
    """What to raise where nothing of some runs was measured."""
    known = [run for run in runs if run in measurements.runs.index]
    if not known:
        name = runs[0] if runs else "this kind"
        return MissingMeasurementError(f"no run of {name} has a result")
    row = measurements.runs.loc[known[0]]
    return MissingMeasurementError(
        f"{what.replace('_', ' ')} of {row['model']} from {row['initialization']} was "
        "not measured"
    )
