"""What one decoding of an image gives, at full size or at the decoder's own scale."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from transfusion_tf.datasets.examined import examine
from transfusion_tf.datasets.images import (
    FileImage,
    decode_for,
    read_rgb,
    squared,
    to_square,
)
from transfusion_tf.errors import UserError

# Real photographs of 640 × 427 pixels, side by side: as much detail as a large one has.
PHOTOGRAPHS = load_sample_images().images


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    row = np.concatenate([*PHOTOGRAPHS, *PHOTOGRAPHS], axis=1)
    path = tmp_path_factory.mktemp("photograph") / "a.jpg"
    Image.fromarray(np.concatenate([row, row[:, ::-1]])).save(path, quality=92)
    return FileImage(path)  # 2560 × 854


@pytest.mark.parametrize(
    ("size", "aspect", "height", "width"),
    [
        (428, "crop", 854, 2560),
        (427, "crop", 427, 1280),
        (107, "crop", 427, 1280),
        (106, "crop", 214, 640),
        (1280, "pad", 427, 1280),
        (1281, "pad", 854, 2560),
    ],
)
def test_a_jpeg_of_twice_the_pixels_is_decoded_at_half_of_eight_times_at_a_quarter(
    photograph, size, aspect, height, width
):
    decoded = decode_for(photograph, size, aspect)
    assert decoded.pixels.shape == (height, width, 3)
    assert (decoded.height, decoded.width) == (854, 2560)


def from_scaled(image, size, aspect):
    decoded = decode_for(image, size, aspect)
    picture = Image.fromarray(decoded.pixels)
    return np.asarray(squared(picture, decoded.box, size, aspect)).astype(int)


@pytest.mark.parametrize(
    ("size", "aspect", "difference"),
    [
        (427, "crop", 3.0),
        (427, "stretch", 1.2),
        (284, "crop", 1.3),
        (106, "crop", 1.0),
        (616, "pad", 0.3),
    ],
)
def test_the_square_is_that_of_the_full_way_but_for_little(
    photograph, size, aspect, difference
):
    full = to_square(read_rgb(photograph.path), size, aspect)
    with Image.open(io.BytesIO(examine(photograph, size, aspect).jpeg)) as stored:
        assert stored.size == (size, size)
    assert 0 < np.abs(from_scaled(photograph, size, aspect) - full).mean() < difference


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_of_odd_sides_is_not_moved_however_it_is_turned(tmp_path, orientation):
    """At a quarter of its size up to three pixels of the last would be none."""
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(PHOTOGRAPHS[0][:421, :629])
    picture.save(path, exif=exif, quality=95)
    full = to_square(read_rgb(path), 50, "stretch")
    assert np.abs(from_scaled(FileImage(path), 50, "stretch") - full).mean() < 1


def test_an_image_that_is_too_thin_says_its_real_size(tmp_path):
    Image.new("L", (3000, 4)).save(tmp_path / "a.jpg")
    with pytest.raises(UserError, match="3000×4 pixels"):
        examine(FileImage(tmp_path / "a.jpg"), 616, "pad")


def test_a_turned_photograph_is_upright_at_any_scale(photograph, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(photograph.path) as picture:
        picture.save(tmp_path / "b.jpg", exif=exif, quality=92)
    decoded = decode_for(FileImage(tmp_path / "b.jpg"), 300, "crop")
    assert (decoded.height, decoded.width) == (2560, 854)
    expected = np.rot90(decode_for(photograph, 300, "crop").pixels, -1).astype(int)
    assert np.abs(decoded.pixels - expected).mean() < 3


@pytest.mark.parametrize("aspect", ["crop", "pad", "stretch"])
def test_a_grey_jpeg_is_stored_and_measured_as_its_copy_in_colours_is(tmp_path, aspect):
    grey = Image.fromarray(PHOTOGRAPHS[0]).convert("L")
    grey.save(tmp_path / "a.jpg", quality=92)
    with Image.open(tmp_path / "a.jpg") as decoded:
        decoded.convert("RGB").save(tmp_path / "b.png")
    one, other = (
        examine(FileImage(tmp_path / name), 330, aspect) for name in ("a.jpg", "b.png")
    )
    assert one.jpeg == other.jpeg
    assert one.measures.digest == other.measures.digest
    assert one.measures.mean == pytest.approx(other.measures.mean)
    assert one.measures.deviation == pytest.approx(other.measures.deviation)
    np.testing.assert_array_equal(one.measures.thumbnail, other.measures.thumbnail)


def test_measures_are_those_of_the_pixels(tmp_path):
    Image.fromarray(PHOTOGRAPHS[1]).save(tmp_path / "a.png")
    measures = examine(FileImage(tmp_path / "a.png"), 64, "crop").measures
    values = PHOTOGRAPHS[1].reshape(-1, 3) / 255
    assert (measures.height, measures.width) == (427, 640)
    assert measures.mean == pytest.approx(values.mean(axis=0))
    assert measures.deviation == pytest.approx(values.std(axis=0))
