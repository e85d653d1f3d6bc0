"""Where an image comes from, and any image -> one square 8-bit RGB JPEG."""

import dataclasses
import io
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, ImageOps

from transfusion_tf.datasets.arrays import read_hdf5, read_npy
from transfusion_tf.datasets.dicom import read_dicom, starts_as_dicom
from transfusion_tf.datasets.picture_files import read_picture
from transfusion_tf.datasets.pixels import MAX_PIXELS, Intensity
from transfusion_tf.errors import UserError

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "FileImage",
    "Hdf5Image",
    "ImageSource",
    "Intensity",
    "NpySlice",
    "encode_jpeg",
    "padded",
    "read_rgb",
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
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except FileNotFoundError:
        raise UserError("no such file") from None
    except OSError as error:
        raise UserError(f"can't be read: {error.strerror}") from None
    if starts_as_dicom(head):
        return read_dicom(path, intensity)
    if head.startswith(b"\x93NUMPY"):
        return read_npy(path, None, intensity)
    if head.startswith(b"\x89HDF\r\n"):
        raise UserError("an HDF5 file; the hdf5 reader takes images out of it")
    return read_picture(path, intensity)


def to_square(image: np.ndarray, size: int, aspect: str) -> np.ndarray:
    """Resizes to [size, size, 3]; see `DatasetCard.aspect` for what isn't square.

    Raises:
      UserError: so thin that padded it would be less than a pixel wide.
    """
    if image.shape[:2] == (size, size):
        return image
    if aspect == "pad":
        return padded(image, size, size)
    picture = Image.fromarray(image)
    method = Image.Resampling.LANCZOS
    if aspect == "stretch":
        return np.asarray(picture.resize((size, size), method))
    _check_thickness(image, size, size)
    return np.asarray(ImageOps.fit(picture, (size, size), method))


def padded(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The whole image at [height, width, 3], on black.

    Raises:
      UserError: so thin that less than a pixel of its width would be left.
    """
    _check_thickness(image, height, width)
    method = Image.Resampling.LANCZOS
    picture = ImageOps.pad(Image.fromarray(image), (width, height), method, color=0)
    return np.asarray(picture)


def _check_thickness(image: np.ndarray, height: int, width: int) -> None:
    own_height, own_width = image.shape[:2]
    scale = min(height / own_height, width / own_width)
    if min(own_height, own_width) * scale < 1:
        raise UserError(
            f"{own_width}×{own_height} pixels: too thin for {width}×{height}; only "
            'aspect = "stretch" takes it'
        )


def encode_jpeg(image: np.ndarray) -> bytes:
    """uint8 [height, width, 3] as a JPEG without chroma subsampling."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()
