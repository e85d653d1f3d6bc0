"""Singular vector CCA: CCA between the leading principal directions of each side.

Raghu, Gilmer, Yosinski, Sohl-Dickstein, NeurIPS 2017.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from transfusion_tf.errors import UserError
from transfusion_tf.representations.cca import CCA, Directions, cca_from_moments
from transfusion_tf.representations.decompositions import eigh
from transfusion_tf.representations.moments import Covariances, Moments, moments_of
from transfusion_tf.representations.whitening import EIGENVALUE_CUTOFF


def svcca(
    x: Any,
    y: Any,
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
      UserError: As `cca`, or if an option is out of range.

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
        raise UserError(f"variance_share must be in (0, 1], got {variance_share}")
    if num_directions is not None and num_directions < 1:
        raise UserError(f"num_directions must be 1 or more, got {num_directions}")
    c = moments.covariances() if isinstance(moments, Moments) else moments
    values_x, axes_x = _leading(c.xx, variance_share, num_directions)
    values_y, axes_y = _leading(c.yy, variance_share, num_directions)
    leading = Covariances(
        count=c.count,
        mean_x=c.mean_x @ axes_x,
        mean_y=c.mean_y @ axes_y,
        xx=np.diag(values_x),
        yy=np.diag(values_y),
        xy=axes_x.T @ c.xy @ axes_y,
        resolution_x=c.resolution_x,
        resolution_y=c.resolution_y,
    )
    result = cca_from_moments(leading, directions=directions)
    if result.directions is None:
        return result
    in_channels = Directions(
        x=axes_x @ result.directions.x,
        y=axes_y @ result.directions.y,
        loadings_x=axes_x @ result.directions.loadings_x,
        loadings_y=axes_y @ result.directions.loadings_y,
        mean_x=c.mean_x,
        mean_y=c.mean_y,
    )
    return replace(result, directions=in_channels)


def _leading(
    covariance: np.ndarray, variance_share: float, num_directions: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Variances along the leading principal axes, and the axes [channels, kept]."""
    values, axes = eigh(covariance)
    values, axes = np.clip(values[::-1], 0, None), axes[:, ::-1]
    present = int(np.sum(values > EIGENVALUE_CUTOFF * values[0]))
    if num_directions is not None:
        kept = min(num_directions, present)
    else:
        reached = np.cumsum(values) >= variance_share * values.sum()
        kept = min(int(np.argmax(reached)) + 1 if reached.any() else present, present)
    return values[:kept], axes[:, :kept]
