"""What is to be seen of a DICOM image: rescaling, window, padding, inversion, shape."""

from typing import Any

import numpy as np
from PIL import Image

from transfusion_tf.datasets.pixels import Intensity, check_size, to_rgb8
from transfusion_tf.errors import UserError

# Where a header says how far rows and columns are apart; the first counts. The last is
# written where lengths are unknown. DICOM PS3.3, C.7.6.3.1.7.
_SPACINGS = (
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "PixelAspectRatio",
)
# Below it, the shape of pixels is a rounding of their square's.
_LEAST_STRETCH = 1.01
# No machine makes pixels so long.
_MOST_STRETCH = 10


def dicom_to_rgb8(data: Any, raw: np.ndarray, intensity: Intensity) -> np.ndarray:
    """Stored values as they are to be seen: 8-bit RGB.

    They are rescaled (slope and intercept, or a modality table). Then the file's own
    window, or its table, maps them to 8 bits, unless the card gives (low, high), which
    are in rescaled units such as Hounsfield's. MONOCHROME1 is inverted in the end, so
    that air is always dark, and padding is black.

    Args:
      data: the header, as pydicom reads it.
      raw: [height, width], or [height, width, 3] in RGB.
      intensity: for values of more than 8 bits: `error` refuses them if there is no
        window, `minmax` stretches what the window leaves, or all values but padding if
        there is none.

    Returns:
      uint8 [height, width, 3].

    Raises:
      UserError: no rule for more than 8 bits, or a header that contradicts itself.
    """
    from pydicom.pixels import apply_color_lut

    photometric = data.get("PhotometricInterpretation")
    if photometric is None:
        raise UserError("a DICOM file that does not say its PhotometricInterpretation")
    stored = _without_unused_bits(data, raw)
    if photometric == "PALETTE COLOR":
        colors = apply_color_lut(stored, data)
        depth = data.RedPaletteColorLookupTableDescriptor[2]
        return (colors if depth == 8 else colors >> 8).astype(np.uint8)
    if stored.ndim == 3:
        return to_rgb8(stored, intensity)
    _take_from_groups(data)
    seen = ~_padding(data, raw)
    if not seen.any():
        raise UserError("a DICOM image of nothing but padding (PixelPaddingValue)")
    values, rule, falling = _to_shown(data, stored, intensity)
    if rule == "minmax" and values.dtype != np.uint8:
        rule = (float(values[seen].min()), float(values[seen].max()))
    inverted = (photometric == "MONOCHROME1") != falling
    return to_rgb8(values, rule, inverted=inverted) * seen[..., None]


def with_square_pixels(data: Any, image: np.ndarray) -> np.ndarray:
    """The image as wide and as high as what it shows, where pixels are no squares.

    The axis with the coarser pixels gets more of them, so that none is lost.

    Args:
      data: the header.
      image: uint8 [height, width, 3].

    Raises:
      UserError: it would be too large then, or the header says nonsense.
    """
    stretch = _height_of_pixels(data)
    if 1 / _LEAST_STRETCH <= stretch <= _LEAST_STRETCH:
        return image
    height, width = image.shape[:2]
    height, width = round(height * max(1, stretch)), round(width * max(1, 1 / stretch))
    check_size(height, width)
    picture = Image.fromarray(image)
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))


def _height_of_pixels(data: Any) -> float:
    """Over their width; 1 where the header does not say, or says nonsense."""
    for group in _from_groups(data, "PixelMeasuresSequence"):
        if group.get("PixelSpacing"):
            data = group
    for name in _SPACINGS:
        try:
            height, width = (float(value) for value in data.get(name) or ())
        except (TypeError, ValueError):
            continue
        if height > 0 and width > 0:
            if 1 / _MOST_STRETCH <= height / width <= _MOST_STRETCH:
                return height / width
            raise UserError(
                f"{name} makes its pixels {height:g} high and {width:g} wide: no "
                "machine does, so the header has to be mended"
            )
    return 1.0


