"""Rows become examples; what can't is named with its row and a reason."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from support import read_rows, write_rows

from transfusion_tf.datasets import DatasetError, load_card, prepare, read_examples
from transfusion_tf.errors import UserError
from transfusion_tf.phantoms import draw_texture


def problems_of(card_path, data_root):
    with pytest.raises(DatasetError) as caught:
        prepare(load_card(card_path), data_root, workers=1, progress=False)
    assert not list(data_root.rglob("*.tfrecord*")), "something was left behind"
    return str(caught.value)


def change_row(card_path, number, **values):
    file = card_path.parent / "labels.csv"
    rows = read_rows(file)
    rows[number].update(values)
    write_rows(file, rows)


def test_a_csv_row_is_an_example(clinic):
    examples, problems = read_examples(load_card(clinic))
    assert not problems
    assert len(examples) == 48
    assert examples[2].labels == (0, 1, 0, 0, 0)
    assert examples[2].patient_id == "p1"
    assert examples[2].where == "labels.csv, row 4"


def test_classes_may_be_written_as_names(clinic):
    change_row(clinic, 2, grade="severe")
    examples, _ = read_examples(load_card(clinic))
    assert examples[2].labels == (0, 0, 0, 1, 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image": "gone.png"}, "no image"),
        ({"grade": "7"}, "label '7' is outside the classes"),
        ({"grade": "-1"}, "label '-1' is outside the classes"),
        ({"grade": "1.5"}, "label '1.5' is outside the classes"),
        ({"grade": ""}, "label '' is outside the classes"),
        ({"patient": ""}, "'patient' is blank"),
        ({"image": "000.png"}, "ids must be unique"),
    ],
)
def test_a_bad_row_is_named(clinic, tmp_path, values, message):
    change_row(clinic, 5, **values)
    text = problems_of(clinic, tmp_path / "data")
    assert "labels.csv, row 7" in text
    assert message in text


def test_all_bad_rows_are_listed_together(clinic, tmp_path):
    change_row(clinic, 5, grade="9")
    change_row(clinic, 8, image="gone.png")
    text = problems_of(clinic, tmp_path / "data")
    assert "2 problems" in text
    assert "row 7" in text
    assert "row 10" in text


def test_unreadable_images_are_listed_and_nothing_is_left(clinic, tmp_path):
    for name in ("003.png", "007.png"):
        (clinic.parent / "images" / name).write_bytes(b"damaged")
    text = problems_of(clinic, tmp_path / "data")
    assert "2 problems" in text
    assert "labels.csv, row 5" in text
    assert "not an image" in text


def test_a_column_that_is_not_there_is_named(clinic):
    text = clinic.read_text().replace('["grade"]', '["level"]')
    clinic.write_text(text)
    with pytest.raises(UserError, match=r"no column 'level'.*image, grade, patient"):
        read_examples(load_card(clinic))


def test_a_class_without_images_is_named(clinic, tmp_path):
    rows = read_rows(clinic.parent / "labels.csv")
    write_rows(clinic.parent / "labels.csv", [r for r in rows if r["grade"] != "3"])
    assert "class 'severe'" in problems_of(clinic, tmp_path / "data")


def test_a_patient_in_two_splits_of_an_explicit_column_is_named(clinic, tmp_path):
    file = clinic.parent / "labels.csv"
    rows = read_rows(file)
    names = ("train", "val", "test")
    for row in rows:
        row["split"] = names[int(row["patient"][1:]) // 8]
    rows[1]["split"] = "test"
    write_rows(file, rows)
    text = clinic.read_text().replace("[labels]", 'split_column = "split"\n[labels]')
    clinic.write_text(text)
    message = problems_of(clinic, tmp_path / "data")
    assert "patient 'p0' is in train and test" in message
    assert "labels.csv, row 2" in message


def test_findings_are_one_column_each_and_blanks_follow_the_card(tmp_path):
    rows = []
    for i in range(30):
        Image.fromarray(np.full((40, 40, 3), 8 * i, np.uint8)).save(
            tmp_path / f"{i}.png"
        )
        rows.append({"f": f"{i}.png", "edema": i % 2, "nodule": "" if i == 4 else 1})
    write_rows(tmp_path / "l.csv", rows)
    card = tmp_path / "dataset.toml"
    card.write_text("""
name = "chest"
title = "t"
image_size = 64
[reader]
kind = "csv"
file = "l.csv"
path_column = "f"
label_columns = ["edema", "nodule"]
[labels]
kind = "findings"
classes = ["edema", "nodule"]
blank = "ignore"
""")
    examples, problems = read_examples(load_card(card))
    assert not problems
    assert examples[3].labels == (1, 1)
    assert np.isnan(examples[4].labels[1])
    card.write_text(card.read_text().replace('"ignore"', '"error"'))
    _, problems = read_examples(load_card(card))
    assert [p.where for p in problems] == ["l.csv, row 6"]


@pytest.fixture
def folders(tmp_path):
    for name in ("benign", "malignant"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(20):
            image = Image.fromarray(np.full((40, 40, 3), 10 * i, np.uint8))
            image.save(tmp_path / "images" / name / f"case{i // 2}-{i}.png")
    card = tmp_path / "dataset.toml"
    card.write_text("""
name = "breast"
title = "t"
image_size = 64
[reader]
kind = "class_folders"
folder = "images"
patient_pattern = '(case\\d+)-'
[labels]
kind = "class"
classes = ["benign", "malignant"]
""")
    return card


def test_a_folder_is_a_class_and_a_pattern_finds_the_patient(folders):
    examples, problems = read_examples(load_card(folders))
    assert not problems
    assert len(examples) == 40
    assert {e.patient_id for e in examples} == {f"case{i}" for i in range(10)}
    assert examples[-1].labels == (0, 1)


def test_a_folder_that_is_no_class_and_a_file_that_is_no_image_are_named(folders):
    (folders.parent / "images" / "normal").mkdir()
    (folders.parent / "images" / "benign" / "notes.txt").write_text("hello")
    (folders.parent / "images" / "benign" / "x.png").write_bytes(b"")
    _, problems = read_examples(load_card(folders))
    reasons = [p.reason for p in problems]
    assert any("no class 'normal'" in reason for reason in reasons)
    assert any("not an image file" in reason for reason in reasons)
    assert any("patient_pattern" in reason for reason in reasons)


def test_drawn_textures_have_as_many_classes_as_the_card_names():
    card = load_card("drawn_textures")
    few = dataclasses.replace(card.labels, classes=("ferns", "pebbles", "tiles"))
    reader = {"kind": "drawn_textures", "images_per_class": 2, "seed": 4}
    examples, problems = read_examples(card.replace(labels=few, reader=reader))
    assert not problems
    assert [e.labels.index(1) for e in examples] == [0, 0, 1, 1, 2, 2]
    assert len({e.patient_id for e in examples}) == 6
    np.testing.assert_array_equal(
        examples[3].image.load(), draw_texture(1, 1, seed=4, size=card.stored_size)
    )
