"""Which directions a set of activations really has, and coordinates along them."""

import warnings
from dataclasses import dataclass

import numpy as np

from transfusion_tf.representations.decompositions import eigh
from transfusion_tf.representations.moments import Covariances, RepresentationWarning

# Second moments square the condition number: float64 resolves eigenvalues down to
# about 1e-15 of the largest, and 1e-10 leaves five digits to what is kept.
EIGENVALUE_CUTOFF = 1e-10
# How many roundings a channel or direction must rise above to count as varying.
ROUNDINGS = 16


@dataclass(frozen=True)
class Whitening:
    """Coordinates in which one side's covariance is the identity.

    Attributes:
      basis: [channels, rank]; points times this have unit covariance.
      axes: [channels, varying]; the principal axes before any is cut off.
    """

    basis: np.ndarray
    axes: np.ndarray

    @property
    def rank(self) -> int:
        """Number of directions kept."""
        return self.basis.shape[1]

    @property
    def varying(self) -> int:
        """Number of coordinates that vary at all, kept or not."""
        return self.axes.shape[1]


def whiten(covariance: np.ndarray, noise: np.ndarray) -> Whitening:
    """Whitens one side from its covariance.

    Channels that vary no more than the rounding of their own numbers are dropped;
    the others are scaled to unit variance, so that a channel's scale decides
    nothing; directions below `EIGENVALUE_CUTOFF` of the largest are null and
    dropped: constant, duplicated and linearly dependent channels lower the rank.

    Args:
      covariance: [channels, channels] float64.
      noise: [channels]; the standard deviation rounding alone may give each.
    """
    deviation = np.sqrt(np.clip(np.diag(covariance), 0, None))
    varies = deviation > noise
    scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0)[varies]
    correlation = covariance[np.ix_(varies, varies)] * np.outer(scale, scale)
    eigenvalues, vectors = eigh(correlation)
    axes = np.zeros((len(covariance), len(scale)))
    axes[varies] = scale[:, None] * vectors
    kept = eigenvalues > EIGENVALUE_CUTOFF * eigenvalues.max(initial=0)
    return Whitening(basis=axes[:, kept] / np.sqrt(eigenvalues[kept]), axes=axes)


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
