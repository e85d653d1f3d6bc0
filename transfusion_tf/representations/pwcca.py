"""Projection weighted CCA: canonical correlations weighted by what they account for.

Morcos, Raghu, Bengio, NeurIPS 2018, section 3.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from transfusion_tf.representations.cca import cca


@dataclass(frozen=True, eq=False)
class PWCCA:
    """A weighted mean of canonical correlations.

    Attributes:
      value: The weighted mean, in [0, 1]; 0 if a side does not vary.
      weights: [min(rank_x, rank_y)] float64, summing to 1: each variate's share of
        the absolute covariance with the channels of x.
      coefficients: [min(rank_x, rank_y)] float64; those of CCA.
      rank_x: Number of independent directions in x.
      rank_y: Number of independent directions in y.
    """

    value: float
    weights: np.ndarray
    coefficients: np.ndarray
    rank_x: int
    rank_y: int


def pwcca(x: Any, y: Any) -> PWCCA:
    """Projection weighted CCA; the weights come from the first argument.

    Not symmetric: directions count for as much as they carry of the channels of x.
    (In the code published with the paper the weights may come from either side, and
    the directions they use leave out the whitening.)

    Args:
      x: [points, channels_x], array or tensor.
      y: [points, channels_y].

    Raises:
      UserError: As `cca`.

    Warns:
      RepresentationWarning: As `cca`.
    """
    found = cca(x, y, directions=True)
    assert found.directions is not None  # asked for above
    # Variates have unit variance, so that a channel's covariance with one is the length
    # of its projection onto it.
    loadings = np.abs(found.directions.loadings_x).sum(axis=0)
    total = loadings.sum()
    weights = loadings / total if total else loadings
    return PWCCA(
        value=float(weights @ found.coefficients),
        weights=weights,
        coefficients=found.coefficients,
        rank_x=found.rank_x,
        rank_y=found.rank_y,
    )
