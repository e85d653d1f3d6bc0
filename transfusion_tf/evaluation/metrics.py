"""What a set of predictions is worth: one number a metric.

Every metric takes labels and the outputs of one sigmoid per class. Given `weights`
of shape [samples, n] it returns one value a sample instead of one value: that is
how `transfusion_tf.evaluation.intervals` bootstraps without a loop.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.evaluation.auc import weighted_auc

Kind = Literal["grade", "class", "findings"]

KINDS: tuple[Kind, ...] = ("grade", "class", "findings")


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
    probabilities = _checked_probabilities(probabilities)
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
    grades = _single_class(labels, probabilities, "referable_auc")
    labelled = grades >= 0
    values = weighted_auc(
        grades[labelled] >= referable_from,
        scores[labelled],
        _weights(weights, len(grades))[:, labelled],
    )
    return _unwrapped(values, weights)


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
    labels, probabilities = _checked(labels, probabilities)
    rows = _weights(weights, len(labels))
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
    referable_from: int | None = None,
    weights: np.ndarray | None = None,
) -> Any:
    """Unweighted mean of `class_auc` over the classes where it is defined."""
    del referable_from
    values = np.atleast_2d(class_auc(labels, probabilities, weights))
    defined = ~np.isnan(values)
    count = defined.sum(axis=1)
    total = np.where(defined, values, 0.0).sum(axis=1)
    means = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
    return _unwrapped(means, weights)


def accuracy(
    labels: np.ndarray,
    probabilities: np.ndarray,
    referable_from: int | None = None,
    weights: np.ndarray | None = None,
) -> Any:
    """Share of examples whose largest output is their class, in [0, 1].

    Args:
      labels: one-hot float [n, classes], or classes [n]; NaN is unlabelled.
      probabilities: float [n, classes] in [0, 1].
      referable_from: taken for the common signature, not used.
      weights: None, or float [samples, n].
    """
    del referable_from
    return _top_accuracy(labels, probabilities, weights, 1)


def top5_accuracy(
    labels: np.ndarray,
    probabilities: np.ndarray,
    referable_from: int | None = None,
    weights: np.ndarray | None = None,
) -> Any:
    """Share of examples whose class is among the five largest outputs."""
    del referable_from
    return _top_accuracy(labels, probabilities, weights, 5)


def balanced_accuracy(
    labels: np.ndarray,
    probabilities: np.ndarray,
    referable_from: int | None = None,
    weights: np.ndarray | None = None,
) -> Any:
    """Mean over the classes of the share of their examples that are found, in [0, 1].

    Also called macro recall; the feature-reuse paper (section 3) reports it for ISIC.
    The class of an example is its largest output; classes without examples do not
    count.

    Args:
      labels: one-hot float [n, classes], or classes [n]; NaN is unlabelled.
      probabilities: float [n, classes] in [0, 1].
      referable_from: taken for the common signature, not used.
      weights: None, or float [samples, n].
    """
    del referable_from
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
    return _unwrapped(values, weights)


def quadratic_kappa(
    labels: np.ndarray,
    probabilities: np.ndarray,
    referable_from: int | None = None,
    weights: np.ndarray | None = None,
) -> Any:
    """Cohen's kappa of grades with quadratic weights, in [-1, 1]; 0 is chance.

    1 - sum(w O) / sum(w E), with w the squared distance of the grades, O the counts of
    (true, predicted) and E what they would be if the two were independent (Cohen,
    1968). The predicted grade is the largest output.

    Args:
      labels: one-hot float [n, grades], or grades [n]; NaN is unlabelled.
      probabilities: float [n, grades] in [0, 1].
      referable_from: taken for the common signature, not used.
      weights: None, or float [samples, n].

    Returns:
      float, or float64 [samples] with weights; NaN where truth and prediction are
      one and the same grade throughout.
    """
    del referable_from
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
    return _unwrapped(1 - ratio, weights)


METRICS: dict[str, Callable[..., Any]] = {
    "referable_auc": referable_auc,
    "mean_auc": mean_auc,
    "accuracy": accuracy,
    "top5_accuracy": top5_accuracy,
    "balanced_accuracy": balanced_accuracy,
    "quadratic_kappa": quadratic_kappa,
}


def metric(name: str) -> Callable[..., Any]:
    """The metric of that name: `f(labels, probabilities, *, referable_from)`.

    Raises:
      UserError: no such metric; the message lists the valid ones.
    """
    if name not in METRICS:
        raise one_of("metric", name, METRICS)
    return METRICS[name]


def chance_level(name: str, num_classes: int) -> float:
    """What the metric gives, on balanced classes, to outputs that know nothing."""
    metric(name)
    if name.endswith("auc"):
        return 0.5
    if name.endswith("kappa"):
        return 0.0
    return min(1.0, (5 if name.startswith("top5") else 1) / num_classes)


def compute_metrics(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    kind: str,
    referable_from: int | None = None,
) -> dict[str, float]:
    """All metrics that apply to a kind of data set, and the AUC of every class.

    Args:
      labels: float [n, classes] in {0, 1}, NaN where unlabelled.
      probabilities: float [n, classes] in [0, 1].
      classes: their names, in order.
      kind: `grade` (ordered, one an example), `class` (one an example) or
        `findings` (any number an example).
      referable_from: for `grade`, the first referable grade; None leaves
        `referable_auc` out.

    Returns:
      `{metric: value}` with `auc/<class>` for every class. What is undefined, such
      as the AUC of a class that no example has, is left out: every value is finite.

    Raises:
      UserError: unknown kind.
      ValueError: probabilities that are not finite or not in [0, 1], or shapes
        that do not match.
    """
    if kind not in KINDS:
        raise one_of("kind of data set", kind, KINDS)
    labels, probabilities = _checked(labels, probabilities)
    if len(classes) != labels.shape[1]:
        raise ValueError(f"{len(classes)} class names for {labels.shape[1]} columns")
    values: dict[str, float] = {}
    if kind == "grade" and referable_from is not None:
        values["referable_auc"] = referable_auc(labels, probabilities, referable_from)
    by_class = class_auc(labels, probabilities)
    defined = by_class[~np.isnan(by_class)]
    values["mean_auc"] = float(defined.mean()) if defined.size else np.nan
    if kind in ("grade", "class"):
        values["accuracy"] = accuracy(labels, probabilities)
        if len(classes) > 5:
            values["top5_accuracy"] = top5_accuracy(labels, probabilities)
        values["balanced_accuracy"] = balanced_accuracy(labels, probabilities)
    if kind == "grade":
        values["quadratic_kappa"] = quadratic_kappa(labels, probabilities)
    for name, value in zip(classes, by_class, strict=True):
        values[f"auc/{name}"] = float(value)
    return {name: value for name, value in values.items() if np.isfinite(value)}


def _top_accuracy(
    labels: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray | None,
    top: int,
) -> Any:
    probabilities = _checked_probabilities(probabilities)
    truth = _single_class(labels, probabilities, "accuracy")
    labelled = truth >= 0
    ranked = np.argsort(-probabilities[labelled], axis=1, kind="stable")[:, :top]
    hits = (ranked == truth[labelled, None]).any(axis=1)
    rows = _weights(weights, len(truth))[:, labelled].astype(np.float64)
    total = rows.sum(axis=1)
    values = np.divide(
        rows @ hits, total, out=np.full(len(rows), np.nan), where=total > 0
    )
    return _unwrapped(values, weights)


def _confusion(
    labels: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray | None,
    name: str,
) -> np.ndarray:
    """Weighted counts of (true, predicted), float64 [samples, classes, classes]."""
    probabilities = _checked_probabilities(probabilities)
    truth = _single_class(labels, probabilities, name)
    labelled = truth >= 0
    classes = probabilities.shape[1]
    cell = truth * classes + probabilities.argmax(axis=1)
    rows = _weights(weights, len(truth))[:, labelled].astype(np.float64)
    counts = np.zeros((len(rows), classes * classes))
    for index in np.unique(cell[labelled]):
        counts[:, index] = rows[:, cell[labelled] == index].sum(axis=1)
    return counts.reshape(len(rows), classes, classes)


def _single_class(
    labels: np.ndarray, probabilities: np.ndarray, name: str
) -> np.ndarray:
    """Class indices int64 [n] from one-hot rows or indices; -1 is unlabelled."""
    labels = np.asarray(labels, dtype=np.float64)
    if labels.shape[:1] != np.shape(probabilities)[:1]:
        raise ValueError(
            f"{len(labels)} labels for {len(probabilities)} rows of probabilities"
        )
    if labels.ndim == 1:
        indices = np.where(np.isnan(labels), -1, labels).astype(np.int64)
        if (indices >= np.shape(probabilities)[1]).any():
            raise ValueError(
                f"{name}: label {indices.max()} outside the "
                f"{np.shape(probabilities)[1]} classes"
            )
        return indices
    _checked(labels, probabilities)
    unlabelled = np.isnan(labels).any(axis=1)
    if (labels[~unlabelled].sum(axis=1) != 1).any():
        raise ValueError(
            f"{name} needs exactly one class an example; for findings use mean_auc"
        )
    return np.where(unlabelled, -1, np.nan_to_num(labels).argmax(axis=1))


def _checked(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    labels = np.asarray(labels, dtype=np.float64)
    probabilities = _checked_probabilities(probabilities)
    if labels.shape != probabilities.shape:
        raise ValueError(
            f"labels {labels.shape} and probabilities {probabilities.shape} "
            "must have the same shape [n, classes]"
        )
    if not (np.isnan(labels) | (labels == 0) | (labels == 1)).all():
        raise ValueError("labels must be 0, 1 or NaN")
    return labels, probabilities


def _checked_probabilities(probabilities: np.ndarray) -> np.ndarray:
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.ndim != 2:
        raise ValueError(
            f"probabilities must have shape [n, classes], got {probabilities.shape}"
        )
    if not np.isfinite(probabilities).all():
        rows = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
        raise ValueError(
            f"probabilities are not finite in {len(rows)} of {len(probabilities)} "
            f"rows, first in row {rows[0]}"
        )
    if probabilities.size and not (
        probabilities.min() >= 0 and probabilities.max() <= 1
    ):
        raise ValueError("probabilities must lie in [0, 1]: apply the sigmoid first")
    return probabilities


def _weights(weights: np.ndarray | None, count: int) -> np.ndarray:
    if weights is None:
        return np.ones((1, count))
    if np.ndim(weights) != 2 or np.shape(weights)[1] != count:
        raise ValueError(
            f"weights must have shape [samples, {count}], got {np.shape(weights)}"
        )
    return np.asarray(weights)


def _unwrapped(values: np.ndarray, weights: np.ndarray | None) -> Any:
    return float(values[0]) if weights is None else values
