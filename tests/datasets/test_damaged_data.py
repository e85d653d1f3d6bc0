"""Copies of the samples with one thing wrong each: every fault is named."""

import shutil

import h5py
import numpy as np
import pytest
from PIL import Image

from transfusion_tf.datasets import load_card
from transfusion_tf.datasets.readers import read_card
from transfusion_tf.datasets.validation import find_gaps, separate
from transfusion_tf.errors import UserError


@pytest.fixture
def copied(tmp_path):
    """Copies a card's sample: its card and the folder to damage."""

    def copy(name):
        folder = tmp_path / name
        sample = load_card(name, source="sample").data_folder()
        shutil.copytree(sample, folder)
        return load_card(name, source=folder), folder

    return copy


def replace(file, old, new, count=1):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, count))


def problems_of(card):
    reading = read_card(card)
    return [(p.where, p.reason) for p in reading.problems]


def only_problem(card):
    (problem,) = problems_of(card)
    return problem


# --- csv -------------------------------------------------------------------------


def test_csv_names_a_column_that_is_missing(copied):
    card, folder = copied("retina_eyepacs")
    replace(folder / "trainLabels.csv", "image,level", "image,grade")
    with pytest.raises(UserError, match=r"no column 'level'.*image, grade"):
        read_card(card)


def test_csv_names_a_row_with_a_cell_too_few(copied):
    card, folder = copied("retina_eyepacs")
    replace(folder / "trainLabels.csv", "10_right,0", "10_right")
    where, reason = only_problem(card)
    assert where == "trainLabels.csv, row 3"
    assert "1 cells, but the table has 2 columns" in reason


@pytest.mark.parametrize("level", ["5", "-1", "x", ""])
def test_csv_names_an_unknown_grade(copied, level):
    card, folder = copied("retina_eyepacs")
    replace(folder / "trainLabels.csv", "10_right,0", f"10_right,{level}")
    where, reason = only_problem(card)
    assert where == "trainLabels.csv, row 3"
    assert f"label {level!r} is outside the classes" in reason


def test_csv_names_an_image_that_is_missing(copied):
    card, folder = copied("retina_eyepacs")
    (folder / "train" / "10_right.jpeg").unlink()
    where, reason = only_problem(card)
    assert where == "trainLabels.csv, row 3"
    assert "no image" in reason


def test_csv_names_an_image_whose_patient_is_not_known(copied):
    card, folder = copied("retina_eyepacs")
    (folder / "train" / "10_right.jpeg").rename(folder / "train" / "10.jpeg")
    replace(folder / "trainLabels.csv", "10_right", "10")
    assert "no match for reader.patient_pattern" in only_problem(card)[1]


def test_csv_remarks_on_images_that_no_row_names(copied):
    card, folder = copied("retina_eyepacs")
    replace(folder / "trainLabels.csv", "10_right,0\n", "")
    (remark,) = read_card(card).remarks
    assert remark.reason == "1 images that no usable row names"
    assert remark.where.endswith("(first 10_right.jpeg)")


def test_csv_refuses_a_path_that_leaves_the_data(copied):
    card, folder = copied("retina_eyepacs")
    Image.new("RGB", (32, 32)).save(folder.parent / "1_left.jpeg")
    replace(folder / "trainLabels.csv", "10_right", "../../1_left")
    assert "leads out of the data's folder" in only_problem(card)[1]


def test_a_table_that_is_not_utf8_or_not_csv_is_named(copied):
    card, folder = copied("retina_eyepacs")
    table = folder / "trainLabels.csv"
    for content in (b"image,level\n\xff\xfe,1\n", b'image,level\n"10_left,0\n', b""):
        table.write_bytes(content)
        with pytest.raises(UserError, match=r"trainLabels\.csv"):
            read_card(card)


def test_two_classes_in_one_row_of_one_hot_columns_are_named(copied):
    card, folder = copied("isic2018")
    file = next(folder.rglob("*GroundTruth.csv"))
    replace(file, "ISIC_0024307,0.0,1.0", "ISIC_0024307,1.0,1.0")
    where, reason = only_problem(card)
    assert where.endswith("row 3")
    assert "exactly one" in reason


def test_an_image_of_the_unknown_class_is_named(copied):
    card, folder = copied("isic2019")
    file = folder / "ISIC_2019_Training_GroundTruth.csv"
    row = "ISIC_0000001,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,"
    replace(file, f"{row}0.0", f"{row.replace('1.0', '0.0')}1.0")
    assert "exactly one" in only_problem(card)[1]


def test_an_image_that_the_metadata_lack_is_named(copied):
    card, folder = copied("isic2019")
    replace(folder / "ISIC_2019_Training_Metadata.csv", "ISIC_0000001,", "ISIC_9,")
    where, reason = only_problem(card)
    assert where.endswith("row 3")
    assert "'ISIC_0000001' has no row in the joined table" in reason


