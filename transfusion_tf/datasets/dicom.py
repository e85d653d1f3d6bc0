"""DICOM files, through pydicom: the extra `dicom`."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from transfusion_tf.datasets.dicom_display import dicom_to_rgb8, with_square_pixels
from transfusion_tf.datasets.jpeg_files import decode_jpeg
from transfusion_tf.datasets.pixels import Intensity, check_size
from transfusion_tf.errors import UserError


class MissingExtra(UserError):
    """The file may be well, but a library to read it is not installed."""


_INSTALL = "install the extra: pip install 'transfusion_tf[dicom]'"
_DEFLATED = b"1.2.840.10008.1.2.1.99"


def read_dicom(path: Path, intensity: Intensity) -> np.ndarray:
    """One DICOM image, shown as its header says: see `dicom_to_rgb8`.

    Pixels that are no squares are made such: see `with_square_pixels`.

    Args:
      path: a single-frame image; its preamble may be missing.
      intensity: the card's rule for more than 8 bits.

    Returns:
      uint8 [height, width, 3].

    Raises:
      MissingExtra: pydicom is not installed.
      UserError: several frames, too large (known from the header), damaged, or in a
        compression that can't be read here.
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
            data = pydicom.dcmread(path, force=True)
            _name_encoding(data)
            _check_codestream(data)
            image = dicom_to_rgb8(data, _pixels(data), intensity)
            return with_square_pixels(data, image)
    except InvalidDicomError as error:
        raise UserError(f"not a DICOM file: {error}") from None
    except UserError:
        raise
    except Exception as error:
        # pydicom and its decoders raise errors of many kinds for damaged files.
        raise UserError(f"damaged: {type(error).__name__}: {error}") from None


def dicom_facts(path: Path) -> tuple[str, str]:
    """Bits and photometric kind of a DICOM file that can be read; what made it."""
    import pydicom

    bits = ("PhotometricInterpretation", "BitsStored")
    made_by = ("Modality", "Manufacturer", "ManufacturerModelName")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tags = pydicom.dcmread(
            path, stop_before_pixels=True, specific_tags=[*bits, *made_by], force=True
        )
        kind, device = (
            " ".join(str(tags.get(name, "")) for name in names)
            for names in (bits, made_by)
        )
    return kind.strip(), device.strip()


def starts_as_dicom(head: bytes) -> bool:
    """Whether a file that starts so is DICOM, perhaps without its preamble.

    Args:
      head: 132 bytes, or all there are.
    """
    # The first element of a bare data set is of group 2 or 8, and its number is low.
    bare = head[:2] in (b"\x02\0", b"\x08\0") and head[3:4] == b"\0"
    typed = head[4:6].isalpha() and head[4:6].isupper()
    short = len(head) >= 8 and int.from_bytes(head[4:8], "little") <= 64
    return head[128:132] == b"DICM" or (bare and (typed or short))


def _check_header(path: Path) -> None:
    """Looks at all but the pixels."""
    import pydicom

    with path.open("rb") as file:
        # It would have to be unpacked to see how large it is.
        if _DEFLATED in file.read(4096):
            raise UserError("a deflated DICOM file; write it without deflation")
    header = pydicom.dcmread(
        path, stop_before_pixels=True, defer_size="64 KB", force=True
    )
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
    bits, highest = header.get("BitsStored"), header.get("HighBit")
    if bits is not None and highest is not None and highest != bits - 1:
        raise UserError(
            f"a DICOM file whose values of {bits} bits end at bit {highest} (HighBit), "
            f"not at bit {bits - 1} as the standard wants; write it anew"
        )


def _name_encoding(data: Any) -> None:
    """Notes how the values are written where the header that would say it is missing.

    So it is in a bare data set, as networks send it.
    """
    from pydicom import uid

    if "TransferSyntaxUID" in data.file_meta:
        return
    if data["PixelData"].is_undefined_length:
        raise UserError(
            "a DICOM data set without the header that names its compression"
        )
    implicit, little = data.original_encoding
    explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
    data.file_meta.TransferSyntaxUID = (
        uid.ImplicitVRLittleEndian if implicit else explicit
    )


def _check_codestream(data: Any) -> None:
    """Refuses a compressed image that is larger than the header said."""
    from pydicom.encaps import generate_frames
    from pydicom.uid import JPEGBaseline8Bit

    if not data.file_meta.TransferSyntaxUID.is_compressed:
        return
    frame = next(generate_frames(data.PixelData, number_of_frames=1))
    try:
        image = Image.open(io.BytesIO(frame))
    except (UnidentifiedImageError, OSError):
        return  # A compression that Pillow does not know: JPEG-LS, run lengths.
    except Image.DecompressionBombError as error:
        raise UserError(f"too many pixels: {error}") from None
    if image.size != (data.Columns, data.Rows):
        raise UserError(
            f"damaged: {data.Columns}×{data.Rows} pixels in the header, "
            f"{image.width}×{image.height} in the image"
        )
    if data.file_meta.TransferSyntaxUID == JPEGBaseline8Bit:
        decode_jpeg(frame, image)  # Whether it is whole: pydicom does not look.


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
