"""A card becomes TFRecord shards that TFDS opens; twice the same; all or nothing."""

import math
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from transfusion_tf.datasets import load_card, prepare
from transfusion_tf.datasets.images import read_rgb
from transfusion_tf.datasets.readers import read_examples
from transfusion_tf.datasets.readers.tf_records import records
from transfusion_tf.datasets.shards import (
    make_index,
    plan_shards,
    unreadable_images,
    write_shards,
)
from transfusion_tf.datasets.tfds_metadata import write_tfds_metadata
from transfusion_tf.errors import UserError


def test_tfds_opens_the_result(prepared):
    builder = tfds.builder_from_directory(prepared.path)
    assert builder.info.name == "clinic"
    read = 0
    for split in ("train", "validation", "test"):
        for example in tfds.as_numpy(builder.as_dataset(split=split)):
            assert example["image"].shape == (34, 34, 3)
            assert example["label"].sum() == 1
            read += 1
    assert read == 80


def test_stored_pixels_are_those_of_the_file(prepared, clinic_root):
    builder = tfds.builder_from_directory(prepared.path)
    example = next(iter(tfds.as_numpy(builder.as_dataset(split="train"))))
    source = read_rgb(clinic_root / "images" / example["example_id"].decode())
    assert abs(example["image"].mean() - source.mean()) < 2


def test_no_patient_stands_in_two_splits(prepared):
    splits = prepared.index.groupby("patient_id")["split"].nunique()
    assert (splits == 1).all()


def test_labels_and_counts_agree_with_the_table(prepared):
    counts = prepared.counts()
    assert sum(c["images"] for c in counts.values()) == 80
    assert sum(c["classes"]["none"] for c in counts.values()) == 16
    train = prepared.examples("train")
    own = train[train["label/none"] == 1]["patient_id"]
    assert counts["train"]["class_patients"]["none"] == len(set(own))


def test_a_second_call_builds_nothing(prepared, data_root):
    before = prepared.path.stat().st_mtime_ns
    again = prepare(prepared.card, data_root, progress=False)
    assert again.path == prepared.path
    assert again.path.stat().st_mtime_ns == before


def test_building_twice_gives_the_same_bytes(prepared, tmp_path):
    again = prepare(prepared.card, tmp_path, workers=1, progress=False)
    for file in prepared.path.glob("*.tfrecord*"):
        assert (again.path / file.name).read_bytes() == file.read_bytes()
    assert again.index.equals(prepared.index)


def test_each_record_starts_where_the_index_says(prepared):
    for name, rows in prepared.index.groupby("file"):
        found = [offset for offset, _ in records(prepared.path / name)]
        assert found == list(rows["offset"])


def test_several_shards_hold_what_one_would(prepared, tmp_path):
    card, folder = prepared.card, tmp_path / "1.0.0"
    folder.mkdir()
    examples, _ = read_examples(card)
    plan = plan_shards(card, examples, shard_pixels=7 * card.stored_size**2)
    places = write_shards(card, plan, folder, workers=1, progress=False)
    index = make_index(card, plan, places)
    write_tfds_metadata(card, plan, index, folder, "several")
    one = prepared.index.drop(columns=["file", "offset"])
    assert index.drop(columns=["file", "offset"]).equals(one)
    builder = tfds.builder_from_directory(folder)
    for split, info in builder.info.splits.items():
        rows = tfds.as_numpy(builder.as_dataset(split=split))
        found = {row["example_id"].decode() for row in rows}
        assert found == set(prepared.examples(split)["example_id"])
        assert info.num_shards == math.ceil(len(found) / 7) > 1


def test_a_shard_without_a_readable_image_is_an_empty_file(clinic, tmp_path):
    (clinic.parent / "images" / "003.png").write_bytes(b"damaged")
    card, folder = load_card(clinic), tmp_path / "1.0.0"
    folder.mkdir()
    examples, _ = read_examples(card)
    plan = plan_shards(card, examples, shard_pixels=1)
    places = write_shards(card, plan, folder, workers=1, progress=False)
    write_tfds_metadata(card, plan, make_index(card, plan, places), folder, "single")
    (problem,) = unreadable_images(card, examples, plan, places)
    assert problem.image == "images/003.png"
    builder = tfds.builder_from_directory(folder)
    rows = tfds.as_numpy(builder.as_dataset(split="train+validation+test"))
    assert sum(1 for _ in rows) == 47


def test_a_split_without_examples_has_no_file(clinic, tmp_path):
    text = clinic.read_text()
    assert "test = 0.25" in text
    clinic.write_text(
        text.replace("validation = 0.25", "validation = 0.5").replace(
            "test = 0.25", "test = 0.0"
        )
    )
    prepared = prepare(load_card(clinic), tmp_path / "data", workers=1, progress=False)
    assert not list(prepared.path.glob("*-test.tfrecord*"))
    assert set(prepared.index["split"]) == {"train", "validation"}
    builder = tfds.builder_from_directory(prepared.path)
    assert builder.info.splits["train"].num_examples == len(prepared.examples("train"))


def test_rows_in_another_order_are_the_same_data_set(prepared, clinic_root, tmp_path):
    folder = tmp_path / "clinic"
    shutil.copytree(clinic_root, folder, copy_function=shutil.copy2)
    head, *rows = (folder / "labels.csv").read_text().splitlines()
    (folder / "labels.csv").write_text("\n".join([head, *rows[::-1]]) + "\n")
    again = prepare(load_card(folder), tmp_path / "d", workers=1, progress=False)
    assert again.fingerprint == prepared.fingerprint


def test_a_changed_label_is_another_data_set(prepared, clinic_root, tmp_path):
    folder = tmp_path / "clinic"
    shutil.copytree(clinic_root, folder, copy_function=shutil.copy2)
    text = (folder / "labels.csv").read_text().replace("000.png,0", "000.png,1")
    (folder / "labels.csv").write_text(text)
    again = prepare(load_card(folder), tmp_path / "d", workers=1, progress=False)
    assert again.fingerprint != prepared.fingerprint


def test_subsets_are_nested(prepared):
    small = set(prepared.examples("train", 10)["example_id"])
    large = set(prepared.examples("train", 20)["example_id"])
    assert len(small) == 10
    assert small < large


def test_a_subset_larger_than_the_split_is_refused(prepared):
    with pytest.raises(UserError, match="--train_examples=1000"):
        prepared.examples("train", 1000)


def test_a_folder_that_cannot_be_written_is_named(prepared, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        prepare(prepared.card, tmp_path / "file" / "data", workers=1, progress=False)


def test_phantoms_need_no_files(tmp_path):
    card = load_card("phantom_retina_64")
    card = card.replace(reader={**card.reader, "patients": 60})
    built = prepare(card, tmp_path, workers=1, progress=False)
    assert len(built.index) == 120
    assert np.isfinite(built.labels(built.examples("train"))).all()