def test_two_lesions_for_one_image_are_named(copied):
    card, folder = copied("isic2019")
    file = folder / "ISIC_2019_Training_Metadata.csv"
    file.write_text(file.read_text() + "ISIC_0000001,30,head/neck,HAM_9999999,male\n")
    with pytest.raises(UserError, match="'ISIC_0000001' stands there twice"):
        read_card(card)


def test_without_lesion_ids_each_image_stands_for_itself_and_that_is_remarked(copied):
    card, folder = copied("isic2018")
    (folder / "ISIC2018_Task3_Training_LesionGroupings.csv").unlink()
    reading = read_card(card)
    assert all(e.patient_id == e.example_id for e in reading.examples)
    assert "each stands for itself" in reading.remarks[0].reason


# --- CheXpert --------------------------------------------------------------------


def test_chexpert_names_a_view_that_is_neither_kept_nor_left_out(copied):
    card, folder = copied("chexpert")
    file = folder / "CheXpert-v1.0-small" / "valid.csv"
    replace(file, ",Lateral,", ",Oblique,")
    where, reason = only_problem(card)
    assert where.startswith("valid.csv, row")
    assert "'Oblique' is neither kept nor left out" in reason


def test_chexpert_leaves_out_lateral_views_where_the_card_says_so(copied):
    card, _ = copied("chexpert")
    views = {"column": "Frontal/Lateral", "keep": ["Frontal"], "leave_out": ["Lateral"]}
    reading = read_card(card.replace(reader={**card.reader, "filters": [views]}))
    assert all("frontal" in example.example_id for example in reading.examples)
    assert reading.left_out_counts() == {"Frontal/Lateral is 'Lateral'": 13}


def test_chexpert_names_a_value_that_is_no_label(copied):
    card, folder = copied("chexpert")
    file = folder / "CheXpert-v1.0-small" / "train.csv"
    replace(file, "PA,,1.0,1.0", "PA,,1.0,2.0")
    assert only_problem(card) == (
        "train.csv, row 2",
        "label '2.0' for 'Cardiomegaly' should be 0 or 1",
    )


def test_chexpert_names_a_patient_in_both_official_sets(copied):
    card, folder = copied("chexpert")
    root = folder / "CheXpert-v1.0-small"
    shutil.move(root / "valid" / "patient64550", root / "valid" / "patient00001")
    text = (root / "valid.csv").read_text()
    (root / "valid.csv").write_text(text.replace("patient64550", "patient00001"))
    _, problems = separate(card, read_card(card).examples)
    assert problems
    assert all("patient 'patient00001' is in" in p.reason for p in problems)


# --- class folders ---------------------------------------------------------------


def test_an_image_in_the_folder_of_the_other_class_is_named(copied):
    card, folder = copied("breast_busi")
    root = folder / "Dataset_BUSI_with_GT"
    for suffix in ("", "_mask"):
        name = f"malignant (8){suffix}.png"
        shutil.move(root / "malignant" / name, root / "benign" / name)
    where, reason = only_problem(card)
    assert where == "benign/malignant (8).png"
    assert "it is that of malignant" in reason


def test_a_mask_without_its_image_is_named(copied):
    card, folder = copied("breast_busi")
    (folder / "Dataset_BUSI_with_GT" / "benign" / "benign (1).png").unlink()
    assert only_problem(card) == (
        "benign/benign (1)_mask.png",
        "a mask of benign (1).png, which is not there",
    )


def test_a_radiograph_whose_name_is_that_of_the_other_class_is_named(copied):
    card, folder = copied("chest_kermany")
    train = folder / "chest_xray" / "train"
    shutil.move(train / "PNEUMONIA" / "person1014_bacteria_3014.jpeg", train / "NORMAL")
    where, reason = only_problem(card)
    assert where == "train/NORMAL/person1014_bacteria_3014.jpeg"
    assert "not that of an image of 'normal'" in reason


def test_folders_that_are_no_split_and_no_class_are_named(copied):
    card, folder = copied("chest_kermany")
    root = folder / "chest_xray"
    (root / "extra").mkdir()
    (root / "test" / "COVID").mkdir()
    reasons = [reason for _, reason in problems_of(card)]
    assert "folder 'extra' is no split of the card; valid: train, val, test" in reasons
    assert "no class 'COVID' in the card; valid: NORMAL, PNEUMONIA" in reasons


def test_an_image_outside_the_folders_of_the_classes_is_named(copied):
    card, folder = copied("chest_kermany")
    root = folder / "chest_xray" / "test"
    shutil.copy(root / "NORMAL" / "IM-0001-0001.jpeg", root)
    assert "outside the folders of the classes" in only_problem(card)[1]


