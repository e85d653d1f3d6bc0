"""Input pipeline against decoding alone, 587 px, from TFRecord.

Command: python -m transfusion_tf_experiments.benchmarks.input_pipeline
Cost: about 2 minutes on 2 quiet cores, the drawing of the images included.

Decoding alone reads the records one after the other, decodes whole stored images, 5 %
larger than the model's, and throws them away. The pipeline reads at random, crops,
mirrors and batches. All go on from round to round, as in a run. What colours cost
inside the training step is in `training_step`.
"""

import itertools
import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from transfusion_tf.datasets import Augmentation, PreparedDataset, load_card, prepare
from transfusion_tf.input_pipeline import Augmenter, train_batches
from transfusion_tf_experiments.benchmarks.benchmark_results import Result
from transfusion_tf_experiments.benchmarks.interleaved import (
    Work,
    measure,
    speed_results,
)

_IMAGES = 320
_BATCH = 16
_AUGMENTED = "uint8, crop and flips"


def main() -> list[Result]:
    """Draws the images, then measures."""
    card = load_card("phantom_retina")
    card = card.replace(reader={**card.reader, "patients": 160})
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(card, folder, progress=False)
        seconds = measure(_variants(prepared), rounds=7)
    return speed_results(
        f"input pipeline at {card.image_size} px",
        seconds,
        baseline="decoding alone",
        images=_IMAGES,
        targets={_AUGMENTED: "at least 0.70"},
    )


def _variants(prepared: PreparedDataset) -> dict[str, Work]:
    full = prepared.card.augmentation
    augmenter = Augmenter(full)
    decoded = iter(_decoded(prepared))
    plain, augmented, colored = (
        iter(train_batches(prepared, _BATCH, augmentation=augmentation))
        for augmentation in (Augmentation(), full, full)
    )

    def read(batches: tf.data.Iterator) -> None:
        for _ in itertools.islice(batches, _IMAGES // _BATCH):
            pass

    def with_colors() -> None:
        for batch in itertools.islice(colored, _IMAGES // _BATCH):
            augmenter(batch["image"], batch["color"], batch["seed"])

    return {
        "decoding alone": lambda: read(decoded),
        "uint8, no augmentation": lambda: read(plain),
        _AUGMENTED: lambda: read(augmented),
        "the same and colours, on the CPU too": with_colors,
    }


def _decoded(prepared: PreparedDataset) -> tf.data.Dataset:
    """Batches of numbers, one for each decoded record of the training split."""
    files = sorted(str(path) for path in prepared.path.glob("*train.tfrecord*"))
    feature = {"image": tf.io.FixedLenFeature([], tf.string)}

    def decode(record: tf.Tensor) -> tf.Tensor:
        jpeg = tf.io.parse_single_example(record, feature)["image"]
        return tf.io.decode_jpeg(jpeg, channels=3)[0, 0, 0]

    dataset = tf.data.TFRecordDataset(files).repeat()
    dataset = dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(_BATCH).prefetch(2)


if __name__ == "__main__":
    main()
