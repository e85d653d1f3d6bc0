"""What other programs leave in folders is no image of the data, in any reader."""

import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import read_rows, write_rows

from transfusion_tf.datasets import load_card, read_examples
from transfusion_tf.datasets.draft_card import write_draft_card
from transfusion_tf.datasets.folder_files import files_below, is_helper
from transfusion_tf.datasets.images import read_rgb
from transfusion_tf.datasets.readers import read_card
from transfusion_tf.errors import UserError
from transfusion_tf.studies.measurements.image_sources import FolderImages

LEFT = (
    ".ipynb_checkpoints/{name}-checkpoint.png",
    "@eaDir/{name}.png/SYNOPHOTO_THUMB_M.png",
    "@eaDir/loose {name}.png",
    ".Trash-1000/files/{name}.png",
    "$RECYCLE.BIN/{name}.png",
    "__MACOSX/deeper/{name}.png",
    "deeper/.thumbnails/{name}.png",
    "deeper/#recycle/{name}.png",
    "._{name}.png",
)


def picture(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((40, 40), value, np.uint8)).save(path)


def litter(folder, name="x"):
    for place in LEFT:
        picture(folder / place.format(name=name), 255)
    for place in ("Thumbs.db", ".DS_Store", "desktop.ini", "deeper/Thumbs.db"):
        (folder / place).write_bytes(b"x")


@pytest.fixture
def folders(tmp_path):
    """Two classes of ten images, littered at every depth."""
    for name in ("benign", "malignant"):
        for number in range(10):
            picture(tmp_path / name / f"{number}.png", number)
        litter(tmp_path / name)
    litter(tmp_path)
    shutil.rmtree(tmp_path / "deeper")  # Else a folder that is no class.
    return tmp_path


def test_class_folders_and_their_draft(folders):
    card = load_card(write_draft_card(folders))
    assert card.labels.classes == ("benign", "malignant")
    examples, problems = read_examples(card)
    assert not problems
    assert len(examples) == 20


def test_links_are_what_they_lead_to_and_missing_where_that_is(folders, tmp_path):
    elsewhere = tmp_path / "elsewhere" / "patient"
    picture(elsewhere / "a.png")
    classes = folders / "classes"
    for label in ("benign", "malignant"):
        shutil.move(folders / label, classes / label)
    (classes / "benign" / "patient").symlink_to(elsewhere)
    (classes / "benign" / "gone.png").symlink_to(tmp_path / "nothing.png")
    # Round and round, directly and by way of another folder.
    (classes / "benign" / "up").symlink_to(classes)
    (elsewhere / "again").symlink_to(elsewhere)
    names = [
        path.relative_to(classes / "benign") for path in files_below(classes / "benign")
    ]
    assert [name.as_posix() for name in names if len(name.parts) > 1] == [
        "patient/a.png"
    ]
    assert Path("gone.png") in names
    with pytest.raises(UserError, match="link to a file that is not there"):
        read_rgb(classes / "benign" / "gone.png")


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(UserError, match=r"folder .*a can.t be read: Not a directory"):
        list(files_below(tmp_path / "a"))


def test_a_folder_to_compare_on(folders):
    images = FolderImages(folders, 40, 40)
    assert len(images) == 20
    assert images[:].max() == 9


def test_a_table_and_images_that_it_does_not_name(clinic):
    litter(clinic.parent / "images", "000")
    litter(clinic.parent)
    reading = read_card(load_card(clinic))
    assert not reading.problems
    assert not reading.remarks


def test_a_table_that_names_such_a_file(clinic):
    litter(clinic.parent / "images", "000")
    rows = read_rows(clinic.parent / "labels.csv")
    names = [place.format(name="000") for place in LEFT]
    for row, name in zip(rows, names, strict=False):
        row["image"] = name
    write_rows(clinic.parent / "labels.csv", rows)
    examples, problems = read_examples(load_card(clinic))
    assert len(examples) == 48 - len(names)
    assert all("another program" in problem.reason for problem in problems)


def test_a_table_of_another_program_is_not_drafted_from(clinic):
    clinic.unlink()
    copy = clinic.parent / ".ipynb_checkpoints" / "labels-checkpoint.csv"
    copy.parent.mkdir()
    copy.write_bytes((clinic.parent / "labels.csv").read_bytes())
    (clinic.parent / "._labels.csv").write_bytes(b"\0\5")
    assert load_card(write_draft_card(clinic.parent)).reader["file"] == "labels.csv"


@pytest.mark.parametrize("name", ["scan.png", "a.b.png", "x~1.png", "Trash", "eaDir"])
def test_other_names_are_data(name):
    assert not is_helper(name)


def test_the_folder_itself_may_be_hidden(tmp_path):
    picture(tmp_path / ".cache" / "data" / "1.png")
    assert len(list(files_below(tmp_path / ".cache" / "data"))) == 1


def test_accents_may_have_their_other_form_on_the_disk(clinic):
    apart = unicodedata.normalize("NFD", "é")
    folder = clinic.parent / f"images {apart}"
    (clinic.parent / "images").rename(folder)
    (folder / "000.png").rename(folder / f"{apart}.png")
    rows = read_rows(clinic.parent / "labels.csv")
    rows[0]["image"] = "é.png"
    write_rows(clinic.parent / "labels.csv", rows)
    clinic.write_text(clinic.read_text().replace('"images"', '"images é"'))
    examples, problems = read_examples(load_card(clinic))
    assert not problems
    assert examples[0].example_id == "é.png"
    assert examples[0].image.load().shape == (40, 40, 3)


def test_folders_of_classes_and_patients_have_one_form(tmp_path):
    for form in ("NFC", "NFD"):
        for number in range(2):
            name = unicodedata.normalize(form, f"bénin/José_{form}{number}.png")
            picture(tmp_path / name, number)
    picture(tmp_path / "malin" / "Ana_0.png")
    card = load_card(write_draft_card(tmp_path))
    card = card.replace(reader=card.reader | {"patient_pattern": "^([^_]+)_"})
    examples, problems = read_examples(card)
    assert not problems
    assert card.labels.classes == ("bénin", "malin")
    assert {example.patient_id for example in examples} == {"José", "Ana"}
