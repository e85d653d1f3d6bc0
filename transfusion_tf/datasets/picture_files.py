"""JPEG, PNG, TIFF and BMP files of any mode, through Pillow, with its gaps closed.

Pillow keeps only the high byte of 16-bit colour, does not compare a PNG's
checksums, leaves 16-bit white-is-zero TIFF inverted, reads deep big-endian TIFF that is
compressed in the wrong byte order, takes 32 bits for signed, and scrambles turned TIFF
that it maps into memory.
JPEG has a decoder of its own, see `jpeg_files`.
"""

import contextlib
import re
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from transfusion_tf.datasets.jpeg_files import decode_jpeg
from transfusion_tf.datasets.pixels import Decoded, Intensity, check_size, to_rgb8
from transfusion_tf.errors import UserError

# Those of which we know that nothing is lost. Through JPEG comes MPO too, which is
# a JPEG with previews behind it.
_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF")

# TIFF tags, and what of them matters here.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANAR, _SAMPLE_FORMAT = 258, 262, 284, 339
_WHITE_IS_ZERO, _SEPARATE_PLANES, _SIGNED = 0, 2, 2

# What is found under the names of images, by how it starts, in small letters.
_SAVE = "save it as PNG"
_OTHERS = {
    rb"<!doctype|<html": "a web page, perhaps of a download that failed",
    rb"<\?xml|[{\[]": "text, perhaps the answer of a server that refused a download",
    rb"version https://git-lfs": "the pointer of Git LFS to one: git lfs pull gets it",
    rb"riff....webp": f"WebP: {_SAVE}",
    rb"....(ftyp(heic|heix|mif1|avif))": f"HEIC or AVIF: {_SAVE}",
    rb"\0\0\0\x0cjp  |\xff\x4f\xff\x51": f"JPEG 2000: {_SAVE}",
    rb"pk\x03\x04|\x1f\x8b|rar!|7z\xbc": "an archive: unpack it",
}

# A cut-off file must raise, never be filled up with grey.
ImageFile.LOAD_TRUNCATED_IMAGES = False


def read_picture(
    path: Path,
    intensity: Intensity,
    shrink_for: Callable[[int, int], int] = lambda height, width: 1,
) -> Decoded:
    """Decodes a file in full, turns it upright and makes it 8-bit RGB.

    Args:
      path: of any mode: grey, palette, alpha (laid over black), CMYK, 16 bit.
      intensity: see `pixels.to_rgb8`.
      shrink_for: says by height and width whether a JPEG is to be decoded at half (2)
        or a quarter (4) of its size.

    Raises:
      UserError: too large (known from the header), damaged, cut off, more than one
        frame, or not an image.
    """
    try:
        # A stream: a TIFF that Pillow maps into memory is turned wrongly.
        with opened_picture(path) as image:
            _check_whole(path, image)
            if image.format in ("JPEG", "MPO"):
                return _decode_jpeg(path, image, shrink_for)
            return Decoded.whole(_decode(path, image, intensity))
    except UserError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error) as error:
        raise UserError(f"damaged: {error}") from None


@contextlib.contextmanager
def opened_picture(path: Path) -> Iterator[Any]:
    """A picture of which no more than the header is read, of an allowed size.

    Raises:
      UserError: too large, or not an image.
    """
    with warnings.catch_warnings(), path.open("rb") as stream:
        # Of large images: our own limit is the one that counts. Of odd metadata.
        warnings.simplefilter("ignore")
        try:
            image: Any = Image.open(stream, formats=_FORMATS)
        except UnidentifiedImageError:
            raise UserError(_not_an_image(path)) from None
        except Image.DecompressionBombError as error:
            raise UserError(f"too many pixels: {error}") from None
        check_size(image.height, image.width)
        yield image


def _check_whole(path: Path, image: Any) -> None:
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        raise UserError(f"{frames} frames; one image is expected")
    if image.format == "PNG":
        with Image.open(path, formats=("PNG",)) as again:
            again.verify()  # Every checksum; leaves the file unusable.


