"""Any image file -> one upright, square, 8-bit RGB JPEG, checked once."""

import dataclasses
import io
import warnings
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from transfusion_tf.errors import UserError

# About 13 400 pixels square: above any fundus camera or radiograph, below what a
# decompression bomb needs. Read from the header, before anything is decoded.
MAX_PIXELS = 180_000_000

# Lesions are a few pixels wide and differ by colour: no chroma subsampling.
JPEG_QUALITY = 95


class ImageSource(Protocol):
    """Where an example's pixels come from; picklable, for parallel building."""

    def load(self) -> np.ndarray:
        """The image, uint8 [height, width, 3] RGB."""

    def fingerprint(self) -> str:
        """Changes when the image does, without reading all of it."""


@dataclasses.dataclass(frozen=True)
class FileImage:
    """An image file on the disk."""

    path: Path
    intensity: str | tuple[float, float] = "error"

    def load(self) -> np.ndarray:
        """See `read_rgb`."""
        return read_rgb(self.path, self.intensity)

    def fingerprint(self) -> str:
        """Name, size and time of change."""
        stat = self.path.stat()
        return f"{self.path.name}:{stat.st_size}:{stat.st_mtime_ns}:{self.intensity}"


def read_rgb(path: Path, intensity: str | tuple[float, float] = "error") -> np.ndarray:
    """Decodes a file in full, turns it upright and makes it RGB.

    Args:
      path: JPEG, PNG, TIFF or BMP of any mode: grey, palette, alpha (laid over
        black), CMYK, 16 bit.
      intensity: how more than 8 bits become 8: `error` refuses them, `minmax`
        stretches each image, (low, high) maps low to 0 and high to 255.

    Returns:
      uint8 [height, width, 3].

    Raises:
      UserError: the file is missing, too large, damaged or not an image; the
        message says which, without the path.
    """
    try:
        with warnings.catch_warnings():
            # Our own limit, checked below, is the one that counts.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                pixels = image.width * image.height
                if pixels > MAX_PIXELS:
                    raise UserError(
                        f"{image.width}×{image.height} pixels; at most "
                        f"{MAX_PIXELS // 10**6} million are accepted"
                    )
                frames = getattr(image, "n_frames", 1)
                if frames > 1:
                    raise UserError(f"{frames} frames; one image is expected")
                image.load()
                return _to_rgb(ImageOps.exif_transpose(image), intensity)
    except FileNotFoundError:
        raise UserError("no such file") from None
    except UnidentifiedImageError:
        raise UserError("not an image that can be read (or empty)") from None
    except Image.DecompressionBombError as error:
        raise UserError(f"too many pixels: {error}") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"damaged: {error}") from None


def _to_rgb(image: Image.Image, intensity: str | tuple[float, float]) -> np.ndarray:
    if image.mode.startswith(("I", "F")):
        return _window(np.asarray(image, dtype=np.float64), intensity)
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    return np.asarray(image.convert("RGB"))


def _window(values: np.ndarray, intensity: str | tuple[float, float]) -> np.ndarray:
    if not np.isfinite(values).all():
        raise UserError("the image holds values that are not finite")
    if intensity == "error":
        raise UserError(
            f"more than 8 bits (values {values.min():g} to {values.max():g}); say in "
            'the card how they become 8: intensity = "minmax" or [low, high]'
        )
    if isinstance(intensity, tuple):
        low, high = intensity
    else:
        low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255 / max(high - low, 1e-12))
    grey = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def to_square(image: np.ndarray, size: int, aspect: str) -> np.ndarray:
    """Resizes to [size, size, 3]; see `DatasetCard.aspect` for what isn't square."""
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    picture = Image.fromarray(image)
    method = Image.Resampling.LANCZOS
    if aspect == "stretch":
        picture = picture.resize((size, size), method)
    elif aspect == "crop":
        picture = ImageOps.fit(picture, (size, size), method)
    else:
        picture = ImageOps.pad(picture, (size, size), method, color=(0, 0, 0))
    return np.asarray(picture)


def encode_jpeg(image: np.ndarray) -> bytes:
    """uint8 [height, width, 3] as a JPEG without chroma subsampling."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


# A cut-off file must raise, never be filled up with grey.
ImageFile.LOAD_TRUNCATED_IMAGES = False
