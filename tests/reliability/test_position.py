"""The position in the data at the size of CheXpert: one number, found at once."""

import dataclasses
import itertools
import time

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from transfusion_tf.input_pipeline import train_batches

ROWS = 223_414
BATCH = 32
SEED = 3


@pytest.fixture(scope="module")
def large(prepared):
    """As many rows as CheXpert has training images, which share a few records."""
    few = prepared.examples("train")
    rows = few.iloc[np.arange(ROWS) % len(few)].reset_index(drop=True)
    rows["example_id"] = [f"view{index}" for index in range(ROWS)]
    others = prepared.index[prepared.index["split"] != "train"]
    return dataclasses.replace(prepared, index=pd.concat([rows, others]))


@pytest.fixture(scope="module")
def ids(large):
    """The ids of the first three epochs, in the order that the seed gives."""
    epochs = [
        tf.raw_ops.RandomIndexShuffle(
            index=tf.range(ROWS, dtype=tf.int64),
            seed=tf.constant([SEED, epoch, 0], tf.int64),
            max_index=tf.constant(ROWS - 1, tf.int64),
        ).numpy()
        for epoch in range(3)
    ]
    for epoch in epochs:
        assert (np.bincount(epoch, minlength=ROWS) == 1).all()
    return large.examples("train")["example_id"].to_numpy()[np.concatenate(epochs)]


@pytest.mark.slow
def test_from_any_step_the_ids_that_follow_are_the_same_and_come_at_once(large, ids):
    names = large.examples("train")["example_id"].to_numpy()
    steps = np.random.default_rng(0).integers(0, 3 * ROWS // BATCH - 5, 3)
    for step in map(int, steps):
        begun = time.process_time()  # Which a busy machine does not change.
        batches = iter(train_batches(large, BATCH, seed=SEED, start_step=step))
        first = next(batches)
        assert time.process_time() - begun < 10
        following = [first, *itertools.islice(batches, 3)]
        found = names[np.concatenate([batch["index"] for batch in following])]
        expected = ids[step * BATCH : (step + 4) * BATCH]
        np.testing.assert_array_equal(found, expected)
