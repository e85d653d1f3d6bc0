"""JPEG files, decoded so that what is missing from them is noticed.

Where the data of a scan end too early, libjpeg fills the image up with grey and warns;
Pillow swallows the warning. simplejpeg, which brings libjpeg-turbo too and gives the
same pixels, raises it. So the end of the image is where decoding ends, whatever stands
behind it (the video of a motion photo, metadata) or was put there.
"""

import re
from typing import Any

import numpy as np
from PIL import Image

from transfusion_tf.errors import UserError

try:
    import simplejpeg
except ModuleNotFoundError:  # There is no wheel for every machine.
    simplejpeg = None

_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"

# Cameras pad the data with a few bytes; more are left over by flipped bits.
_MOST_PADDING = 16
_PADDING = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_MISSING = (
    "premature end",
    "extraneous bytes",
    "bad huffman code",
    "bad arithmetic code",
    "instead of rst",
    "inconsistent progression",
)
_COLORSPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def decode_jpeg(content: bytes, image: Any, shrink: int = 1) -> np.ndarray:
    """The pixels of a JPEG file, not turned.

    Args:
      content: all bytes of the file.
      image: the same as Pillow opened it, of which only the header is read.
      shrink: 2 or 4 decodes at half or a quarter of the size, rounded up: the
        decoder's own scaling, which leaves out each block's high frequencies.

    Returns:
      uint8 [height, width, 3], or [height, width, 1] of a grey one.

    Raises:
      UserError: cut off or damaged.
    """
    if simplejpeg is None or image.mode not in _COLORSPACES:
        return _decode_leniently(content, image, shrink)
    size = {"min_height": -(-image.height // shrink)}
    size["min_width"] = -(-image.width // shrink)
    colorspace = _COLORSPACES[image.mode]
    try:
        pixels = simplejpeg.decode_jpeg(
            content, colorspace, min_factor=shrink, strict=True, **size
        )
    except ValueError as error:
        reason = str(error)
        padding = _PADDING.search(reason)
        if padding and int(padding[1]) <= _MOST_PADDING:
            pixels = simplejpeg.decode_jpeg(
                content, colorspace, min_factor=shrink, strict=False, **size
            )
        elif any(text in reason.lower() for text in _MISSING):
            raise UserError(f"damaged or cut off: {reason}") from None
        else:  # What it does not know, such as odd subsampling, Pillow may.
            return _decode_leniently(content, image, shrink)
    if image.mode == "CMYK":
        # Adobe stores ink as light.
        return np.asarray(Image.fromarray(255 - pixels, "CMYK").convert("RGB"))
    return pixels


def _decode_leniently(content: bytes, image: Any, shrink: int) -> np.ndarray:
    """Through Pillow, which can't tell that data are missing before an end marker."""
    if content.rfind(_END_OF_IMAGE) < content.find(_START_OF_SCAN):
        raise UserError("damaged: cut off, the end of the JPEG is missing")
    if shrink > 1:
        image.draft(None, (image.width // shrink, image.height // shrink))
    if image.mode == "L":
        return np.asarray(image)[..., None]
    return np.asarray(image.convert("RGB"))
