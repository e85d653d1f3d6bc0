import numpy as np
import pytest
from PIL import Image

from transfusion_tf.phantoms import (
    draw_photograph_crop,
    photograph_metadata,
    photograph_names,
    photographs,
)
from transfusion_tf.phantoms.canvas import random_stream


def test_the_photographs_are_sorted_and_all_are_in_the_installed_wheels():
    names = photograph_names()
    assert list(names) == sorted(set(names))
    for name in names:
        height, width, channels = photographs.load_photograph(name).shape
        assert min(height, width) >= 300
        assert channels == 3


def test_an_unknown_photograph_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="astronaut, brick"):
        photographs.load_photograph("retina")


def test_metadata_names_the_crop_and_makes_it_a_group_of_its_own():
    metadata = photograph_metadata(123)
    assert metadata.example_id == metadata.patient_id == "crop000123"


def test_labels_and_splits_come_in_their_shares():
    crops = [photograph_metadata(i, validation_share=0.2) for i in range(5000)]
    splits = [crop.split for crop in crops]
    shares = [splits.count(split) / 5000 for split in ("train", "validation", "test")]
    np.testing.assert_allclose(shares, [0.6, 0.2, 0.2], atol=0.02)
    labels = np.bincount([crop.label for crop in crops]) / 5000
    np.testing.assert_allclose(labels, 1 / len(photograph_names()), atol=0.02)


def test_cutting_twice_gives_the_same_bytes():
    first = draw_photograph_crop(5, seed=2, size=48)
    draw_photograph_crop(6, seed=2, size=48)
    np.testing.assert_array_equal(first, draw_photograph_crop(5, seed=2, size=48))


def test_another_seed_gives_another_crop():
    first = draw_photograph_crop(5, seed=2, size=48)
    assert not np.array_equal(first, draw_photograph_crop(5, seed=3, size=48))


@pytest.mark.parametrize("size", [1, 32, 67, 224])
def test_any_size_is_cut_as_bytes(size):
    crop = draw_photograph_crop(0, size=size)
    assert crop.shape == (size, size, 3)
    assert crop.dtype == np.uint8


def test_the_same_crop_appears_at_every_size():
    for index in range(8):
        large = Image.fromarray(draw_photograph_crop(index, size=256))
        large = np.asarray(large.resize((32, 32), Image.Resampling.BOX), float)
        small = draw_photograph_crop(index, size=32).astype(float)
        assert np.abs(large - small).mean() < 12


def test_strips_of_a_photograph_share_no_pixel_and_leave_none_out():
    for name in photograph_names():
        times_used = np.zeros(photographs.load_photograph(name).shape[:2], int)
        for split in ("train", "validation", "test"):
            left, top, right, bottom = photographs.photograph_strip(name, split)
            times_used[top:bottom, left:right] += 1
        assert (times_used == 1).all()


def test_a_crop_lies_within_the_strip_of_its_split():
    for index in range(400):
        metadata = photograph_metadata(index, validation_share=0.3)
        name = photograph_names()[metadata.label]
        strip = photographs.photograph_strip(name, metadata.split)
        stream = random_stream(0, photographs._CROP, index)
        box = photographs._footprint(stream, metadata).box
        assert min(box[0] - strip[0], box[1] - strip[1]) > -1e-6
        assert min(strip[2] - box[2], strip[3] - box[3]) > -1e-6


def test_pixels_outside_the_strip_do_not_reach_the_crop(monkeypatch):
    """Blacken everything but the strips of validation: its crops stay the same."""
    indices = [i for i in range(200) if photograph_metadata(i).split == "validation"]
    before = [draw_photograph_crop(i, size=40) for i in indices]

    def only_validation(name):
        left, top, right, bottom = photographs.photograph_strip(name, "validation")
        pixels = np.zeros_like(original(name))
        pixels[top:bottom, left:right] = original(name)[top:bottom, left:right]
        return pixels

    original = photographs._load.__wrapped__
    photographs._strip.cache_clear()
    monkeypatch.setattr(photographs, "_load", only_validation)
    monkeypatch.setattr(photographs, "load_photograph", original)
    try:
        for index, crop in zip(indices, before, strict=True):
            np.testing.assert_array_equal(draw_photograph_crop(index, size=40), crop)
    finally:
        photographs._strip.cache_clear()


def test_colour_alone_does_not_tell_the_photograph():
    """Mean colours vary more within a photograph's crops than between photographs."""
    colors = {}
    for index in range(1200):
        label = photograph_metadata(index).label
        crop = draw_photograph_crop(index, size=12)
        colors.setdefault(label, []).append(crop.mean(axis=(0, 1)))
    within = np.mean([np.std(found, axis=0) for found in colors.values()])
    between = np.std([np.mean(found, axis=0) for found in colors.values()], axis=0)
    assert within > between.mean()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"index": -1, "size": 8}, "negative"),
        ({"index": 0, "size": 0}, "at least 1 pixel"),
        ({"index": 0, "size": 8, "validation_share": 0.5}, "less than 0.5"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw_photograph_crop(**arguments)


def test_a_photograph_missing_from_the_wheel_names_the_package_and_version(
    monkeypatch,
):
    missing = ("skimage.data", "scikit-image", "no_such_file.png")
    monkeypatch.setitem(photographs._FILES, "missing", missing)
    with pytest.raises(FileNotFoundError, match=r"scikit-image \d+.*no_such_file"):
        photographs.load_photograph("missing")
