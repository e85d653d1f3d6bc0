"""What a card may have done to its images before they are made square."""

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from transfusion_tf.datasets.images import ImageSource
from transfusion_tf.errors import UserError

# Side of what is worked on: the eye's radius in pixels.
_RADIUS = 300
# Noise of a camera on black.
_DARK = 12


@dataclasses.dataclass(frozen=True)
class Preprocessed:
    """An image source, and what is done to its image."""

    source: ImageSource
    name: str

    @property
    def path(self) -> Path | None:
        """The source's file, for messages."""
        return getattr(self.source, "path", None)

    def load(self) -> np.ndarray:
        """The image after it, uint8 [height, width, 3]."""
        return _FUNCTIONS[self.name](self.source.load())

    def fingerprint(self) -> str:
        """The source's, and the name."""
        return f"{self.source.fingerprint()}:{self.name}"


def graham(image: np.ndarray) -> np.ndarray:
    """A fundus photograph without its local mean colour, cropped to the eye.

    The way of B. Graham's winning entry to Kaggle's 2015 contest on diabetic
    retinopathy, as its report describes it: the eye is scaled to a radius of 300
    pixels, four times the difference from a blurred copy (standard deviation: radius
    / 30) is laid onto mid grey, and the outer tenth of the radius is made grey.

    Args:
      image: uint8 [height, width, 3], the eye on black.

    Returns:
      uint8 [600, 600, 3] at most, a side less where the eye is cut off.

    Raises:
      UserError: no eye is seen: the image is dark.
    """
    bright = image.max(axis=-1)
    seen = bright[bright > _DARK]
    if not len(seen):
        raise UserError("no eye is seen in the image: it is dark")
    # Shares of what is lit, not of the image: a black margin must not matter.
    lit = bright > max(_DARK, 0.1 * float(np.percentile(seen, 99)))
    rows, columns = (
        np.flatnonzero(n > 0.02 * n.max()) for n in (lit.sum(1), lit.sum(0))
    )
    top, bottom = rows[0], rows[-1] + 1
    left, right = columns[0], columns[-1] + 1
    eye = image[top:bottom, left:right]
    # Photographs are cut off above and below: the longer side is the diameter.
    scale = 2 * _RADIUS / max(eye.shape[:2])
    height, width = (max(1, round(scale * side)) for side in eye.shape[:2])
    resized = Image.fromarray(np.ascontiguousarray(eye)).resize((width, height))
    values = np.asarray(resized, dtype=np.float32)
    mean = ndimage.gaussian_filter(values, sigma=(_RADIUS / 30, _RADIUS / 30, 0))
    result = np.clip(4 * (values - mean) + 128, 0, 255)
    y, x = np.ogrid[:height, :width]
    distance = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
    result[distance > 0.9 * _RADIUS] = 128
    return np.rint(result).astype(np.uint8)


_FUNCTIONS = {"graham": graham}
