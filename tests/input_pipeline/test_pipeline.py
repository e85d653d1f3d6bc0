"""Batches are a pure function of (seed, step); evaluation counts each example once."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf.datasets import Augmentation
from transfusion_tf.input_pipeline import eval_batches, train_batches


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
    assert batch["image"].shape == (6, 64, 64, 3)
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
