"""Examples -> TFRecord shards, noting where each record starts while it is written.

Which example stands where is settled before an image is read. So the shards can be
written one after another, as here, or beside one another on Apache Beam, and are the
same byte for byte.
"""

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from transfusion_tf.datasets.card import SPLITS, DatasetCard
from transfusion_tf.datasets.examined import examine
from transfusion_tf.datasets.examined_store import examine_all
from transfusion_tf.datasets.images import ImageSource
from transfusion_tf.datasets.problems import ImageProblem, image_problem
from transfusion_tf.datasets.readers import Example
from transfusion_tf.datasets.validation import assign_splits

# 50 to 250 MB: the JPEGs take 0.2 (photographs) to 0.9 bytes per pixel (small retinas).
SHARD_PIXELS = 1 << 28
# Around a record's data: its length (8 bytes), and checksums of both (4 each).
FRAME_BYTES = 16

# Where in its shard an example's record starts, in bytes, and the CRC-32 of its data;
# or what is wrong with its image.
Place = Sequence[int] | str


@dataclasses.dataclass(frozen=True)
class Shard:
    """What one file of records is to hold.

    Attributes:
      split: the examples' split.
      file: its name, as TensorFlow Datasets expects it.
      examples: in the order of their records.
    """

    split: str
    file: str
    examples: tuple[Example, ...]


def plan_shards(
    card: DatasetCard, examples: Sequence[Example], shard_pixels: int = SHARD_PIXELS
) -> list[Shard]:
    """Deals examples out to shards, in an order that depends on their ids alone.

    Args:
      card: what is built.
      examples: with ids that differ.
      shard_pixels: how many stored pixels a shard may hold.
    """
    of_split: dict[str, list[Example]] = {split: [] for split in SPLITS}
    for example, split in zip(examples, assign_splits(card, examples), strict=True):
        of_split[split].append(example)
    per_shard = max(1, shard_pixels // card.stored_size**2)
    shards = []
    for split, rows in of_split.items():
        rows.sort(key=lambda example: _digest(split + example.example_id))
        if not rows:
            continue
        count = math.ceil(len(rows) / per_shard)
        edges = [round(len(rows) * number / count) for number in range(count + 1)]
        for number, (start, end) in enumerate(itertools.pairwise(edges)):
            file = f"{card.name}-{split}.tfrecord-{number:05d}-of-{count:05d}"
            shards.append(Shard(split, file, tuple(rows[start:end])))
    return shards


def _digest(text: str) -> bytes:
    # The order of records in TensorFlow Datasets' own builds.
    return hashlib.md5(text.encode(), usedforsecurity=False).digest()


def write_shards(
    card: DatasetCard,
    shards: Sequence[Shard],
    folder: Path,
    workers: int,
    progress: bool,
    kept: Path | None = None,
) -> list[list[Place]]:
    """Reads and encodes the images in parallel, and writes the shards one by one.

    Args:
      card: what is built.
      shards: from `plan_shards`.
      folder: where the files belong; must exist.
      workers: processes that read and encode; -1 is one per core.
      progress: whether to show a bar.
      kept: the folder of what was made of images before, see `examine_all`.

    Returns:
      For each shard, the places of its examples.
    """
    images = [example.image for shard in shards for example in shard.examples]
    title = f"Preparing {card.name} ({card.stored_size} px)"
    examined = examine_all(card, images, kept, workers, title, progress)
    with contextlib.closing(examined):
        encoded = (made if isinstance(made, str) else made.jpeg for made in examined)
        return [
            write_shard(folder / shard.file, shard.examples, encoded)
            for shard in shards
        ]


def encoder(card: DatasetCard) -> Callable[[ImageSource], bytes]:
    """Makes an image the JPEG that is stored of it."""
    return functools.partial(_encode, size=card.stored_size, aspect=card.aspect)


def _encode(image: ImageSource, size: int, aspect: str) -> bytes:
    return examine(image, size, aspect).jpeg


def write_shard(
    file: Path, examples: Sequence[Example], encoded: Iterable[bytes | str]
) -> list[Place]:
    """Writes a TFRecord file of the examples whose images can be read.

    Args:
      file: written anew.
      examples: in the order of their records.
      encoded: for each, the JPEG that is stored or what is wrong with the image; no
        more than these are taken.

    Returns:
      The places of the examples.
    """
    import tensorflow as tf

    places: list[Place] = []
    offset = 0
    with tf.io.TFRecordWriter(str(file)) as writer:
        for example, image in zip(examples, encoded, strict=False):
            if isinstance(image, str):
                places.append(image)
                continue
            record = serialize(example, image)
            writer.write(record)
            places.append((offset, zlib.crc32(record)))
            offset += len(record) + FRAME_BYTES
    return places


def serialize(example: Example, jpeg: bytes) -> bytes:
    """The `tf.train.Example` of an example and its stored image.

    Its features stand in one order: protobuf leaves it to a hash table, which differs
    from process to process, and so would the bytes of a data set that is built twice.
    """
    import tensorflow as tf

    def of_bytes(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    labels = tf.train.FloatList(value=example.labels)
    features = {
        "image": of_bytes(jpeg),
        "label": tf.train.Feature(float_list=labels),
        "example_id": of_bytes(example.example_id.encode()),
        "patient_id": of_bytes(example.patient_id.encode()),
    }
    record = tf.train.Example(features=tf.train.Features(feature=features))
    return record.SerializeToString(deterministic=True)


def make_index(
    card: DatasetCard, shards: Sequence[Shard], places: Sequence[Sequence[Place]]
) -> pd.DataFrame:
    """One row per record; see `PreparedDataset.index`."""
    stored = [
        (shard, place, example)
        for shard, found in sorted(
            zip(shards, places, strict=True), key=lambda pair: pair[0].file
        )
        for example, place in zip(shard.examples, found, strict=True)
        if not isinstance(place, str)
    ]
    index = pd.DataFrame(
        {
            "split": [shard.split for shard, _, _ in stored],
            "file": [shard.file for shard, _, _ in stored],
            "offset": [int(place[0]) for _, place, _ in stored],
            "crc32": np.array([place[1] for _, place, _ in stored], np.uint32),
            "example_id": [example.example_id for _, _, example in stored],
            "patient_id": [example.patient_id for _, _, example in stored],
        }
    )
    labels = np.array([example.labels for _, _, example in stored], np.float32)
    names = [f"label/{name}" for name in card.labels.classes]
    return pd.concat([index, pd.DataFrame(labels, columns=names)], axis=1)


def unreadable_images(
    card: DatasetCard,
    examples: Sequence[Example],
    shards: Sequence[Shard],
    places: Sequence[Sequence[Place]],
) -> list[ImageProblem]:
    """The problems of the images that could not be stored, in the examples' order."""
    reasons = {
        example.example_id: place
        for shard, found in zip(shards, places, strict=True)
        for example, place in zip(shard.examples, found, strict=True)
        if isinstance(place, str)
    }
    return [
        image_problem(card, example, reasons[example.example_id])
        for example in examples
        if example.example_id in reasons
    ]


def check_images(
    card: DatasetCard,
    examples: Sequence[Example],
    workers: int,
    progress: bool,
    kept: Path | None = None,
) -> list[ImageProblem]:
    """Reads every image and writes no shard; a problem for each that can't be read."""
    title = f"Checking the other rows of {card.name}"
    images = [example.image for example in examples]
    results = examine_all(card, images, kept, workers, title, progress, True)
    return [
        image_problem(card, example, made)
        for example, made in zip(examples, results, strict=True)
        if isinstance(made, str)
    ]