def _decode_jpeg(
    path: Path, image: Any, shrink_for: Callable[[int, int], int]
) -> Decoded:
    order = upright(image)
    # Turned, as far as that swaps them; no pixel is looked at.
    height, width = order(np.broadcast_to(0, (image.height, image.width))).shape
    shrink = shrink_for(height, width)
    pixels = np.ascontiguousarray(order(decode_jpeg(path.read_bytes(), image, shrink)))
    # Where what was rounded up comes to lie: at the end, unless that was turned.
    corner = order(np.arange(4).reshape(2, 2)).ravel().tolist().index(0)
    left = (pixels.shape[1] - width / shrink) * (corner % 2)
    top = (pixels.shape[0] - height / shrink) * (corner // 2)
    box = (left, top, left + width / shrink, top + height / shrink)
    return Decoded(pixels, height, width, box)


def _decode(path: Path, image: Any, intensity: Intensity) -> np.ndarray:
    if image.format == "TIFF":
        _check_tiff(image)
    hidden = _transparent_color(image)
    if image.mode.startswith(("I", "F")):
        inverted = _is_white_zero(image)
        values = np.asarray(ImageOps.exif_transpose(image))
        if values.dtype == np.int32 and not _is_signed(image):
            values = values.view(np.uint32)
        return to_rgb8(_without(hidden, values), intensity, inverted=inverted)
    deep = _deep_rawmode(image)
    if deep:
        values = _without(hidden, _read_deep(path, image.format, deep))
        # Pillow turns a TIFF while it loads it.
        order = upright(image) if image.format != "TIFF" else _as_it_is
        return to_rgb8(np.ascontiguousarray(order(values)), intensity)
    turned = ImageOps.exif_transpose(image)
    return _without(hidden, np.asarray(_laid_over_black(turned).convert("RGB")))


# --- TIFF ------------------------------------------------------------------------


def _check_tiff(image: Any) -> None:
    """Refuses what Pillow misreads, and mends the byte order of the rest."""
    bits = max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,)))
    if bits <= 8:
        if _is_signed(image):
            raise UserError("a TIFF of signed 8-bit values; save it with 16 bits")
        return
    planes = image.tag_v2.get(_PLANAR) == _SEPARATE_PLANES and len(image.getbands()) > 1
    if planes or not (image.mode.startswith(("I", "F")) or _deep_rawmode(image)):
        raise UserError(
            f"a TIFF of {bits} bits in a layout that is not known; save it as grey or "
            "RGB with the channels of a pixel side by side"
        )
    # libtiff gives values in this machine's order, whatever the file's.
    image.tile = [
        _with_rawmode(tile, re.sub(r"(?<=;\d\d)[BL]?(?=[SF]?$)", "N", tile.args[0]))
        if tile.codec_name == "libtiff" and image.mode.startswith(("I", "F"))
        else tile
        for tile in image.tile
    ]


def _is_white_zero(image: Any) -> bool:
    if image.format != "TIFF":
        return False
    return image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _is_signed(image: Any) -> bool:
    return image.format != "TIFF" or _SIGNED in image.tag_v2.get(_SAMPLE_FORMAT, ())


# --- Transparency, which is laid over black ---------------------------------------


def _transparent_color(image: Any) -> np.ndarray | None:
    """The one colour of a PNG that is transparent, where there are no alpha values."""
    key = image.info.get("transparency")
    if key is None or image.mode not in ("1", "L", "I;16", "RGB"):
        return None
    # As it stands in the file, before few bits are stretched to eight; of one bit
    # Pillow has it stretched already.
    stretched = {"L;2": 85, "L;4": 17}
    return np.multiply(key, stretched.get(_rawmode(image.tile[0]), 1))


