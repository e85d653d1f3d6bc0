"""From stored examples to augmented batches on the device."""

from transfusion_tf.input_pipeline.augmentation import Augmenter
from transfusion_tf.input_pipeline.pipeline import eval_batches, train_batches

__all__ = ["Augmenter", "eval_batches", "train_batches"]
