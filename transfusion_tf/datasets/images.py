"""Where an image comes from, and any image -> one square 8-bit RGB JPEG."""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from transfusion_tf.datasets.arrays import read_hdf5, read_npy
from transfusion_tf.datasets.dicom import read_dicom, starts_as_dicom
from transfusion_tf.datasets.npz_arrays import NpzArray
from transfusion_tf.datasets.picture_files import read_picture
from transfusion_tf.datasets.pixels import MAX_PIXELS, Decoded, Intensity, to_rgb8
from transfusion_tf.errors import UserError

__all__ = [
    "DECODING",
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "FileImage",
    "Hdf5Image",
    "ImageSource",
    "Intensity",
    "NpySlice",
    "NpzImage",
    "decode_for",
    "encode_jpeg",
    "padded",
    "read_rgb",
    "squared",
    "to_square",
]

# What a folder's file must end in to count as an image. What is inside decides how
# it is read.
IMAGE_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".tif",
    ".tiff",
    ".bmp",
    ".dcm",
    ".dicom",
    ".npy",
)

# Raised when the same file gives other pixels than before: prepared data hang on it.
# 2: JPEGs are halved or quartered by their decoder, see `decode_for`. 3: the one
# transparent colour of a PNG is black, 32 bits have no sign unless a TIFF says so. 4:
# DICOM pixels that are no squares are resampled.
DECODING = 4

_METHOD = Image.Resampling.LANCZOS
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
    """An image file on the disk: JPEG, PNG, TIFF, BMP, DICOM or `.npy`."""

    path: Path
    intensity: Intensity = "error"

    def load(self) -> np.ndarray:
        """See `read_rgb`."""
        return read_rgb(self.path, self.intensity)

    def fingerprint(self) -> str:
        """Name, size and time of change."""
        return f"{_file_fingerprint(self.path)}:{self.intensity}"


@dataclasses.dataclass(frozen=True)
class NpySlice:
    """A slice of a volume in a `.npy` file, [slices, height, width]."""

    path: Path
    index: int
    intensity: Intensity = "error"

    def load(self) -> np.ndarray:
        """See `arrays.read_npy`."""
        return read_npy(self.path, self.index, self.intensity)

    def fingerprint(self) -> str:
        """The file's, and the slice."""
        return f"{_file_fingerprint(self.path)}:{self.index}:{self.intensity}"


@dataclasses.dataclass(frozen=True)
class Hdf5Image:
    """An image of an HDF5 data set, [images, height, width(, channels)]."""

    path: Path
    dataset: str
    index: int
    intensity: Intensity = "error"

    def load(self) -> np.ndarray:
        """See `arrays.read_hdf5`."""
        return read_hdf5(self.path, self.dataset, self.index, self.intensity)

    def fingerprint(self) -> str:
        """The file's, and the place in it."""
        place = f"{self.dataset}:{self.index}:{self.intensity}"
        return f"{_file_fingerprint(self.path)}:{place}"


@dataclasses.dataclass(frozen=True)
class NpzImage:
    """An image of [images, height, width(, channels)] in an `.npz` archive."""

    array: NpzArray
    index: int
    intensity: Intensity = "error"

    @property
    def path(self) -> Path:
        """The archive, for messages."""
        return self.array.path

    def load(self) -> np.ndarray:
        """See `NpzArray.image`."""
        return self.array.image(self.index, self.intensity)

    def fingerprint(self) -> str:
        """The archive's, and the place in it."""
        place = f"{self.array.name}:{self.index}:{self.intensity}"
        return f"{_file_fingerprint(self.path)}:{place}"


