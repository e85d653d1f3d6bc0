"""From stored examples to augmented batches on the device."""

from transfusion_tf.input_pipeline.augmentation import Augmenter
from transfusion_tf.input_pipeline.pipeline import (
    eval_batches,
    kept_eval_batches,
    train_batches,
)
from transfusion_tf.input_pipeline.pixel_statistics import pixel_statistics

__all__ = [
    "Augmenter",
    "eval_batches",
    "kept_eval_batches",
    "pixel_statistics",
    "train_batches",
]
