"""Batches are a pure function of (seed, step); evaluation counts each example once."""

import dataclasses
import itertools
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from transfusion_tf.datasets import Augmentation, load_card, prepare
from transfusion_tf.errors import UserError
from transfusion_tf.input_pipeline import eval_batches, train_batches
from transfusion_tf.input_pipeline.decoding import random_window
from transfusion_tf.input_pipeline.record_reader import record_reader


def take(dataset, count):
    return [
        {name: value.numpy() for name, value in batch.items()}
        for batch in itertools.islice(dataset, count)
    ]


def same(a, b):
    return all(
        np.array_equal(x[name], y[name])
        for x, y in zip(a, b, strict=True)
        for name in x
    )


def test_images_are_uint8_of_the_model_size(prepared):
    (batch,) = take(train_batches(prepared, 6), 1)
    assert batch["image"].dtype == np.uint8
    assert batch["image"].shape == (6, 32, 32, 3)
    assert batch["label"].shape == (6, 5)


def test_the_same_seed_gives_the_same_batches_and_another_does_not(prepared):
    first = take(train_batches(prepared, 8, seed=3), 8)
    assert same(first, take(train_batches(prepared, 8, seed=3), 8))
    assert not same(first, take(train_batches(prepared, 8, seed=4), 8))


def test_parallelism_does_not_matter(prepared):
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    alone = train_batches(prepared, 8, seed=3).with_options(options)
    assert same(take(alone, 6), take(train_batches(prepared, 8, seed=3), 6))


@pytest.mark.parametrize("start", [1, 5, 23])
def test_starting_at_a_step_continues_exactly(prepared, start):
    whole = take(train_batches(prepared, 8, seed=1), start + 2)
    assert same(
        take(train_batches(prepared, 8, seed=1, start_step=start), 2), whole[-2:]
    )


def test_the_parts_of_several_workers_are_the_batch(prepared):
    parts = [
        take(train_batches(prepared, 6, seed=1, start_step=2, part=(number, 3)), 4)
        for number in range(3)
    ]
    together = [
        {name: np.concatenate([part[name] for part in batch]) for name in batch[0]}
        for batch in zip(*parts, strict=True)
    ]
    assert same(together, take(train_batches(prepared, 6, seed=1, start_step=2), 4))


def test_each_epoch_is_another_permutation_of_all_examples(prepared):
    count = len(prepared.examples("train"))
    batches = take(train_batches(prepared, 1, seed=0), 2 * count)
    order = np.concatenate([batch["index"] for batch in batches])
    assert sorted(order[:count]) == list(range(count))
    assert sorted(order[count:]) == list(range(count))
    assert list(order[:count]) != list(order[count:])


def test_an_image_is_augmented_differently_in_each_epoch(prepared):
    count = len(prepared.examples("train"))
    batches = take(train_batches(prepared, 1, seed=0), 2 * count)
    by_index = {}
    for batch in batches:
        by_index.setdefault(int(batch["index"][0]), []).append(batch["image"][0])
    changed = [not np.array_equal(*images) for images in by_index.values()]
    assert np.mean(changed) > 0.9


def test_without_augmentation_training_reads_what_evaluation_reads(prepared):
    plain = Augmentation()
    trained = {
        int(i): image
        for batch in take(train_batches(prepared, 1, augmentation=plain), 60)
        for i, image in zip(batch["index"], batch["image"], strict=True)
    }
    for batch in take(eval_batches(prepared, "train", 1), 5):
        index = int(batch["index"][0])
        if index in trained:
            np.testing.assert_array_equal(trained[index], batch["image"][0])


def test_flips_mirror_along_the_axes_that_the_policy_allows(prepared):
    horizontal = dataclasses.replace(Augmentation(), flip_horizontal=True)
    originals = {
        int(b["index"][0]): b["image"][0]
        for b in take(eval_batches(prepared, "train", 1), 999)
    }
    seen = set()
    for batch in take(train_batches(prepared, 1, augmentation=horizontal), 40):
        original = originals[int(batch["index"][0])]
        mirrored = np.array_equal(batch["image"][0], original[:, ::-1])
        assert mirrored or np.array_equal(batch["image"][0], original)
        seen.add(mirrored)
    assert seen == {True, False}


def corner_in(stored, window):
    """Where in the stored image the window lies, and how far it is from it."""
    room = len(stored) - len(window) + 1
    size = len(window)
    distance = {
        (y, x): np.abs(np.int32(stored[y : y + size, x : x + size]) - window).mean()
        for y, x in itertools.product(range(room), range(room))
    }
    best = min(distance, key=distance.get)
    return best, distance[best]


def test_a_random_crop_is_a_window_of_a_larger_image_and_evaluation_its_centre(
    clinic_root, tmp_path
):
    card = load_card(clinic_root).replace(augmentation=Augmentation(random_crop=1.25))
    wide = prepare(card, tmp_path, workers=1, progress=False)
    rows = wide.examples("train")
    jpegs = record_reader(wide, rows)(tf.range(len(rows)))
    stored = [tf.io.decode_jpeg(jpeg, channels=3).numpy() for jpeg in jpegs]
    assert stored[0].shape == (40, 40, 3)
    corners = set()
    for batch in take(train_batches(wide, 1), 12):
        corner, distance = corner_in(stored[batch["index"][0]], batch["image"][0])
        assert distance < 1
        corners.add(corner)
    assert len(corners) > 8
    (batch,) = take(eval_batches(wide, "train", 1), 1)
    assert corner_in(stored[0], batch["image"][0])[0] == (4, 4)


