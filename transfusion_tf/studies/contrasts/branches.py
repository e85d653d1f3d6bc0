"""Contrasts that are made of others."""

import dataclasses
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from scipy import stats

from transfusion_tf.evaluation.regression import regression_line
from transfusion_tf.studies.contrasts.leaves import repetition
from transfusion_tf.studies.contrasts.tree import (
    Branch,
    Contrast,
    MissingMeasurementError,
)
from transfusion_tf.studies.measurements.table import Measurements


@dataclasses.dataclass(frozen=True)
class Minus(Branch):
    """Left minus right."""

    left: Contrast
    right: Contrast

    def combine(self, *values: Any) -> Any:
        left, right = values
        return left - right


@dataclasses.dataclass(frozen=True)
class Ratio(Branch):
    """Numerator over denominator, both means; NaN where that is not above 0."""

    numerator: Contrast
    denominator: Contrast

    def combine(self, *values: Any) -> Any:
        numerator, denominator = np.asarray(values[0]), np.asarray(values[1])
        safe = np.where(denominator > 0, denominator, np.nan)
        return numerator / safe


@dataclasses.dataclass(frozen=True)
class Scaled(Branch):
    """A contrast times a number."""

    contrast: Contrast
    factor: float

    def combine(self, *values: Any) -> Any:
        return self.factor * values[0]


@dataclasses.dataclass(frozen=True)
class Mean(Branch):
    """The mean of contrasts."""

    contrasts: tuple[Contrast, ...]

    def combine(self, *values: Any) -> Any:
        return np.mean(np.broadcast_arrays(*values), axis=0)


@dataclasses.dataclass(frozen=True)
class Highest(Branch):
    """The highest of contrasts."""

    contrasts: tuple[Contrast, ...]

    def combine(self, *values: Any) -> Any:
        return np.max(np.broadcast_arrays(*values), axis=0)


@dataclasses.dataclass(frozen=True)
class ByDistance(Contrast):
    """The contrast of the data set that is nearest to the source, or farthest from it.

    Attributes:
      options: a contrast of each data set.
      farthest: whether the farthest counts.
    """

    options: tuple[Contrast, ...]
    farthest: bool = False

    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        return self._chosen(measurements).value(measurements, selected)

    def draws(
        self, measurements: Measurements, selected: Collection[str]
    ) -> np.ndarray | None:
        return self._chosen(measurements).draws(measurements, selected)

    def _chosen(self, measurements: Measurements) -> Contrast:
        rows = measurements.of("frechet_distance")
        distances = dict(zip(rows["dataset"], rows["value"], strict=True))
        datasets = measurements.runs["dataset"]
        known = {}
        for option in self.options:
            runs = [run for group in option.groups() for run in group]
            name = next((datasets[run] for run in runs if run in datasets), None)
            if name in distances:
                known[distances[name]] = option
        if len(known) < 2:
            raise MissingMeasurementError("fewer than two data sets have a distance")
        return known[max(known) if self.farthest else min(known)]


@dataclasses.dataclass(frozen=True)
class RankCorrelation(Contrast):
    """Spearman's correlation over settings, in each repetition; mean over these.

    Attributes:
      points: x and y of each setting.
    """

    points: tuple[tuple[Contrast, Contrast], ...]

    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        found = []
        for chosen in by_repetition(self.parts, measurements, selected):
            values = np.array(
                [
                    [side.value(measurements, chosen) for side in point]
                    for point in self.points
                ]
            ).T
            if values.shape[1] > 2 and np.ptp(values, axis=1).min() > 0:
                found.append(float(stats.spearmanr(*values).statistic))
        return float(np.mean(found)) if found else np.nan


@dataclasses.dataclass(frozen=True)
class Slope(Contrast):
    """Slope of the line through points, one per setting and repetition.

    Attributes:
      points: x and y of each setting.
    """

    points: tuple[tuple[Contrast, Contrast], ...]

    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        values = np.array(
            [
                [side.value(measurements, chosen) for side in point]
                for point in self.points
                for chosen in by_repetition(point, measurements, selected)
            ]
        )
        if not len(values) or not np.isfinite(values).all():
            return np.nan
        line = regression_line(values[:, 0], values[:, 1])
        return np.nan if line is None else line.slope


def by_repetition(
    contrasts: Iterable[Contrast],
    measurements: Measurements,
    selected: Collection[str],
) -> list[frozenset[str]]:
    """The selected runs of every repetition that all groups of the contrasts have."""
    groups = [group for contrast in contrasts for group in contrast.groups()]
    repetitions = [
        {
            run: repetition(measurements, run)
            for run in group
            if run in selected and run in measurements.runs.index
        }
        for group in groups
    ]
    if not repetitions:
        return []
    common = set.intersection(*(set(own.values()) for own in repetitions))
    return [
        frozenset(run for own in repetitions for run in own if own[run] == key)
        for key in sorted(common)
    ]
