"""What `tfds.builder_from_directory` needs beside the shards, by TFDS's own writer.

Imported only while building: it brings TensorFlow.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow_datasets as tfds

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.shards import FRAME_BYTES, Shard


def write_tfds_metadata(
    card: DatasetCard,
    shards: Sequence[Shard],
    index: pd.DataFrame,
    folder: Path,
    config: str,
) -> None:
    """Writes `dataset_info.json`, `features.json` and `metadata.json`.

    Args:
      card: what was built.
      shards: the files in `folder`.
      index: one row per record in them.
      folder: its name is the version.
      config: TFDS's name for this variant of the data set.
    """
    side = card.stored_size
    features = {
        "image": tfds.features.Image(shape=(side, side, 3), encoding_format="jpeg"),
        "label": tfds.features.Tensor(
            shape=(len(card.labels.classes),), dtype=np.float32
        ),
        "example_id": tfds.features.Text(),
        "patient_id": tfds.features.Text(),
    }
    identity = tfds.core.DatasetIdentity(
        name=card.name,
        version=tfds.core.Version(folder.name),
        data_dir=str(folder),
        module_name="",
        config_name=config,
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        description=f"{card.title}. {card.note}".strip(),
        features=tfds.features.FeaturesDict(features),
        metadata=tfds.core.MetadataDict(
            classes=list(card.labels.classes), kind=card.labels.kind
        ),
        split_dict=tfds.core.SplitDict(_split_infos(shards, index, folder)),
    )
    info.set_file_format(tfds.core.FileFormat.TFRECORD)
    info.write_to_directory(folder)


def _split_infos(
    shards: Sequence[Shard], index: pd.DataFrame, folder: Path
) -> list[tfds.core.SplitInfo]:
    records = index["file"].value_counts()
    infos = []
    # TFDS can't read a split of which no image could be stored.
    for split in dict.fromkeys(s.split for s in shards if s.file in records):
        names = [shard.file for shard in shards if shard.split == split]
        lengths = [int(records.get(name, 0)) for name in names]
        size = sum((folder / name).stat().st_size for name in names)
        num_bytes = size - FRAME_BYTES * sum(lengths)
        infos.append(
            tfds.core.SplitInfo(name=split, shard_lengths=lengths, num_bytes=num_bytes)
        )
    return infos
