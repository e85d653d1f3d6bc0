"""Pixel statistics against NumPy over the training images, decoded one by one."""

import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf.input_pipeline import pixel_statistics
from transfusion_tf.input_pipeline.record_reader import record_reader


def training_pixels(prepared, count=None):
    rows = prepared.examples("train", count)
    jpegs = record_reader(prepared, rows)(tf.range(len(rows), dtype=tf.int64)).numpy()
    size, stored = prepared.card.image_size, prepared.card.stored_size
    edge = (stored - size) // 2
    window = slice(edge, edge + size)
    images = [tf.io.decode_jpeg(jpeg)[window, window] for jpeg in jpegs]
    return np.stack(images).reshape(-1, 3) / 255


@pytest.mark.parametrize("count", [None, 5])
def test_statistics_are_those_of_the_runs_training_images(prepared, count):
    found = pixel_statistics(prepared, count)

    pixels = training_pixels(prepared, count)
    # A window decoded by itself differs a little in colour at its edges.
    np.testing.assert_allclose(found["mean"], pixels.mean(0), atol=1e-3)
    np.testing.assert_allclose(found["std"], pixels.std(0), atol=1e-3)


def test_fewer_training_images_have_statistics_of_their_own(prepared):
    assert pixel_statistics(prepared, 5) != pixel_statistics(prepared)
