"""Rows that can't be used: all of them listed, or left out and counted."""

import pandas as pd
import pytest
from PIL import Image
from support import read_rows, write_rows

from transfusion_tf.datasets import DatasetError, load_card, prepare
from transfusion_tf.datasets.draft_card import write_draft_card
from transfusion_tf.datasets.examined_store import JPEGS, STORE
from transfusion_tf.errors import UserError


def damage(card_path):
    """Four bad rows of 48: two images, a label, an id that stands twice."""
    folder = card_path.parent
    rows = read_rows(folder / "labels.csv")
    for name in ("003.png", "007.png"):
        (folder / "images" / name).write_bytes(b"damaged")
    rows[10]["grade"] = "9"
    rows[20] = dict(rows[21])
    write_rows(folder / "labels.csv", rows)
    return load_card(card_path)


def build(card, root, **options):
    return prepare(card, root, workers=1, progress=False, **options)


def test_bad_rows_of_every_kind_are_listed_together(clinic, tmp_path):
    card = damage(clinic)
    with pytest.raises(DatasetError) as caught:
        build(card, tmp_path / "data")
    text = str(caught.value)
    assert "4 problems" in text
    for row in (5, 9, 12, 23):
        assert f"labels.csv, row {row}" in text
    assert "images/003.png" in text
    assert "2  not an image that can be read" in text
    assert "--max_bad_fraction=0.064" in text


def test_the_list_is_a_csv_file_too(clinic, tmp_path):
    card = damage(clinic)
    with pytest.raises(DatasetError) as caught:
        build(card, tmp_path / "data")
    assert str(caught.value.table) in str(caught.value)
    table = pd.read_csv(caught.value.table, dtype=str)
    assert set(table["file"]) == {"labels.csv"}
    assert sorted(table["row"].astype(int)) == [5, 9, 12, 23]
    assert table["reason"].notna().all()


def test_the_list_names_files_as_the_data_do_wherever_these_lie(clinic, tmp_path):
    folder = damage(clinic).path.parent
    (folder / "images" / "008.png").unlink()
    card = load_card(clinic.rename(tmp_path / "dataset.toml"), source=folder)
    with pytest.raises(DatasetError) as caught:
        build(card, tmp_path / "data")
    table = pd.read_csv(caught.value.table, dtype=str, keep_default_na=False)
    (missing,) = table["reason"][table["reason"].str.contains("008.png", regex=False)]
    assert missing == "no image images/008.png"
    assert str(tmp_path) not in table.to_csv()


def test_nothing_is_left_but_the_list_and_what_was_made_of_the_good_rows(
    clinic, tmp_path
):
    with pytest.raises(DatasetError) as caught:
        build(damage(clinic), tmp_path / "data")
    files = {path for path in (tmp_path / "data").rglob("*") if path.is_file()}
    folder = tmp_path / "data" / "clinic"
    assert files == {caught.value.table, folder / STORE, folder / JPEGS}


def test_as_many_as_allowed_are_left_out_and_counted(clinic, tmp_path):
    built = build(damage(clinic), tmp_path / "data", max_bad_fraction=0.1)
    assert len(built.index) == 44
    assert len(built.left_out) == 4
    assert built.left_out_counts()["not an image that can be read"] == 2
    assert (built.path / "left_out.csv").exists()
    again = build(built.card, tmp_path / "data")
    assert again.left_out.equals(built.left_out)


def test_more_than_allowed_stop_the_building(clinic, tmp_path):
    with pytest.raises(DatasetError, match="4 problems"):
        build(damage(clinic), tmp_path / "data", max_bad_fraction=0.05)


def test_a_stricter_share_refuses_what_was_built(clinic, tmp_path):
    card = damage(clinic)
    build(card, tmp_path / "data", max_bad_fraction=0.1)
    with pytest.raises(UserError, match="3 of 47 images"):
        build(card, tmp_path / "data", max_bad_fraction=0.01)


