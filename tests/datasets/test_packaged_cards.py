"""Each card of a real data set reads its sample: counts, labels, patients, splits."""

from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

from transfusion_tf.datasets import card_names, load_card
from transfusion_tf.datasets.readers import read_card
from transfusion_tf.datasets.validation import assign_splits, find_gaps, separate
from transfusion_tf.errors import UserError

# By split: images, and images of each class, counted by hand in the sample's tables.
EXPECTED = {
    "retina_eyepacs": {
        "train": (20, [7, 3, 6, 2, 2]),
        "validation": (6, [2, 0, 2, 1, 1]),
        "test": (6, [2, 2, 0, 2, 0]),
    },
    "aptos2019": {
        "train": (12, [3, 3, 2, 2, 2]),
        "validation": (5, [1, 1, 1, 1, 1]),
        "test": (5, [1, 1, 1, 1, 1]),
    },
    "chexpert": {
        "train": (20, [6, 8, 6, 5, 4]),
        "validation": (8, [3, 3, 5, 4, 1]),
        "test": (18, [6, 7, 6, 5, 4]),
    },
    "chexpert_14": {
        "train": (20, [2, 6, 8, 2, 2, 5, 6, 3, 6, 4, 4, 1, 2, 1]),
        "validation": (8, [0, 1, 3, 2, 0, 4, 5, 1, 3, 0, 1, 0, 0, 4]),
        "test": (18, [1, 6, 7, 1, 2, 5, 6, 3, 6, 4, 4, 0, 2, 1]),
    },
    "chexpert_14_by_patient": {
        "train": (22, [2, 5, 11, 4, 2, 5, 7, 4, 7, 2, 5, 1, 2, 1]),
        "validation": (2, [0, 2, 0, 0, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0]),
        "test": (4, [0, 0, 0, 0, 0, 4, 4, 0, 0, 0, 0, 0, 0, 4]),
    },
    "nih_chest_xray14": {
        "train": (24, [2, 1, 2, 2, 2, 2, 3, 2, 2, 2, 2, 1, 1, 1]),
        "validation": (4, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1, 0]),
        "test": (8, [2, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1]),
    },
    "isic2018": {
        "train": (15, [2, 3, 3, 2, 2, 2, 1]),
        "validation": (6, [1, 2, 1, 1, 1, 0, 0]),
        "test": (6, [1, 2, 1, 1, 1, 0, 0]),
    },
    "isic2019": {
        "train": (18, [3, 5, 2, 2, 2, 2, 1, 1]),
        "validation": (8, [1, 2, 1, 1, 1, 2, 0, 0]),
        "test": (8, [1, 2, 1, 1, 1, 2, 0, 0]),
    },
    "cbis_ddsm": {
        "train": (8, [5, 3]),
        "validation": (4, [2, 2]),
        "test": (7, [3, 4]),
    },
    "patch_camelyon": {
        "train": (20, [10, 10]),
        "validation": (8, [4, 4]),
        "test": (8, [4, 4]),
    },
    "chest_kermany": {
        "train": (18, [9, 9]),
        "validation": (9, [4, 5]),
        "test": (9, [4, 5]),
    },
    "breast_busi": {
        "train": (11, [6, 5]),
        "validation": (5, [3, 2]),
        "test": (6, [3, 3]),
    },
    "breast_busi_780": {
        "train": (12, [7, 5]),
        "validation": (5, [3, 2]),
        "test": (7, [4, 3]),
    },
    "thyroid_ddti": {
        "train": (10, [4, 6]),
        "validation": (5, [2, 3]),
        "test": (5, [2, 3]),
    },
    "knee_mrnet": {
        "train": (21, [15, 9, 9]),
        "validation": (9, [6, 3, 3]),
        "test": (18, [12, 6, 6]),
    },
    "imagenet2012": {
        "train": (90, [22, 23, 22, 23]),
        "validation": (6, [2, 1, 2, 1]),
        "test": (12, [3, 3, 3, 3]),
    },
    "imagenet_resized_64x64": {
        "train": (94, [23, 24, 24, 23]),
        "validation": (2, [1, 0, 0, 1]),
        "test": (12, [3, 3, 3, 3]),
    },
    "imagenette": {
        "train": (117, [12, 12, 12, 12, 12, 11, 11, 12, 12, 11]),
        "validation": (3, [0, 0, 0, 0, 0, 1, 1, 0, 0, 1]),
        "test": (20, [2] * 10),
    },
    "tiny_imagenet": {
        "train": (18, [6, 6, 6]),
        "validation": (3, [1, 1, 1]),
        "test": (6, [2, 2, 2]),
    },
    "cifar10": {
        "train": (30, [4, 3, 4, 2, 1, 3, 4, 2, 3, 4]),
        "validation": (10, [0, 1, 0, 2, 3, 1, 0, 2, 1, 0]),
        "test": (20, [2] * 10),
    },
}
EXPECTED["retina_eyepacs_all"] = {
    "train": (16, [5, 3, 4, 2, 2]),
    "validation": (4, [2, 0, 2, 0, 0]),
    "test": (10, [2, 2, 2, 3, 1]),
}
# The hidden representations paper's populations.
EXPECTED["thyroid_ddti_480"] = EXPECTED["thyroid_ddti"] | {"train": (12, [6, 6])}
EXPECTED["cbis_ddsm_rows"] = {
    "train": (10, [7, 3]),
    "validation": (4, [2, 2]),
    "test": (8, [4, 4]),
}
EXPECTED["cbis_ddsm_masses"] = {
    "train": (8, [4, 4]),
    "validation": (4, [2, 2]),
    "test": (7, [2, 5]),
}
EXPECTED["chexpert_14_no_finding"] = EXPECTED["chexpert_14_by_patient"]
EXPECTED["knee_mrnet_3class"] = {
    "train": (25, [6, 9, 10]),
    "validation": (9, [3, 3, 3]),
    "test": (7, [2, 2, 3]),
}
EXPECTED["pcam_small_paper"] = {
    "train": (13, [7, 6]),
    "validation": (2, [1, 1]),
    "test": (3, [1, 2]),
}
EXPECTED["pcam_small"] = EXPECTED["patch_camelyon_tfds"] = EXPECTED["patch_camelyon"]

