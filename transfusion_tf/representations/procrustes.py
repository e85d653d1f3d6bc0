"""Orthogonal Procrustes: how well one side can be rotated onto the other.

Ding, Denain, Steinhardt, NeurIPS 2021, section 2; Williams, Kunz, Kornblith,
Linderman, NeurIPS 2021.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from transfusion_tf.representations.decompositions import singular_values
from transfusion_tf.representations.moments import (
    Covariances,
    Moments,
    moments_of,
)
from transfusion_tf.representations.whitening import warn_if_constant


@dataclass(frozen=True)
class Procrustes:
    """The best rotation's success.

    Attributes:
      value: Similarity in [0, 1]: the cosine between x and the best rotated y.
      distance: Squared Procrustes distance of the two sides, centred and scaled to
        length 1: `2 - 2 * value`, in [0, 2].
    """

    value: float
    distance: float


def procrustes(x: Any, y: Any) -> Procrustes:
    """Similarity after the best rotation of one side onto the other.

    Both sides are centred and scaled to unit norm; the smaller is padded with zero
    channels. Invariant to rotation and to overall scale, unlike CCA not to other
    linear maps.

    Args:
      x: [points, channels_x], array or tensor.
      y: [points, channels_y].

    Raises:
      UserError: If the numbers of points differ, or a channel holds NaN or
        infinity.

    Warns:
      RepresentationWarning: If a side does not vary; the similarity is then 0.
    """
    return procrustes_from_moments(moments_of(x, y))


def procrustes_from_moments(moments: Moments | Covariances) -> Procrustes:
    """The same from accumulated moments."""
    c = moments.covariances() if isinstance(moments, Moments) else moments
    if warn_if_constant(c):
        return Procrustes(value=0.0, distance=2.0)
    lengths = np.sqrt(np.trace(c.xx)), np.sqrt(np.trace(c.yy))
    nuclear_norm = singular_values(c.xy).sum()
    value = float(np.clip(nuclear_norm / (lengths[0] * lengths[1]), 0.0, 1.0))
    return Procrustes(value=value, distance=2 - 2 * value)