def test_windows_are_drawn_as_torchvision_s_random_resized_crop_draws_them():
    areas, size = (0.08, 1.0), 200
    draws = [random_window(tf.constant([7, k]), size, areas) for k in range(400)]
    top, left, height, width = np.array(draws).T
    assert ((top >= 0) & (left >= 0)).all()
    assert ((top + height <= size) & (left + width <= size)).all()
    share = height * width / size**2
    assert 0.07 < share.min() < 0.2
    # Large windows that do not fit are drawn again.
    assert 0.4 < share.mean() < 0.54
    ratio = width / height
    assert ratio.min() > 0.73
    assert ratio.max() < 1.37
    assert np.abs(np.log(ratio).mean()) < 0.05
    # Feature reuse's published code: areas above 1 fit never.
    whole = random_window(tf.constant([0, 1]), size, (1.1, 1.2))
    assert whole.numpy().tolist() == [0, 0, size, size]


def test_a_resized_crop_has_the_model_s_size_and_evaluation_its_centre(
    clinic_root, tmp_path
):
    policy = Augmentation(random_crop=1.25, resized_crop=(0.2, 0.4))
    card = load_card(clinic_root).replace(augmentation=policy)
    wide = prepare(card, tmp_path, workers=1, progress=False)
    batches = [take(train_batches(wide, 4), 3) for _ in range(2)]
    for ours, again in zip(*batches, strict=True):
        assert ours["image"].shape == (4, 32, 32, 3)
        np.testing.assert_array_equal(ours["image"], again["image"])
    (batch,) = take(eval_batches(wide, "train", 1), 1)
    assert batch["image"].shape == (1, 32, 32, 3)


def test_an_image_loses_its_colour_as_often_as_asked_by_its_own_seed(prepared):
    augmentation = Augmentation(grayscale=0.25)
    batches = take(train_batches(prepared, 50, augmentation=augmentation), 8)
    gray = np.concatenate([batch["color"][:, 2] for batch in batches])
    assert set(gray) == {0.0, 1.0}
    assert gray.mean() == pytest.approx(0.25, abs=0.07)
    again = take(train_batches(prepared, 25, augmentation=augmentation), 16)
    assert list(gray) == list(np.concatenate([b["color"][:, 2] for b in again]))


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_evaluation_counts_each_example_exactly_once(prepared, batch_size):
    count = len(prepared.examples("test"))
    batches = take(eval_batches(prepared, "test", batch_size), 999)
    assert {len(batch["mask"]) for batch in batches} == {batch_size}
    kept = np.concatenate([b["index"][b["mask"] > 0] for b in batches])
    assert sorted(kept) == list(range(count))


def test_a_subset_stays_within_its_examples(prepared):
    batches = take(train_batches(prepared, 4, train_examples=10), 10)
    assert np.concatenate([b["index"] for b in batches]).max() == 9


def changed(prepared, tmp_path, **columns):
    """The prepared data with other values in the index; its shards are copies."""
    for file in prepared.path.glob("*.tfrecord-*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    index = prepared.index.assign(**columns)
    return dataclasses.replace(prepared, path=tmp_path, index=index)


@pytest.mark.parametrize("name", ["../shard", "/etc/passwd", "folder/shard"])
def test_an_index_that_leads_out_of_its_folder_is_refused(prepared, tmp_path, name):
    data = changed(prepared, tmp_path, file=name)
    with pytest.raises(UserError, match="is no file beside it"):
        train_batches(data, 4)


@pytest.mark.parametrize("offset", [-8, 10**9])
def test_a_record_that_is_not_there_is_named(prepared, tmp_path, offset):
    data = changed(prepared, tmp_path, offset=offset)
    read = record_reader(data, data.examples("train"))
    with pytest.raises(UserError, match=f"has no record at {offset}"):
        read(tf.constant([0], tf.int64))


def test_a_record_that_claims_terabytes_is_refused_unread(prepared, tmp_path):
    data = changed(prepared, tmp_path)
    row = data.examples("train").iloc[0]
    with (tmp_path / row["file"]).open("r+b") as shard:
        shard.seek(row["offset"])
        shard.write((10**13).to_bytes(8, "little"))
    read = record_reader(data, data.examples("train"))
    with pytest.raises(UserError, match="is cut off"):
        read(tf.constant([0], tf.int64))


def test_an_index_whose_columns_bring_code_is_read_without_it(prepared, tmp_path):
    """Arrow once unpickled what a column's type named."""

    class Canary:
        def __reduce__(self):
            return (open, (str(tmp_path / "canary"), "w"))

    table = pa.Table.from_pandas(prepared.index)
    metadata = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Canary()),
    }
    fields = [table.schema.field("split").with_metadata(metadata)]
    fields += [table.schema.field(i) for i in range(1, table.num_columns)]
    table = table.cast(pa.schema(fields, table.schema.metadata))
    pq.write_table(table, tmp_path / "index.parquet")
    assert len(pd.read_parquet(tmp_path / "index.parquet")) == len(prepared.index)
    assert not (tmp_path / "canary").exists()