# One example of each: its patient, classes and own split, as the file names, tables
# and annotations of the sample say.
SINGLE = {
    "retina_eyepacs": ("53_right", "53", ["mild"], None),
    "retina_eyepacs_all": ("36_left", "36", ["proliferative"], None),
    "aptos2019": ("00ee9afb8bf3", "00ee9afb8bf3", ["severe"], None),
    "chexpert": (
        "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg",
        "patient00001",
        ["Cardiomegaly", "Consolidation"],
        None,
    ),
    "nih_chest_xray14": ("00000004_001.png", "4", ["Pneumonia", "Edema"], None),
    "isic2018": ("ISIC_0024308", "HAM_0000002", ["melanocytic nevus"], None),
    "isic2019": ("ISIC_0060000", "ISIC_0060000", ["melanoma"], None),
    "cbis_ddsm": ("P_01993_RIGHT_MLO", "P_01993", ["benign"], "test"),
    "patch_camelyon": (
        "camelyonpatch_level_2_split_train_x-1",
        "camelyon16_train_tumor_010",
        ["tumor"],
        "train",
    ),
    "chest_kermany": (
        "train/PNEUMONIA/person1025_virus_3026.jpeg",
        "person1025_virus",
        ["pneumonia"],
        None,
    ),
    "breast_busi": (
        "malignant/malignant (8).png",
        "malignant (8)",
        ["malignant"],
        None,
    ),
    "breast_busi_780": ("normal/normal (1).png", "normal (1)", ["benign"], None),
    "thyroid_ddti": ("2_2", "2", ["malignant"], None),
    "knee_mrnet": ("0000-2", "0000", ["abnormal", "acl tear", "meniscal tear"], None),
    "thyroid_ddti_480": ("6_2", "6", ["benign"], None),
    "cbis_ddsm_rows": ("P_00001_LEFT_CC-2", "P_00001", ["benign"], "test"),
    "knee_mrnet_3class": (
        "acl/1133_sagittal_2.000000.png",
        "1133",
        ["acl tear"],
        None,
    ),
    # The number 3 and its label are in all three files: the last was written over.
    "pcam_small_paper": (
        "camelyonpatch_level_2_split_test_x-3",
        None,
        ["tumor"],
        None,
    ),
    "imagenet2012": ("ILSVRC2012_val_00000007.JPEG", None, ["n02979186"], "test"),
    "tiny_imagenet": ("val_1.JPEG", None, ["n07734744"], "test"),
    "cifar10": ("test_00013", None, ["cat"], "test"),
    "imagenette": ("train-0", None, ["n03888257"], None),
    "patch_camelyon_tfds": ("test_3", None, ["tumor"], "test"),
}

