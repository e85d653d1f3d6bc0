"""Images that lie in arrays: `.npy` files and HDF5 data sets."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from transfusion_tf.datasets.pixels import (
    MAX_PIXELS,
    Intensity,
    check_size,
    to_rgb8,
)
from transfusion_tf.errors import UserError

# Those that come with h5py; any other is code that HDF5 would look for and load.
_FILTERS = (
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_LZF,
)


def read_npy(path: Path, index: int | None, intensity: Intensity) -> np.ndarray:
    """An image from a `.npy` file, or a slice of a volume.

    Only the header and the slice itself are read. Pickled objects are refused.

    Args:
      path: [height, width], [height, width, 3], or [slices, height, width(, 3)].
      index: the slice, from 0; None where the file is one image.
      intensity: see `pixels.to_rgb8`.

    Returns:
      uint8 [height, width, 3].

    Raises:
      UserError: another shape, no such slice, cut off, too large or pickled.
    """
    array = open_npy(path)
    if index is None and (array.ndim == 4 or _is_volume(array)):
        raise UserError(
            f"a volume of shape {list(array.shape)}; one image is expected: name "
            "its slice"
        )
    return _slice_to_rgb(array, index, intensity)


def open_npy(path: Path) -> np.ndarray:
    """A `.npy` file, mapped and not read, so that its shape costs nothing.

    Raises:
      UserError: missing, not a `.npy` file, pickled, or shorter than it says.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UserError("no such file") from None
    except (ValueError, OSError, EOFError, OverflowError) as error:
        reason = str(error).split(";")[0]
        if "objects" in reason:
            reason = "it holds Python objects, which may run code when they are read"
        raise UserError(f"not a .npy array that can be read: {reason}") from None
    if not isinstance(array, np.ndarray):
        raise UserError("not a .npy array that can be read: it is an archive")
    return array


def read_hdf5(
    path: Path, dataset: str, index: int | None, intensity: Intensity
) -> np.ndarray:
    """One image of an HDF5 data set [images, height, width(, channels)].

    Args:
      path: the file.
      dataset: name of the data set in it, such as `x`.
      index: the image, from 0; None where the data set is one image.
      intensity: see `pixels.to_rgb8`.

    Returns:
      uint8 [height, width, 3].

    Raises:
      UserError: no such data set or index, another shape, damaged, or the values
        lie in another file than this one.
    """
    try:
        with h5py.File(path, "r") as file:
            return _slice_to_rgb(own_dataset(file, dataset), index, intensity)
    except FileNotFoundError:
        raise UserError("no such file") from None
    except UserError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"damaged, or not an HDF5 file: {error}") from None


def own_dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """A data set whose values lie in the file itself, and need nothing but HDF5.

    Raises:
      UserError: there is none of that name; its values lie in another file, need a
        plug-in to be unpacked, or unpack in chunks that no image needs.
    """
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise UserError(f"no data set {name!r} in it; it has {', '.join(file)}")
    # A file from elsewhere must not reach others on this machine.
    if found.file.filename != file.filename or found.external or found.is_virtual:
        raise UserError(f"{name!r} points to values in another file; refused")
    layout = found.id.get_create_plist()
    for position in range(layout.get_nfilters()):
        number = layout.get_filter(position)[0]
        if number not in _FILTERS:
            raise UserError(f"{name!r} needs filter {number} of HDF5 to be unpacked")
    chunk = np.prod(found.chunks or (0,), dtype=np.float64)
    if chunk > 16 * MAX_PIXELS:
        raise UserError(f"{name!r} unpacks in chunks of {chunk:.3g} values; refused")
    return found


def _slice_to_rgb(array: Any, index: int | None, intensity: Intensity) -> np.ndarray:
    shape = array.shape
    if index is not None:
        if len(shape) not in (3, 4):
            raise UserError(
                f"an array of shape {list(shape)} has no slices that are images"
            )
        if not 0 <= index < shape[0]:
            raise UserError(f"no slice {index}: there are {shape[0]}, from 0")
        shape = shape[1:]
    if len(shape) not in (2, 3):
        raise UserError(f"an array of shape {list(shape)} is not an image")
    check_size(*shape[:2])
    # Before anything is read: these may claim any size.
    if shape[2:] not in ((), (1,), (3,)) or array.dtype.kind not in "biuf":
        raise UserError(
            f"an array of shape {list(shape)} and type {array.dtype} is not an image"
        )
    return to_rgb8(
        np.asarray(array[index] if index is not None else array[()]), intensity
    )


def _is_volume(array: np.ndarray) -> bool:
    return array.ndim == 3 and array.shape[-1] not in (1, 3)
