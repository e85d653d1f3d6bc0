"""Patients are seen in names where most of these have them, and nowhere else."""

import pytest

from transfusion_tf.datasets.patient_names import pattern_in

NIH = [f"{number // 2:08d}_{number:03d}.jpg" for number in range(60)]


@pytest.mark.parametrize(
    ("names", "patients"),
    [
        (NIH, 30),
        ([f"train/{name}" for name in NIH], 30),
        ([f"{n // 2}_{('left', 'right')[n % 2]}.jpeg" for n in range(60)], 30),
        ([f"person{n // 3}_virus_{n}.jpeg" for n in range(60)], 20),
        ([f"patient{n // 3:05d}/study1/view{n % 3}.jpg" for n in range(60)], 20),
        ([f"P{n // 4:04d}/image{n}.png" for n in range(60)], 15),
        ([f"case{n // 2}-{n % 2}.png" for n in range(60)], 30),
        ([f"normal_{n // 2}_{n % 2}.png" for n in range(60)], 30),
        ([f"IM-{n // 3:04d}-{n % 3:04d}.jpeg" for n in range(60)], 20),
        ([f"patient{n // 2}_{('left', 'right')[n % 2]}.png" for n in range(60)], 30),
    ],
)
def test_names_with_patients(names, patients):
    found = pattern_in(names)
    assert len(set(found.patients)) == patients
    assert not found.unexplained


@pytest.mark.parametrize(
    "name", ["{}.png", "IMG_{}.png", "ISIC_{:07d}.jpg", "a ({}).png"]
)
def test_names_without(name):
    assert pattern_in([name.format(number) for number in range(60)]) is None


@pytest.mark.parametrize(
    "starts",
    [
        ("train", "test"),
        ("nv", "mel", "bcc", "akiec", "bkl", "df", "vasc"),
        ("2018", "2019", "2020", "2021"),
        ("grade0", "grade1", "grade2"),
    ],
)
@pytest.mark.parametrize("mark", "_-")
def test_splits_classes_and_years_are_no_patients(starts, mark):
    count = len(starts)
    names = [f"{starts[n % count]}{mark}{n:04d}.png" for n in range(20 * count)]
    assert pattern_in(names, classes=3) is None


def test_what_does_not_fit_stands_for_itself_and_is_counted_by_class():
    names = [*NIH, "scan a.png", "scan b.png"]
    found = pattern_in(names)
    assert found.pattern == r"^(\d{8})_|^(.+)$"
    assert found.patients[-2:] == ("scan a.png", "scan b.png")
    text = found.describe(["sick", "well"] * 30 + ["well", "well"])
    assert "32 patients of 62 images" in text
    assert "2 of 32 well" in text


def test_two_ways_of_naming():
    names = NIH + [f"person{number // 2}_virus_{number}.jpeg" for number in range(20)]
    found = pattern_in(names)
    assert len(set(found.patients)) == 40
    assert not found.unexplained