# Those of families are tested in test_npz.py.
REAL = [
    name
    for name in card_names()
    if "/" not in name and load_card(name).folder.startswith("$")
]


@pytest.fixture(scope="module")
def read():
    """The reading of a card's sample, once a card."""
    cache = {}

    def reading(name):
        if name not in cache:
            card = load_card(name, source="sample")
            cache[name] = card, read_card(card)
        return cache[name]

    return reading


def test_all_cards_of_real_data_are_tested():
    assert set(REAL) == set(EXPECTED)


@pytest.mark.parametrize("name", REAL)
def test_a_clean_sample_raises_no_alarm(read, name):
    card, reading = read(name)
    assert not reading.problems
    assert not find_gaps(card, reading.examples)
    assert not separate(card, reading.examples)[1]


@pytest.mark.parametrize("name", REAL)
def test_images_and_classes_by_split(read, name):
    card, reading = read(name)
    splits = np.array(assign_splits(card, reading.examples))
    labels = np.array([example.labels for example in reading.examples])
    found = {
        split: (int((splits == split).sum()), labels[splits == split].sum(0).tolist())
        for split in ("train", "validation", "test")
    }
    assert found == EXPECTED[name]


@pytest.mark.parametrize("name", SINGLE)
def test_one_example_by_hand(read, name):
    card, reading = read(name)
    example_id, patient, classes, split = SINGLE[name]
    (example,) = [e for e in reading.examples if e.example_id == example_id]
    assert example.patient_id == (patient or example_id)
    own = zip(card.labels.classes, example.labels, strict=True)
    assert [label for label, value in own if value] == classes
    assert example.split == split


@pytest.mark.parametrize("name", REAL)
def test_every_image_of_a_sample_decodes(read, name):
    _, reading = read(name)
    for example in reading.examples:
        image = example.image.load()
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.std() > 0


@pytest.mark.parametrize("name", REAL)
def test_a_readme_says_where_to_get_the_data_under_which_terms(name):
    card = load_card(name)
    text = (card.path.parent / "README.md").read_text()
    for part in ("```", "Licence", "itation", "**Counts.**", "**Choices.**"):
        assert part in text
    assert "$TRANSFUSION_DATA" in card.layout()
    assert card.layout().endswith("```")


def test_radiographs_may_lie_in_one_folder_in_place_of_twelve(read, tmp_path):
    card, reading = read("nih_chest_xray14")
    (tmp_path / "images").mkdir()
    for path in sorted(Path(card.folder).iterdir()):
        if path.is_dir():
            for image in (path / "images").iterdir():
                (tmp_path / "images" / image.name).symlink_to(image)
        else:
            (tmp_path / path.name).symlink_to(path)
    in_one = read_card(load_card("nih_chest_xray14", source=tmp_path))
    assert not in_one.problems
    assert [e.image.path.name for e in in_one.examples] == [
        e.image.path.name for e in reading.examples
    ]
    assert {e.image.path.parent.parent.name for e in reading.examples} == {
        "images_001",
        "images_002",
    }


def test_both_eyes_of_a_patient_share_a_split(read):
    card, reading = read("retina_eyepacs")
    splits = assign_splits(card, reading.examples)
    of_patient = Counter()
    for example, split in zip(reading.examples, splits, strict=True):
        of_patient[example.patient_id, split] += 1
    assert set(of_patient.values()) == {2}


def test_masks_and_images_without_a_lesion_are_left_out_and_counted(read):
    _, reading = read("breast_busi")
    assert reading.left_out_counts() == {
        "a mask": 24,
        "in the folder 'normal', which the card leaves out": 4,
    }


def test_cases_without_a_category_are_left_out_and_counted(read):
    _, reading = read("thyroid_ddti")
    assert [row.where for row in reading.left_out] == ["6_1.jpg", "6_2.jpg"]
    assert "6" not in {example.patient_id for example in reading.examples}


def test_a_mammogram_in_both_official_sets_is_tested_on_and_remarked(read):
    _, reading = read("cbis_ddsm")
    own = [e for e in reading.examples if e.patient_id == "P_00001"]
    assert [e.split for e in own] == ["test", "test"]
    # Malignant mass, benign calcification, on the same mammogram.
    assert own[0].labels == (0, 1)
    assert any("P_00001_LEFT_CC is in two splits" in r.reason for r in reading.remarks)


