import dataclasses

import numpy as np
import pytest
from PIL import Image

from transfusion_tf.phantoms import draw_retina, retina_metadata
from transfusion_tf.phantoms.canvas import random_stream
from transfusion_tf.phantoms.retina_anatomy import (
    eye_geometry,
    patient_traits,
)
from transfusion_tf.phantoms.retina_lesions import Lesions, plan_lesions
from transfusion_tf.phantoms.retina_vessels import grow_vessels


def _reduced(image, size):
    small = Image.fromarray(image).resize((size, size), Image.Resampling.BOX)
    return np.asarray(small, dtype=float)


def _plan(index, grade, scale=1.0):
    rng = random_stream(0, index)
    traits = patient_traits(rng)
    eye = eye_geometry(rng, traits, mirror=1)
    vessels = grow_vessels(rng, traits, eye)
    return plan_lesions(rng, eye, vessels, grade=grade, scale=scale)


def _changed(image, healthy):
    """Share of the pixels that differ by more than a trace."""
    difference = np.abs(image.astype(int) - healthy.astype(int)).max(axis=-1)
    return (difference > 3).mean()


def test_metadata_names_the_patient_and_the_eye():
    left, right = retina_metadata(24), retina_metadata(25)
    assert (left.example_id, left.patient_id, left.eye) == (
        "p00012_left",
        "p00012",
        "left",
    )
    assert (right.example_id, right.patient_id, right.eye) == (
        "p00012_right",
        "p00012",
        "right",
    )


def test_metadata_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        retina_metadata(0).grade = 4


def test_grades_come_in_the_shares_asked_for():
    shares = (0.4, 0.3, 0.1, 0.15, 0.05)
    grades = [retina_metadata(i, grade_shares=shares).grade for i in range(6000)]
    found = np.bincount(grades, minlength=5) / len(grades)
    np.testing.assert_allclose(found, shares, atol=0.025)


def test_a_grade_without_share_never_occurs():
    shares = (0.5, 0.0, 0.0, 0.5, 0.0)
    grades = {retina_metadata(i, grade_shares=shares).grade for i in range(400)}
    assert grades == {0, 3}


def test_the_two_eyes_of_a_patient_have_similar_but_not_equal_grades():
    grades = np.array([retina_metadata(i).grade for i in range(4000)]).reshape(-1, 2)
    correlation = np.corrcoef(grades.T)[0, 1]
    assert 0.6 < correlation < 0.95
    assert np.corrcoef(grades[:-1, 0], grades[1:, 0])[0, 1] < 0.1


def test_another_seed_gives_other_grades():
    grades = [[retina_metadata(i, seed=s).grade for i in range(50)] for s in (0, 1)]
    assert grades[0] != grades[1]


def test_drawing_twice_gives_the_same_bytes():
    first = draw_retina(7, seed=3, size=96)
    draw_retina(8, seed=3, size=96)
    np.testing.assert_array_equal(first, draw_retina(7, seed=3, size=96))


@pytest.mark.parametrize(("index", "seed"), [(6, 3), (9, 3), (7, 4)])
def test_another_index_or_seed_gives_another_image(index, seed):
    here, there = (
        draw_retina(7, seed=3, size=96),
        draw_retina(index, seed=seed, size=96),
    )
    assert np.abs(here.astype(float) - there).mean() > 2


