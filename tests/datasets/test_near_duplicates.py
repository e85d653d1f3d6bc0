"""Copies of a picture are found, different pictures of one organ are not."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from transfusion_tf.datasets.altered_copies import altered_pairs
from transfusion_tf.datasets.near_duplicates import near_pairs, perceptual_hashes
from transfusion_tf.datasets.rotated_copies import rotated_pairs
from transfusion_tf.phantoms import chest, retina

BICUBIC = Image.Resampling.BICUBIC
FILMS = [chest.draw_chest(i, size=96) for i in range(30)]
PICTURES = [retina.draw_retina(i, size=96, lesion_scale=2.0) for i in range(60)]


def thumbnails(pictures):
    return np.array(
        [
            np.asarray(
                Image.fromarray(p).convert("L").resize((32, 32), Image.Resampling.BOX)
            )
            for p in pictures
        ]
    )


def saved_again(picture):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=60)
    return np.asarray(Image.open(buffer))


def smaller(picture):
    return np.asarray(Image.fromarray(picture).resize((60, 60)))


def brighter(picture):
    return np.clip(picture * 1.15 + 8, 0, 255).astype(np.uint8)


def mirrored(picture):
    return np.ascontiguousarray(saved_again(picture)[:, ::-1])


def cropped(picture):
    # 1 to 3 % a side.
    return saved_again(picture)[3:-1, 1:-3]


def mirrored_and_cropped(picture):
    return cropped(mirrored(picture))


@pytest.mark.parametrize("pairs_in", [near_pairs, altered_pairs, rotated_pairs])
@pytest.mark.parametrize("pictures", [PICTURES, FILMS])
def test_different_pictures_of_one_organ_raise_no_alarm(pairs_in, pictures):
    assert pairs_in(thumbnails(pictures)) == []


@pytest.mark.parametrize("change", [mirrored, cropped, mirrored_and_cropped])
def test_an_altered_copy_is_found(change):
    copies = [change(FILMS[i]) for i in (3, 20, 27)]
    pairs = altered_pairs(thumbnails([*FILMS, *copies]))
    assert {(pair.first, pair.second) for pair in pairs} == {
        (3, 30),
        (20, 31),
        (27, 32),
    }
    expected = "cropped" if change is cropped else "mirrored"
    assert {pair.change for pair in pairs} == {expected}


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_pictures_have_no_altered_copies(count):
    assert altered_pairs(thumbnails(PICTURES)[:count]) == []


@pytest.mark.parametrize("degrees", [-2.2, 0.8, 3, 5.9])
def test_a_copy_rotated_by_a_few_degrees_is_found(degrees):
    copies = [
        np.asarray(Image.fromarray(FILMS[i]).rotate(degrees, BICUBIC))
        for i in (3, 20, 27)
    ]
    pairs = rotated_pairs(thumbnails([*FILMS, *copies]))
    assert {(pair.first, pair.second, pair.change) for pair in pairs} == {
        (3, 30, "rotated"),
        (20, 31, "rotated"),
        (27, 32, "rotated"),
    }


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("upside_down", [False, True])
def test_a_turned_copy_is_found(turns, upside_down):
    copies = [np.rot90(saved_again(FILMS[i]), turns) for i in (3, 20)]
    copies = [np.ascontiguousarray(c[::-1] if upside_down else c) for c in copies]
    pairs = near_pairs(thumbnails([*FILMS, *copies]))
    mirrored = upside_down and turns == 2
    expected = set() if mirrored else {(3, 30), (20, 31)}
    assert {(pair.first, pair.second) for pair in pairs} == expected
    assert {pair.change for pair in pairs} <= {"turned"}


def test_a_copy_with_black_and_white_exchanged_is_found():
    pairs = near_pairs(thumbnails([*FILMS, 255 - saved_again(FILMS[3])]))
    assert [(pair.first, pair.second, pair.change) for pair in pairs] == [
        (3, 30, "negative")
    ]


@pytest.mark.parametrize("change", [saved_again, smaller, brighter])
def test_a_changed_copy_is_found(change):
    copies = [change(PICTURES[i]) for i in (3, 20, 41)]
    pairs = near_pairs(thumbnails([*PICTURES, *copies]))
    assert {(pair.first, pair.second) for pair in pairs} == {
        (3, 60),
        (20, 61),
        (41, 62),
    }


def test_copies_are_found_among_few_pictures():
    pairs = near_pairs(thumbnails([*PICTURES[:3], saved_again(PICTURES[1])]))
    assert [(pair.first, pair.second) for pair in pairs] == [(1, 3)]


@pytest.mark.parametrize("pairs_in", [near_pairs, altered_pairs, rotated_pairs])
def test_blank_pictures_resemble_nothing(pairs_in):
    assert pairs_in(np.zeros((4, 32, 32), np.uint8)) == []


def test_brightness_does_not_change_the_hash():
    values = thumbnails(PICTURES[:5]) // 2
    np.testing.assert_array_equal(
        perceptual_hashes(values), perceptual_hashes(values + np.uint8(40))
    )


@pytest.mark.slow
def test_thousands_that_look_alike_take_seconds():
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:32, :32] - 16
    disc = (rows**2 + columns**2 < 200) * 120.0
    noisy = disc + generator.normal(60, 12, (4_000, 32, 32))
    start = time.perf_counter()
    assert near_pairs(np.clip(noisy, 0, 255).astype(np.uint8)) == []
    assert altered_pairs(np.clip(noisy, 0, 255).astype(np.uint8)) == []
    assert rotated_pairs(np.clip(noisy, 0, 255).astype(np.uint8)) == []
    assert time.perf_counter() - start < 60
