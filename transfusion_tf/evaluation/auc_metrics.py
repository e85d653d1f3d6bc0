"""Metrics of how well scores rank the examples: areas under ROC curves."""

from typing import Any

import numpy as np

from transfusion_tf.errors import UserError
from transfusion_tf.evaluation.auc import weighted_auc
from transfusion_tf.evaluation.checks import (
    checked,
    checked_probabilities,
    sample_weights,
    single_class,
    unwrapped,
)


def referable_score(probabilities: np.ndarray, referable_from: int = 2) -> np.ndarray:
    """How likely the disease is referable, from one sigmoid per grade.

    The share of the grades from `referable_from` up in the sum of all outputs.
    Sigmoids of a multi-label head need not sum to one, so a plain sum over the
    upper grades would rank an image by the overall level of its outputs as well;
    dividing by the sum of all takes that out and gives the upper grades'
    probability mass, in [0, 1]. The Transfusion paper (section 2) scores "grade 3
    and up" with grades counted from 1: on the usual scale of 0-4 that is 2 and up.

    Args:
      probabilities: float [n, grades] in [0, 1], grades rising from 0.
      referable_from: the first grade that is referable.

    Returns:
      float64 [n] in [0, 1]; 0.5 where all outputs are 0.
    """
    probabilities = checked_probabilities(probabilities)
    grades = probabilities.shape[1]
    if not 0 < referable_from < grades:
        raise UserError(
            f"referable_from must be between 1 and {grades - 1} for {grades} grades, "
            f"got {referable_from}"
        )
    total = probabilities.sum(axis=1)
    upper = probabilities[:, referable_from:].sum(axis=1)
    return np.divide(upper, total, out=np.full(len(total), 0.5), where=total > 0)


def referable_auc(
    labels: np.ndarray,
    probabilities: np.ndarray,
    referable_from: int | None = 2,
    weights: np.ndarray | None = None,
) -> Any:
    """AUC of referable disease: grades from `referable_from` up against the rest.

    Args:
      labels: one-hot float [n, grades], or grades [n]; NaN is unlabelled, left out.
      probabilities: float [n, grades] in [0, 1]; see `referable_score`.
      referable_from: the first grade that is referable; 2 of 0-4 is the usual
        definition (moderate disease and worse).
      weights: None, or float [samples, n].

    Returns:
      float, or float64 [samples] with weights; NaN without both sides.
    """
    if referable_from is None:
        raise UserError(
            "referable_auc needs referable_from: set it in the dataset card"
        )
    scores = referable_score(probabilities, referable_from)
    grades = single_class(labels, probabilities, "referable_auc")
    labelled = grades >= 0
    values = weighted_auc(
        grades[labelled] >= referable_from,
        scores[labelled],
        sample_weights(weights, len(grades))[:, labelled],
    )
    return unwrapped(values, weights)


def class_auc(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """AUC of every class against the rest, over the examples labelled for it.

    Args:
      labels: float [n, classes] in {0, 1}, NaN where unlabelled.
      probabilities: float [n, classes] in [0, 1].
      weights: None, or float [samples, n].

    Returns:
      float64 [classes], or [samples, classes] with weights; NaN for a class
      without positives or without negatives.
    """
    labels, probabilities = checked(labels, probabilities)
    rows = sample_weights(weights, len(labels))
    values = np.full((len(rows), labels.shape[1]), np.nan)
    for column in range(labels.shape[1]):
        labelled = ~np.isnan(labels[:, column])
        values[:, column] = weighted_auc(
            labels[labelled, column] > 0.5,
            probabilities[labelled, column],
            rows[:, labelled],
        )
    return values[0] if weights is None else values


def mean_auc(
    labels: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray | None = None,
) -> Any:
    """Unweighted mean of `class_auc` over the classes where it is defined."""
    values = np.atleast_2d(class_auc(labels, probabilities, weights))
    defined = ~np.isnan(values)
    count = defined.sum(axis=1)
    total = np.where(defined, values, 0.0).sum(axis=1)
    means = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
    return unwrapped(means, weights)


def prior_weighted_auc(
    labels: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray | None = None,
) -> Any:
    """Mean of `class_auc` over the classes, each weighted by its prior.

    A class's prior is its share of the examples labelled for it. That is scikit-learn's
    `roc_auc_score(multi_class="ovr", average="weighted")`, by which the hidden
    representations paper (Juodelyte et al., 2023, section 4.3) measures data of more
    than two classes. Classes whose AUC is undefined do not count.

    Args:
      labels: float [n, classes] in {0, 1}, NaN where unlabelled.
      probabilities: float [n, classes] in [0, 1].
      weights: None, or float [samples, n].

    Returns:
      float, or float64 [samples] with weights; NaN where no class has an AUC.
    """
    values = np.atleast_2d(class_auc(labels, probabilities, weights))
    labels = np.asarray(labels, dtype=np.float64)
    rows = sample_weights(weights, len(labels))
    positive = rows @ np.nan_to_num(labels)
    labelled = rows @ ~np.isnan(labels)
    defined = ~np.isnan(values)
    prior = np.where(defined, positive / np.maximum(labelled, 1e-300), 0.0)
    total = prior.sum(axis=1)
    means = np.divide(
        (prior * np.where(defined, values, 0.0)).sum(axis=1),
        total,
        out=np.full(len(values), np.nan),
        where=total > 0,
    )
    return unwrapped(means, weights)
