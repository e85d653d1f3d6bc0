"""Runs that are repetitions of one another, and what they measured together."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from transfusion_tf.evaluation import Estimate
from transfusion_tf.evaluation.estimator import estimate_mean
from transfusion_tf.evaluation.units import metric_unit, unit
from transfusion_tf.studies.contrasts import (
    Average,
    Contrast,
    MissingMeasurementError,
    Ratio,
    effect_or_none,
    on_test,
)
from transfusion_tf.studies.measurements.table import Measurements
from transfusion_tf.studies.study_folder import Run

# A seed; in a cross-validation, seed and fold.
RunKey = int | tuple[int, int]
# What its runs have in common.
Setting = TypeVar("Setting", bound=Hashable)


@dataclasses.dataclass(frozen=True, eq=False)
class RunGroup:
    """Runs of one model, start and data set.

    Attributes:
      runs: one per seed; in a cross-validation, per seed and fold.
      measurements: of the study.
    """

    runs: Mapping[RunKey, Run]
    measurements: Measurements = dataclasses.field(repr=False)

    @functools.cached_property
    def ids(self) -> tuple[str, ...]:
        """Of the runs, in the order of their seeds and folds."""
        return tuple(self.runs[key].run_id for key in sorted(self.runs))

    @property
    def first(self) -> Run:
        """One of them."""
        return next(iter(self.runs.values()))

    @property
    def folded(self) -> bool:
        """Whether the runs are several folds of a cross-validation."""
        return folded(self.runs)

    @functools.cached_property
    def test(self) -> Estimate | None:
        """Mean of the test metric with its interval; None without a test split."""
        limits = unit(metric_unit(self.first.metric)).limits
        return self.effect(on_test(self.ids), limits)

    @functools.cached_property
    def test_values(self) -> dict[RunKey, float]:
        """The test metric, one per run that was tested."""
        return self.values("score", split="test")

    def test_minus(self, other: RunGroup | None) -> Estimate | None:
        """The test metric minus another group's; None where they do not compare."""
        if other is None or not self._has_tests_of(other):
            return None
        found = self.effect(on_test(self.ids) - on_test(other.ids))
        if found is None:
            return None
        # No two levels are further apart.
        lowest, highest = unit(metric_unit(self.first.metric)).limits
        low, high = np.clip([found.low, found.high], lowest - highest, highest - lowest)
        return dataclasses.replace(found, low=float(low), high=float(high))

    def test_over(self, other: RunGroup) -> Estimate | None:
        """The test metric over another group's."""
        return self.effect(Ratio(on_test(self.ids), on_test(other.ids)))

    def average(
        self, quantity: str, limits: tuple[float, float] | None = None, **where: Any
    ) -> Estimate | None:
        """Mean of a quantity with its interval; None where it was not measured."""
        return self.effect(Average(quantity, self.ids, **where), limits)

    def values(self, quantity: str, **where: Any) -> dict[RunKey, float]:
        """A quantity of every run that has it."""
        try:
            found = Average(quantity, self.ids, **where).by_run(self.measurements)
        except MissingMeasurementError:
            return {}
        return self.by_key(found)

    def mean_of(self, values: Mapping[RunKey, float]) -> Estimate | None:
        """The mean of one number per run, with its interval; None without any."""
        known = [values[key] for key in sorted(values) if np.isfinite(values[key])]
        if not known:
            return None
        if not folded(values):
            return estimate_mean(known)
        ratios = [self.measurements.test_to_train[run] for run in self.ids]
        return estimate_mean(known, float(np.mean(ratios)))

    def by_key(self, found: Mapping[str, Any]) -> dict[RunKey, Any]:
        """What is known of runs by their ids, by their seeds and folds."""
        return {
            key: found[self.runs[key].run_id]
            for key in sorted(self.runs)
            if self.runs[key].run_id in found
        }

    def effect(
        self, contrast: Contrast, limits: tuple[float, float] | None = None
    ) -> Estimate | None:
        """A contrast with its interval; None where something was not measured."""
        return effect_or_none(contrast, self.measurements, limits)

    def _has_tests_of(self, other: RunGroup) -> bool:
        """Whether what both have was tested on the same examples and patients."""
        draws = self.measurements.patient_draws
        return all(
            draws[run.run_id].fingerprint == draws[theirs.run_id].fingerprint
            for key, run in self.runs.items()
            if (theirs := other.runs.get(key)) is not None
            and {run.run_id, theirs.run_id} <= draws.keys()
        )


def run_key(run: Run) -> RunKey:
    """What tells the runs of a group apart."""
    config = run.config
    return config.seed if config.fold is None else (config.seed, config.fold)


def grouped(
    runs: Iterable[Run], setting: Callable[[Run], Setting]
) -> dict[Setting, dict[RunKey, Run]]:
    """The repetitions of every setting, which come in the order of their first runs."""
    found: dict[Setting, dict[RunKey, Run]] = {}
    for run in runs:
        found.setdefault(setting(run), {})[run_key(run)] = run
    return found


def folded(keys: Iterable[RunKey]) -> bool:
    """Whether runs of these keys are several folds of a cross-validation."""
    return len({key[1] for key in keys if isinstance(key, tuple)}) > 1


def training_sizes(runs: Sequence[Run]) -> dict[str, int]:
    """Training images of every run; folds that differ by a few count as one size."""
    by_setting: dict[tuple, list[Run]] = {}
    for run in runs:
        config = run.config
        if config.fold is not None:
            key = (config.data, config.folds, config.fold_protocol)
            by_setting.setdefault((*key, config.train_examples), []).append(run)
    sizes = {run.run_id: run.train_examples for run in runs}
    for alike in by_setting.values():
        mean = round(np.mean([sizes[run.run_id] for run in alike]))
        sizes |= {run.run_id: mean for run in alike}
    return sizes
