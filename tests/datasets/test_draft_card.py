"""A drafted card loads, reads the data, and leaves what is there alone."""

import shutil

import numpy as np
import pytest
from PIL import Image
from support import read_rows, write_rows

from transfusion_tf.datasets import load_card, read_examples
from transfusion_tf.datasets.draft_card import write_draft_card
from transfusion_tf.datasets.validation import assign_splits
from transfusion_tf.errors import UserError


def picture(path, value=0, size=64):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size, size), value % 256, np.uint8)).save(path)


def drafted(source):
    card = load_card(write_draft_card(source))
    return card, *read_examples(card)


def test_a_table_of_graded_images(clinic):
    clinic.unlink()
    card, examples, problems = drafted(clinic.parent)
    assert not problems
    assert len(examples) == 48
    assert card.labels.kind == "grade"
    assert card.reader["patient_column"] == "patient"
    assert card.reader["image_folder"] == "images"
    assert len({example.patient_id for example in examples}) == 24
    assert card.image_size == 32


def test_the_table_itself_may_be_named(clinic):
    clinic.unlink()
    assert write_draft_card(clinic.parent / "labels.csv") == clinic


def test_a_card_is_never_overwritten(clinic):
    before = clinic.read_bytes()
    with pytest.raises(UserError, match="is there already"):
        write_draft_card(clinic.parent)
    assert clinic.read_bytes() == before


def test_names_with_another_suffix(clinic):
    table = clinic.parent / "labels.csv"
    table.write_text(table.read_text().replace(".png", ".dcm"))
    clinic.unlink()
    card, examples, problems = drafted(clinic.parent)
    assert (len(examples), len(problems)) == (48, 0)
    assert card.reader["path_suffix"] == "*"


@pytest.mark.parametrize(
    ("start", "strip"),
    [("./images/", 0), ("/home/a/images/", 3), ("C:\\a\\images\\", 2)],
)
def test_paths_as_another_machine_wrote_them(clinic, start, strip):
    table = clinic.parent / "labels.csv"
    rows = read_rows(table)
    for row in rows:
        row["image"] = start + row["image"]
    write_rows(table, rows)
    clinic.unlink()
    card, examples, problems = drafted(clinic.parent)
    assert (len(examples), len(problems)) == (48, 0)
    assert card.reader.get("path_strip", 0) == strip


def test_masks_have_the_names_of_images_and_are_not_taken_for_them(clinic):
    shutil.copytree(clinic.parent / "images", clinic.parent / "Masks")
    clinic.unlink()
    card, _, _ = drafted(clinic.parent)
    assert card.reader["image_folder"] == "images"
    assert "same names lie in Masks, too" in clinic.read_text()


def test_a_table_without_a_header_is_not_read_without_its_first_image(clinic):
    table = clinic.parent / "labels.csv"
    table.write_text(table.read_text().split("\n", 1)[1])
    clinic.unlink()
    with pytest.raises(UserError, match="has no header"):
        write_draft_card(clinic.parent)


def test_doubtful_classes_are_remarked_on(tmp_path):
    for index, name in enumerate(("Benign", "benign", "HER2+", "HER2-", "a|b")):
        picture(tmp_path / name / "a.png", index)
    (tmp_path / "notes.csv").write_text("image,label\nx.png,1\n")
    text = write_draft_card(tmp_path).read_text()
    assert "'Benign' and 'benign' are spelled differently" in text
    assert text.count("spelled differently") == 1
    assert "'a|b' looks like several findings" in text
    assert "not used: no column of notes.csv names images" in text


def test_names_without_suffix_and_both_eyes(clinic):
    folder = clinic.parent
    clinic.unlink()
    rows = []
    for index, row in enumerate(read_rows(folder / "labels.csv")):
        name = f"{1000 + index // 2}_{('left', 'right')[index % 2]}"
        shutil.move(folder / "images" / row["image"], folder / "images" / f"{name}.png")
        rows.append({"image": name, "level": row["grade"]})
    write_rows(folder / "labels.csv", rows)
    card, examples, problems = drafted(folder)
    assert not problems
    assert card.reader["path_suffix"] == ".png"
    assert {example.patient_id for example in examples} == {
        str(1000 + number) for number in range(24)
    }


