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
      similarity: share of the examples, in [0, 1] (equation 2); of several findings,
        the mean of theirs.
      independent: what it would be for models of these accuracies whose mistakes have
        nothing to do with one another: a1 a2 + (1 - a1)(1 - a2). Of each finding by
        itself: where easy and hard findings are pooled first, models that are right
        on the easy ones seem to err alike.
      interval: of the similarity, over patients.
      excess: similarity minus independent, with its interval over patients.
      accuracies: left's and right's, likewise.
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
    # An example has one prediction, or one a finding.
    labelled = ~np.isnan(ours)
    known = labelled.any(axis=1)
    if not known.any():
        raise ValueError("no example is labelled")
    both = np.stack([ours == theirs, ours == 1, theirs == 1])[:, known]
    labelled = labelled[known].astype(np.float64)
    found = _means(both, labelled, np.ones((1, known.sum())))[0].tolist()
    blocks = patient_weights(owners[known], samples, seed)
    drawn = np.concatenate([_means(both, labelled, weights) for weights in blocks])
    similarity, left_accuracy, right_accuracy, independent = found
    return PredictionSimilarity(
        similarity=similarity,
        independent=independent,
        interval=percentile_interval(similarity, drawn[:, 0], level),
        excess=percentile_interval(
            similarity - independent, drawn[:, 0] - drawn[:, 3], level
        ),
        accuracies=(left_accuracy, right_accuracy),
    )


def _means(both: np.ndarray, labelled: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Means over findings, in each sample of the examples.

    Args:
      both: [3, n, findings], whether the models agree, the left is right, the right is.
      labelled: [n, findings].
      weights: [samples, n].

    Returns:
      [samples, 4]: similarity, left's and right's accuracy, and the baseline. Findings
      of which nothing was drawn do not count.
    """
    total = weights @ labelled
    shares = (weights @ (both * labelled)) / np.where(total > 0, total, np.nan)
    _, left, right = shares
    independent = left * right + (1 - left) * (1 - right)
    return np.nanmean([*shares, independent], axis=2).T


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
