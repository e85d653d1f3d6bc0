"""Metrics of what is decided: for the class of the largest output, or at 0.5."""

from typing import Any

import numpy as np

from transfusion_tf.evaluation.checks import (
    checked_probabilities,
    sample_weights,
    single_class,
    unwrapped,
)


def accuracy(
    labels: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray | None = None,
) -> Any:
    """Share of examples whose largest output is their class, in [0, 1].

    Args:
      labels: one-hot float [n, classes], or classes [n]; NaN is unlabelled.
      probabilities: float [n, classes] in [0, 1].
      weights: None, or float [samples, n].
    """
    return _top_accuracy(labels, probabilities, weights, 1)


def top5_accuracy(
    labels: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray | None = None,
) -> Any:
    """Share of examples whose class is among the five largest outputs."""
    return _top_accuracy(labels, probabilities, weights, 5)


def balanced_accuracy(
    labels: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray | None = None,
) -> Any:
    """Mean over the classes of the share of their examples that are found, in [0, 1].

    Also called macro recall; the feature-reuse paper (section 3) reports it for ISIC.
    The class of an example is its largest output; classes without examples do not
    count.

    Args:
      labels: one-hot float [n, classes], or classes [n]; NaN is unlabelled.
      probabilities: float [n, classes] in [0, 1].
      weights: None, or float [samples, n].
    """
    confusion = _confusion(labels, probabilities, weights, "balanced_accuracy")
    count = confusion.sum(axis=2)
    found = np.diagonal(confusion, axis1=1, axis2=2)
    present = count > 0
    recall = np.divide(found, count, out=np.zeros_like(found), where=present)
    classes = present.sum(axis=1)
    values = np.divide(
        recall.sum(axis=1),
        classes,
        out=np.full(len(recall), np.nan),
        where=classes > 0,
    )
    return unwrapped(values, weights)


def quadratic_kappa(
    labels: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray | None = None,
) -> Any:
    """Cohen's kappa of grades with quadratic weights, in [-1, 1]; 0 is chance.

    1 - sum(w O) / sum(w E), with w the squared distance of the grades, O the counts of
    (true, predicted) and E what they would be if the two were independent (Cohen,
    1968). The predicted grade is the largest output.

    Args:
      labels: one-hot float [n, grades], or grades [n]; NaN is unlabelled.
      probabilities: float [n, grades] in [0, 1].
      weights: None, or float [samples, n].

    Returns:
      float, or float64 [samples] with weights; NaN where truth and prediction are
      one and the same grade throughout.
    """
    confusion = _confusion(labels, probabilities, weights, "quadratic_kappa")
    grades = np.arange(confusion.shape[1])
    distance = (grades[:, None] - grades[None, :]) ** 2
    true, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    total = np.maximum(true.sum(axis=1), 1e-300)
    observed = (confusion * distance).sum(axis=(1, 2))
    expected = np.einsum("si,sj,ij->s", true, predicted, distance) / total
    ratio = np.divide(
        observed, expected, out=np.full(len(observed), np.nan), where=expected > 0
    )
    return unwrapped(1 - ratio, weights)


def finding_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Share of findings that are told right at 0.5, the mean over all, in [0, 1].

    MedMNIST's ACC of several labels per image (Yang et al. 2023). Where findings are
    rare, outputs that never see one have a high one.

    Args:
      labels: float [n, findings] in {0, 1}; NaN is unlabelled.
      probabilities: float [n, findings] in [0, 1].
    """
    known = ~np.isnan(labels)
    right = ((probabilities > 0.5) == (labels > 0.5)) & known
    labelled = known.sum(axis=0)
    shares = right.sum(axis=0)[labelled > 0] / labelled[labelled > 0]
    return float(shares.mean()) if shares.size else np.nan


def _top_accuracy(
    labels: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray | None,
    top: int,
) -> Any:
    probabilities = checked_probabilities(probabilities)
    truth = single_class(labels, probabilities, "accuracy")
    labelled = truth >= 0
    ranked = np.argsort(-probabilities[labelled], axis=1, kind="stable")[:, :top]
    hits = (ranked == truth[labelled, None]).any(axis=1)
    rows = sample_weights(weights, len(truth))[:, labelled].astype(np.float64)
    total = rows.sum(axis=1)
    values = np.divide(
        rows @ hits, total, out=np.full(len(rows), np.nan), where=total > 0
    )
    return unwrapped(values, weights)


def _confusion(
    labels: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray | None,
    name: str,
) -> np.ndarray:
    """Weighted counts of (true, predicted), float64 [samples, classes, classes]."""
    probabilities = checked_probabilities(probabilities)
    truth = single_class(labels, probabilities, name)
    labelled = truth >= 0
    classes = probabilities.shape[1]
    cell = truth * classes + probabilities.argmax(axis=1)
    rows = sample_weights(weights, len(truth))[:, labelled].astype(np.float64)
    counts = np.zeros((len(rows), classes * classes))
    for index in np.unique(cell[labelled]):
        counts[:, index] = rows[:, cell[labelled] == index].sum(axis=1)
    return counts.reshape(len(rows), classes, classes)
