"""What Pillow alone would get wrong: deep colour, checksums, missing ends, bombs."""

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from transfusion_tf.datasets.images import read_rgb
from transfusion_tf.errors import UserError

RNG = np.random.default_rng(0)


def png_bytes(values, color_type):
    """A 16-bit PNG, written by hand: Pillow writes none in colour."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(name, data):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def windowed(values, low, high):
    scaled = (values.astype(float) - low) * 255 / (high - low)
    return np.clip(np.rint(scaled), 0, 255)


def test_a_twelve_bit_ramp_keeps_its_order_and_uses_all_of_eight_bits(tmp_path):
    ramp = np.tile(np.arange(4096, dtype=np.uint16), (2, 1))
    (tmp_path / "a.png").write_bytes(png_bytes(ramp[..., None], 0))
    for rule in ("minmax", (0.0, 4095.0)):
        row = read_rgb(tmp_path / "a.png", rule)[0, :, 0].astype(int)
        assert (np.diff(row) >= 0).all()
        assert len(np.unique(row)) == 256


def test_sixteen_bit_colour_keeps_its_low_bytes(tmp_path):
    values = RNG.integers(0, 4096, (6, 7, 3), dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(png_bytes(values, 2))
    tifffile.imwrite(tmp_path / "raw.tif", values, photometric="rgb")
    tifffile.imwrite(
        tmp_path / "zip.tif", values, photometric="rgb", compression="zlib"
    )
    tifffile.imwrite(tmp_path / "big.tif", values, photometric="rgb", byteorder=">")
    expected = windowed(values, 0, 4095)
    for name in ("a.png", "raw.tif", "zip.tif", "big.tif"):
        image = read_rgb(tmp_path / name, (0.0, 4095.0))
        np.testing.assert_array_equal(image, expected, err_msg=name)
        with pytest.raises(UserError, match="more than 8 bits"):
            read_rgb(tmp_path / name)


@pytest.mark.parametrize(("channels", "color_type"), [(2, 4), (4, 6)])
def test_sixteen_bit_transparency_is_laid_over_black(tmp_path, channels, color_type):
    values = RNG.integers(0, 65536, (6, 7, channels), dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(png_bytes(values, color_type))
    image = read_rgb(tmp_path / "a.png", (0.0, 65535.0))
    colors, alpha = values[..., :-1].astype(float), values[..., -1:] / 65535
    expected = np.broadcast_to(windowed(colors * alpha, 0, 65535), image.shape)
    assert np.abs(image - expected).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_colour_is_turned_as_pillow_turns_eight_bits(tmp_path, orientation):
    values = RNG.integers(0, 256, (6, 7, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(values).save(tmp_path / "a.png", exif=exif)
    deep = png_bytes(values.astype(np.uint16) * 257, 2)
    shallow = (tmp_path / "a.png").read_bytes()
    start = shallow.index(b"eXIf") - 4
    (length,) = struct.unpack(">I", shallow[start : start + 4])
    chunk = shallow[start : start + 12 + length]
    (tmp_path / "b.png").write_bytes(deep[:33] + chunk + deep[33:])
    np.testing.assert_array_equal(
        read_rgb(tmp_path / "b.png", (0.0, 65535.0)), read_rgb(tmp_path / "a.png")
    )


UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}
TIFF_TYPES = [
    (np.bool_, 1, 1),
    (np.uint8, 1, 255),
    (np.uint8, 3, 255),
    (np.uint8, 4, 255),
    (np.uint16, 1, 4095),
    (np.uint16, 3, 4095),
    (np.uint16, 4, 65535),
    (np.int16, 1, 4095),
    (np.int32, 1, 4095),
    (np.float32, 1, 1),
]


@pytest.mark.parametrize(("dtype", "channels", "top"), TIFF_TYPES)
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_is_turned_once_however_its_pixels_are_laid_out(
    tmp_path, dtype, channels, top, order
):
    # Not square, so that a mix-up of the sides shows.
    values = (RNG.random((19, 37, channels)) * top).round(3).astype(dtype)
    values[..., 3:] = top
    expected = np.broadcast_to(windowed(values[..., :3], 0, top), (19, 37, 3))
    path = tmp_path / "a.tif"
    for orientation, turn in UPRIGHT.items():
        for compression in (None, "zlib"):
            for layout in ({}, {"rowsperstrip": 4}, {"tile": (16, 16)}):
                tifffile.imwrite(
                    path,
                    values if channels > 1 else values[..., 0],
                    photometric="minisblack" if channels == 1 else "rgb",
                    extrasamples=["unassalpha"] if channels == 4 else None,
                    byteorder=order,
                    compression=compression,
                    extratags=[(274, "H", 1, orientation, True)],
                    **layout,
                )
                image = read_rgb(path, (0.0, float(top)))
                np.testing.assert_array_equal(image, turn(expected))


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_deflate"])
@pytest.mark.parametrize("mode", ["L", "P", "RGB", "CMYK", "I;16"])
def test_what_other_programs_compress_is_turned_too(tmp_path, mode, compression):
    colors = RNG.integers(0, 256, (19, 37, 3), dtype=np.uint8)
    picture = Image.fromarray(colors)
    picture = picture.convert("L" if mode == "I;16" else mode)
    expected = np.asarray(picture.convert("RGB"))
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
    for orientation, turn in UPRIGHT.items():
        path = tmp_path / "a.tif"
        picture.save(path, compression=compression, tiffinfo={274: orientation})
        image = read_rgb(path, (0.0, 65535.0))
        np.testing.assert_array_equal(image, turn(expected))


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (np.zeros((3, 8, 9), np.uint16), {"planarconfig": "separate"}),
        (np.zeros((8, 9), np.int8), {}),
        (np.zeros((8, 9), np.float64), {}),
    ],
)
def test_tiff_that_pillow_would_misread_is_refused(tmp_path, values, options):
    photometric = "rgb" if values.ndim == 3 else "minisblack"
    for compression in (None, "zlib"):
        tifffile.imwrite(
            tmp_path / "a.tif",
            values,
            photometric=photometric,
            compression=compression,
            **options,
        )
        with pytest.raises(UserError, match="a TIFF"):
            read_rgb(tmp_path / "a.tif", "minmax")


def test_white_is_zero_is_inverted(tmp_path):
    values = np.tile(np.arange(0, 65536, 1024, dtype=np.uint16), (4, 1))
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    row = read_rgb(tmp_path / "a.tif", "minmax")[0, :, 0].astype(int)
    assert row[0] == 255
    assert row[-1] == 0
    assert (np.diff(row) < 0).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpegs_come_out_as_pillow_shows_them(tmp_path, mode, progressive):
    picture = Image.fromarray(RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8))
    path = tmp_path / "a.jpg"
    picture.convert(mode).save(path, quality=90, progressive=progressive)
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_rgb(path), image.convert("RGB"))


def test_a_flipped_bit_in_a_png_is_damage(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        read_rgb(path)


def test_a_jpeg_filled_up_with_zeros_is_damage(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes(len(content) - half))
    with pytest.raises(UserError, match="damaged"):
        read_rgb(path)


def photograph(name, **options):
    smooth = np.kron(RNG.integers(0, 256, (6, 8, 3)), np.ones((16, 16, 1)))
    buffer = io.BytesIO()
    picture = Image.fromarray((smooth + RNG.random(smooth.shape)).astype(np.uint8))
    picture.save(buffer, name, **options)
    return buffer.getvalue()


JPEGS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 3},
}


@pytest.mark.parametrize("kind", JPEGS)
def test_bytes_behind_the_end_of_a_jpeg_are_not_the_image(tmp_path, kind):
    content = photograph("JPEG", **JPEGS[kind])
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    image = read_rgb(path)
    # A motion photo's video, another picture, metadata, padding.
    video = b"ftypmp42" + b"\xff\xd8\xff\xda\xff\xd9\xff\xda" * 99
    for behind in (video, content, b"<x:xmpmeta>", bytes(999), b"\xff\xda\0\0"):
        path.write_bytes(content + behind)
        np.testing.assert_array_equal(read_rgb(path), image)


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("ending", [b"", b"\xff\xd9", bytes(500) + b"\xff\xd9"])
def test_a_jpeg_whose_data_end_too_early_is_damaged_whatever_ends_it(
    tmp_path, kind, ending
):
    pytest.importorskip("simplejpeg")
    content = photograph("JPEG", **JPEGS[kind])
    for missing in (3, 20, len(content) // 3):
        (tmp_path / "a.jpg").write_bytes(content[:-missing] + ending)
        with pytest.raises(UserError, match="damaged"):
            read_rgb(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["PNG", "GIF", "BMP", "TIFF"])
def test_other_formats_may_have_bytes_behind_them_but_not_too_few(tmp_path, name):
    content = photograph(name)
    path = tmp_path / "a"
    path.write_bytes(content)
    image = read_rgb(path)
    path.write_bytes(content + RNG.bytes(5000))
    np.testing.assert_array_equal(read_rgb(path), image)
    for missing in (20, len(content) // 2):
        path.write_bytes(content[:-missing])
        with pytest.raises(UserError, match=r"damaged|cut off"):
            read_rgb(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!DOCTYPE html><html>Not found</html>", "web page"),
        (b'\n{"message": "Not Found"}', "answer of a server"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "WebP: save it as PNG"),
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", "HEIC or AVIF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\x1f\x8b\x08\0", "an archive"),
    ],
)
def test_what_stands_in_place_of_an_image_is_named(tmp_path, content, what):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(UserError, match=what):
        read_rgb(path)


@pytest.mark.parametrize(
    ("mode", "key"), [("L", 200), ("1", 1), ("RGB", (200, 200, 200)), ("I;16", 5000)]
)
def test_a_transparent_colour_is_laid_over_black(tmp_path, mode, key):
    values = np.repeat(np.array([[0, 200], [100, 0]], np.uint8)[..., None], 3, axis=-1)
    image = Image.fromarray(values)
    if mode == "I;16":
        image = Image.fromarray(values[..., 0].astype(np.uint16) * 25)
    elif mode != "RGB":
        image = image.convert(mode, dither=Image.Dither.NONE)
    image.save(tmp_path / "a.png", transparency=key)
    shown = read_rgb(tmp_path / "a.png", (0.0, 65535.0))[..., 0]
    assert shown[0, 1] == 0
    assert (shown[1, 0] > 0) == (mode != "1")


def test_what_is_transparent_all_over_is_no_image(tmp_path):
    Image.new("RGBA", (8, 8), (200, 100, 50, 0)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="transparent all over"):
        read_rgb(tmp_path / "a.png")


def test_thirty_two_bits_have_a_sign_only_where_the_file_says_so(tmp_path):
    steps = np.repeat(np.arange(4, dtype=np.int64), 4).reshape(4, 4)
    for values in (steps * 2**30, (steps - 2) * 2**30):
        signed = values.min() < 0
        stored = values.astype(np.int32 if signed else np.uint32)
        tifffile.imwrite(tmp_path / "a.tif", stored)
        shown = read_rgb(tmp_path / "a.tif", "minmax")
        np.testing.assert_array_equal(shown[:, 0, 0], [0, 85, 170, 255])


def test_several_pages_are_refused(tmp_path):
    pages = [Image.new("L", (8, 8), value) for value in (0, 200)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(UserError, match="2 frames"):
        read_rgb(tmp_path / "a.tif")


def test_what_is_inside_counts_not_the_name(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (9, 8, 7)).save(buffer, "PNG")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    assert (read_rgb(tmp_path / "a.jpg") == (9, 8, 7)).all()


BOMB = """
import resource, sys, time
from pathlib import Path
from transfusion_tf.datasets.images import read_rgb
from transfusion_tf.errors import UserError
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, start = peak(), time.perf_counter()
try:
    read_rgb(Path(sys.argv[1]))
