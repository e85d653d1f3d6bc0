"""Small real data that tests draw, and tables that they may damage."""

import contextlib
import csv
import dataclasses
import resource
from pathlib import Path

import numpy as np
from PIL import Image

from transfusion_tf.phantoms import retina

CARD = """\
name = "clinic"
title = "Fundus photographs of a clinic"
image_size = 32

[reader]
kind = "csv"
file = "labels.csv"
image_folder = "images"
path_column = "image"
label_columns = ["grade"]
patient_column = "patient"

[labels]
kind = "grade"
classes = ["none", "mild", "moderate", "severe", "proliferative"]
count_from = 0

[splits]
train = 0.5
validation = 0.25
test = 0.25

[augmentation]
policy = "retina"
"""


def write_clinic(folder: Path, patients: int = 24, size: int = 80) -> Path:
    """A CSV data set of drawn eyes, two a patient; returns its card."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for index in range(2 * patients):
        grade = (index // 2) % 5
        image = retina.draw_retina(index, size=size, lesion_scale=2.0, grade=grade)
        name = f"{index:03d}.png"
        Image.fromarray(image).save(folder / "images" / name)
        rows.append({"image": name, "grade": grade, "patient": f"p{index // 2}"})
    write_rows(folder / "labels.csv", rows)
    (folder / "dataset.toml").write_text(CARD)
    return folder / "dataset.toml"


def assert_same(one, other) -> None:
    """Two data classes are equal; NaN equals NaN, as `==` has it up to Python 3.12."""
    np.testing.assert_equal(dataclasses.asdict(one), dataclasses.asdict(other))


def write_rows(file: Path, rows: list[dict]) -> None:
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_rows(file: Path) -> list[dict]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


@contextlib.contextmanager
def files_of_at_most(size):
    """For the time of the block, a write past so many bytes fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
