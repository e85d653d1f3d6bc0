"""What a set of predictions is worth: one number a metric.

Every metric takes labels and the outputs of one sigmoid per class. Given `weights`
of shape [samples, n] it returns one value a sample instead of one value: that is
how `transfusion_tf.evaluation.intervals` bootstraps without a loop.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from transfusion_tf.errors import one_of
from transfusion_tf.evaluation.auc_metrics import (
    class_auc,
    mean_auc,
    prior_weighted_auc,
    referable_auc,
)
from transfusion_tf.evaluation.calibration import expected_calibration_error
from transfusion_tf.evaluation.checks import check_kind, checked
from transfusion_tf.evaluation.decision_metrics import (
    accuracy,
    balanced_accuracy,
    finding_accuracy,
    quadratic_kappa,
    top5_accuracy,
)


def _whatever_is_referable(metric: Callable[..., Any]) -> Callable[..., Any]:
    """The metric with the signature that all have."""

    @functools.wraps(metric)
    def computed(
        labels: np.ndarray,
        probabilities: np.ndarray,
        referable_from: int | None = None,
        weights: np.ndarray | None = None,
    ) -> Any:
        return metric(labels, probabilities, weights)

    return computed


# Higher is better in all of them: weights are chosen and runs compared by any.
METRICS: dict[str, Callable[..., Any]] = {
    "referable_auc": referable_auc,
    "mean_auc": _whatever_is_referable(mean_auc),
    "prior_weighted_auc": _whatever_is_referable(prior_weighted_auc),
    "accuracy": _whatever_is_referable(accuracy),
    "top5_accuracy": _whatever_is_referable(top5_accuracy),
    "balanced_accuracy": _whatever_is_referable(balanced_accuracy),
    "quadratic_kappa": _whatever_is_referable(quadratic_kappa),
}


def metric(name: str) -> Callable[..., Any]:
    """The metric of that name: `f(labels, probabilities, *, referable_from)`.

    Raises:
      UserError: no such metric; the message lists the valid ones.
    """
    if name not in METRICS:
        raise one_of("metric", name, METRICS)
    return METRICS[name]


def chance_level(name: str, class_counts: Sequence[float]) -> float:
    """What the metric gives, at best, to outputs that are the same for every image.

    Args:
      name: one of `METRICS`.
      class_counts: images by class; on unequal classes the most frequent one alone
        gives a high accuracy.
    """
    metric(name)
    if name.endswith("auc"):
        return 0.5
    if name.endswith("kappa"):
        return 0.0
    if name == "balanced_accuracy":
        return 1 / len(class_counts)
    named = 5 if name.startswith("top5") else 1
    return float(sum(sorted(class_counts)[-named:]) / sum(class_counts))


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
      `{metric: value}` with `expected_calibration_error` (lower is better) and
      `auc/<class>` for every class. What is undefined, such as the AUC of a class
      that no example has, is left out: every value is finite.

    Raises:
      UserError: unknown kind.
      ValueError: probabilities that are not finite or not in [0, 1], or shapes
        that do not match.
    """
    check_kind(kind)
    labels, probabilities = checked(labels, probabilities)
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
    if kind == "findings":
        values["finding_accuracy"] = finding_accuracy(labels, probabilities)
    if kind == "grade":
        values["quadratic_kappa"] = quadratic_kappa(labels, probabilities)
    if kind in ("grade", "class"):
        values["prior_weighted_auc"] = prior_weighted_auc(labels, probabilities)
    values["expected_calibration_error"] = expected_calibration_error(
        labels, probabilities, kind
    )
    for name, value in zip(classes, by_class, strict=True):
        values[f"auc/{name}"] = float(value)
    return {name: value for name, value in values.items() if np.isfinite(value)}