def _to_shown(
    data: Any, stored: np.ndarray, intensity: Intensity
) -> tuple[np.ndarray, Intensity, bool]:
    """Grey values before they become 8 bits, by which rule, and whether upside down."""
    values, bits = _rescaled(data, stored)
    window = None if isinstance(intensity, tuple) else _own_window(data, values)
    if window is not None:
        return window, intensity if intensity == "minmax" else (0.0, 255.0), False
    if bits is None or bits > 8 or isinstance(intensity, tuple):
        return values.astype(np.float64), intensity, False
    falling = False
    if not data.get("ModalityLUTSequence"):
        # The scale of 8 bits is all that rescaling would change, but for its sign.
        falling = float(data.get("RescaleSlope") or 1) < 0
        values = stored
    return np.rint(values * (255 / (2**bits - 1))).astype(np.uint8), intensity, falling


def _rescaled(data: Any, stored: np.ndarray) -> tuple[np.ndarray, int | None]:
    """Values in the modality's units, and their bits where they are whole from 0 on."""
    if data.get("ModalityLUTSequence"):
        return _through_table(data, data.ModalityLUTSequence[0], stored)
    bits = None
    if stored.dtype.kind == "u":
        bits = int(data.get("BitsStored", data.BitsAllocated))
    slope, start = (data.get(f"Rescale{name}") for name in ("Slope", "Intercept"))
    slope, start = (1 if slope in (None, "") else slope), (start or 0)
    if float(slope) == 0:
        raise UserError("a DICOM file whose RescaleSlope is 0")
    return stored * float(slope) + float(start), bits


def _through_table(data: Any, table: Any, values: np.ndarray) -> tuple[np.ndarray, int]:
    """What a table makes of values, and of how many bits that is.

    pydicom's own functions count in the type of the entries or of the values, so that a
    table of 8 bits for 12 goes wrong. DICOM PS3.3, C.11.1.1.1.
    """
    count, first, bits = (int(number) for number in table.LUTDescriptor)
    count = count or 1 << 16
    entries = table.LUTData
    if isinstance(entries, bytes):
        order = "<" if data.file_meta.TransferSyntaxUID.is_little_endian else ">"
        entries = np.frombuffer(
            entries, "u1" if len(entries) < 2 * count else f"{order}u2"
        )
    if first >= 1 << 15 and values.min() < 0:
        first -= 1 << 16  # Written without its sign.
    places = np.rint(values).astype(np.int64) - first
    return np.asarray(entries)[np.clip(places, 0, count - 1)], bits


def _without_unused_bits(data: Any, raw: np.ndarray) -> np.ndarray:
    """Overlays of old, or anything else, may stand above the bits that are stored."""
    allocated = 8 * raw.itemsize
    unused = allocated - int(data.get("BitsStored", allocated))
    if raw.dtype.kind not in "ui" or unused <= 0:
        return raw
    # Signed values keep their sign.
    return (raw << unused) >> unused


def _padding(data: Any, raw: np.ndarray) -> np.ndarray:
    """Where `raw` is no image but fills up the rectangle: bool, of its shape.

    DICOM PS3.3, C.7.5.1.1.2.
    """
    prefix = "" if raw.dtype.kind in "ui" else "Float"
    names = (f"{prefix}PixelPaddingValue", f"{prefix}PixelPaddingRangeLimit")
    values = [data.get(name) for name in names]
    if values[0] in (None, ""):
        return np.zeros(raw.shape, bool)
    values = [value for value in values if value not in (None, "")]
    if raw.dtype.kind in "ui":
        # Some headers give signed ones without their sign.
        size = 8 * raw.itemsize
        unsigned = [int(value) % 2**size for value in values]
        signed = raw.dtype.kind == "i"
        values = [v - 2**size * (signed and v >= 2 ** (size - 1)) for v in unsigned]
    return (raw >= min(values)) & (raw <= max(values))


def _take_from_groups(data: Any) -> None:
    """Brings rescaling and window of an enhanced image, of one frame, to the top."""
    for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
        for item in _from_groups(data, name):
            data.update(item)


def _from_groups(data: Any, name: str) -> list[Any]:
    """What an enhanced image says of its frame under this name, the last counts."""
    groups = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
    return [
        item
        for sequence in groups
        for group in (data.get(sequence) or ())[:1]
        for item in group.get(name) or ()
    ]


def _own_window(data: Any, values: np.ndarray) -> np.ndarray | None:
    """`values` through the file's table or window, float 0 to 255; None without one.

    DICOM PS3.3, C.11.2.
    """
    if data.get("VOILUTSequence"):
        mapped, bits = _through_table(data, data.VOILUTSequence[0], values)
        return mapped * (255 / (2**bits - 1))
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
