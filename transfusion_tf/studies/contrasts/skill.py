"""Contrasts of what runs, or their donors, have learned: 0 is chance, 1 is perfect."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from transfusion_tf.studies.contrasts.leaves import mean_of_selected, missing, on_test
from transfusion_tf.studies.contrasts.tree import Contrast
from transfusion_tf.studies.measurements.table import Measurements
from transfusion_tf.studies.measurements.training_results import SCORE


@dataclasses.dataclass(frozen=True)
class Skill(Contrast):
    """The way from chance to perfect that runs have come on test, mean over them.

    Of runs without a test split, on validation, at the weights that were kept.
    """

    runs: tuple[Any, ...]

    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        found = measurements.once(self, lambda: _skills(measurements, self.runs))
        return mean_of_selected(found, selected)

    def draws(
        self, measurements: Measurements, selected: Collection[str]
    ) -> np.ndarray | None:
        scores = on_test(self.runs).draws(measurements, selected)
        if scores is None:
            return None
        chance = _chance(measurements, self.runs)
        return (scores - chance) / (1 - chance)


@dataclasses.dataclass(frozen=True)
class DonorSkill(Contrast):
    """The `Skill` of the worst donor that some runs start from.

    1 where donors are published weights, which nothing here says anything of.
    """

    runs: tuple[Any, ...]

    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        return min(self._by_donor(measurements).values(), default=1.0)

    def draws(
        self, measurements: Measurements, selected: Collection[str]
    ) -> np.ndarray | None:
        skills = self._by_donor(measurements)
        if not skills:
            return None
        worst = min(skills, key=lambda donor: skills[donor])
        return Skill((worst,)).draws(measurements, (worst,))

    def _by_donor(self, measurements: Measurements) -> dict[str, float]:
        known = measurements.runs
        own = known.loc[[run for run in self.runs if run in known.index], "donor_run"]
        donors = tuple(dict.fromkeys(donor for donor in own if donor))
        return _skills(measurements, donors) if donors else {}


def _skills(measurements: Measurements, runs: Sequence[str]) -> dict[str, float]:
    validation = measurements.of("best_validation", run=runs)
    test = measurements.of(SCORE, run=runs, split="test")
    levels = {
        str(run): value
        for rows in (validation, test)
        for run, value in zip(rows["run"], rows["value"], strict=True)
    }
    if not levels:
        raise missing(measurements, runs, "metric")
    chance = _chance(measurements, runs)
    return {run: (level - chance) / (1 - chance) for run, level in levels.items()}


def _chance(measurements: Measurements, runs: Sequence[str]) -> float:
    return float(measurements.of("chance", run=runs)["value"].mean())
