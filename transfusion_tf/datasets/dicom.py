"""DICOM files, through pydicom: the extra `dicom`."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from transfusion_tf.datasets.pixels import Intensity, check_size, to_rgb8
from transfusion_tf.errors import UserError


class MissingExtra(UserError):
    """The file may be well, but a library to read it is not installed."""


_INSTALL = "install the extra: pip install 'transfusion_tf[dicom]'"
_DEFLATED = "1.2.840.10008.1.2.1.99"


def read_dicom(path: Path, intensity: Intensity) -> np.ndarray:
    """One DICOM image, shown as its header says, as 8-bit RGB.

    The stored values are rescaled (slope and intercept, or a modality table). Then
    the file's own window, or its table, maps them to 8 bits, unless the card gives
    (low, high), which are in rescaled units such as Hounsfield's. MONOCHROME1 is
    inverted in the end, so that air is always dark.

    Args:
      path: a single-frame image.
      intensity: for a file of more than 8 bits: `error` refuses it if it has no
        window of its own, `minmax` stretches what the window leaves, or all values
        if there is none.

    Returns:
      uint8 [height, width, 3].

    Raises:
      MissingExtra: pydicom is not installed.
      UserError: several frames, too large (known from
        the header), damaged, or in a compression that can't be read here.
    """
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ModuleNotFoundError:
        raise MissingExtra(f"a DICOM file; to read it, {_INSTALL}") from None
    try:
        with warnings.catch_warnings():
            # About values that do not meet the standard; what matters is checked.
            warnings.simplefilter("ignore")
            _check_header(path)
            data = pydicom.dcmread(path)
            _check_codestream(data)
            return _to_rgb(data, _pixels(data), intensity)
    except InvalidDicomError as error:
        raise UserError(f"not a DICOM file: {error}") from None
    except UserError:
        raise
    except Exception as error:
        # pydicom and its decoders raise errors of many kinds for damaged files.
        raise UserError(f"damaged: {type(error).__name__}: {error}") from None


def _check_header(path: Path) -> None:
    """Looks at all but the pixels."""
    import pydicom

    meta = pydicom.filereader.read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") == _DEFLATED:
        # It would have to be unpacked to see how large it is.
        raise UserError("a deflated DICOM file; write it without deflation")
    header = pydicom.dcmread(path, stop_before_pixels=True, defer_size="64 KB")
    if "Rows" not in header or "Columns" not in header:
        kind = header.get("Modality", "unknown")
        raise UserError(f"a DICOM file without an image (modality {kind})")
    frames = int(header.get("NumberOfFrames", 1) or 1)
    if frames > 1:
        raise UserError(
            f"{frames} frames; one image is expected: export each frame that should "
            "be an example to a file of its own, or to a .npy volume"
        )
    check_size(int(header.Rows), int(header.Columns))


def _check_codestream(data: Any) -> None:
    """Refuses a compressed image that is larger than the header said."""
    from pydicom.encaps import generate_frames

    if not data.file_meta.TransferSyntaxUID.is_compressed:
        return
    frame = next(generate_frames(data.PixelData, number_of_frames=1))
    try:
        with Image.open(io.BytesIO(frame)) as image:
            size = image.size
    except (UnidentifiedImageError, OSError):
        return  # A compression that Pillow does not know: JPEG-LS, run lengths.
    except Image.DecompressionBombError as error:
        raise UserError(f"too many pixels: {error}") from None
    if size != (data.Columns, data.Rows):
        raise UserError(
            f"damaged: {data.Columns}×{data.Rows} pixels in the header, "
            f"{size[0]}×{size[1]} in the image"
        )


def _pixels(data: Any) -> np.ndarray:
    try:
        return data.pixel_array  # Colour comes as RGB, whatever it is stored as.
    except (RuntimeError, NotImplementedError) as error:
        syntax = data.file_meta.TransferSyntaxUID.name
        raise UserError(
            f"damaged, or {syntax!r} is a compression that what is installed can't "
            f"decode (for JPEG 2000, {_INSTALL}; for lossless JPEG, pip install "
            f"python-gdcm): {' '.join(str(error).split())}"
        ) from None


def _to_rgb(data: Any, stored: np.ndarray, intensity: Intensity) -> np.ndarray:
    from pydicom.pixels import apply_color_lut, apply_modality_lut

    photometric = data.PhotometricInterpretation
    if photometric == "PALETTE COLOR":
        colors = apply_color_lut(stored, data)
        depth = data.RedPaletteColorLookupTableDescriptor[2]
        return to_rgb8(colors if depth == 8 else colors >> 8, intensity)
    if stored.ndim == 3:
        return to_rgb8(stored, intensity)
    inverted = photometric == "MONOCHROME1"
    values = apply_modality_lut(stored, data)
    window = None if isinstance(intensity, tuple) else _own_window(data, values)
    if window is not None:
        if intensity == "minmax":
            return to_rgb8(window, "minmax", inverted=inverted)
        return to_rgb8(window, (0.0, 255.0), inverted=inverted)
    if data.BitsStored <= 8 and not isinstance(intensity, tuple):
        if stored.min() < 0:
            raise UserError("signed 8-bit values without a window: give [low, high]")
        return to_rgb8(stored.astype(np.uint8), intensity, inverted=inverted)
    return to_rgb8(values.astype(np.float64), intensity, inverted=inverted)


def _own_window(data: Any, values: np.ndarray) -> np.ndarray | None:
    """`values` through the file's table or window, float 0 to 255; None without one.

    DICOM PS3.3, C.11.2.
    """
    from pydicom.pixels import apply_voi

    if data.get("VOILUTSequence"):
        item = data.VOILUTSequence[0]
        top = 2.0 ** item.LUTDescriptor[2] - 1
        return apply_voi(values, data).astype(np.float64) * (255 / top)
    center, width = (_first(data.get(f"Window{name}")) for name in ("Center", "Width"))
    if center is None or width is None:
        return None
    shape = str(data.get("VOILUTFunction", "LINEAR") or "LINEAR").upper()
    values = values.astype(np.float64)
    if shape == "SIGMOID":
        return 255 / (1 + np.exp(-4 * (values - center) / width))
    if shape == "LINEAR":
        center, width = center - 0.5, width - 1
    if shape == "LINEAR" and width <= 0:
        # A width of 1 is a threshold.
        return np.where(values > center, 255.0, 0.0)
    if width <= 0:
        raise UserError(f"a DICOM window of width {width:g}")
    return np.clip((values - center) / width + 0.5, 0, 1) * 255


def _first(value: Any) -> float | None:
    """The first of several windows, as viewers show it; None where it is blank."""
    if value is None or value == "":
        return None
    if isinstance(value, str | int | float):
        return float(value)
    return float(value[0]) if len(value) else None