def test_a_mammogram_stands_once_per_abnormality_with_that_one_s_class(read):
    _, reading = read("cbis_ddsm_rows")
    own = [e for e in reading.examples if e.example_id.startswith("P_00001_LEFT_CC")]
    assert [(e.example_id[-2:], e.labels) for e in own] == [
        ("-1", (0, 1)),
        ("-2", (1, 0)),
    ]
    assert {e.patient_id for e in own} == {"P_00001"}


def test_a_slice_that_two_folders_hold_is_two_examples(read):
    _, reading = read("knee_mrnet_3class")
    own = {
        e.example_id: e for e in reading.examples if "0001_sagittal_1." in e.example_id
    }
    assert {name.split("/")[0] for name in own} == {"acl", "meniscus"}
    assert len({e.labels for e in own.values()}) == 2
    assert {(e.image.index, e.patient_id) for e in own.values()} == {(1, "0001")}


@pytest.mark.parametrize(
    ("name", "population", "source"),
    [
        # "contains 480 images"; of the authors' lists, 192 are benign.
        ("thyroid_ddti_480", {"benign": 192, "malignant": 288}, "section 4.1, 3"),
        # "'benign' (2,111 images) or 'malignant' (1,457 images)".
        ("cbis_ddsm_rows", {"benign": 2111, "malignant": 1457}, "section 4.1, 4"),
        # "4,235 'normal', 569 'ACL' [...], and 418 'meniscal tear' images".
        (
            "knee_mrnet_3class",
            {"normal": 4235, "acl tear": 569, "meniscal tear": 418},
            "section 4.1, 5",
        ),
        # "10,000 images was created, with 5,026 positive and 4,974 negative samples".
        # The contest's own counts, training and test: 88 702 photographs.
        (
            "retina_eyepacs_all",
            {
                "none": 25_810 + 39_533,
                "mild": 2_443 + 3_762,
                "moderate": 5_292 + 7_861,
                "severe": 873 + 1_214,
                "proliferative": 708 + 1_206,
            },
            "Kaggle 2015",
        ),
        ("pcam_small_paper", {"normal": 4974, "tumor": 5026}, "section 4.1, 6"),
    ],
)
def test_a_card_knows_the_paper_s_population_and_remarks_on_another(
    name, population, source
):
    card = load_card(name)
    assert card.population == population, source
    sample = load_card(name, source="sample").replace(population=population)
    (remark,) = [r for r in read_card(sample).remarks if r.where == name]
    count, kind = population[card.labels.classes[0]], card.labels.classes[0]
    assert f"where it knows {count} {kind}" in remark.reason


def test_boxes_of_tiny_imagenet_are_left_out_and_wrong_rows_of_its_list_named(
    read, tmp_path
):
    card, reading = read("tiny_imagenet")
    assert sum(reading.left_out_counts().values()) == 3
    source = Path(card.folder) / "tiny-imagenet-200"
    (tmp_path / "val").mkdir()
    (tmp_path / "train").symlink_to(source / "train")
    (tmp_path / "val" / "images").symlink_to(source / "val" / "images")
    rows = ["val_0.JPEG\tn01443537\t0\t0\t9\t9", "val_0.JPEG", "val_1.JPEG\tn1"]
    rows.append("val_9.JPEG\tn02124075\t0\t0\t9\t9")
    (tmp_path / "val" / "val_annotations.txt").write_text("\n".join(rows))
    card = load_card("tiny_imagenet", source="sample").replace(folder=str(tmp_path))
    reading = read_card(card)
    assert [e.where for e in reading.examples if e.split == "test"] == [
        "val_annotations.txt, row 1"
    ]
    reasons = [problem.reason for problem in reading.problems]
    assert "tab between them" in reasons[0]
    assert "'n1' is outside the classes" in reasons[1]
    assert reasons[2] == "no file images/val_9.JPEG"