def _file_fingerprint(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        # Building says so, beside all that is wrong with the other rows.
        return f"{path.name}:missing"
    return f"{path.name}:{stat.st_size}:{stat.st_mtime_ns}"


def read_rgb(path: Path, intensity: Intensity = "error") -> np.ndarray:
    """Decodes a file in full, turns it upright and makes it 8-bit RGB.

    What is inside the file decides how it is read, not its name.

    Args:
      path: JPEG, PNG, TIFF or BMP of any mode, DICOM (needs the extra `dicom`) or
        a `.npy` array.
      intensity: how more than 8 bits become 8: `error` refuses them, `minmax`
        stretches each image, (low, high) maps low to 0 and high to 255. A DICOM
        file's own window counts where the rule is `error` or `minmax`.

    Returns:
      uint8 [height, width, 3].

    Raises:
      UserError: the file is missing, too large, damaged or not an image; the
        message says which, without the path.
    """
    return to_rgb8(_read(path, intensity, lambda height, width: 1).pixels, intensity)


def decode_for(image: ImageSource, size: int, aspect: str) -> Decoded:
    """The image as it is needed to become a square: see `to_square`.

    The decoder halves a JPEG that has twice the pixels that are needed in either
    direction, and quarters one that has eight times; `docs/design_notes.md` has what it
    saves, and how little the squares differ.

    Args:
      image: where it comes from.
      size: side of the square.
      aspect: `pad` needs the longer side, anything else the shorter one.
    """

    def shrink_for(height: int, width: int) -> int:
        if min(height, width) * size < max(height, width):
            return 1  # Too thin for `pad`, which is to say its real size.
        side = max(height, width) if aspect == "pad" else min(height, width)
        return 4 if side >= 8 * size else 2 if side >= 2 * size else 1

    if isinstance(image, FileImage):
        return _read(image.path, image.intensity, shrink_for)
    return Decoded.whole(image.load())


def _read(
    path: Path, intensity: Intensity, shrink_for: Callable[[int, int], int]
) -> Decoded:
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except FileNotFoundError:
        if path.is_symlink():
            raise UserError("a link to a file that is not there") from None
        raise UserError("no such file") from None
    except OSError as error:
        raise UserError(f"can't be read: {error.strerror}") from None
    if head.startswith(b"\x89HDF\r\n"):
        raise UserError("an HDF5 file; the hdf5 reader takes images out of it")
    if starts_as_dicom(head):
        pixels = read_dicom(path, intensity)
    elif head.startswith(b"\x93NUMPY"):
        pixels = read_npy(path, None, intensity)
    else:
        return read_picture(path, intensity, shrink_for)
    return Decoded.whole(pixels)


def to_square(image: np.ndarray, size: int, aspect: str) -> np.ndarray:
    """Resizes to [size, size, 3]; see `DatasetCard.aspect` for what isn't square.

    Raises:
      UserError: so thin that padded it would be less than a pixel wide.
    """
    height, width = image.shape[:2]
    box = (0, 0, width, height)
    return np.asarray(squared(Image.fromarray(image), box, size, aspect))


def squared(
    picture: Image.Image, box: tuple[float, float, float, float], size: int, aspect: str
) -> Image.Image:
    """`to_square` of what lies in a box of a picture: left, top, right, bottom."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    if picture.size == (size, size) == (width, height):
        return picture
    if aspect == "pad":
        return _padded(picture, box, size, size)
    if aspect == "crop":
        _check_thickness(width, height, size, size)
        side = min(width, height)
        left, top = left + (width - side) / 2, top + (height - side) / 2
        box = (left, top, left + side, top + side)
    return picture.resize((size, size), _METHOD, box)


def padded(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The whole image at [height, width, 3], on black.

    Raises:
      UserError: so thin that less than a pixel of its width would be left.
    """
    box = (0, 0, image.shape[1], image.shape[0])
    return np.asarray(_padded(Image.fromarray(image), box, height, width))


def _padded(
    picture: Image.Image,
    box: tuple[float, float, float, float],
    height: int,
    width: int,
) -> Image.Image:
    own_width, own_height = box[2] - box[0], box[3] - box[1]
    scale = _check_thickness(own_width, own_height, width, height)
    inner = (round(own_width * scale), round(own_height * scale))
    result = Image.new(picture.mode, (width, height))
    at = (round((width - inner[0]) / 2), round((height - inner[1]) / 2))
    result.paste(picture.resize(inner, _METHOD, box), at)
    return result


def _check_thickness(
    own_width: float, own_height: float, width: int, height: int
) -> float:
    """How much what is to fit into width and height is scaled."""
    scale = min(height / own_height, width / own_width)
    if min(own_height, own_width) * scale < 1:
        raise UserError(
            f"{own_width:g}×{own_height:g} pixels: too thin for {width}×{height}; only "
            'aspect = "stretch" takes it'
        )
    return scale


def encode_jpeg(picture: Image.Image) -> bytes:
    """A colour JPEG without chroma subsampling."""
    buffer = io.BytesIO()
    rgb = picture.convert("RGB")
    rgb.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()
