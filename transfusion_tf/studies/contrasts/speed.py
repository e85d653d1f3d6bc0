"""Contrasts of speed: how many steps it takes to learn, against random weights.

The mean over the seeds that get there would favour the start that fails more often, so
a run that never does counts with the last step: the restricted mean of survival
analysis (Royston and Parmar, 2013). Speeds are compared by the logarithm of their
ratio, which is zero where two starts are equal, whatever their runs differ by; the
share of steps that one start saves is not (`tests/studies/test_contrast_nulls.py`).
"""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from transfusion_tf.studies.contrasts.learning_curves import StepsToThreshold
from transfusion_tf.studies.contrasts.leaves import mean_of_selected
from transfusion_tf.studies.contrasts.tree import (
    Branch,
    Contrast,
    MissingMeasurementError,
    turned,
)
from transfusion_tf.studies.measurements.table import Measurements

# What is there before the first step counts as one step.
_FEWEST = 1.0
# Of the last step: what a run counts with that never gets there on other patients. Were
# it the last step itself, patients would seem to matter less the slower a start is, and
# of two equal starts one would be called slower in 5 to 7 % of the studies in place of
# 2.5 (`experiments/benchmarks/coverage.py`).
_LATEST = 2.0


@dataclasses.dataclass(frozen=True)
class RestrictedSteps(StepsToThreshold):
    """Mean steps until runs have learnt, each from 1 to the baseline's last step.

    A run that never gets there counts with the last step, so that the mean is the least
    that it can be. Missing where no run from random weights gets there, and where a run
    that does not was to be trained for fewer steps than those.
    """

    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        found = measurements.once(self, lambda: self._restricted(measurements))
        return mean_of_selected(found, selected)

    def shifted(
        self,
        measurements: Measurements,
        selected: Collection[str],
        shifts: np.ndarray,
        of_baseline: np.ndarray,
    ) -> np.ndarray:
        found = self.steps_by_run(measurements, selected, shifts, of_baseline)
        latest = _LATEST * self.last_step(measurements)
        found = np.where(np.isnan(found), latest, found)
        return np.clip(found, _FEWEST, latest).mean(axis=0)

    def open_ends(self, measurements: Measurements) -> frozenset[str]:
        return frozenset({"higher"} if self.never(measurements) else ())

    def never(self, measurements: Measurements) -> list[str]:
        """The runs that do not get there by the last step."""
        last = self.last_step(measurements)
        found = self.by_run(measurements)
        return [run for run, steps in found.items() if steps is None or steps > last]

    def _restricted(self, measurements: Measurements) -> dict[str, float]:
        baseline = dataclasses.replace(self, runs=self.baseline)
        if len(baseline.never(measurements)) == len(baseline.by_run(measurements)):
            raise MissingMeasurementError(
                "no run from random weights reaches the threshold"
            )
        last = self.last_step(measurements)
        rows = measurements.of("steps", run=self.runs)
        asked = dict(zip(rows["run"], rows["value"], strict=True))
        found = {}
        for run, steps in self.by_run(measurements).items():
            shorter = steps is None and asked.get(run, last) < last
            steps = np.nan if shorter else last if steps is None else steps
            found[run] = float(np.clip(steps, _FEWEST, last))
        return found


@dataclasses.dataclass(frozen=True)
class Doublings(Branch):
    """How often the denominator doubles to the numerator: log2 of their ratio.

    Both are means above 0: 1 where the numerator is twice as much, −1 where it is half.
    """

    numerator: Contrast
    denominator: Contrast

    def combine(self, *values: Any) -> Any:
        return np.log2(values[0]) - np.log2(values[1])

    def open_ends(self, measurements: Measurements) -> frozenset[str]:
        above, below = (part.open_ends(measurements) for part in self.parts)
        return above | turned(below)


def speed_over(
    runs: Sequence[Any],
    baseline: Sequence[Any],
    of_class: str = "",
    threshold: float | None = None,
    *,
    at_evaluations: bool = False,
) -> Doublings:
    """How much sooner runs have learnt than random weights, in doublings of speed.

    Args:
      runs: of one start.
      baseline: from random weights.
      of_class: the class whose AUC is the metric; where empty, it is the main one.
      threshold: of the metric, in place of the one that random weights set.
      at_evaluations: whether steps are those of evaluations, not between them.
    """
    ours, theirs = (
        RestrictedSteps(
            tuple(own), tuple(baseline), of_class, threshold, at_evaluations
        )
        for own in (runs, baseline)
    )
    return Doublings(theirs, ours)
