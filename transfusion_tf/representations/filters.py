"""First-layer filters as numbers: how much of a Gabor is in each, and which.

Transfusion, figure 5, shows that fine-tuning a small network erases pretrained Gabor
filters; a fit before and after says how many and by how much.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from transfusion_tf.errors import UserError

# Below 5 × 5 pixels a Gabor has about as many parameters as the filter has values.
_MIN_SIZE = 5
# A Gabor filter waves: one cycle at least within two standard deviations either side
# of its centre. With less it is a blob.
_MIN_CYCLES = 1.0
_ORIENTATIONS = np.arange(12) * np.pi / 12
_FREQUENCIES = (0.08, 0.12, 0.17, 0.22, 0.28, 0.35, 0.42)
_NYQUIST = 0.5
# Of a difference that stands for a derivative.
_STEP = np.finfo(np.float64).eps ** 0.5


@dataclass(frozen=True)
class GaborFit:
    """The Gabor function nearest to a filter.

    A sinusoid under a Gaussian that may be longer along the stripes than across.

    Attributes:
      explained: Share of the filter's energy, over all its input channels, that the
        Gabor accounts for, in [0, 1].
      orientation: Direction across the stripes, degrees in [0, 180), from the x
        axis (columns) towards the y axis (rows).
      frequency: Cycles a pixel, up to 0.5.
      phase: Of the cosine at the Gaussian's centre, degrees in [0, 360).
      sigma_across: Standard deviation across the stripes, pixels.
      sigma_along: Standard deviation along the stripes, pixels.
    """

    explained: float
    orientation: float
    frequency: float
    phase: float
    sigma_across: float
    sigma_along: float


def fit_gabor(filter_weights: np.ndarray) -> GaborFit:
    """Fits a Gabor function to a filter, by least squares.

    A colour filter is taken as one spatial pattern times one colour (its leading
    singular pair); what colour varies besides counts as unexplained.

    Args:
      filter_weights: [height, width, in] or [height, width], 5 pixels or more.

    Raises:
      UserError: If the filter is too small, or not finite.
    """
    weights = np.asarray(filter_weights, np.float64)
    weights = weights.reshape(*weights.shape[:2], -1)
    height, width, _ = weights.shape
    if min(height, width) < _MIN_SIZE:
        raise UserError(
            f"a filter of {height} × {width} pixels is too small to tell a Gabor in "
            f"it; {_MIN_SIZE} × {_MIN_SIZE} or more is needed"
        )
    if not np.isfinite(weights).all():
        raise UserError("the filter holds NaN or infinity")
    energy = np.sum(weights**2)
    if not energy:
        return GaborFit(0.0, *(np.nan,) * 5)
    left, values, _ = np.linalg.svd(weights.reshape(height * width, -1) / energy**0.5)
    pattern = left[:, 0] * values[0]
    found = _fitted(pattern, height, width)
    return _described(found, pattern, height, width)


def gabor_fits(kernel: np.ndarray, *, seed: int = 0) -> pd.DataFrame:
    """Fits a Gabor function to every filter of a first layer.

    Args:
      kernel: [height, width, in, filters], 5 × 5 pixels or more.
      seed: Seed of the pixel order behind `chance`.

    Returns:
      One row a filter: `filter`, the fields of `GaborFit`, and `chance`: the share
      explained once the filter's pixels are in random order. Six free parameters
      explain some of anything; only what exceeds chance says Gabor.

    Raises:
      UserError: If the kernel is too small, or not finite.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(kernel.shape[-1]):
        weights = kernel[..., index]
        pixels = weights.reshape(-1, weights.shape[-1])
        shuffled = rng.permutation(pixels, axis=0).reshape(weights.shape)
        rows.append(
            {
                "filter": index,
                **vars(fit_gabor(weights)),
                "chance": fit_gabor(shuffled).explained,
            }
        )
    return pd.DataFrame(rows)


def filter_changes(
    before: np.ndarray, after: np.ndarray, *, seed: int = 0
) -> pd.DataFrame:
    """What training did to each first-layer filter.

    Args:
      before: [height, width, in, filters].
      after: The same filters after training.
      seed: Seed of the pixel orders behind `chance`.

    Returns:
      One row a filter: `filter`; `cosine` between before and after; `change`, the
      norm of the difference over the norm before; `explained_before`,
      `explained_after`, `chance`; `orientation_before`, `orientation_after`;
      `frequency_before`, `frequency_after`.
      `explained_before.mean() - explained_after.mean()` is how much of the Gabors
      was erased.

    Raises:
      UserError: If the kernels' shapes differ, or as `gabor_fits`.
    """
    if before.shape != after.shape:
        raise UserError(
            f"kernels differ in shape: {before.shape} before, {after.shape} after"
        )
    fits_before, fits_after = (
        gabor_fits(before, seed=seed),
        gabor_fits(after, seed=seed),
    )
    flat_before = before.reshape(-1, before.shape[-1]).astype(np.float64)
    flat_after = after.reshape(-1, after.shape[-1]).astype(np.float64)
    norm_before = np.linalg.norm(flat_before, axis=0)
    norm_after = np.linalg.norm(flat_after, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):  # filters that are all zero
        cosine = np.sum(flat_before * flat_after, axis=0) / (norm_before * norm_after)
        change = np.linalg.norm(flat_after - flat_before, axis=0) / norm_before
    return pd.DataFrame(
        {
            "filter": fits_before["filter"],
            "cosine": cosine,
            "change": change,
            "explained_before": fits_before["explained"],
            "explained_after": fits_after["explained"],
            "chance": (fits_before["chance"] + fits_after["chance"]) / 2,
            "orientation_before": fits_before["orientation"],
            "orientation_after": fits_after["orientation"],
            "frequency_before": fits_before["frequency"],
            "frequency_after": fits_after["frequency"],
        }
    )