def test_the_list_goes_when_the_data_are_built(clinic, tmp_path):
    card = damage(clinic)
    with pytest.raises(DatasetError) as caught:
        build(card, tmp_path / "data")
    build(card, tmp_path / "data", max_bad_fraction=0.1)
    assert not caught.value.table.exists()


def test_rows_of_one_id_that_differ_are_both_bad(clinic, tmp_path):
    rows = read_rows(clinic.parent / "labels.csv")
    rows.append(rows[4] | {"grade": "4"})
    write_rows(clinic.parent / "labels.csv", rows)
    built = build(load_card(clinic), tmp_path / "data", max_bad_fraction=0.1)
    assert rows[4]["image"] not in set(built.index["example_id"])
    assert sorted(built.left_out["row"].astype(int)) == [6, 50]


def test_a_class_that_loses_all_its_images_stops_in_any_case(clinic, tmp_path):
    folder = clinic.parent
    for row in read_rows(folder / "labels.csv"):
        if row["grade"] == "4":
            (folder / "images" / row["image"]).write_bytes(b"damaged")
    with pytest.raises(DatasetError, match="class 'proliferative'"):
        build(load_card(clinic), tmp_path / "data", max_bad_fraction=0.5)


def test_a_split_that_loses_all_its_images_stops_in_any_case(clinic, tmp_path):
    whole = build(load_card(clinic), tmp_path / "whole")
    for name in whole.examples("validation")["example_id"]:
        (clinic.parent / "images" / name).write_bytes(b"damaged")
    with pytest.raises(DatasetError, match="split 'validation'"):
        build(load_card(clinic), tmp_path / "data", max_bad_fraction=0.9)


def test_what_goes_is_said_by_class(clinic, tmp_path):
    with pytest.raises(DatasetError) as caught:
        build(damage(clinic), tmp_path / "data")
    text = str(caught.value)
    assert "3 of 47 images" in text
    assert "1 of 10 mild" in text
    assert "1 of a class that is not known" in text
    table = pd.read_csv(caught.value.table, dtype=str, keep_default_na=False)
    assert dict(zip(table["row"], table["classes"], strict=True))["5"] == "mild"


def test_the_image_of_a_bad_row_has_its_class_all_the_same(clinic, tmp_path):
    rows = read_rows(clinic.parent / "labels.csv")
    for row in rows[:4]:
        row["image"] = "gone.png"
    write_rows(clinic.parent / "labels.csv", rows)
    with pytest.raises(DatasetError, match=r"2 of 10 none\n +2 of 10 mild"):
        build(load_card(clinic), tmp_path / "data")


def test_a_class_that_a_split_loses_stops_in_any_case(clinic, tmp_path):
    whole = build(load_card(clinic), tmp_path / "whole").examples("test")
    for name in whole.loc[whole["label/moderate"] == 1, "example_id"]:
        (clinic.parent / "images" / name).write_bytes(b"damaged")
    with pytest.raises(DatasetError) as caught:
        build(load_card(clinic), tmp_path / "data", max_bad_fraction=0.5)
    assert "class 'moderate'" in str(caught.value)
    assert "none of its 2 images in test can be used" in str(caught.value)


def test_a_folder_goes_with_all_its_images(tmp_path):
    for name, number in (("benign", 30), ("malignant", 30), ("other", 20)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for index in range(number):
            picture = Image.new("L", (40, 40), index)
            picture.save(tmp_path / "set" / name / f"{index}.png")
    card = write_draft_card(tmp_path / "set")
    text = card.read_text().replace('"malignant", "other"', '"malignant"')
    card.write_text(text)
    (tmp_path / "set" / "benign" / "notes.txt").write_text("no image")
    with pytest.raises(DatasetError, match="20 of 80 images"):
        build(load_card(card), tmp_path / "data", max_bad_fraction=0.2)
    built = build(load_card(card), tmp_path / "data", max_bad_fraction=0.25)
    assert len(built.index) == 60


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0])
def test_a_share_that_is_none_is_refused(clinic, tmp_path, share):
    with pytest.raises(UserError, match="--max_bad_fraction"):
        build(load_card(clinic), tmp_path / "data", max_bad_fraction=share)
