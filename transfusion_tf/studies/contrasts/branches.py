"""Contrasts that are made of others."""

import dataclasses
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from scipy import stats

from transfusion_tf.evaluation.regression import regression_line
from transfusion_tf.studies.contrasts.leaves import Average, Constant, repetition
from transfusion_tf.studies.contrasts.tree import (
    Branch,
    Contrast,
    MissingMeasurementError,
    turned,
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

    def open_ends(self, measurements: Measurements) -> frozenset[str]:
        left, right = (part.open_ends(measurements) for part in self.parts)
        return left | turned(right)

    def null_variance(
        self, measurements: Measurements, selected: Collection[str]
    ) -> float:
        return sum(part.null_variance(measurements, selected) for part in self.parts)


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

    def open_ends(self, measurements: Measurements) -> frozenset[str]:
        ends = self.contrast.open_ends(measurements)
        return ends if self.factor > 0 else turned(ends)


@dataclasses.dataclass(frozen=True)
class Mean(Branch):
    """The mean of contrasts."""

    contrasts: tuple[Contrast, ...]

    def combine(self, *values: Any) -> Any:
        return np.mean(np.broadcast_arrays(*values), axis=0)

    def open_ends(self, measurements: Measurements) -> frozenset[str]:
        ends = (part.open_ends(measurements) for part in self.parts)
        return frozenset[str]().union(*ends)

    def null_variance(
        self, measurements: Measurements, selected: Collection[str]
    ) -> float:
        parts = [part.null_variance(measurements, selected) for part in self.parts]
        return sum(parts) / len(parts) ** 2


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
    """Spearman's correlation over settings, mean over repetitions.

    Where x and y share a measurement, such as the score from transferred weights that a
    gain and a share of reuse both stand on, its noise alone would correlate them (by
    0.45 for those two): then x is taken from one repetition and y from another, mean
    over all such pairs.

    Attributes:
      points: x and y of each setting.
    """

    points: tuple[tuple[Contrast, Contrast], ...]

    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        ranks = self._ranks(measurements, selected)
        count = ranks.shape[1]
        correlations = ranks[0] @ ranks[1].T
        if not self._shared():
            return float(np.trace(correlations) / count) if count else np.nan
        if count < 2:
            return np.nan
        of_others = correlations.sum() - np.trace(correlations)
        return float(of_others / (count * (count - 1)))

    def null_variance(
        self, measurements: Measurements, selected: Collection[str]
    ) -> float:
        """Exact, over all permutations of the settings of y, the same in each pair.

        0 where x is the design's own, such as the share of stages transferred.
        """
        ranks = self._ranks(measurements, selected)
        settings, count = ranks.shape[2], ranks.shape[1]
        if not self._shared() or count < 2:
            return 0.0
        totals = ranks.sum(axis=1)
        pairs = np.outer(*totals) - ranks[0].T @ ranks[1]
        pairs /= count * (count - 1)
        return float((pairs**2).sum() / (settings - 1))

    def _shared(self) -> bool:
        """Whether a measurement stands on both axes of a setting."""
        return any(set(x.leaves()) & set(y.leaves()) for x, y in self.points)

    def _ranks(
        self, measurements: Measurements, selected: Collection[str]
    ) -> np.ndarray:
        """Ranks of x and y in each repetition, of mean 0 and length 1.

        Repetitions in which a side is the same everywhere have none: [2, repetitions,
        settings].
        """
        # Without one repetition, the others are what they were.
        known = measurements.once(("ranks", self), dict)
        found = []
        for chosen in by_repetition(self.parts, measurements, selected):
            if chosen not in known:
                values = [
                    [side.value(measurements, chosen) for side in point]
                    for point in self.points
                ]
                known[chosen] = _centred_ranks(np.array(values).T)
            if known[chosen] is not None:
                found.append(known[chosen])
        shape = (len(found), 2, len(self.points))
        return np.array(found).reshape(shape).swapaxes(0, 1)


@dataclasses.dataclass(frozen=True)
class Slope(Contrast):
    """Slope of the line through points, one per setting and repetition.

    Attributes:
      points: x and y of each setting.
      within: whether each setting has a height of its own, so that what settings differ
        in does not count.
    """

    points: tuple[tuple[Contrast, Contrast], ...]
    within: bool = False

    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        settings = []
        for point in self.points:
            own = [
                [side.value(measurements, chosen) for side in point]
                for chosen in by_repetition(point, measurements, selected)
            ]
            if own:
                center = np.mean(own, axis=0) if self.within else 0.0
                settings.append(np.array(own) - center)
        values = np.concatenate(settings) if settings else np.array([])
        if not len(values) or not np.isfinite(values).all():
            return np.nan
        line = regression_line(values[:, 0], values[:, 1])
        return np.nan if line is None else line.slope


def above_chance(similarity: Average) -> Contrast:
    """A similarity of models on the way from its noise floor to 1.

    The floor rises with the number of channels, so that of two architectures that have
    both kept nothing of their start, the one of more channels looks more alike.
    """
    floor = dataclasses.replace(
        similarity, quantity=f"{similarity.quantity}_noise_floor"
    )
    return Ratio(similarity - floor, Constant(1.0) - floor)


def _centred_ranks(values: np.ndarray) -> np.ndarray | None:
    """Of each row, with mean 0 and length 1; None where a row is all alike."""
    if values.shape[1] < 3 or not np.ptp(values, axis=1).min() > 0:
        return None
    ranks = stats.rankdata(values, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    return ranks / np.linalg.norm(ranks, axis=1, keepdims=True)


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