def test_blank_cells_are_no_class_and_rows_per_box_are_told(tmp_path):
    rows = []
    for index in range(30):
        picture(tmp_path / f"{index:03d}_0.png", index)
        label = ("1.0", "2.0", "nan")[index % 3]
        rows += [{"image": f"{index:03d}_0.png", "label": label}] * 3
    write_rows(tmp_path / "boxes.csv", rows)
    draft = write_draft_card(tmp_path)
    assert load_card(draft).labels.classes == ("1", "2")
    assert load_card(draft).labels.blank == "leave_out"
    assert "90 rows name 30 images: one row per box" in draft.read_text()
    # One image of each patient: the names say nothing of groups.
    assert "patient_pattern" not in load_card(draft).reader


def test_one_hot_columns_and_findings(tmp_path):
    exclusive, findings = [], []
    for index in range(30):
        for part in ("one", "many"):
            picture(tmp_path / part / f"i{index}.png", index)
        name = f"i{index}"
        hot = [int(index % 3 == k) for k in range(3)]
        exclusive.append({"image": name, "MEL": hot[0], "NV": hot[1], "BCC": hot[2]})
        sure = {"image": name, "Edema": index % 2, "Nodule": ("", "-1", "1")[index % 3]}
        findings.append(sure | {"Age": 40 + index})
    write_rows(tmp_path / "one" / "truth.csv", exclusive)
    write_rows(tmp_path / "many" / "train.csv", findings)
    card, examples, problems = drafted(tmp_path / "one")
    assert (card.labels.kind, card.labels.classes) == ("class", ("MEL", "NV", "BCC"))
    assert not problems
    card, examples, problems = drafted(tmp_path / "many")
    assert (card.labels.kind, card.labels.classes) == ("findings", ("Edema", "Nodule"))
    assert (card.labels.blank, card.labels.uncertain) == ("negative", "ignore")
    assert not problems
    assert len(examples) == 30
    assert "columns not used: Age" in card.path.read_text()


@pytest.mark.parametrize(
    ("label", "columns"), [({}, ("Edema", "Mass")), ({"label": "x"}, ("x", "y"))]
)
def test_columns_of_true_and_false_are_findings_but_beside_a_label(
    tmp_path, label, columns
):
    rows = []
    for index in range(30):
        picture(tmp_path / f"i{index}.png", index)
        row = {"image": f"i{index}", "Edema": index % 2 == 0, "Mass": index % 3 == 0}
        rows.append(row | {name: "xy"[index % 2] for name in label})
    write_rows(tmp_path / "table.csv", rows)
    card, examples, problems = drafted(tmp_path)
    assert card.labels.classes == columns
    assert not problems
    if not label:
        assert card.labels.kind == "findings"
        by_name = {example.example_id: example.labels for example in examples}
        assert by_name["i0"] == (1, 1)
        assert by_name["i4"] == (1, 0)


