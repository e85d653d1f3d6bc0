"""Centred kernel alignment with a linear kernel and unbiased HSIC.

Kornblith, Norouzi, Lee, Hinton, ICML 2019; the unbiased HSIC is Song, Smola, Gretton,
Bedo, Borgwardt, JMLR 2012, equation 5, and its mini-batch form Nguyen, Raghu,
Kornblith, ICLR 2021, section 3. The biased HSIC gives wide layers a similarity of up
to 1 for no reason but their width; the unbiased does not.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from transfusion_tf.errors import UserError
from transfusion_tf.representations.moments import (
    Covariances,
    Moments,
    check_points,
    moments_of,
)
from transfusion_tf.representations.pairwise_cka import MIN_POINTS, PairwiseCKA
from transfusion_tf.representations.products import chunk_rows
from transfusion_tf.representations.whitening import warn_constant, warn_if_constant


@dataclass(frozen=True)
class CKA:
    """Centred kernel alignment.

    Attributes:
      value: 1 for equal representations up to rotation and scale, about 0 for
        unrelated ones. The unbiased estimate may fall slightly outside [0, 1];
        it is not clipped, or averages over repeats would be biased again.
    """

    value: float


def cka(x: Any, y: Any, *, biased: bool = False) -> CKA:
    """Linear CKA over all points at once.

    Invariant to rotation and to overall scale. Works in whichever of channels and
    points there are fewer, with O(channels²) or O(points²) memory.

    Args:
      x: [points, channels_x], array or tensor; 4 points or more.
      y: [points, channels_y].
      biased: Whether to use the biased HSIC of the first paper.

    Raises:
      UserError: If the numbers of points differ or are below 4, or a channel
        holds NaN or infinity.

    Warns:
      RepresentationWarning: If a side does not vary; the similarity is then 0.
    """
    check_points(x, y)
    points = int(x.shape[0])
    if points < MIN_POINTS:
        raise UserError(f"CKA needs {MIN_POINTS} points or more, got {points}")
    if points < max(x.shape[1], y.shape[1]) and not biased:
        pair = PairwiseCKA(("x", "y"))
        pair.update((x, y))
        return CKA(float(pair.matrix()[0, 1]))
    covariances = moments_of(x, y).covariances()
    if biased:
        return biased_cka_from_moments(covariances)
    return _unbiased_from_channels(x, y, covariances)


def biased_cka_from_moments(moments: Moments | Covariances) -> CKA:
    """CKA with the biased HSIC; the unbiased needs more than second moments."""
    c = moments.covariances() if isinstance(moments, Moments) else moments
    if warn_if_constant(c):
        return CKA(0.0)
    self_similarity = np.linalg.norm(c.xx) * np.linalg.norm(c.yy)
    return CKA(float(np.linalg.norm(c.xy) ** 2 / self_similarity))


def _unbiased_from_channels(x: Any, y: Any, covariances: Covariances) -> CKA:
    """Unbiased CKA from channel covariances: the Grams are never formed.

    About the mean, a point's row of the Gram without its diagonal sums to minus its
    squared length, so that the three terms of the unbiased HSIC need only the
    covariances and sums over the points' squared lengths.
    """
    c = covariances
    if warn_if_constant(c):
        return CKA(0.0)
    lengths_x = _squared_lengths(x, c.mean_x)
    lengths_y = _squared_lengths(y, c.mean_y)
    n = c.count

    def hsic(covariance: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
        squared = np.sum(((n - 1) * covariance) ** 2)
        sums = first.sum() * second.sum() / ((n - 1) * (n - 2))
        return float(squared + sums - (1 + 2 / (n - 2)) * (first @ second))

    own_x = hsic(c.xx, lengths_x, lengths_x)
    own_y = hsic(c.yy, lengths_y, lengths_y)
    if own_x <= 0 or own_y <= 0:
        warn_constant("x" if own_x <= 0 else "y", n)
        return CKA(0.0)
    return CKA(hsic(c.xy, lengths_x, lengths_y) / np.sqrt(own_x * own_y))


def _squared_lengths(points: Any, mean: np.ndarray) -> np.ndarray:
    """Squared distance of each point from the mean, [points] float64."""
    rows = chunk_rows(len(mean))
    parts = [
        tf.reduce_sum(
            (tf.cast(points[start : start + rows], tf.float64) - mean) ** 2, axis=1
        ).numpy()
        for start in range(0, points.shape[0], rows)
    ]
    return np.concatenate(parts)