def test_a_child_in_training_and_test_folders_is_named(copied):
    card, folder = copied("chest_kermany")
    root = folder / "chest_xray"
    own = root / "train" / "NORMAL" / "IM-0115-0001.jpeg"
    shutil.copy(own, root / "test" / "NORMAL" / "IM-0115-0002.jpeg")
    _, problems = separate(card, read_card(card).examples)
    assert [p.where for p in problems] == [
        "test/NORMAL/IM-0115-0002.jpeg",
        "train/NORMAL/IM-0115-0001.jpeg",
    ]


# --- hdf5 ------------------------------------------------------------------------

STEM = "camelyonpatch_level_2_split_train"


def rewrite(file, name, values):
    with h5py.File(file, "w") as opened:
        opened.create_dataset(name, data=values)


def test_more_images_than_labels_are_named(copied):
    card, folder = copied("patch_camelyon")
    rewrite(folder / f"{STEM}_y.h5", "y", np.zeros((19, 1, 1, 1), np.uint8))
    (problem,) = read_card(card).problems
    assert problem.reason == "20 images but 19 labels"
    assert problem.images == 20
    reading = read_card(card)
    assert [gap.reason for gap in find_gaps(card, reading.examples, reading)][:1] == [
        "none of its images can be used; mend what is listed above"
    ]


def test_a_label_that_is_no_class_is_named_with_its_row(copied):
    card, folder = copied("patch_camelyon")
    labels = np.arange(20).reshape(-1, 1, 1, 1) % 2
    labels[7] = 2
    rewrite(folder / f"{STEM}_y.h5", "y", labels)
    where, reason = only_problem(card)
    assert where == f"{STEM}_y.h5, row 7"
    assert "label '2' is not among" in reason


def test_hdf5_files_that_are_damaged_or_hold_something_else_are_named(copied):
    card, folder = copied("patch_camelyon")
    file = folder / f"{STEM}_x.h5"
    rewrite(file, "images", np.zeros((20, 8, 8, 3), np.uint8))
    with pytest.raises(UserError, match="no data set 'x' in it; it has images"):
        read_card(card)
    file.write_bytes(file.read_bytes()[:400])
    with pytest.raises(UserError, match="damaged"):
        read_card(card)


def test_hdf5_labels_that_claim_more_than_they_store_are_refused_unread(copied):
    card, folder = copied("patch_camelyon")
    with h5py.File(folder / f"{STEM}_y.h5", "w") as opened:
        opened.create_dataset("y", (10**11, 1, 1, 1), np.uint8, chunks=True)
    with pytest.raises(UserError, match="claims 100000000000 bytes but stores 0"):
        read_card(card)


def test_hdf5_labels_in_another_file_are_refused(copied):
    card, folder = copied("patch_camelyon")
    file = folder / f"{STEM}_y.h5"
    shutil.move(file, folder / "other.h5")
    with h5py.File(file, "w") as opened:
        opened["y"] = h5py.ExternalLink("other.h5", "y")
    with pytest.raises(UserError, match="another file"):
        read_card(card)


def test_slides_that_do_not_fit_the_patches_are_named(copied):
    card, folder = copied("patch_camelyon")
    meta = folder / f"{STEM}_meta.csv"
    meta.write_text("\n".join(meta.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(UserError, match="19 rows for 20 images"):
        read_card(card)
    meta.unlink()
    assert "stands for itself" in read_card(card).remarks[0].reason


def test_a_slide_in_two_official_splits_is_named(copied):
    card, folder = copied("patch_camelyon")
    replace(folder / f"{STEM}_meta.csv", "train_tumor_010", "test_tumor_060")
    _, problems = separate(card, read_card(card).examples)
    assert {"camelyon16_test_tumor_060" in p.reason for p in problems} == {True}


# --- volumes ---------------------------------------------------------------------


def test_a_scan_without_a_volume_and_a_volume_without_a_label_are_named(copied):
    card, folder = copied("knee_mrnet")
    train = folder / "MRNet-v1.0" / "train" / "sagittal"
    (train / "0000.npy").rename(train / "9999.npy")
    (missing, extra) = problems_of(card)
    assert missing[0] == "train-abnormal.csv, row 1 (scan 0000)"
    assert "no volume" in missing[1]
    assert extra == ("train/sagittal/9999.npy", "no row of the labels names it")


def test_a_scan_that_one_label_table_lacks_is_named(copied):
    card, folder = copied("knee_mrnet")
    replace(folder / "MRNet-v1.0" / "valid-acl.csv", "1131,", "1199,")
    reasons = [reason for _, reason in problems_of(card)]
    assert "scan '1131' has no row in valid-acl.csv" in reasons
    expected = "scan '1199' has no row in valid-abnormal.csv, valid-meniscus.csv"
    assert expected in reasons


@pytest.mark.parametrize(
    ("volume", "reason"),
    [
        (np.zeros((2, 32, 32), np.uint8), "2 slices; the card takes 3"),
        (np.zeros((32, 32), np.uint8), "a volume is [slices, height, width]"),
        (np.array([{}], object), "Python objects"),
    ],
)
def test_a_volume_of_another_shape_is_named(copied, volume, reason):
    card, folder = copied("knee_mrnet")
    np.save(folder / "MRNet-v1.0" / "train" / "sagittal" / "0000.npy", volume)
    where, found = only_problem(card)
    assert "scan 0000" in where
    assert reason in found


def test_a_label_that_is_neither_0_nor_1_is_named(copied):
    card, folder = copied("knee_mrnet")
    replace(folder / "MRNet-v1.0" / "valid-acl.csv", "1131,", "1131,3")
    assert "for 'acl tear' should be 0 or 1" in only_problem(card)[1]


# --- XML -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("<tirads>2<", "<tirads>7<", "label '7' is not among the card's labels.values"),
        ("<tirads>2<", "<tirads>2</tirads><tirads>3<", "2 elements <tirads>"),
        ("<number>1<", "<number>2<", "the file says that it is case '2'"),
        ("<image>1<", "<image>4<", "annotates image '4', which is not there"),
        ("</case>", "", "not XML that can be read"),
        ("<case>", '<!DOCTYPE case [<!ENTITY x "2">]><case>', "refused"),
    ],
)
def test_a_case_that_contradicts_itself_is_named(copied, old, new, reason):
    card, folder = copied("thyroid_ddti")
    replace(folder / "1.xml", old, new)
    where, found = problems_of(card)[0]
    assert where == "1.xml"
    assert reason in found


