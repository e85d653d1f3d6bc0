"""Singular vector CCA: CCA between the leading principal directions of each side.

Raghu, Gilmer, Yosinski, Sohl-Dickstein, NeurIPS 2017.
"""

import numpy as np

from transfusion_tf.representations.cca import CCA, cca_from_moments
from transfusion_tf.representations.moments import Covariances, Moments, moments_of
from transfusion_tf.representations.whitening import EIGENVALUE_CUTOFF


def svcca(
    x,
    y,
    *,
    variance_share: float = 0.99,
    num_directions: int | None = None,
    directions: bool = False,
) -> CCA:
    """Canonical correlations between the leading principal directions of x and y.

    Unlike CCA this depends on the scale of the channels, by intention: directions of
    little variance count as noise.

    Args:
        x: [points, channels_x], array or tensor.
        y: [points, channels_y].
        variance_share: Keep, on each side, the fewest principal directions that
            hold this share of its variance, in (0, 1].
        num_directions: Keep this many instead (or all there are, if fewer); the
            published tutorial keeps 20.
        directions: Whether to return the canonical directions too.

    Returns:
        Coefficients as for CCA; `rank_x` and `rank_y` are the numbers of principal
        directions kept.

    Raises:
        ValueError: As `cca`, or if an option is out of range.

    Warns:
        RepresentationWarning: As `cca`.
    """
    return svcca_from_moments(
        moments_of(x, y),
        variance_share=variance_share,
        num_directions=num_directions,
        directions=directions,
    )


def svcca_from_moments(
    moments: Moments | Covariances,
    *,
    variance_share: float = 0.99,
    num_directions: int | None = None,
    directions: bool = False,
) -> CCA:
    """The same from accumulated moments."""
    if not 0 < variance_share <= 1:
        raise ValueError(f"variance_share must be in (0, 1], got {variance_share}")
    if num_directions is not None and num_directions < 1:
        raise ValueError(f"num_directions must be 1 or more, got {num_directions}")
    c = moments.covariances() if isinstance(moments, Moments) else moments
    keep_x = _leading(c.xx, variance_share, num_directions)
    keep_y = _leading(c.yy, variance_share, num_directions)
    kept = Covariances(
        count=c.count,
        mean_x=c.mean_x,
        mean_y=c.mean_y,
        xx=_restricted(c.xx, keep_x),
        yy=_restricted(c.yy, keep_y),
        xy=keep_x @ (keep_x.T @ c.xy @ keep_y) @ keep_y.T,
        resolution_x=c.resolution_x,
        resolution_y=c.resolution_y,
    )
    return cca_from_moments(kept, directions=directions)