def test_lists_that_name_what_is_not_there_are_problems(tmp_path):
    sample = load_card("knee_mrnet_3class", source="sample")
    source = Path(sample.folder)
    (tmp_path / "MRNet-v1.0").symlink_to(source / "MRNet-v1.0")
    lists = tmp_path / "lists"
    lists.mkdir()
    rows = [
        "0000_sagittal_4.000000.png,normal",  # Four slices, counted from 0.
        "0000_sagittal_3.000000.png,normal",
        "9999_sagittal_1.000000.png,acl",
        "0001_sagittal_1.000000.png,torn",
        "0002.png,normal",
    ]
    text = "".join(f"../x/images/acl/{row}\n" for row in rows)
    (lists / "train_fold1.csv").write_text("path,class\n" + text)
    # Every fold names all images, so only another class is news.
    (lists / "val_fold2.csv").write_text(
        f"path,class\n../x/images/acl/{rows[1].replace('normal', 'acl')}\n"
    )
    reading = read_card(load_card("knee_mrnet_3class", source=tmp_path))
    assert [e.example_id for e in reading.examples] == [
        "acl/0000_sagittal_3.000000.png"
    ]
    reasons = {p.where: p.reason for p in reading.problems}
    assert "slice 4 of 4" in reasons["train_fold1.csv, row 2"]
    assert "no volume" in reasons["train_fold1.csv, row 4"]
    assert "'torn'" in reasons["train_fold1.csv, row 5"]
    assert "<scan>_<plane>_<slice>" in reasons["train_fold1.csv, row 6"]
    assert "another class at train_fold1.csv, row 3" in reasons["val_fold2.csv, row 2"]


def test_a_patch_is_that_of_the_file_written_last_with_its_number_and_label(tmp_path):
    for split, labels in (("train", [0, 1, 1]), ("valid", [1, 1]), ("test", [1])):
        stem = f"camelyonpatch_level_2_split_{split}"
        with h5py.File(tmp_path / f"{stem}_x.h5", "w") as file:
            file["x"] = np.zeros((len(labels), 4, 4, 3), np.uint8)
        with h5py.File(tmp_path / f"{stem}_y.h5", "w") as file:
            file["y"] = np.array(labels).reshape(-1, 1, 1, 1)
    (tmp_path / "lists").mkdir()
    names = ["0_label=0", "0_label=1", "1_label=1", "2_label=1", "2_label=0"]
    text = "".join(
        f"../PCam/png_images/{name}.png,{'yes' if name[-1] == '1' else 'no'}\n"
        for name in names
    )
    (tmp_path / "lists" / "train_fold1.csv").write_text("path,class\n" + text)
    reading = read_card(load_card("pcam_small_paper", source=tmp_path))
    assert [
        e.example_id.removeprefix("camelyonpatch_level_2_split_")
        for e in reading.examples
    ] == [
        "train_x-0",
        "test_x-0",
        "valid_x-1",
        "train_x-2",
    ]
    (problem,) = reading.problems
    assert problem.reason == "no file has an image 2 with the label 0"


def test_lists_that_are_missing_are_asked_for_with_their_source(tmp_path):
    sample = load_card("knee_mrnet_3class", source="sample")
    (tmp_path / "MRNet-v1.0").symlink_to(Path(sample.folder) / "MRNet-v1.0")
    with pytest.raises(UserError, match=r"(?s)reader.lists.*DovileDo/revisiting"):
        read_card(load_card("knee_mrnet_3class", source=tmp_path))


def test_three_middle_slices_of_a_scan(read):
    _, reading = read("knee_mrnet")
    # 0001 has five slices, 0002 six.
    assert [e.image.index for e in reading.examples if e.patient_id == "0001"] == [
        1,
        2,
        3,
    ]
    assert [e.image.index for e in reading.examples if e.patient_id == "0002"] == [
        2,
        3,
        4,
    ]


def test_a_small_subset_of_patches_is_the_same_everywhere():
    card = load_card("pcam_small", source="sample")
    few = card.replace(
        reader={**card.reader, "examples": {"train": 6, "validation": 4, "test": 4}}
    )
    first = [e.example_id for e in read_card(few).examples]
    assert len(first) == 14
    assert first == [e.example_id for e in read_card(few).examples]
    fewer = card.replace(reader={**card.reader, "examples": {"train": 3}})
    nested = [e.example_id for e in read_card(fewer).examples if e.split == "train"]
    assert set(nested) < set(first)


def test_classes_of_imagenet_agree_with_its_file_names(read):
    card, reading = read("imagenet2012")
    for example in reading.examples:
        if example.split is None:
            synset = example.example_id.split("_")[0]
            assert card.labels.classes[example.labels.index(1)] == synset
