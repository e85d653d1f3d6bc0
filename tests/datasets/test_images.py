"""Whatever the file's format, out comes one upright 8-bit RGB image, or a reason."""

import numpy as np
import pytest
from PIL import Image

from transfusion_tf.datasets.images import encode_jpeg, read_rgb, to_square
from transfusion_tf.errors import UserError

RAMP = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
COLOR = np.stack([RAMP, RAMP[:, ::-1], np.full_like(RAMP, 90)], axis=-1)


def save(tmp_path, image, name, **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def test_rgb_comes_back_unchanged(tmp_path):
    path = save(tmp_path, Image.fromarray(COLOR), "a.png")
    np.testing.assert_array_equal(read_rgb(path), COLOR)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK"])
def test_other_modes_become_rgb(tmp_path, mode):
    picture = Image.fromarray(COLOR).convert(mode)
    name = "a.tiff" if mode == "CMYK" else "a.png"
    image = read_rgb(save(tmp_path, picture, name))
    assert image.shape == (48, 64, 3)
    assert image.dtype == np.uint8
    expected = np.asarray(picture.convert("RGB"), int)
    assert np.abs(image - expected).mean() < 3


def test_transparent_pixels_become_black(tmp_path):
    rgba = np.dstack([COLOR, np.zeros_like(RAMP)])
    rgba[0, 0] = 255
    shown = read_rgb(save(tmp_path, Image.fromarray(rgba), "a.png"))
    assert shown[0, 0].min() == 255
    assert shown.sum() == 3 * 255


def test_a_photograph_taken_sideways_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise to see it upright
    path = save(tmp_path, Image.fromarray(COLOR), "a.png", exif=exif)
    np.testing.assert_array_equal(read_rgb(path), np.rot90(COLOR, -1))


def test_sixteen_bits_need_a_rule(tmp_path):
    deep = (RAMP.astype(np.uint16) * 16).astype(np.uint16)
    path = save(tmp_path, Image.fromarray(deep), "a.png")
    with pytest.raises(UserError, match="intensity"):
        read_rgb(path)
    stretched = read_rgb(path, "minmax")[0, :, 0]
    assert stretched[0] == 0
    assert stretched[-1] == 255
    assert (np.diff(stretched.astype(int)) > 0).all()
    windowed = read_rgb(path, (0.0, 2000.0))[0, :, 0]
    assert windowed[-1] == 255
    assert windowed[10] == round(10 * 64 * 255 / 2000)


def test_a_cut_off_file_is_refused(tmp_path):
    path = save(tmp_path, Image.fromarray(COLOR), "a.jpg")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match="damaged"):
        read_rgb(path)


def test_empty_and_foreign_files_are_refused(tmp_path):
    for content in (b"", b"not an image"):
        path = tmp_path / "a.png"
        path.write_bytes(content)
        with pytest.raises(UserError, match="not an image"):
            read_rgb(path)


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path):
    bomb = save(tmp_path, Image.new("1", (20000, 20000)), "bomb.png")
    with pytest.raises(UserError, match="pixels"):
        read_rgb(bomb)


@pytest.mark.parametrize("aspect", ["pad", "crop", "stretch"])
def test_any_shape_becomes_the_asked_square(aspect):
    square = to_square(COLOR, 32, aspect)
    assert square.shape == (32, 32, 3)
    assert (square[0].max() == 0) == (aspect == "pad")


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 64), (700, 33)])
@pytest.mark.parametrize("aspect", ["pad", "crop", "stretch"])
def test_small_and_thin_images_become_a_square(aspect, shape):
    square = to_square(np.full((*shape, 3), 200, np.uint8), 64, aspect)
    assert square.shape == (64, 64, 3)
    assert square.max() == 200


def test_an_image_of_less_than_a_pixel_in_width_can_only_be_stretched():
    for shape in ((1, 5000), (5000, 1), (2, 129)):
        thin = np.full((*shape, 3), 200, np.uint8)
        for aspect in ("pad", "crop"):
            with pytest.raises(UserError, match="too thin"):
                to_square(thin, 64, aspect)
        assert to_square(thin, 64, "stretch").shape == (64, 64, 3)


def test_stored_jpegs_stay_close_to_the_image(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(encode_jpeg(Image.fromarray(COLOR)))
    assert np.abs(read_rgb(path).astype(int) - COLOR).mean() < 2
