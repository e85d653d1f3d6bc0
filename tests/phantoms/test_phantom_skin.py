import dataclasses
import itertools

import numpy as np
import pytest
from PIL import Image

from transfusion_tf.datasets import load_card
from transfusion_tf.datasets.readers import read_card
from transfusion_tf.phantoms import (
    draw_chest,
    draw_photograph_crop,
    draw_retina,
    draw_skin,
    skin_metadata,
)
from transfusion_tf.phantoms.skin import KIND_SHARES
from transfusion_tf.phantoms.skin_lesions import KINDS, paint_lesion

CARDS = ("phantom_skin", "phantom_skin_64", "phantom_skin_few")


def _lesion(kind, index, size=96):
    """What a lesion of a kind lets through, drawn in the middle."""
    rng = np.random.default_rng(index)
    return paint_lesion(rng, kind, (0.0, 0.0), 1.0, size)


def test_metadata_names_the_patient_and_the_photograph():
    first, second = skin_metadata(24), skin_metadata(25)
    assert (first.example_id, first.patient_id) == ("p00012_photo1", "p00012")
    assert (second.example_id, second.patient_id) == ("p00012_photo2", "p00012")


def test_metadata_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        skin_metadata(0).kind = 1


def test_kinds_come_in_their_shares_whatever_the_patient_s_other_lesion_is():
    kinds = np.array([skin_metadata(index).kind for index in range(6000)])
    found = np.bincount(kinds, minlength=4) / len(kinds)
    np.testing.assert_allclose(found, KIND_SHARES, atol=0.02)
    left, right = kinds.reshape(-1, 2).T
    assert abs(np.mean(left == right) - np.square(KIND_SHARES).sum()) < 0.03


def test_drawing_twice_gives_the_same_bytes():
    first = draw_skin(7, seed=3, size=64)
    draw_skin(8, seed=3, size=64)
    np.testing.assert_array_equal(first, draw_skin(7, seed=3, size=64))


@pytest.mark.parametrize(("index", "seed"), [(6, 3), (9, 3), (7, 4)])
def test_another_index_or_seed_gives_another_image(index, seed):
    here = draw_skin(7, seed=3, size=64).astype(float)
    assert np.abs(here - draw_skin(index, seed=seed, size=64)).mean() > 5


@pytest.mark.parametrize("size", [16, 64, 67, 161])
def test_any_size_is_drawn_as_bytes(size):
    image = draw_skin(0, size=size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8


@pytest.mark.parametrize("index", [3, 8])
def test_the_same_lesion_appears_at_every_size(index):
    large = Image.fromarray(draw_skin(index, size=256))
    large = np.asarray(large.resize((32, 32), Image.Resampling.BOX), float)
    small = Image.fromarray(draw_skin(index, size=128))
    small = np.asarray(small.resize((32, 32), Image.Resampling.BOX), float)
    other = draw_skin(index + 40, size=32).astype(float)
    assert np.abs(large - small).mean() < 0.3 * np.abs(large - other).mean()


def test_a_photograph_is_drawn_with_its_own_kind():
    index = next(i for i in range(50) if skin_metadata(i).kind == 2)
    own = draw_skin(index, size=64)
    np.testing.assert_array_equal(own, draw_skin(index, size=64, kind=2))
    assert not np.array_equal(own, draw_skin(index, size=64, kind=0))


def test_the_kind_changes_the_lesion_and_nothing_around_it():
    images = [draw_skin(5, size=128, kind=kind).astype(float) for kind in range(4)]
    for one, other in itertools.combinations(images, 2):
        far = np.abs(one - other).max(axis=-1)
        border = np.concatenate([far[:12].ravel(), far[-12:].ravel()])
        assert border.mean() < 3  # Contrast is taken about the image's mean.
        assert far.max() > 20


def test_a_lesion_leaves_the_skin_around_it_alone():
    for kind in KINDS:
        through = _lesion(kind, 0)
        assert (np.abs(through[:8] - 1) < 0.02).all()
        assert through.min() < 0.7
        assert through.max() < 1.3


def test_an_angioma_is_red_and_a_naevus_is_brown():
    for index in range(10):
        angioma, naevus = _lesion("angioma", index), _lesion("naevus", index)
        lesion = angioma.min(axis=-1) < 0.7
        assert angioma[lesion][:, 0].mean() > 1.3 * angioma[lesion][:, 1].mean()
        lesion = naevus.min(axis=-1) < 0.7
        red, green, blue = naevus[lesion].mean(axis=0)
        assert red > green > blue


def test_a_melanoma_is_more_lopsided_than_a_naevus():
    def lopsided(kind):
        found = []
        for index in range(20):
            dark = 1 - _lesion(kind, index).mean(axis=-1)
            turned = dark[::-1, ::-1]
            found.append(np.abs(dark - turned).sum() / dark.sum())
        return np.mean(found)

    assert lopsided("melanoma") > 2 * lopsided("naevus")


def test_a_keratosis_has_a_rougher_surface_than_a_naevus():
    def rough(kind):
        found = []
        for index in range(10):
            through = _lesion(kind, index).mean(axis=-1)
            middle = through[40:56, 40:56]
            found.append(np.std(middle) / middle.mean())
        return np.mean(found)

    assert rough("keratosis") > 2 * rough("naevus")


def test_lesion_scale_multiplies_the_radius():
    def area(scale):
        rng = np.random.default_rng(1)
        through = paint_lesion(rng, "keratosis", (0.0, 0.0), scale, 200)
        return (through.min(axis=-1) < 0.75).sum()

    assert area(2.0) == pytest.approx(4 * area(1.0), rel=0.25)


def test_of_the_drawn_domains_skin_is_nearest_to_photographs():
    """By the mean and spread of colours and of their local differences."""

    def features(draw):
        images = np.stack([draw(index) for index in range(60)]).astype(float) / 255
        small = images.reshape(60, 8, 4, 8, 4, 3).mean(axis=(2, 4))
        spread = images.reshape(60, 8, 4, 8, 4, 3).std(axis=(2, 4))
        both = np.stack([small, spread])
        return np.concatenate(
            [both.mean(axis=(1, 2, 3)), both.std(axis=1).mean((1, 2))]
        )

    source = features(lambda index: draw_photograph_crop(index, size=32))
    apart = {
        name: np.linalg.norm(features(draw) - source)
        for name, draw in {
            "skin": lambda index: draw_skin(index, size=32),
            "retina": lambda index: draw_retina(index, size=32),
            "chest": lambda index: draw_chest(index, size=32),
        }.items()
    }
    assert min(apart, key=apart.get) == "skin"


@pytest.mark.parametrize("name", CARDS)
def test_its_cards_read_two_photographs_a_patient_of_four_kinds(name):
    card = load_card(name)
    reading = read_card(card.replace(reader={**card.reader, "patients": 30}))
    assert not reading.problems
    assert len(reading.examples) == 60
    assert {example.patient_id for example in reading.examples} == {
        f"p{patient:05d}" for patient in range(30)
    }
    labels = np.array([example.labels for example in reading.examples])
    assert (labels.sum(axis=1) == 1).all()
    assert (labels.sum(axis=0) > 0).all()
    image = reading.examples[0].image.load()
    assert image.shape == (card.stored_size, card.stored_size, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"index": -1}, "negative"),
        ({"index": 0, "size": 8}, "16 pixels"),
        ({"index": 0, "lesion_scale": 0.0}, "positive"),
        ({"index": 0, "kind": 4}, "0 to 3"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw_skin(**arguments)
