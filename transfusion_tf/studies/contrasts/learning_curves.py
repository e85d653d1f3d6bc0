"""Contrasts of who leads while learning, and who is there in fewer steps.

Curves are of the validation split; of the test split where all runs from random weights
have such (`--test_curve`), as the papers draw them.
"""

import abc
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from transfusion_tf.evaluation import (
    mean_while_learning,
    steps_to_threshold,
    threshold_between,
)
from transfusion_tf.evaluation.convergence import THRESHOLD_SHARE, steps_to_thresholds
from transfusion_tf.studies.contrasts.leaves import (
    mean_draws,
    mean_of_selected,
    missing,
)
from transfusion_tf.studies.contrasts.tree import Contrast
from transfusion_tf.studies.measurements.table import Measurements, PatientDraws
from transfusion_tf.studies.measurements.training_results import SCORE, TEST_CURVE


@dataclasses.dataclass(frozen=True)
class OfCurves(Contrast):
    """What is measured on curves of a metric, against random weights.

    They have learnt where the metric is nine tenths of the way from chance to their
    best, mean over them. The horizon is the step at which the slowest gets there, or
    their last step where one never does.

    Attributes:
      runs: that are measured, repetitions of one another.
      baseline: the runs from random weights.
      of_class: the class whose AUC is the metric; where empty, it is the main one.
    """

    runs: tuple[Any, ...]
    baseline: tuple[Any, ...]
    of_class: str = ""

    def race(self, measurements: Measurements) -> tuple[float, float]:
        """The threshold of the metric, and the horizon."""
        key = ("race", self.baseline, self.of_class)
        return measurements.once(key, lambda: self._race(measurements))

    def draws(
        self, measurements: Measurements, selected: Collection[str]
    ) -> np.ndarray | None:
        """As the metric of the kept weights varies with the patients of the curves.

        That stands for every point of the curve: only those predictions are kept.
        """
        sets = self.patient_draws(measurements)
        found = mean_draws(sets, self.runs, selected)
        of_baseline = mean_draws(sets, self.baseline, measurements.runs.index)
        if self.of_class or found is None or of_baseline is None:
            return None
        if self.split(measurements) == TEST_CURVE:
            of_baseline = np.zeros_like(found)  # The threshold is validation's.
        shifts = (each - np.nanmean(each) for each in (found, of_baseline))
        return self.shifted(measurements, selected, *shifts)

    def patient_draws(self, measurements: Measurements) -> Mapping[str, PatientDraws]:
        """The bootstrap draws of the split that the curves are of."""
        if self.split(measurements) == TEST_CURVE:
            return measurements.patient_draws
        return measurements.validation_draws

    @abc.abstractmethod
    def shifted(
        self,
        measurements: Measurements,
        selected: Collection[str],
        shifts: np.ndarray,
        of_baseline: np.ndarray,
    ) -> np.ndarray:
        """The number where curves are shifted so far, and the baseline's: [samples]."""

    def curves(
        self, measurements: Measurements
    ) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
        """Steps and the metric of every run that has a curve."""
        return _curves(measurements, self.runs, self.split(measurements), self.of_class)

    def split(self, measurements: Measurements) -> str:
        """Which curves: those of the test split where the baseline has them."""
        key = ("split of curves", self.baseline)
        return measurements.once(key, lambda: _split(measurements, self.baseline))

    def last_step(self, measurements: Measurements) -> float:
        """The steps that the baseline was to be trained for."""
        return measurements.once(
            ("last step", self.baseline),
            lambda: float(measurements.of("steps", run=self.baseline)["value"].max()),
        )

    def _race(self, measurements: Measurements) -> tuple[float, float]:
        split = self.split(measurements)
        curves = _curves(measurements, self.baseline, split, self.of_class)
        # The threshold never comes from the test set.
        if self.of_class:
            chosen = _curves(measurements, self.baseline, "validation", self.of_class)
            best, chance = [np.nanmax(values) for _, values in chosen.values()], 0.5
        else:
            rows = measurements.of("best_validation", run=self.baseline)
            best = list(rows["value"].dropna())
            rows = measurements.of("chance", run=self.baseline)
            chance = float(rows["value"].mean())
        threshold = threshold_between(best, chance)
        last = self.last_step(measurements)
        steps = [steps_to_threshold(*curve, threshold) for curve in curves.values()]
        return threshold, max(last if step is None else step for step in steps) or last


