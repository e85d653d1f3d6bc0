"""What is planted is found; what is clean raises no alarm; all is written down."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support import read_rows, write_clinic, write_rows

from transfusion_tf.datasets import load_card
from transfusion_tf.datasets.audit import audit
from transfusion_tf.datasets.draft_card import write_draft_card
from transfusion_tf.errors import UserError
from transfusion_tf.report.audit_page import checks, write_audit

CLEAN = {
    "Rows that can’t be used": "none",
    "Classes and splits without images": "none",
    "Classes not in validation or test": "none",
    "Classes that their files give away": "none",
    "Patients in several splits": "none",
    "Same pixels in several splits": "none",
    "Same pixels, other labels": "none",
    "Near copies in several splits": "none",
    "Near copies of several patients": "none",
    "Other copies": "none",
}


def look(card_path):
    return audit(load_card(card_path), workers=1, progress=False)


def words(found):
    return {check.name: check.word for check in checks(found)}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A patient in two splits, 3 identical files, 3 copies saved again, 2 bad rows."""
    folder = tmp_path_factory.mktemp("audit") / "clinic"
    card = write_clinic(folder, patients=40, size=96)
    # Measured as they are: files of twice the stored size are halved.
    card.write_text(card.read_text().replace("image_size = 32", "image_size = 64"))
    rows = read_rows(folder / "labels.csv")
    names = ("train", "train", "validation", "test")
    for row in rows:
        row["split"] = names[int(row["patient"][1:]) % 4]

    def copy(source, name, patient, split, grade, **options):
        with Image.open(folder / "images" / source) as image:
            image.convert("RGB").save(folder / "images" / name, **options)
        new = {"image": name, "patient": patient, "split": split, "grade": grade}
        rows.append(new)

    copy("003.png", "c0.bmp", "q0", "test", "4")  # Grade 1, in train.
    copy("010.png", "c1.png", "q1", "test", "0")  # Grade 0, in train.
    copy("021.png", "c2.png", "q2", "validation", "0")  # Grade 0, in validation.
    copy("000.png", "r0.jpg", "z0", "test", "0", quality=85)
    copy("008.png", "r1.jpg", "z1", "validation", "4", quality=70)
    copy("034.png", "r2.jpg", "z2", "train", "2", quality=70)
    rows[17]["split"] = "test"
    (folder / "images" / "050.png").write_bytes(b"damaged")
    rows[60]["grade"] = "7"
    write_rows(folder / "labels.csv", rows)
    text = card.read_text().replace("[labels]", 'split_column = "split"\n[labels]')
    card.write_text(text)
    return look(card)


def test_a_clean_set_raises_no_alarm(clinic_root):
    # Of 40 patients with five grades, the draw leaves one split without one.
    small = {"Classes not in validation or test": "1"}
    assert words(look(clinic_root)) == CLEAN | small


def test_copies_of_the_same_pixels_are_grouped(planted):
    assert planted.copies["group"].nunique() == 3
    by_group = planted.copies.groupby("group")
    assert by_group["conflict"].first().sum() == 1
    assert by_group["across_splits"].first().sum() == 2
    assert by_group["across_patients"].first().all()


def test_copies_saved_again_are_found(planted):
    assert len(planted.near) == 3
    assert planted.near["across_splits"].sum() == 2
    assert (planted.near["label_1"] == planted.near["label_2"]).all()
    assert set(planted.near["change"]) == {"saved again"}


def test_the_files_of_copies_are_named(planted):
    files = planted.near[["file_1", "file_2"]].to_numpy().tolist()
    assert ["images/000.png", "images/r0.jpg"] in files
    assert "images/c0.bmp" in planted.copies["file"].tolist()


def test_a_patient_in_two_splits_is_found(planted):
    assert len(planted.astride) == 1
    row = planted.astride.iloc[0]
    assert (row["train"], row["validation"], row["test"]) == (1, 0, 1)


def test_bad_rows_are_listed(planted):
    reasons = " ".join(planted.problems["reason"])
    assert "label '7'" in reasons
    assert "not an image" in reasons
    assert "patient 'p8' is in train and test" in reasons


def test_a_class_without_images_is_named(clinic):
    rows = read_rows(clinic.parent / "labels.csv")
    write_rows(clinic.parent / "labels.csv", [r for r in rows if r["grade"] != "3"])
    assert list(look(clinic).gaps["file"]) == ["class 'severe'"]


