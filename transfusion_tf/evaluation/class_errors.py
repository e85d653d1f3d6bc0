"""Which images of a class are missed, and how sure the outputs are of it."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class ClassErrors:
    """The errors of one true class, the most confident first.

    Attributes:
      name: the class, or `no <finding>`.
      images: how many images are of it.
      missed: how many of them something else is predicted for.
      rows: of the most confident errors.
      predicted: what was predicted there.
      probability: what the outputs give it, in [0, 1].
      directions: what tells the prediction from the truth, as weights of the logits:
        float [errors, classes].
    """

    name: str
    images: int
    missed: int
    rows: tuple[int, ...]
    predicted: tuple[str, ...]
    probability: tuple[float, ...]
    directions: np.ndarray


def confident_errors(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    kind: str,
    most: int = 6,
) -> list[ClassErrors]:
    """The most confident errors of each class, in the order of the classes.

    Of exclusive classes the largest output is predicted, and counts as confidence. A
    finding is missed where its output is below one half; where there is one finding
    alone, it is raised falsely from one half up.

    Args:
      labels: float [n, classes] in {0, 1}, NaN where unlabelled.
      probabilities: float [n, classes] in [0, 1].
      classes: their names.
      kind: `grade`, `class` or `findings`.
      most: errors of each class.
    """
    if kind == "findings":
        sides = _findings(labels, probabilities, classes)
    else:
        sides = _exclusive(labels, probabilities, classes)
    found = []
    for name, rows, predicted, probability, directions in sides:
        wrong = np.flatnonzero(predicted != name)
        order = wrong[np.argsort(-probability[wrong], kind="stable")][:most]
        found.append(
            ClassErrors(
                name,
                len(rows),
                len(wrong),
                tuple(rows[order].tolist()),
                tuple(predicted[order].tolist()),
                tuple(probability[order].tolist()),
                directions[order],
            )
        )
    return found


# Name, rows, and of each row: prediction, its probability, direction of the logits.
_Side = tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _exclusive(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> Iterator[_Side]:
    names, one_hot = np.array(classes, object), np.eye(len(classes))
    known = ~np.isnan(labels).any(axis=1)
    for column, name in enumerate(classes):
        rows = np.flatnonzero(known & (labels[:, column] == 1))
        chosen = probabilities[rows].argmax(axis=1)
        probability = probabilities[rows, chosen]
        yield name, rows, names[chosen], probability, one_hot[chosen] - one_hot[column]


def _findings(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> Iterator[_Side]:
    for column, name in enumerate(classes):
        for value in (1, 0) if len(classes) == 1 else (1,):
            rows = np.flatnonzero(labels[:, column] == value)
            raised = probabilities[rows, column] >= 0.5
            probability = np.where(
                raised, probabilities[rows, column], 1 - probabilities[rows, column]
            )
            directions = np.zeros((len(rows), len(classes)))
            directions[:, column] = np.where(raised, 1, -1)
            words = np.array([f"no {name}", name], object)
            predicted = words[raised.astype(int)]
            yield words[value], rows, predicted, probability, directions
