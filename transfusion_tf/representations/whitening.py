"""Which directions a set of activations really has, and coordinates along them."""

import warnings
from dataclasses import dataclass

import numpy as np

from transfusion_tf.representations.decompositions import eigh, svd
from transfusion_tf.representations.moments import Covariances, RepresentationWarning

# Second moments square the condition number: float64 resolves eigenvalues down to
# about 1e-15 of the largest, and 1e-10 leaves five digits to what is kept.
EIGENVALUE_CUTOFF = 1e-10
# The same of singular values of the points themselves, three digits above the
# rounding of their decomposition.
SINGULAR_VALUE_CUTOFF = 1e-13
# Numbers in a finer resolution hold more than their second moments do.
FINE_RESOLUTION = 1e-12
# What varies by less than this has squares that leave the range of float64.
SMALLEST_DEVIATION = 1e-140
# How many roundings a channel or direction must rise above to count as varying.
ROUNDINGS = 16


@dataclass(frozen=True)
class Whitening:
    """Coordinates in which one side's covariance is the identity.

    Attributes:
      basis: [channels, rank]; points times this have unit covariance.
      loadings: [channels, rank]; covariance of each channel with each coordinate.
      varying: Number of channels that vary at all.
    """

    basis: np.ndarray
    loadings: np.ndarray
    varying: int

    @property
    def rank(self) -> int:
        """Number of directions kept."""
        return self.basis.shape[1]


@dataclass(frozen=True)
class Channels:
    """One side's channels: which vary, by how much, and what rounding gives them.

    Attributes:
      varies: [channels] bool.
      deviation: [varying] standard deviations.
      noise: [varying]; the standard deviation that rounding of the numbers alone may
        give, over `deviation`.
    """

    varies: np.ndarray
    deviation: np.ndarray
    noise: np.ndarray

    @staticmethod
    def of(covariance: np.ndarray, mean: np.ndarray, resolution: float) -> "Channels":
        """Channels that vary by more than the rounding of their own numbers."""
        deviation = np.sqrt(np.clip(np.diag(covariance), 0, None))
        noise = rounding_noise(covariance, mean, resolution)
        varies = deviation > np.maximum(noise, SMALLEST_DEVIATION)
        return Channels(varies, deviation[varies], noise[varies] / deviation[varies])

    def whitening(self, vectors: np.ndarray, deviations: np.ndarray) -> Whitening:
        """Coordinates along directions of the channels scaled to unit variance.

        Args:
          vectors: [varying, rank], orthonormal.
          deviations: [rank]; how much the points vary along each.
        """
        basis, loadings = np.zeros((2, len(self.varies), len(deviations)))
        basis[self.varies] = vectors / self.deviation[:, None] / deviations
        loadings[self.varies] = vectors * self.deviation[:, None] * deviations
        return Whitening(basis, loadings, len(self.deviation))


def whiten(covariance: np.ndarray, mean: np.ndarray, resolution: float) -> Whitening:
    """Whitens one side from its covariance.

    Channels that vary no more than the rounding of their own numbers are dropped;
    the others are scaled to unit variance, so that a channel's scale decides
    nothing; directions below `EIGENVALUE_CUTOFF` of the largest, or below what
    rounding gives them, are null and dropped: constant, duplicated and linearly
    dependent channels lower the rank.

    Args:
      covariance: [channels, channels] float64.
      mean: [channels].
      resolution: Relative precision of the numbers, see `Covariances`.
    """
    channels = Channels.of(covariance, mean, resolution)
    varies, scale = channels.varies, 1 / channels.deviation
    correlation = covariance[np.ix_(varies, varies)] * np.outer(scale, scale)
    eigenvalues, vectors = eigh(correlation)
    rounding = channels.noise**2 @ vectors**2
    cutoff = np.maximum(EIGENVALUE_CUTOFF * eigenvalues.max(initial=0), rounding)
    kept = eigenvalues > cutoff
    return channels.whitening(vectors[:, kept], np.sqrt(eigenvalues[kept]))


def whiten_triangle(
    triangle: np.ndarray, channels: Channels, resolution: float
) -> tuple[Whitening, np.ndarray]:
    """Whitens one side from the points themselves, rotated to few rows.

    Resolves what the square root of `whiten` does, down to the rounding of the
    points; there the roundings of channels that were computed from each other add up.

    Args:
      triangle: [rows, varying]; see `triangles.triangle`.
      channels: Those of the side.
      resolution: Relative precision of the numbers, see `Covariances`.

    Returns:
      The whitening, and the rotated points in its coordinates [rows, rank], whose
      columns are orthonormal.
    """
    rotated, deviations, vectors = svd(triangle)
    finest = SINGULAR_VALUE_CUTOFF
    if resolution >= FINE_RESOLUTION:
        finest = np.sqrt(EIGENVALUE_CUTOFF)
    rounding = channels.noise @ np.abs(vectors)
    kept = deviations > np.maximum(finest * deviations.max(initial=0), rounding)
    whitening = channels.whitening(vectors[:, kept], deviations[kept])
    return whitening, rotated[:, kept]


def rounding_noise(
    covariance: np.ndarray, mean: np.ndarray, resolution: float
) -> np.ndarray:
    """Standard deviation that rounding alone may give each channel, [channels]."""
    size = np.sqrt(np.clip(np.diag(covariance), 0, None) + mean**2)
    return ROUNDINGS * resolution * size


def warn_if_constant(covariances: Covariances) -> bool:
    """Warns if a side as a whole does not vary, and says whether one does not."""
    c = covariances
    for name, covariance, mean, resolution in (
        ("x", c.xx, c.mean_x, c.resolution_x),
        ("y", c.yy, c.mean_y, c.resolution_y),
    ):
        noise = np.linalg.norm(rounding_noise(covariance, mean, resolution))
        if np.sqrt(np.trace(covariance)) <= noise:
            warn_constant(name, c.count)
            return True
    return False


def warn_constant(name: str, count: int) -> None:
    """Warns that a side or layer is constant, so that its similarity is set to 0."""
    warnings.warn(
        f"{name} is constant over all {count} points: there is nothing to compare, "
        "and the similarity is set to 0",
        RepresentationWarning,
        stacklevel=4,
    )