@pytest.mark.parametrize("size", [16, 64, 67, 161, 300])
def test_any_size_is_drawn_as_bytes(size):
    image = draw_retina(0, size=size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8


def test_an_image_is_drawn_with_its_own_grade():
    index = next(i for i in range(100) if retina_metadata(i).grade == 3)
    own = draw_retina(index, size=64)
    np.testing.assert_array_equal(own, draw_retina(index, size=64, grade=3))
    assert not np.array_equal(own, draw_retina(index, size=64, grade=0))


@pytest.mark.parametrize("index", [4, 5])
def test_the_same_eye_appears_at_every_size(index):
    large = _reduced(draw_retina(index, size=587, grade=2), 64)
    small = _reduced(draw_retina(index, size=128, grade=2), 64)
    other = _reduced(draw_retina(index + 20, size=128, grade=2), 64)
    assert np.abs(large - small).mean() < 3.5
    assert np.abs(large - small).mean() < 0.3 * np.abs(large - other).mean()


@pytest.mark.parametrize(("index", "nasal_side"), [(0, -1), (1, 1), (30, -1), (31, 1)])
def test_the_disc_lies_to_the_nose(index, nasal_side):
    green = draw_retina(index, size=128, grade=0)[..., 1].astype(float)
    rows, columns = np.nonzero(green > np.quantile(green, 0.985))
    assert nasal_side * (np.median(columns) - 63.5) > 25
    assert abs(np.median(rows) - 63.5) < 25


def test_the_field_of_view_is_surrounded_by_black():
    image = draw_retina(2, size=200)
    corners = np.concatenate([image[:20, :20], image[-20:, -20:]])
    assert corners.max() < 20
    assert image[80:120, 80:120, 0].mean() > 60


def test_a_healthy_eye_has_no_lesions():
    assert _plan(0, grade=0) == Lesions()


@pytest.mark.parametrize("grade", [1, 2, 3, 4])
def test_lesions_change_a_healthy_eye_in_places_only(grade):
    healthy = draw_retina(11, size=299, grade=0)
    changed = _changed(draw_retina(11, size=299, grade=grade), healthy)
    assert 0 < changed < 0.15


def test_severer_grades_change_more_of_the_eye():
    changed = np.zeros(4)
    for index in range(6):
        healthy = draw_retina(index, size=299, grade=0)
        for grade in (1, 2, 3):
            image = draw_retina(index, size=299, grade=grade)
            changed[grade] += _changed(image, healthy)
    assert 5 * changed[1] < changed[2] < 0.8 * changed[3]


def test_grade_1_has_a_few_microaneurysms_and_nothing_else():
    for index in range(20):
        lesions = _plan(index, grade=1)
        (dots,) = lesions.blood
        assert 1 <= len(dots.outlines) <= 8
        diameters = np.ptp(dots.outlines, axis=1) * 587 / 2
        assert diameters.max() < 6.5
        assert dataclasses.replace(lesions, blood=()) == Lesions()


def test_grade_3_bleeds_in_all_four_quadrants():
    for index in range(10):
        centers = np.concatenate(
            [patches.outlines.mean(axis=1) for patches in _plan(index, grade=3).blood]
        )
        quadrant = 2 * (centers[:, 0] > 0) + (centers[:, 1] > 0)
        assert np.bincount(quadrant, minlength=4).min() >= 4


def test_grade_4_adds_long_new_vessels():
    """Outlines of new vessels have more corners than those of any other lesion."""
    for index in range(20):
        corners = {p.outlines.shape[1] for p in _plan(index, grade=4).blood}
        assert max(corners) > max(p.outlines.shape[1] for p in _plan(index, 3).blood)


def test_lesion_scale_multiplies_radii():
    (small,), (large,) = _plan(0, grade=1).blood, _plan(0, grade=1, scale=2.5).blood
    np.testing.assert_allclose(
        np.ptp(large.outlines, axis=1), 2.5 * np.ptp(small.outlines, axis=1)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"index": -1}, "negative"),
        ({"index": 0, "seed": -1}, "negative"),
        ({"index": 0, "size": 8}, "16 pixels"),
        ({"index": 0, "lesion_scale": 0.0}, "positive"),
        ({"index": 0, "grade": 5}, "0 to 4"),
        ({"index": 0, "grade_shares": (0.5, 0.5)}, "five shares"),
        ({"index": 0, "grade_shares": (0.5, 0.5, 0.5, 0.0, 0.0)}, "sum to 1"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw_retina(**arguments)
