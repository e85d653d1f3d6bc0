"""ROC curves and operating points of several runs, with intervals over patients.

Sensitivity is the share of positive examples that score above a threshold, specificity
the share of negative ones that do not. Curves of several runs are averaged at equal
specificity (vertical averaging: Fawcett, 2006, section 8.1). Bootstrap samples draw
patients, alike for all runs on the same ones: intervals hold for these runs, and lack
the spread between seeds.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from transfusion_tf.evaluation.intervals import (
    Interval,
    patient_weights,
    percentile_interval,
)

_GRID = np.linspace(0.0, 1.0, 101)


@dataclasses.dataclass(frozen=True)
class BinaryScores:
    """What one run says of a question of yes or no.

    Attributes:
      positive: bool [n], what is so.
      scores: float [n], higher meaning more likely positive.
      patients: [n], of each example.
    """

    positive: np.ndarray
    scores: np.ndarray
    patients: np.ndarray


@dataclasses.dataclass(frozen=True)
class RocBand:
    """A mean ROC curve.

    Attributes:
      false_positive_rate: float64 [points], rising from 0 to 1: 1 - specificity.
      sensitivity: float64 [points].
      low: float64 [points], lower ends of pointwise intervals.
      high: float64 [points].
    """

    false_positive_rate: np.ndarray
    sensitivity: np.ndarray
    low: np.ndarray
    high: np.ndarray


def roc_band(
    runs: Sequence[BinaryScores], samples: int = 300, level: float = 0.95, seed: int = 0
) -> RocBand:
    """The runs' mean ROC curve, and its band over patients.

    Args:
      runs: each with positive and negative examples.
      samples: of the bootstrap.
      level: share of the samples within the band, at each point.
      seed: of the draws.
    """
    curve = np.mean([_curves(run, _once(run))[0] for run in runs], axis=0)
    drawn = [
        np.concatenate(
            [
                _curves(run, weights)
                for weights in patient_weights(run.patients, samples, seed)
            ]
        )
        for run in runs
    ]
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.nanquantile(np.mean(drawn, axis=0), tails, axis=0)
    return RocBand(_GRID, curve, low, high)


def threshold_at_specificity(run: BinaryScores, specificity: float) -> float:
    """The lowest threshold with at least this specificity; above it is positive.

    Args:
      run: on the validation set: chosen on the test set, it would flatter.
      specificity: above 0, at most 1.
    """
    negative = np.sort(run.scores[~run.positive])
    return float(negative[int(np.ceil(specificity * len(negative))) - 1])


def threshold_at_sensitivity(run: BinaryScores, sensitivity: float) -> float:
    """The highest threshold with at least this sensitivity; above it is positive."""
    positive = np.sort(run.scores[run.positive])
    least = positive[len(positive) - int(np.ceil(sensitivity * len(positive)))]
    return float(np.nextafter(least, -np.inf))


def rates_above(
    runs: Sequence[BinaryScores],
    thresholds: Sequence[float],
    samples: int = 1000,
    seed: int = 0,
) -> tuple[Interval, Interval]:
    """Mean sensitivity and mean specificity, with intervals over patients.

    Args:
      runs: each with positive and negative examples.
      thresholds: one per run.
      samples: of the bootstrap.
      seed: of the draws.
    """
    whole, drawn = [], []
    for run, threshold in zip(runs, thresholds, strict=True):
        right = (run.scores > threshold) == run.positive
        whole.append(_rates(run, right, _once(run)))
        blocks = patient_weights(run.patients, samples, seed)
        drawn.append(np.concatenate([_rates(run, right, block) for block in blocks]))
    means, replicates = np.mean(whole, axis=0)[0], np.mean(drawn, axis=0)
    sensitivity, specificity = (
        percentile_interval(mean, values)
        for mean, values in zip(means, replicates.T, strict=True)
    )
    return sensitivity, specificity


def _once(run: BinaryScores) -> np.ndarray:
    return np.ones((1, len(run.scores)))


def _rates(run: BinaryScores, right: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of the positive, and of the negative, that is right: [samples, 2]."""
    sides = np.stack([run.positive, ~run.positive], axis=1).astype(float)
    total = weights @ sides
    unknown = np.full(total.shape, np.nan)
    found = weights @ (sides * right[:, np.newaxis])
    return np.divide(found, total, out=unknown, where=total > 0)


def _curves(run: BinaryScores, weights: np.ndarray) -> np.ndarray:
    """Sensitivity on the grid of false-positive rates: [samples, points]."""
    order = np.argsort(-run.scores, kind="stable")
    ordered = run.scores[order]
    last_of_ties = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    positive, weights = run.positive[order], weights[:, order]
    true_rates, false_rates = (
        np.cumsum(weights * side, axis=1)[:, last_of_ties]
        for side in (positive, ~positive)
    )
    curves = np.full((len(weights), len(_GRID)), np.nan)
    for index, (true, false) in enumerate(zip(true_rates, false_rates, strict=True)):
        if true[-1] > 0 and false[-1] > 0:
            across = np.append(0.0, false / false[-1])
            curves[index] = np.interp(_GRID, across, np.append(0.0, true / true[-1]))
    return curves
