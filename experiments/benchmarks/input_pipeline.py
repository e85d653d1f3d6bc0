"""Input pipeline against decoding alone, 587 px, from TFRecord.

Command: python -m transfusion_tf_experiments.benchmarks.input_pipeline
Cost: about 2 minutes on 2 cores, the drawing of the images included.
"""

import itertools
import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from transfusion_tf.datasets import Augmentation, PreparedDataset, load_card, prepare
from transfusion_tf.input_pipeline import Augmenter, train_batches
from transfusion_tf_experiments.benchmarks.interleaved import measure, print_speeds

_IMAGES = 256
_BATCH = 16


def main() -> None:
    """Draws the images, then measures."""
    card = load_card("phantom_retina")
    card = card.replace(reader={**card.reader, "patients": 160})
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(card, folder)
        measured = measure(_variants(prepared), rounds=5)
    print_speeds(
        "Input pipeline at 587 px",
        measured,
        baseline="decode only",
        images=_IMAGES,
    )


def _variants(prepared: PreparedDataset) -> dict:
    full = prepared.card.augmentation
    augmenter = Augmenter(full)

    def decode_only() -> None:
        for _ in _decoded(prepared).take(_IMAGES):
            pass

    def batches(augmentation: Augmentation) -> tf.data.Dataset:
        return train_batches(prepared, _BATCH, augmentation=augmentation)

    def read(augmentation: Augmentation) -> None:
        for _ in itertools.islice(batches(augmentation), _IMAGES // _BATCH):
            pass

    def with_colors() -> None:
        for batch in itertools.islice(batches(full), _IMAGES // _BATCH):
            augmenter(batch["image"], batch["color"], batch["seed"])

    return {
        "decode only": decode_only,
        "batches of uint8, no augmentation": lambda: read(Augmentation()),
        "batches of uint8, crop and flips": lambda: read(full),
        "the same and colours on the device": with_colors,
    }


def _decoded(prepared: PreparedDataset) -> tf.data.Dataset:
    """Sequential records of the training split, decoded in parallel, no more."""
    files = sorted(str(path) for path in prepared.path.glob("*train.tfrecord*"))
    feature = {"image": tf.io.FixedLenFeature([], tf.string)}

    def decode(record: tf.Tensor) -> tf.Tensor:
        jpeg = tf.io.parse_single_example(record, feature)["image"]
        return tf.io.decode_jpeg(jpeg, channels=3)

    dataset = tf.data.TFRecordDataset(files).repeat()
    return dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


if __name__ == "__main__":
    main()
