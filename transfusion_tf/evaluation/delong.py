"""DeLong's test: whether two models' AUCs differ on the same cases.

An AUC is the share of (positive, negative) pairs in the right order. Each positive's
share of negatives below it, and each negative's share of positives above it, are its
*structural components*; their covariance over the cases is that of the AUCs (DeLong,
DeLong and Clarke-Pearson, 1988). Midranks give all components after one sort (Sun and
Xu, 2014), so that no pair is looked at.

Images of one patient are not independent. Given patients, components are summed within
each before their covariance is taken (Obuchowski, 1997): with one image a patient that
is DeLong's own.
"""

import dataclasses

import numpy as np
from scipy import stats

from transfusion_tf.evaluation.intervals import Interval


@dataclasses.dataclass(frozen=True)
class DeLong:
    """Two AUCs on the same cases, compared.

    Attributes:
      left: AUC of the left model.
      right: AUC of the right model.
      difference: left minus right.
      interval: of the difference, normal.
      variance: of the difference.
      statistic: the difference over its standard error; 0 where the two models order
        the cases alike.
      p_value: two-sided, of no difference. NaN, as the interval's ends, where the cases
        are too few to tell the variance: one patient on a side, or two models that
        both make no mistake or all.
    """

    left: float
    right: float
    difference: float
    interval: Interval
    variance: float
    statistic: float
    p_value: float


def delong_test(
    labels: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    patients: np.ndarray | None = None,
    level: float = 0.95,
) -> DeLong:
    """Compares two models' AUCs on the same cases.

    Args:
      labels: [n] of 0 and 1, or bool; NaN is unlabelled, left out.
      left: float [n], one model's scores, higher meaning more likely positive: its
        outputs for a class, or `referable_score` of them.
      right: float [n], the other's, on any other scale.
      patients: [n], the patient of each case; None where each has one.
      level: intended coverage of the interval.

    Raises:
      ValueError: lengths that differ, scores that are not finite, labels other than
        0, 1 and NaN, or cases of one class only.
    """
    aucs, covariance = auc_covariance(labels, np.stack([left, right]), patients)
    difference = float(aucs[0] - aucs[1])
    contrast = np.array([1.0, -1.0])
    # Rounding may take a variance of nothing below zero.
    variance = float(np.maximum(contrast @ covariance @ contrast, 0.0))
    if variance > 0:
        statistic = difference / np.sqrt(variance)
    else:
        statistic = 0.0 if difference == 0 and variance == 0 else np.nan
    return DeLong(
        left=float(aucs[0]),
        right=float(aucs[1]),
        difference=difference,
        interval=_interval(difference, variance, statistic, level),
        variance=variance,
        statistic=float(statistic),
        p_value=float(2 * stats.norm.sf(abs(statistic))),
    )


def auc_covariance(
    labels: np.ndarray, scores: np.ndarray, patients: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """AUCs of several models on the same cases, and their covariance matrix.

    Args:
      labels: [n] of 0 and 1, or bool; NaN is unlabelled, left out.
      scores: float [models, n].
      patients: [n], the patient of each case; None where each has one.

    Returns:
      float64 [models] and [models, models]. The matrix is NaN where the positives or
      the negatives are all of one patient.

    Raises:
      ValueError: as `delong_test`.
    """
    positive, scores, members = _cases(labels, scores, patients)
    above, below = _components(scores[:, positive], scores[:, ~positive])
    aucs = above.mean(axis=1)
    count = members.max() + 1
    left, right = (
        np.stack([np.bincount(own, row, count) for row in part - aucs[:, None]])
        for part, own in ((above, members[positive]), (below, members[~positive]))
    )
    left, right = left / above.shape[1], right / below.shape[1]
    crossed = left @ right.T
    covariance = (
        _bessel(members[positive]) * (left @ left.T)
        + _bessel(members[~positive]) * (right @ right.T)
        + _bessel(members) * (crossed + crossed.T)
    )
    return aucs, covariance


def _components(positives: np.ndarray, negatives: np.ndarray) -> tuple:
    """Shares of negatives below each positive, and of positives above each negative.

    A tie counts one half.
    """
    count, others = positives.shape[1], negatives.shape[1]
    ranks = stats.rankdata(np.concatenate([positives, negatives], axis=1), axis=1)
    above = (ranks[:, :count] - stats.rankdata(positives, axis=1)) / others
    below = 1 - (ranks[:, count:] - stats.rankdata(negatives, axis=1)) / count
    return above, below


def _bessel(members: np.ndarray) -> float:
    """N / (n - 1) for n patients; NaN for one."""
    count = len(np.unique(members))
    return count / (count - 1) if count > 1 else np.nan


def _interval(
    estimate: float, variance: float, statistic: float, level: float
) -> Interval:
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    # Without variance only models that order the cases alike are known to be so.
    known = variance > 0 or statistic == 0
    half = stats.norm.ppf((1 + level) / 2) * np.sqrt(variance) if known else np.nan
    return Interval(estimate, float(estimate - half), float(estimate + half), level)


def _cases(
    labels: np.ndarray, scores: np.ndarray, patients: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positive bool [n], scores float64 [models, n], patient numbers int64 [n]."""
    labels = np.asarray(labels, dtype=np.float64)
    scores = np.asarray(scores, dtype=np.float64)
    owners = np.arange(len(labels)) if patients is None else np.asarray(patients)
    if labels.ndim != 1 or scores.shape[1:] != labels.shape:
        raise ValueError(f"scores {scores.shape[1:]} for labels {labels.shape}")
    if owners.shape != labels.shape:
        raise ValueError(f"{len(owners)} patients for {len(labels)} labels")
    if not (np.isnan(labels) | (labels == 0) | (labels == 1)).all():
        raise ValueError("labels must be 0, 1 or NaN")
    labelled = ~np.isnan(labels)
    positive, scores = labels[labelled] == 1, scores[:, labelled]
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite to be ranked")
    if positive.all() or not positive.any():
        raise ValueError("an AUC needs positive and negative cases")
    _, members = np.unique(owners[labelled], return_inverse=True)
    return positive, scores, members