@dataclasses.dataclass(frozen=True)
class WhileLearning(OfCurves):
    """Mean of the metric up to the horizon.

    What lies beyond is no longer learning, and would make any lead look small in a long
    training.
    """

    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        found = measurements.once(self, lambda: self.by_run(measurements))
        return mean_of_selected(found, selected)

    def shifted(
        self,
        measurements: Measurements,
        selected: Collection[str],
        shifts: np.ndarray,
        of_baseline: np.ndarray,
    ) -> np.ndarray:
        return self.value(measurements, selected) + shifts

    def by_run(self, measurements: Measurements) -> dict[str, float]:
        """The number of every run that has a curve."""
        _, horizon = self.race(measurements)
        return {
            run: mean_while_learning(*curve, until=horizon)
            for run, curve in self.curves(measurements).items()
        }


@dataclasses.dataclass(frozen=True)
class StepsToThreshold(OfCurves):
    """Steps until a run has learnt; NaN where one of them never does.

    Attributes:
      threshold: of the metric, in place of the one that random weights set.
      at_evaluations: whether steps are those of evaluations, not between them.
    """

    threshold: float | None = None
    at_evaluations: bool = False

    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        found = measurements.once(self, lambda: self.by_run(measurements))
        known = {
            run: np.nan if steps is None else steps for run, steps in found.items()
        }
        return mean_of_selected(known, selected)

    def shifted(
        self,
        measurements: Measurements,
        selected: Collection[str],
        shifts: np.ndarray,
        of_baseline: np.ndarray,
    ) -> np.ndarray:
        found = self.steps_by_run(measurements, selected, shifts, of_baseline)
        return found.mean(axis=0)

    def steps_by_run(
        self,
        measurements: Measurements,
        selected: Collection[str],
        shifts: np.ndarray,
        of_baseline: np.ndarray,
    ) -> np.ndarray:
        """As `shifted`, of each selected run: [runs, samples], NaN is never."""
        thresholds = np.full(len(shifts), self.threshold)
        if self.threshold is None:
            thresholds = self.race(measurements)[0] + THRESHOLD_SHARE * of_baseline
        found = [
            steps_to_thresholds(
                *curve, thresholds - shifts, at_evaluations=self.at_evaluations
            )
            for run, curve in self.curves(measurements).items()
            if run in selected
        ]
        return np.array(found)

    def by_run(self, measurements: Measurements) -> dict[str, float | None]:
        """Steps of every run; None is never."""
        threshold = self.threshold
        if threshold is None:
            threshold, _ = self.race(measurements)
        return {
            run: steps_to_threshold(
                *curve, threshold, at_evaluations=self.at_evaluations
            )
            for run, curve in self.curves(measurements).items()
        }


def _split(measurements: Measurements, baseline: Sequence[str]) -> str:
    known = {run for run in baseline if run in measurements.runs.index}
    rows = measurements.of(SCORE, run=baseline, split=TEST_CURVE)
    return TEST_CURVE if known and known == set(rows["run"]) else "validation"


def _curves(
    measurements: Measurements, runs: Sequence[str], split: str, of_class: str
) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
    """Steps and a metric of every run that has a curve."""
    key = ("curves", tuple(runs), split, of_class)
    return measurements.once(
        key, lambda: _read_curves(measurements, runs, split, of_class)
    )


def _read_curves(
    measurements: Measurements, runs: Sequence[str], split: str, of_class: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Steps and a metric of every run that has a curve."""
    quantity = "auc" if of_class else SCORE
    rows = measurements.of(quantity, run=runs, split=split, class_=of_class)
    rows = rows[rows["value"].notna()]
    found = {
        str(run): (own["step"].to_numpy(float), own["value"].to_numpy(float))
        for run, own in rows.groupby("run", sort=False)
    }
    if not found:
        raise missing(measurements, runs, f"{split} metric over training")
    return found
