"""What every image goes through: a limit on its size, and the rule for 8 bits."""

import dataclasses

import numpy as np

from transfusion_tf.errors import UserError

# How more than 8 bits become 8: see `DatasetCard.intensity`.
Intensity = str | tuple[float, float]

# About 13 400 pixels square: above any fundus camera or radiograph, below what a
# decompression bomb needs. Read from the header, before anything is decoded.
MAX_PIXELS = 180_000_000


@dataclasses.dataclass(frozen=True)
class Decoded:
    """A decoded image, perhaps at half or a quarter of its size.

    Attributes:
      pixels: uint8 [height, width, 3], upright, or [height, width, 1] where all
        channels would be the same.
      height, width: of the image itself, upright.
      box: left, top, right and bottom of the image within the pixels; at half of its
        size an image 5 pixels wide ends in the middle of the third.
    """

    pixels: np.ndarray
    height: int
    width: int
    box: tuple[float, float, float, float]

    @classmethod
    def whole(cls, pixels: np.ndarray) -> "Decoded":
        """At its full size."""
        height, width = pixels.shape[:2]
        return cls(pixels, height, width, (0, 0, width, height))


def check_size(height: int, width: int) -> None:
    """Refuses an image without pixels or with too many.

    Raises:
      UserError: says how large it is, and the limit.
    """
    if height < 1 or width < 1:
        raise UserError(f"{width}×{height} pixels: the image is empty")
    if height * width > MAX_PIXELS:
        raise UserError(
            f"{width}×{height} pixels; at most {MAX_PIXELS // 10**6} million are "
            "accepted"
        )


def to_rgb8(
    values: np.ndarray, intensity: Intensity, *, inverted: bool = False
) -> np.ndarray:
    """Any grey or colour values as 8-bit RGB, by the card's rule.

    Args:
      values: [height, width], [height, width, 1] or [height, width, 3]. uint8 stays
        as it is and booleans become 0 and 255; anything else goes by the rule.
      intensity: `error` refuses it, `minmax` stretches each image from its smallest
        to its largest value, (low, high) maps low to 0 and high to 255. Colour
        channels share one low and one high, so that hues stay.
      inverted: whether low values are bright, as in a MONOCHROME1 radiograph.

    Returns:
      uint8 [height, width, 3].

    Raises:
      UserError: another shape, values that are no numbers, or no rule.
    """
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[-1] not in (1, 3):
        raise UserError(
            f"an array of shape {list(values.shape)}; an image is [height, width] or "
            "[height, width, 3]"
        )
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * 255
    elif values.dtype != np.uint8:
        values = _windowed(values, intensity)
    if inverted:
        values = 255 - values
    return np.repeat(values, 3, axis=-1) if values.shape[-1] == 1 else values


def _windowed(values: np.ndarray, intensity: Intensity) -> np.ndarray:
    if values.dtype.kind not in "uif":
        raise UserError(f"values of type {values.dtype}; numbers are expected")
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise UserError("the image holds values that are not finite")
    smallest, largest = float(values.min()), float(values.max())
    if isinstance(intensity, tuple):
        low, high = intensity
    elif intensity == "minmax":
        low, high = smallest, largest
    else:
        raise UserError(
            f"more than 8 bits (values {smallest:g} to {largest:g}); say in the card "
            'how they become 8: intensity = "minmax" or [low, high]'
        )
    # Units such as farads make all of an image's values tiny; a flat image is black.
    scaled = (values - low) / ((high - low) or 1.0) * 255
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
