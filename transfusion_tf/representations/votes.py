"""Labels of neighbours, and how neighbours vote by them."""

from typing import Any

import numpy as np

from transfusion_tf.errors import UserError, one_of

VOTES = ("majority", "softmax")
TEMPERATURE = 0.07

_LABELS = (
    "give classes, whole numbers from 0 up, [n], or a column a class of 0, 1 and NaN, "
    "[n, classes]"
)
NO_NEIGHBOURS = "there are no training images to find neighbours among"


def check_vote(vote: str, temperature: float) -> None:
    """Raises UserError unless there is such a vote, with this temperature."""
    if vote not in VOTES:
        raise one_of("vote", vote, VOTES)
    if vote == "softmax" and not temperature > 0:
        raise UserError(f"the temperature must be above 0, got {temperature}")


def one_hot(labels: Any) -> np.ndarray:
    """float32 [n, classes] in {0, 1, NaN} from classes [n], or such rows as they are.

    Raises:
      UserError: If they are neither.
    """
    try:
        given = np.asarray(labels)
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise UserError(f"labels are no numbers: {_LABELS}") from None
    if not len(np.atleast_1d(values)):
        raise UserError(NO_NEIGHBOURS)
    if given.dtype.kind in "USc" or values.ndim not in (1, 2) or not values.size:
        raise UserError(f"labels are {given.dtype} of shape {given.shape}: {_LABELS}")
    if values.ndim == 2:
        good = np.isin(values, (0, 1)) | np.isnan(values)
    else:
        good = (values >= 0) & (values == np.floor(values)) & np.isfinite(values)
    if not good.all():
        place = tuple(map(int, np.argwhere(~good)[0]))
        where = f"row {place[0]}" + (f", column {place[1]}" if place[1:] else "")
        raise UserError(f"label {values[place]:g} in {where}: {_LABELS}")
    if values.ndim == 2:
        return values.astype(np.float32)
    classes = values.astype(np.int64)
    rows = np.zeros((len(classes), classes.max() + 1), np.float32)
    rows[np.arange(len(classes)), classes] = 1
    return rows


def vote_weights(similarities: np.ndarray, vote: str, temperature: float) -> np.ndarray:
    """Votes of each neighbour, float64 [images, k]."""
    if vote == "majority":
        return np.ones(similarities.shape)
    # Shares do not change when all weights are divided by the largest.
    return np.exp((similarities - similarities[:, :1]) / temperature)


def vote_shares(weights: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[n, k] votes and [n, k, classes] labels to float64 [n, classes]."""
    known = ~np.isnan(labels)
    votes = np.einsum("nk,nkc->nc", weights, np.where(known, labels, 0.0))
    total = np.einsum("nk,nkc->nc", weights, known.astype(np.float64))
    return np.divide(votes, total, out=np.full(votes.shape, 0.5), where=total > 0)
