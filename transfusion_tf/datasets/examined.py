"""One decoding of an image, and all that is made of it: what is stored, what is told.

What it costs is in `docs/design_notes.md`, and `make bench` measures it.
"""

import dataclasses
import hashlib

import numpy as np
from PIL import Image

from transfusion_tf.datasets.images import (
    ImageSource,
    decode_for,
    encode_jpeg,
    squared,
)
from transfusion_tf.datasets.near_duplicates import THUMBNAIL
from transfusion_tf.datasets.pixels import Decoded


@dataclasses.dataclass(frozen=True)
class Measures:
    """One image, measured.

    Attributes:
      width, height: upright, in pixels.
      digest: of the decoded pixels, so that a lossless copy has the same, unless it
        is that of a JPEG decoded at half or a quarter of its size.
      mean, deviation: of each colour channel, in [0, 1].
      thumbnail: uint8 [32, 32], grey.
    """

    width: int
    height: int
    digest: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    thumbnail: np.ndarray


@dataclasses.dataclass(frozen=True)
class Examined:
    """What one decoding of an image gave.

    Attributes:
      jpeg: what is stored of it.
      measures: what is told of it.
    """

    jpeg: bytes
    measures: Measures


def examine(image: ImageSource, size: int, aspect: str) -> Examined:
    """Decodes an image once.

    Args:
      image: where it comes from.
      size: side of the square that is stored.
      aspect: what becomes of an image that is none; see `DatasetCard.aspect`.

    Raises:
      UserError: it can't be read, or can't become a square.
    """
    decoded = decode_for(image, size, aspect)
    pixels = decoded.pixels
    grey = pixels.shape[-1] == 1
    # Once: Pillow copies what it is given.
    picture = Image.fromarray(pixels[..., 0] if grey else pixels)
    jpeg = encode_jpeg(squared(picture, decoded.box, size, aspect))
    return Examined(jpeg, _measure(decoded, picture))


def _measure(decoded: Decoded, picture: Image.Image) -> Measures:
    counts = np.array(picture.histogram(), np.float64).reshape(-1, 256)
    levels = np.arange(256) / 255
    count = picture.width * picture.height
    mean = counts @ levels / count
    squares = counts @ levels**2 / count
    deviation = np.sqrt(np.maximum(0, squares - mean**2))
    thumbnail = picture.convert("L").resize(
        (THUMBNAIL, THUMBNAIL), Image.Resampling.BOX, reducing_gap=2.0
    )
    return Measures(
        decoded.width,
        decoded.height,
        _digest(decoded, counts),
        tuple(np.resize(mean, 3).tolist()),
        tuple(np.resize(deviation, 3).tolist()),
        np.asarray(thumbnail),
    )


def _digest(decoded: Decoded, counts: np.ndarray) -> str:
    """The same for grey pixels whether or not they are stored as colours."""
    pixels = decoded.pixels
    # The histograms spare colours the comparison of each pixel.
    alike = (counts == counts[0]).all()
    if alike and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., :1]
    digest = hashlib.sha256(f"{decoded.width}×{decoded.height}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()[:32]