except UserError as error:
    assert "pixels" in str(error), error
    print(1000 * (time.perf_counter() - start), peak() - before)
"""


@pytest.mark.parametrize("name", ["bomb.png", "bomb.tif", "bomb.jpg", "bomb.npy"])
def test_a_bomb_is_refused_unopened_in_a_few_megabytes(tmp_path, name):
    path = tmp_path / name
    if name == "bomb.npy":
        np.lib.format.open_memmap(path, "w+", np.uint8, (20000, 20000))
    elif name == "bomb.jpg":
        Image.new("L", (64, 64)).save(path)
        content = path.read_bytes()
        at = content.index(b"\xff\xc0") + 5  # Height and width.
        path.write_bytes(
            content[:at] + struct.pack(">HH", 20000, 20000) + content[at + 4 :]
        )
    elif name == "bomb.tif":
        Image.new("1", (20000, 20000)).save(path, compression="group4")
    else:
        rows = zlib.compressobj(9)
        size = 20000
        body = b"".join(rows.compress(bytes(1 + size)) for _ in range(size))
        header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", body + rows.flush()), (b"IEND", b""))
        content = b"\x89PNG\r\n\x1a\n"
        for kind, data in chunks:
            checksum = struct.pack(">I", zlib.crc32(kind + data))
            content += struct.pack(">I", len(data)) + kind + data + checksum
        path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    milliseconds, megabytes = map(float, done.stdout.split())
    # Some 20 ms alone; unpacking it takes seconds, on a busy machine tens of them.
    assert milliseconds < 1500
    assert megabytes < 50
