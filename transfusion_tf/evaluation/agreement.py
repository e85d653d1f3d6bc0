"""How alike two models' predictions are: whether they err on the same examples.

Hidden representations (Juodelyte et al., 2023, section 3.2, after Mania et al., 2019).
"""

import dataclasses

import numpy as np

from transfusion_tf.evaluation.checks import (
    check_kind,
    checked,
    checked_probabilities,
    single_class,
)
from transfusion_tf.evaluation.intervals import (
    Interval,
    patient_weights,
    percentile_interval,
)


@dataclasses.dataclass(frozen=True)
class PredictionSimilarity:
    """How often two models are both right or both wrong.

    Attributes:
      similarity: share of the examples, in [0, 1] (equation 2).
      independent: what it would be for models of these accuracies whose mistakes have
        nothing to do with one another: a1 a2 + (1 - a1)(1 - a2).
      interval: of the similarity, over patients.
      excess: similarity minus independent, with its interval over patients.
      accuracies: left's and right's.
    """

    similarity: float
    independent: float
    interval: Interval
    excess: Interval
    accuracies: tuple[float, float]


def prediction_similarity(
    labels: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    patients: np.ndarray | None = None,
    kind: str = "class",
    *,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> PredictionSimilarity:
    """Compares the mistakes of two models on the same test examples.

    The independent baseline is the paper's formula; its authors took one model's
    accuracy alone. Over folds take `estimate_mean` of the similarities or excesses.

    Args:
      labels: classes [n], or float [n, classes] in {0, 1}; NaN is unlabelled, left out.
      left: one model's outputs, float [n, classes] in [0, 1], or its classes [n].
      right: the other's, likewise.
      patients: [n], the patient of each example; None where each has one.
      kind: of the data set. For `grade` and `class` the largest output is the
        prediction; for `findings` each labelled one is, there or not at 0.5.
      samples: bootstrap samples of the patients.
      level: intended coverage.
      seed: of the draws.

    Raises:
      UserError: unknown kind.
      ValueError: shapes or values that don't fit, or nothing labelled.
    """
    check_kind(kind)
    count = len(labels)
    owners = np.arange(count) if patients is None else np.asarray(patients)
    if len(owners) != count:
        raise ValueError(f"{len(owners)} patients for {count} examples")
    ours, theirs = _right(labels, left, kind), _right(labels, right, kind)
    # An example has one prediction, or one a finding: each that is labelled counts.
    total = (~np.isnan(ours)).sum(axis=1)
    if not total.any():
        raise ValueError("no example is labelled")
    sums = _sums(ours, theirs)
    shares = sums.sum(axis=0) / total.sum()
    known = total > 0
    blocks = patient_weights(owners[known], samples, seed)
    drawn = np.concatenate([_shares(sums[known], total[known], b) for b in blocks])
    independent, replicates = _independent(shares), _independent(drawn)
    similarity, left_accuracy, right_accuracy = shares.tolist()
    return PredictionSimilarity(
        similarity=similarity,
        independent=float(independent),
        interval=percentile_interval(similarity, drawn[:, 0], level),
        excess=percentile_interval(
            similarity - float(independent), drawn[:, 0] - replicates, level
        ),
        accuracies=(left_accuracy, right_accuracy),
    )


def _sums(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of each example's predictions how many agree, and how many of each are right."""
    agree = (left == right).sum(axis=1)
    return np.stack([agree, np.nansum(left, axis=1), np.nansum(right, axis=1)], axis=1)


def _shares(sums: np.ndarray, total: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sums over predictions in each bootstrap sample, [samples, 3]."""
    return weights @ sums / (weights @ total)[:, None]


def _independent(shares: np.ndarray) -> np.ndarray:
    """The baseline from shares [..., 3]: similarity, left's and right's accuracy."""
    left, right = shares[..., 1], shares[..., 2]
    return left * right + (1 - left) * (1 - right)


def _right(labels: np.ndarray, outputs: np.ndarray, kind: str) -> np.ndarray:
    """1 where a prediction is right, 0 where not, NaN unlabelled: [n, predictions]."""
    outputs = np.asarray(outputs)
    if kind == "findings":
        labels, outputs = checked(labels, outputs)
        return np.where(np.isnan(labels), np.nan, (outputs > 0.5) == (labels == 1))
    if outputs.ndim == 1:
        outputs = _one_hot(outputs, np.asarray(labels))
    outputs = checked_probabilities(outputs)
    truth = single_class(labels, outputs, "prediction similarity")
    right = outputs.argmax(axis=1) == truth
    return np.where(truth >= 0, right, np.nan)[:, None]


def _one_hot(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Predicted classes [n] as outputs [n, classes]."""
    if not ((predicted >= 0) & (predicted == np.floor(predicted))).all():
        raise ValueError(
            "predictions of shape [n] are taken for classes, 0 and up: give "
            "probabilities as [n, classes]"
        )
    if labels.ndim == 2:
        classes = labels.shape[1]
    else:
        classes = int(max(predicted.max(initial=0), np.nanmax(labels, initial=0))) + 1
    return (predicted[:, None] == np.arange(classes)).astype(np.float64)
