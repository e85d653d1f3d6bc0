"""Mean and standard deviation of a data set's pixels, for models scaled by them."""

import numpy as np
import tensorflow as tf

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.input_pipeline.pipeline import eval_batches

# The mean of a channel is then off by some 0.003, its range being 1.
_MOST_IMAGES = 4096
_BATCH = 64
# A channel that is the same everywhere is divided by one grey level.
_LEAST_STD = 1 / 255


def pixel_statistics(
    prepared: PreparedDataset, train_examples: int | None = None
) -> dict[str, list[float]]:
    """Statistics of the central windows of training images; of no other split.

    Args:
      prepared: a built data set, with the splits of the fold that is trained.
      train_examples: size of the nested subset that is trained on; None is all.

    Returns:
      `mean` and `std` of each channel over all pixels, RGB in [0, 1], rounded to six
      digits; of 4 096 of the images where there are more.
    """
    available = len(prepared.examples("train", train_examples))
    count = min(available, _MOST_IMAGES)
    sums, squares, pixels = np.zeros(3), np.zeros(3), 0.0
    for batch in eval_batches(prepared, "train", min(_BATCH, count), limit=count):
        kept = tf.boolean_mask(batch["image"], batch["mask"] > 0)
        # Sums of whole numbers: exact.
        values = tf.reshape(tf.cast(kept, tf.int64), [-1, 3])
        sums += tf.reduce_sum(values, axis=0).numpy()
        squares += tf.reduce_sum(values**2, axis=0).numpy()
        pixels += len(values)
    mean = sums / pixels / 255
    deviation = np.sqrt(np.maximum(squares / pixels / 255**2 - mean**2, 0))
    deviation = np.maximum(deviation, _LEAST_STD)
    return {
        "mean": [round(float(value), 6) for value in mean],
        "std": [round(float(value), 6) for value in deviation],
    }