def test_a_column_that_lists_findings(tmp_path):
    cells = ["Edema|Mass", "No Finding", "Mass", "Edema|Nodule|Mass"]
    rows = []
    for index in range(20):
        picture(tmp_path / f"i{index}.png", index)
        row = {"Image Index": f"i{index}.png", "Finding Labels": cells[index % 4]}
        rows.append(row | {"Patient Age": 40 + index, "Patient ID": index // 2})
    write_rows(tmp_path / "Data_Entry.csv", rows)
    card, examples, problems = drafted(tmp_path)
    assert not problems
    assert card.labels.classes == ("Edema", "Mass", "Nodule")
    assert [example.labels for example in examples[:3]] == [
        (1, 1, 0),
        (0, 0, 0),
        (0, 1, 0),
    ]
    assert len({example.patient_id for example in examples}) == 10


def test_class_folders_with_masks(tmp_path):
    for name in ("benign", "malignant"):
        for index in range(4):
            picture(tmp_path / name / f"{name} ({index}).png", index)
            picture(tmp_path / name / f"{name} ({index})_mask.png", index)
    card, examples, problems = drafted(tmp_path)
    assert card.labels.classes == ("benign", "malignant")
    assert not problems
    assert len(examples) == 8


def test_a_folder_around_all_of_it(tmp_path):
    for name in ("benign", "malignant"):
        for index in range(4):
            picture(tmp_path / "Archive" / name / f"{index}.png", index)
    card, examples, problems = drafted(tmp_path)
    assert not problems
    assert card.reader["folder"] == "Archive"
    assert len(examples) == 8


def test_class_folders_below_splits_and_patients_in_names(tmp_path):
    number = 0
    for split in ("train", "val", "test"):
        for name in ("NORMAL", "PNEUMONIA"):
            for _ in range(6):
                image = f"person{number // 2}_virus_{number}.jpeg"
                picture(tmp_path / split / name / image, number)
                number += 1
    _, examples, problems = drafted(tmp_path)
    assert not problems
    assert len(examples) == 36
    assert {e.split for e in examples} == {"train", "validation", "test"}
    assert len({e.patient_id for e in examples}) == 18


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (("train", "test"), {"test": "test", "train": "draw"}),
        (
            ("Training set", "val2017"),
            {"Training set": "draw", "val2017": "validation"},
        ),
        (
            ("train_images", "val_images", "test_images"),
            {
                "test_images": "test",
                "train_images": "train",
                "val_images": "validation",
            },
        ),
    ],
)
def test_splits_of_other_names_and_one_that_is_missing(tmp_path, names, meant):
    for place, top in enumerate(names):
        for label in "ab":
            for index in range(30):
                picture(tmp_path / top / label / f"{place}{label}{index}.png", index)
    card, examples, problems = drafted(tmp_path)
    assert (len(examples), problems) == (60 * len(names), [])
    assert card.reader["split_folders"] == meant
    assert card.labels.classes == ("a", "b")
    assert len(set(assign_splits(card, examples))) == 3
    missing = {"validation", "test"} - set(meant.values())
    assert all(getattr(card.splits, name) == 0.15 for name in missing)


def test_a_column_without_one_of_the_splits_has_it_drawn(clinic):
    table = clinic.parent / "labels.csv"
    rows = read_rows(table)
    for index, row in enumerate(rows):
        row["split"] = "test" if index < 8 else "train"
    write_rows(table, rows)
    clinic.unlink()
    card, examples, _ = drafted(clinic.parent)
    assert card.reader["split_values"] == {"test": "test", "train": "draw"}
    splits = assign_splits(card, examples)
    assert splits[:8] == ["test"] * 8
    assert set(splits[8:]) == {"train", "validation"}


def test_folders_of_one_class_s_patients_are_no_classes(tmp_path):
    for label, patient in (("a", 1), ("a", 2), ("b", 3), ("b", 4)):
        picture(tmp_path / label / f"patient{patient}" / "x.png", patient)
    card, examples, _ = drafted(tmp_path)
    assert (card.labels.classes, len(examples)) == (("a", "b"), 4)


def test_an_image_is_no_table(tmp_path):
    picture(tmp_path / "a.png")
    with pytest.raises(UserError, match="is an image"):
        write_draft_card(tmp_path / "a.png")


def test_deep_images_get_a_rule(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        deep = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
        Image.fromarray(deep).save(tmp_path / name / "1.png")
    card, examples, _ = drafted(tmp_path)
    assert card.intensity == "minmax"
    assert examples[0].image.load().max() == 255


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UserError, match="looks like no data set"):
        write_draft_card(tmp_path)
    with pytest.raises(UserError, match="no folder or file"):
        write_draft_card(tmp_path / "gone")