def test_an_image_without_a_case_and_a_stray_file_are_named(copied):
    card, folder = copied("thyroid_ddti")
    shutil.copy(folder / "1_1.jpg", folder / "777_1.jpg")
    (folder / "notes.txt").write_text("hello")
    found = dict(problems_of(card))
    assert found["777_1.jpg"] == "no 777.xml, so no label"
    assert "no case and no image" in found["notes.txt"]


# --- CBIS-DDSM -------------------------------------------------------------------


def test_an_unknown_pathology_is_named(copied):
    card, folder = copied("cbis_ddsm")
    replace(folder / "mass_case_description_train_set.csv", ",MALIGNANT,", ",UNPROVEN,")
    where, reason = only_problem(card)
    assert where == "mass_case_description_train_set.csv, row 2"
    assert "label 'UNPROVEN' is not among" in reason


def test_a_mammogram_that_is_missing_is_named(copied):
    card, folder = copied("cbis_ddsm")
    shutil.rmtree(folder / "CBIS-DDSM" / "Mass-Test_P_01990_RIGHT_MLO")
    where, reason = only_problem(card)
    assert where == "mass_case_description_test_set.csv, row 2"
    assert "no image" in reason


def test_a_path_of_another_patient_is_named(copied):
    card, folder = copied("cbis_ddsm")
    file = folder / "mass_case_description_test_set.csv"
    replace(file, "P_01990,", "P_01999,")
    assert "is not that of P_01999_RIGHT_MLO" in only_problem(card)[1]


def test_without_a_rule_a_patient_in_both_official_sets_is_named(copied):
    card, _ = copied("cbis_ddsm")
    import dataclasses

    strict = card.replace(splits=dataclasses.replace(card.splits, conflict="error"))
    reading = read_card(strict)
    assert "mammogram P_00001_LEFT_CC is in two splits" in reading.problems[0].reason


# --- TFDS ------------------------------------------------------------------------


def test_a_data_set_that_is_not_prepared_says_how_to(copied):
    card, folder = copied("imagenette")
    shutil.rmtree(folder / "imagenette")
    with pytest.raises(UserError) as caught:
        read_card(card)
    assert "nothing is downloaded" in str(caught.value)
    assert f"tfds build imagenette/full-size-v2 --data_dir={folder}" in str(
        caught.value
    )


def test_a_record_file_that_is_cut_off_or_missing_is_named(copied):
    card, folder = copied("imagenette")
    file = next(folder.rglob("imagenette-validation.tfrecord*"))
    file.write_bytes(file.read_bytes()[:-5])
    assert "cut off" in only_problem(card)[1]
    file.unlink()
    assert "no such file; it should hold 20 images" in only_problem(card)[1]


def test_a_class_that_the_card_does_not_name_is_named(copied):
    card, folder = copied("imagenet2012")
    names = next(folder.rglob("label.labels.txt"))
    replace(names, "n01440764\n", "n99999999\n")
    reasons = {reason.split(";")[0] for _, reason in problems_of(card)}
    assert reasons == {"label 'n99999999' is outside the classes"}