def test_counts_and_colours_are_those_of_the_files(planted):
    classes = planted.classes().set_index("class")
    assert classes["all"].sum() == len(planted.rows) == 84
    assert planted.sizes()["images"].sum() == 84
    source = planted.examples[0].image.load() / 255
    row = planted.rows.iloc[0]
    assert row["mean_red"] == pytest.approx(source[..., 0].mean())
    assert row["deviation_blue"] == pytest.approx(source[..., 2].std())
    everything = planted.colors().set_index("split").loc["all"]
    pixels = np.stack([e.image.load()[..., 1] / 255 for e in planted.examples])
    assert everything["mean_green"] == pytest.approx(pixels.mean())
    assert everything["deviation_green"] == pytest.approx(pixels.std())


def test_the_page_stands_alone_and_names_nobody(planted, tmp_path):
    page = write_audit(planted, tmp_path).read_text()
    assert page.count("<img") == 12
    # Without the pictures, whose text may hold any letters.
    page = re.sub(r"data:image[^\"]*", "", page)
    assert "http" not in page
    assert "<script" not in page
    for patient in ("'p8'", ">p8<", "q0", "z0", "003.png", "c0.bmp"):
        assert patient not in page
    assert planted.astride["patient"].iloc[0] in page


def test_the_page_without_images_has_none(planted, tmp_path):
    page = write_audit(planted, tmp_path, show_images=False).read_text()
    assert "<img" not in page
    assert "data:image" not in page


def test_each_table_is_a_csv_file(planted, tmp_path):
    write_audit(planted, tmp_path)
    assert len(pd.read_csv(tmp_path / "rows.csv")) == 84
    assert len(pd.read_csv(tmp_path / "near_copies.csv")) == 3
    assert len(pd.read_csv(tmp_path / "patients_across_splits.csv")) == 1
    problems = pd.read_csv(tmp_path / "problems.csv", dtype=str)
    assert json.loads(problems["row"].dropna().to_json(orient="values"))


def test_a_set_without_a_readable_image_is_refused(clinic):
    for path in (clinic.parent / "images").iterdir():
        path.write_bytes(b"damaged")
    with pytest.raises(UserError, match="no image of data set 'clinic' can be read"):
        look(clinic)


@pytest.fixture
def scans(tmp_path):
    """Two folders of 40 scans each; a patient's four stand in both."""
    rng = np.random.default_rng(0)
    for number in range(80):
        folder = tmp_path / ("benign", "malignant")[number % 2]
        folder.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (40, 40), dtype=np.uint8)
        name = f"{number // 4:08d}_{number:03d}.png"
        Image.fromarray(pixels).save(folder / name)
    return write_draft_card(tmp_path)


def test_unknown_patients_are_no_green_check(scans):
    lines = [line for line in scans.read_text().splitlines() if "pattern" not in line]
    scans.write_text("\n".join(lines))
    found = look(scans)
    check = next(c for c in checks(found) if c.name == "Patients in several splits")
    assert (check.tone, check.word) == ("mixed", "unknown")
    assert "every image counts as one" in check.text
    assert r"'^(\d{8})_'" in check.text
    assert "20 patients of 80 images" in check.text
    patients = found.rows["where"].str.extract(r"/(\d+)_")[0]
    crossing = (pd.crosstab(patients, found.rows["split"]) > 0).sum(axis=1).gt(1).sum()
    assert f"{crossing} of them, with {4 * crossing} images" in check.text


def test_a_pattern_of_patients_makes_the_check(scans):
    assert words(look(scans))["Patients in several splits"] == "none"


def test_a_class_that_the_sizes_of_its_files_give_away(scans, tmp_path):
    for path in (scans.parent / "malignant").iterdir():
        with Image.open(path) as image:
            image.crop((0, 0, 40, 36)).save(path)
    found = look(scans)
    check = next(c for c in checks(found) if c.name.startswith("Classes that their"))
    assert (check.tone, check.word) == ("no", "1")
    assert "tell 'malignant' with an AUC of 1.00" in check.text
    assert "36 in 100 % of them, in 0 % of the others" in check.text
    write_audit(found, tmp_path / "page")
    shortcuts = pd.read_csv(tmp_path / "page" / "shortcuts.csv")
    assert set(shortcuts["property"]) == {"height", "aspect ratio"}


def test_a_row_per_box_is_said_in_those_words(clinic):
    file = clinic.parent / "labels.csv"
    write_rows(file, [row for row in read_rows(file) for _ in range(3)])
    check = next(c for c in checks(look(clinic)) if "per box" in c.name)
    assert "144 rows name 48 images: one row per box" in check.text


def test_a_class_that_the_test_lacks_is_named(clinic):
    found = look(clinic).absent
    assert list(found["file"]) == [
        "class 'mild'",
        "class 'severe'",
        "class 'proliferative'",
    ]
    assert "no image in test (6 in train)" in found["reason"][1]
