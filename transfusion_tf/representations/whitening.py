"""Which directions a set of activations really has, and coordinates along them."""

from dataclasses import dataclass

import numpy as np

# Second moments square the condition number: float64 resolves eigenvalues down to
# about 1e-15 of the largest, and 1e-10 leaves five digits to what is kept.
EIGENVALUE_CUTOFF = 1e-10
# How many roundings a channel or direction must rise above to count as varying.
_ROUNDINGS = 16


@dataclass(frozen=True)
class Whitening:
    """Coordinates in which one side's covariance is the identity.

    Attributes:
        basis: [channels, rank]; points times this have unit covariance.
        axes: [channels, varying]; the principal axes before any is cut off.
        rank: Number of directions kept.
        varying: Number of coordinates that vary at all, kept or not.
    """

    basis: np.ndarray
    axes: np.ndarray

    @property
    def rank(self) -> int:
        return self.basis.shape[1]

    @property
    def varying(self) -> int:
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
    eigenvalues, vectors = np.linalg.eigh(correlation)
    axes = np.zeros((len(covariance), len(scale)))
    axes[varies] = scale[:, None] * vectors
    kept = eigenvalues > EIGENVALUE_CUTOFF * eigenvalues.max(initial=0)
    return Whitening(basis=axes[:, kept] / np.sqrt(eigenvalues[kept]), axes=axes)


def rounding_noise(
    covariance: np.ndarray, mean: np.ndarray, resolution: float
) -> np.ndarray:
    """Standard deviation that rounding alone may give each channel, [channels]."""
    size = np.sqrt(np.clip(np.diag(covariance), 0, None) + mean**2)
    return _ROUNDINGS * resolution * size