def weight_histograms(
    weights: Mapping[str, np.ndarray], *, bins: int = 50
) -> pd.DataFrame:
    """Histograms of weights over shared bins, one for each initialization.

    Args:
      weights: Weights of any shape, by the name of their initialization.
      bins: Number of bins, over the range of all of them.

    Returns:
      One row an initialization and bin: `initialization`, `left`, `right`,
      `density` (integrates to 1).
    """
    edges = np.histogram_bin_edges(
        np.concatenate([np.ravel(values) for values in weights.values()]), bins
    )
    parts = [
        pd.DataFrame(
            {
                "initialization": name,
                "left": edges[:-1],
                "right": edges[1:],
                "density": np.histogram(values, edges, density=True)[0],
            }
        )
        for name, values in weights.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _fitted(pattern: np.ndarray, height: int, width: int) -> np.ndarray:
    """Best (orientation, frequency, sigmas, centre): a coarse grid, then refined."""
    starts, waves = _grid(height, width)
    explained = np.sum(np.tensordot(waves, pattern, axes=(1, 0)) ** 2, axis=1)
    start = starts[np.argmax(explained)]
    size = max(height, width)
    low = np.array([-np.inf, _FREQUENCIES[0] / 2, 0.5, 0.5, -0.5, -0.5])
    high = np.array([np.inf, _NYQUIST, 2 * size, 2 * size, width - 0.5, height - 0.5])

    def residuals(parameters: np.ndarray) -> np.ndarray:
        """Of many at once, [n, 6] -> [n, pixels + 1]: a call takes most of the time."""
        waves = _waves(parameters, height, width)
        shares = np.einsum("npw,p->nw", waves, pattern)
        # Too few cycles to be a Gabor: no further that way.
        missing = _MIN_CYCLES - 4 * parameters[:, 1:2] * parameters[:, 2:3]
        left = pattern - np.einsum("npw,nw->np", waves, shares)
        return np.concatenate([left, np.maximum(missing, 0.0)], axis=1)

    def derivatives(parameters: np.ndarray) -> np.ndarray:
        """By forward differences, or backward ones at an upper bound."""
        steps = _STEP * np.maximum(1.0, np.abs(parameters))
        steps = np.where(parameters + steps > high, -steps, steps)
        moved = residuals(np.vstack([parameters, parameters + np.diag(steps)]))
        return ((moved[1:] - moved[0]) / steps[:, None]).T

    return least_squares(
        lambda parameters: residuals(parameters[None])[0],
        start,
        jac=derivatives,
        bounds=(low, high),
        max_nfev=40,
    ).x


@cache
def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Coarse Gabors of all kinds: parameters [n, 6], waves [n, pixels, 2]."""
    size = max(height, width)
    parameters = np.array(
        [
            (orientation, frequency, sigma, sigma, x * (width - 1), y * (height - 1))
            for orientation, frequency, sigma, x, y in product(
                _ORIENTATIONS,
                _FREQUENCIES,
                (size / 6, size / 4, size / 2),
                (0.3, 0.5, 0.7),
                (0.3, 0.5, 0.7),
            )
            if 4 * frequency * sigma >= _MIN_CYCLES
        ]
    )
    return parameters, _waves(parameters, height, width)


def _waves(parameters: np.ndarray, height: int, width: int) -> np.ndarray:
    """Orthonormal bases of the cosine and sine Gabors, [..., pixels, 2]: any phase."""
    return np.linalg.qr(_cosine_and_sine(parameters, height, width))[0]


def _cosine_and_sine(parameters: np.ndarray, height: int, width: int) -> np.ndarray:
    # [6, ..., 1]
    orientation, frequency, sigma_across, sigma_along, right, down = np.moveaxis(
        np.asarray(parameters)[..., None], -2, 0
    )
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    x, y = x - right, y - down
    across = x * np.cos(orientation) + y * np.sin(orientation)
    along = y * np.cos(orientation) - x * np.sin(orientation)
    envelope = np.exp(-((across / sigma_across) ** 2 + (along / sigma_along) ** 2) / 2)
    angle = 2 * np.pi * frequency * across
    return np.stack([envelope * np.cos(angle), envelope * np.sin(angle)], axis=-1)


def _described(
    parameters: np.ndarray, pattern: np.ndarray, height: int, width: int
) -> GaborFit:
    waves = _cosine_and_sine(parameters, height, width)
    (cosine, sine), *_ = np.linalg.lstsq(waves, pattern, rcond=None)
    residual = pattern - waves @ (cosine, sine)
    orientation = np.degrees(parameters[0]) % 360
    phase = np.degrees(np.arctan2(-sine, cosine))
    if orientation >= 180:  # half a turn swaps the wave's direction
        orientation, phase = orientation - 180, -phase
    return GaborFit(
        explained=float(np.sum(pattern**2) - np.sum(residual**2)),
        orientation=float(orientation),
        frequency=float(parameters[1]),
        phase=float(phase % 360),
        sigma_across=float(parameters[2]),
        sigma_along=float(parameters[3]),
    )
