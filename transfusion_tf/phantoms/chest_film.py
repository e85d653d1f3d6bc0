"""The film of the chest phantom: exposure, blur, quantum noise, tone, side marker."""

import dataclasses

import numpy as np
from scipy import ndimage

from transfusion_tf.phantoms.canvas import pixel_centers

_NOISE_REFERENCE_SIZE = 224


@dataclasses.dataclass(frozen=True)
class Exposure:
    """How a film was exposed and developed.

    Attributes:
      contrast: steepness of the tone curve.
      middle: absorption that becomes middle grey.
      blur: standard deviation of the blur, in frame units.
      noise: standard deviation of the quantum noise where nothing is absorbed, at
        224 pixels, in units of absorption.
      slope: absorption added from one side to the other (right, down), as by a
        tube off centre.
      floor, ceiling: grey of what is clear and of what lets nothing through.
    """

    contrast: float
    middle: float
    blur: float
    noise: float
    slope: tuple[float, float]
    floor: float
    ceiling: float


def draw_exposure(rng: np.random.Generator) -> Exposure:
    """Choose a film's exposure."""
    slope = rng.normal(0.0, 0.03, 2)
    return Exposure(
        contrast=float(rng.uniform(3.0, 4.6)),
        middle=float(rng.normal(0.72, 0.045)),
        blur=float(rng.uniform(0.002, 0.008)),
        noise=float(rng.uniform(0.008, 0.026)),
        slope=(float(slope[0]), float(slope[1])),
        floor=float(rng.uniform(0.0, 0.05)),
        ceiling=float(rng.uniform(0.93, 1.0)),
    )


def expose(
    rng: np.random.Generator, exposure: Exposure, absorption: np.ndarray, size: int
) -> np.ndarray:
    """Turn what a chest absorbs into a film.

    Args:
      rng: source of the noise.
      exposure: of the film.
      absorption: [n, n] float32, n a multiple of `size`; logarithmic, as films
        are read.
      size: pixels along an axis of the film.

    Returns:
      [size, size, 3] uint8, three equal channels.
    """
    fine = absorption.shape[0]
    image = ndimage.gaussian_filter(absorption, exposure.blur * fine / 2, truncate=2.5)
    factor = fine // size
    if factor > 1:
        image = image.reshape(size, factor, size, factor).mean(axis=(1, 3))
    axis = pixel_centers(size)
    image += np.float32(exposure.slope[0]) * axis[None, :]
    image += np.float32(exposure.slope[1]) * axis[:, None]
    # The fewer quanta come through, the noisier their logarithm. Averaging pixels
    # averages noise too, if less than if it were white.
    noise = exposure.noise * min(1.0, (size / _NOISE_REFERENCE_SIZE) ** 0.5)
    grain = rng.standard_normal((size, size), dtype=np.float32)
    image += np.float32(noise) * np.exp(np.float32(0.6) * image) * grain
    image = 1.0 / (1.0 + np.exp(-exposure.contrast * (image - exposure.middle)))
    image = exposure.floor + (exposure.ceiling - exposure.floor) * image
    grey = (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)
