"""Canonical correlation analysis of two sets of activations.

The measure of Transfusion, section 4 and appendix C, and of the hidden
representations paper, section 3.1.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from transfusion_tf.representations.decompositions import (
    product,
    singular_values,
    svd,
)
from transfusion_tf.representations.moments import (
    Covariances,
    Moments,
    RepresentationWarning,
    moments_of,
)
from transfusion_tf.representations.triangles import triangle
from transfusion_tf.representations.whitening import (
    FINE_RESOLUTION,
    Channels,
    Whitening,
    warn_constant,
    whiten,
    whiten_triangle,
)

# The reference implementation's second summary stops at this share of the sum.
_SUM_SHARE = 0.98
# Mean coefficient of unrelated activations from which on a score needs a warning.
_ALARMING_FLOOR = 0.2
# Coefficients of unrelated activations follow a quarter circle: its mean over its
# root mean square.
_MEAN_OVER_RMS = 8 / (3 * np.pi)


@dataclass(frozen=True, eq=False)
class Directions:
    """Where the correlated directions lie: `(x - mean_x) @ x` are the variates.

    Each variate has variance 1, and the k-th of both sides correlate by the k-th
    coefficient. Channels that were dropped have weight 0.

    Attributes:
      x: [channels_x, coefficients] float64.
      y: [channels_y, coefficients] float64.
      loadings_x: [channels_x, coefficients] float64; covariance of each channel of x
        with each variate of x.
      loadings_y: The same for y.
      mean_x: [channels_x] float64.
      mean_y: [channels_y] float64.
    """

    x: np.ndarray
    y: np.ndarray
    loadings_x: np.ndarray
    loadings_y: np.ndarray
    mean_x: np.ndarray
    mean_y: np.ndarray


@dataclass(frozen=True, eq=False)
class CCA:
    """Canonical correlations.

    Attributes:
      coefficients: [min(rank_x, rank_y)] float64 in [0, 1], descending.
      mean: Plain mean of all coefficients, 0 if there are none. Since it divides by
        the lower rank, it is 1 when one side holds everything the other does.
      thresholded_mean: Mean of the leading coefficients that make up 98 % of their
        sum, the reference implementation's other summary; never below `mean`.
      rank_x: Number of independent directions in x; below its number of channels
        when some are constant, duplicated or linearly dependent.
      rank_y: The same for y.
      directions: The canonical directions, where asked for.
    """

    coefficients: np.ndarray
    mean: float
    thresholded_mean: float
    rank_x: int
    rank_y: int
    directions: Directions | None = None

    @property
    def value(self) -> float:
        """`mean`, under the name that all measures share."""
        return self.mean


def cca(x: Any, y: Any, *, directions: bool = False) -> CCA:
    """Canonical correlations of two sets of activations of the same points.

    Invariant to any invertible linear map of either side. One streaming pass in
    float64; where float64 data turn out to be conditioned worse than about 1e5, which
    second moments cannot resolve, or to hold dependent channels, a second pass takes
    their QR decomposition, which is exact down to the rounding of the data
    themselves. Activations in float32 hold no more than the first pass resolves, nor
    do float64 numbers that came from float32.

    Args:
      x: [points, channels_x], array or tensor.
      y: [points, channels_y].
      directions: Whether to return the canonical directions too.

    Raises:
      UserError: If the numbers of points differ, or a channel holds NaN or
        infinity.

    Warns:
      RepresentationWarning: If a side does not vary, or if points are so few that
        the coefficients are high whatever the activations hold.
    """
    covariances = moments_of(x, y).covariances()
    sides = _Sides.of(covariances)
    if any(sides.unresolved(covariances)):
        sides = _Sides.of_points(x, y, covariances)
    return _canonical(covariances, sides, directions)


def cca_from_moments(
    moments: Moments | Covariances, *, directions: bool = False
) -> CCA:
    """The same from accumulated moments, for activations too many to hold.

    Warns:
      RepresentationWarning: As `cca`, and if float64 data are conditioned worse
        than their moments can resolve, or hold dependent channels.
    """
    covariances = moments.covariances() if isinstance(moments, Moments) else moments
    sides = _Sides.of(covariances)
    for name, side, unresolved in zip(
        "xy", (sides.x, sides.y), sides.unresolved(covariances), strict=True
    ):
        if unresolved:
            _warn(
                f"{name}: second moments resolve {side.rank} directions of "
                f"{side.varying} varying channels. That is exact if the others are "
                "duplicated or dependent channels; if they are only nearly so, "
                "cca(x, y) on the activations themselves resolves them"
            )
    return _canonical(covariances, sides, directions)


@dataclass(frozen=True, eq=False)
class _Sides:
    """Both sides whitened, and the covariance of the whitened coordinates."""

    x: Whitening
    y: Whitening
    cross: np.ndarray

    @staticmethod
    def of(covariances: Covariances) -> "_Sides":
        c = covariances
        x = whiten(c.xx, c.mean_x, c.resolution_x)
        y = whiten(c.yy, c.mean_y, c.resolution_y)
        return _Sides(x, y, product(x.basis.T, c.xy, y.basis))

    @staticmethod
    def of_points(x: Any, y: Any, covariances: Covariances) -> "_Sides":
        """The same from the points themselves: slower, and exact to their rounding."""
        c = covariances
        channels_x = Channels.of(c.xx, c.mean_x, c.resolution_x)
        channels_y = Channels.of(c.yy, c.mean_y, c.resolution_y)
        rotated = triangle(
            x,
            y,
            mean=np.concatenate([c.mean_x, c.mean_y]),
            scale=np.concatenate([channels_x.deviation, channels_y.deviation]),
            kept=np.concatenate([channels_x.varies, channels_y.varies]),
        )
        split = len(channels_x.deviation)
        side_x, in_x = whiten_triangle(rotated[:, :split], channels_x, c.resolution_x)
        side_y, in_y = whiten_triangle(rotated[:, split:], channels_y, c.resolution_y)
        return _Sides(side_x, side_y, product(in_x.T, in_y))

    def unresolved(self, covariances: Covariances) -> tuple[bool, bool]:
        """Whether a side dropped directions that its data may really hold."""
        most = covariances.count - 1
        return (
            covariances.resolution_x < FINE_RESOLUTION
            and self.x.rank < min(self.x.varying, most),
            covariances.resolution_y < FINE_RESOLUTION
            and self.y.rank < min(self.y.varying, most),
        )


def _canonical(covariances: Covariances, sides: _Sides, directions: bool) -> CCA:
    rank_x, rank_y = sides.x.rank, sides.y.rank
    _check_points(covariances, rank_x, rank_y)
    found = None
    if directions:
        left, values, right = svd(sides.cross)
        found = Directions(
            x=sides.x.basis @ left,
            y=sides.y.basis @ right,
            loadings_x=sides.x.loadings @ left,
            loadings_y=sides.y.loadings @ right,
            mean_x=covariances.mean_x,
            mean_y=covariances.mean_y,
        )
    else:
        values = singular_values(sides.cross)
    coefficients = np.clip(values, 0.0, 1.0)
    return CCA(
        coefficients=coefficients,
        mean=float(coefficients.mean()) if len(coefficients) else 0.0,
        thresholded_mean=_thresholded_mean(coefficients),
        rank_x=rank_x,
        rank_y=rank_y,
        directions=found,
    )


def _thresholded_mean(coefficients: np.ndarray) -> float:
    total = coefficients.sum()
    if not total:
        return 0.0
    leading = int(np.searchsorted(np.cumsum(coefficients), _SUM_SHARE * total)) + 1
    return float(coefficients[:leading].mean())


def _check_points(covariances: Covariances, rank_x: int, rank_y: int) -> None:
    """Warns where the points are too few for the score to mean what it seems to."""
    count = covariances.count
    for name, rank in (("x", rank_x), ("y", rank_y)):
        if not rank:
            warn_constant(name, count)
    if not rank_x or not rank_y:
        return
    forced = min(rank_x + rank_y - (count - 1), rank_x, rank_y)
    floor = _MEAN_OVER_RMS * np.sqrt(max(rank_x, rank_y) / (count - 1))
    if forced > 0:
        _warn(
            f"{count} points for {rank_x} and {rank_y} directions: {forced} of the "
            f"{min(rank_x, rank_y)} coefficients are 1 whatever the activations hold. "
            "Use more points or fewer channels"
        )
    elif floor > _ALARMING_FLOOR:
        _warn(
            f"{count} points are few for {rank_x} and {rank_y} directions: unrelated "
            f"activations would score about {floor:.2f}. Use more points or fewer "
            "channels, and read the score against noise_floor"
        )


def _warn(message: str) -> None:
    warnings.warn(message, RepresentationWarning, stacklevel=5)
