"""Labels, probabilities and weights as the metrics take them, checked."""

from typing import Any, Literal

import numpy as np

from transfusion_tf.errors import one_of

Kind = Literal["grade", "class", "findings"]

KINDS: tuple[Kind, ...] = ("grade", "class", "findings")


def check_kind(kind: str) -> None:
    """Raises UserError unless the kind of data set is one of `KINDS`."""
    if kind not in KINDS:
        raise one_of("kind of data set", kind, KINDS)


def single_class(
    labels: np.ndarray, probabilities: np.ndarray, name: str
) -> np.ndarray:
    """Class indices int64 [n] from one-hot rows or indices; -1 is unlabelled."""
    labels = np.asarray(labels, dtype=np.float64)
    if labels.shape[:1] != np.shape(probabilities)[:1]:
        raise ValueError(
            f"{len(labels)} labels for {len(probabilities)} rows of probabilities"
        )
    if labels.ndim == 1:
        classes = np.shape(probabilities)[1]
        wrong = np.flatnonzero(
            ~(np.isnan(labels) | np.isin(labels, np.arange(classes)))
        )
        if len(wrong):
            raise ValueError(
                f"{name}: label {labels[wrong[0]]:g} in row {wrong[0]} is none of "
                f"{classes} classes; labels are 0 to {classes - 1}, or NaN"
            )
        return np.where(np.isnan(labels), -1, labels).astype(np.int64)
    checked(labels, probabilities)
    unlabelled = np.isnan(labels).any(axis=1)
    if (labels[~unlabelled].sum(axis=1) != 1).any():
        raise ValueError(
            f"{name} needs exactly one class an example; for findings use mean_auc"
        )
    return np.where(unlabelled, -1, np.nan_to_num(labels).argmax(axis=1))


def checked(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 [n, classes]; ValueError unless shapes and values are right."""
    labels = np.asarray(labels, dtype=np.float64)
    probabilities = checked_probabilities(probabilities)
    if labels.shape != probabilities.shape:
        raise ValueError(
            f"labels {labels.shape} and probabilities {probabilities.shape} "
            "must have the same shape [n, classes]"
        )
    if not (np.isnan(labels) | (labels == 0) | (labels == 1)).all():
        raise ValueError("labels must be 0, 1 or NaN")
    return labels, probabilities


def checked_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Float64 [n, classes]; ValueError unless all are finite and in [0, 1]."""
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


def sample_weights(weights: np.ndarray | None, count: int) -> np.ndarray:
    """[samples, count]: one sample of ones for None."""
    if weights is None:
        return np.ones((1, count))
    if np.ndim(weights) != 2 or np.shape(weights)[1] != count:
        raise ValueError(
            f"weights must have shape [samples, {count}], got {np.shape(weights)}"
        )
    return np.asarray(weights)


def unwrapped(values: np.ndarray, weights: np.ndarray | None) -> Any:
    """One float where no weights were given, else the values [samples]."""
    return float(values[0]) if weights is None else values