def _without(color: np.ndarray | None, values: np.ndarray) -> np.ndarray:
    if color is None:
        return values
    same = values == color
    if values.ndim == 3:
        same = same.all(axis=-1, keepdims=True)
    return np.where(same, 0, values).astype(values.dtype)


def _check_opaque(highest_alpha: int) -> None:
    if not highest_alpha:
        raise UserError("transparent all over: nothing of it would be seen")


def _laid_over_black(image: Image.Image) -> Image.Image:
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode not in ("RGBA", "LA", "PA", "La", "RGBa"):
        return image
    image = image.convert("RGBA")
    _check_opaque(int(np.asarray(image)[..., 3].max()))
    return Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)


# --- 16-bit colour ---------------------------------------------------------------


def _deep_rawmode(image: Any) -> str | None:
    """The rawmode of 16-bit samples that Pillow would cut to their high bytes."""
    modes = map(_rawmode, image.tile)
    return next((mode for mode in modes if mode[-4:-1] == ";16"), None)


def _rawmode(tile: Any) -> str:
    rawmode = tile.args[0] if isinstance(tile.args, tuple) else tile.args
    return rawmode if isinstance(rawmode, str) else ""


def _read_deep(path: Path, file_format: str, rawmode: str) -> np.ndarray:
    """uint16 [height, width, 1 or 3], transparency laid over black.

    The file is decoded twice: as written, which gives the high bytes, and as if in
    the other byte order, which gives the low ones.
    """
    layout = rawmode.split(";")[0]
    if layout == "LA":
        # Four bytes a pixel: grey high, grey low, alpha high, alpha low.
        parts = _read_as(path, file_format, "RGBA", "RGBA").astype(np.uint16)
        grey, alpha = (parts[..., i] << 8 | parts[..., i + 1] for i in (0, 2))
        return _over_black(grey[..., None], alpha[..., None])
    if layout not in ("RGB", "RGBA"):
        raise UserError(f"16-bit samples in the layout {layout}, which is not known")
    order = rawmode[-1]
    other = "B" if order in ("L", "N") else "L"
    high = _read_as(path, file_format, layout, f"{layout};16{order}")
    low = _read_as(path, file_format, layout, f"{layout};16{other}")
    values = high.astype(np.uint16) << 8 | low
    if layout == "RGB":
        return values
    return _over_black(values[..., :3], values[..., 3:])


def _read_as(path: Path, file_format: str, mode: str, rawmode: str) -> np.ndarray:
    with path.open("rb") as stream:
        image: Any = Image.open(stream, formats=(file_format,))
        image._mode = mode
        image.tile = [_with_rawmode(tile, rawmode) for tile in image.tile]
        image.load()
        return np.asarray(image)


def _with_rawmode(tile: Any, rawmode: str) -> Any:
    several = isinstance(tile.args, tuple)
    return tile._replace(args=(rawmode, *tile.args[1:]) if several else rawmode)


def _over_black(values: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    _check_opaque(int(alpha.max()))
    return np.rint(values * (alpha / 65535.0)).astype(np.uint16)


def upright(image: Image.Image) -> Callable[[np.ndarray], np.ndarray]:
    """The function that turns an array as `ImageOps.exif_transpose` turns an image."""
    turns = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a.swapaxes(0, 1)[:, ::-1],
        7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
        8: lambda a: a.swapaxes(0, 1)[::-1],
    }
    return turns.get(image.getexif().get(0x0112, 1), _as_it_is)


def _as_it_is(values: np.ndarray) -> np.ndarray:
    return values


def _not_an_image(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(256).lstrip().lower()
    if not head:
        return "not an image: the file is empty"
    for pattern, what in _OTHERS.items():
        if re.match(pattern, head, re.DOTALL):
            return f"not an image that can be read but {what}"
    if head.startswith((b"ii*\0", b"mm\0*")):
        return (
            "a TIFF that is cut off or of a kind that can't be read, not grey or RGB "
            "with 8 or 16 bits per channel"
        )
    return "not an image that can be read"
