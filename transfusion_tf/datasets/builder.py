"""Any card -> TFRecord shards with TFDS metadata, built once.

`tfds.builder_from_directory(prepared.path)` opens the result. Beside TFDS's files
lies `index.parquet`: where in which shard each example starts, with its labels, so
that the input pipeline shuffles indices and reads records at random. The folder's
name carries a fingerprint of the card and of the rows: a change of either builds
anew, the old one stays.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

from transfusion_tf import files
from transfusion_tf.datasets.card import SPLITS, DatasetCard
from transfusion_tf.datasets.images import ImageSource, encode_jpeg, to_square
from transfusion_tf.datasets.readers import Example, Problem, read_examples
from transfusion_tf.datasets.splits import subset_order
from transfusion_tf.datasets.validation import (
    DatasetError,
    assign_splits,
    find_problems,
)
from transfusion_tf.errors import UserError

_VERSION = "1.0.0"
# Raised when what is stored for the same card and rows changes.
_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class PreparedDataset:
    """A built data set.

    Attributes:
      card: what it was built from.
      path: the TFDS folder.
      fingerprint: of card and rows.
      index: a row a stored example: `split`, `file`, `offset` (bytes),
        `example_id`, `patient_id`, and `label/<class>`.
    """

    card: DatasetCard
    path: Path
    fingerprint: str
    index: pd.DataFrame

    def examples(self, split: str, limit: int | None = None) -> pd.DataFrame:
        """The index rows of a split, or of its nested subset of `limit` examples.

        Raises:
          UserError: the split holds fewer examples than `limit`.
        """
        rows = self.index[self.index["split"] == split]
        if limit is not None:
            if limit > len(rows):
                raise UserError(
                    f"--train_examples={limit}, but {self.card.name} has only "
                    f"{len(rows)} {split} examples"
                )
            order = subset_order(list(rows["example_id"]), self.card.splits.seed)
            rows = rows.iloc[order[:limit]]
        return rows.reset_index(drop=True)

    def labels(self, rows: pd.DataFrame) -> np.ndarray:
        """float32 [rows, classes]; NaN where a label is not known."""
        columns = [f"label/{name}" for name in self.card.labels.classes]
        return rows[columns].to_numpy(np.float32)

    def counts(self) -> dict[str, dict[str, Any]]:
        """Images, patients and images a class, by split."""
        result = {}
        for split in SPLITS:
            rows = self.examples(split)
            totals = np.nansum(self.labels(rows), axis=0) if len(rows) else []
            result[split] = {
                "images": len(rows),
                "patients": int(rows["patient_id"].nunique()),
                "classes": dict(
                    zip(self.card.labels.classes, map(int, totals), strict=False)
                ),
            }
        return result


def prepare(
    card: DatasetCard,
    data_root: str | Path,
    *,
    workers: int = -1,
    progress: bool = True,
) -> PreparedDataset:
    """Builds the card's data set below `data_root`, or opens it if it is built.

    Args:
      card: from `load_card`.
      data_root: folder for prepared data; made if need be.
      workers: processes that decode or draw; -1 is one a core.
      progress: whether to show a progress bar.

    Raises:
      DatasetError: rows that can't be used, all of them listed; nothing is left.
      UserError: the folder can't be written to, or the disk is full.
    """
    examples, problems = read_examples(card)
    problems += find_problems(card, examples)
    if problems:
        raise DatasetError(card, problems)
    fingerprint = _fingerprint(card, examples)
    version_dir = (
        Path(data_root).absolute()
        / card.name
        / f"{card.stored_size}px-{fingerprint}"
        / _VERSION
    )
    index_file = version_dir / "index.parquet"
    if not index_file.exists():
        try:
            _build(card, examples, version_dir, workers, progress)
            with files.replacing(index_file) as temporary:
                _make_index(card, version_dir).to_parquet(temporary, index=False)
        except OSError as error:
            raise files.as_user_error(error, version_dir) from error
    return PreparedDataset(card, version_dir, fingerprint, pd.read_parquet(index_file))


def _fingerprint(card: DatasetCard, examples: Sequence[Example]) -> str:
    digest = hashlib.sha256()
    what = {
        "format": _FORMAT,
        "name": card.name,
        "labels": dataclasses.asdict(card.labels),
        "splits": dataclasses.asdict(card.splits),
        "size": card.stored_size,
        "aspect": card.aspect,
    }
    digest.update(json.dumps(what, sort_keys=True).encode())
    # Sorted, so that the same rows in another order are the same data set.
    for example in sorted(examples, key=lambda e: e.example_id):
        row = (example.example_id, example.patient_id, example.labels, example.split)
        digest.update(f"{row}{example.image.fingerprint()}".encode())
    return digest.hexdigest()[:12]


def _encode(image: ImageSource, size: int, aspect: str) -> bytes | str:
    """The stored JPEG, or what is wrong with the image."""
    try:
        return encode_jpeg(to_square(image.load(), size, aspect))
    except UserError as error:
        return str(error)


def _build(
    card: DatasetCard,
    examples: Sequence[Example],
    version_dir: Path,
    workers: int,
    progress: bool,
) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow_datasets as tfds

    from transfusion_tf.datasets import tfds_card

    # What a killed build left behind.
    for stale in version_dir.parent.glob(f"*{_VERSION}*"):
        shutil.rmtree(stale, ignore_errors=True)
    splits = dict(
        zip(
            [e.example_id for e in examples], assign_splits(card, examples), strict=True
        )
    )
    problems: list[Problem] = []
    ordered = sorted(examples, key=lambda e: SPLITS.index(splits[e.example_id]))
    encoded = joblib.Parallel(
        n_jobs=workers,
        return_as="generator",
        batch_size="auto",
        pre_dispatch="4*n_jobs",
    )(joblib.delayed(_encode)(e.image, card.stored_size, card.aspect) for e in ordered)
    bar = tqdm(
        zip(ordered, encoded, strict=True),
        total=len(ordered),
        desc=f"Preparing {card.name} ({card.stored_size} px)",
        unit="image",
        disable=not progress,
    )

    def records() -> Iterator[tuple[str, Example, bytes]]:
        for example, result in bar:
            if isinstance(result, str):
                problems.append(Problem(example.where, result))
            else:
                yield splits[example.example_id], example, result
        if problems:
            raise DatasetError(card, problems)

    with contextlib.closing(bar):
        present = [name for name in SPLITS if name in splits.values()]
        builder = tfds_card.make_builder(card, version_dir, present, records())
        tfds.disable_progress_bar()
        # TFDS makes a folder for downloads, and prints; there is nothing to download.
        with (
            tempfile.TemporaryDirectory() as downloads,
            contextlib.redirect_stdout(io.StringIO()),
        ):
            builder.download_and_prepare(download_dir=downloads, file_format="tfrecord")


def _make_index(card: DatasetCard, version_dir: Path) -> pd.DataFrame:
    """Finds where each record starts, by walking the TFRecord frames."""
    import tensorflow as tf

    features = {
        "example_id": tf.io.FixedLenFeature([], tf.string),
        "patient_id": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([len(card.labels.classes)], tf.float32),
    }
    rows = []
    for file in sorted(version_dir.glob(f"{card.name}-*.tfrecord-*")):
        split = file.name[len(card.name) + 1 :].split(".")[0]
        dataset = tf.data.TFRecordDataset(str(file)).map(
            lambda record: tf.io.parse_single_example(record, features)
        )
        parsed = dataset.as_numpy_iterator()
        for offset, record in zip(record_offsets(file), parsed, strict=True):
            row = {
                "split": split,
                "file": file.name,
                "offset": offset,
                "example_id": record["example_id"].decode(),
                "patient_id": record["patient_id"].decode(),
            }
            for name, value in zip(card.labels.classes, record["label"], strict=True):
                row[f"label/{name}"] = value
            rows.append(row)
    return pd.DataFrame(rows)


def record_offsets(file: Path) -> Iterator[int]:
    """Byte offsets of a TFRecord file's records.

    A record is framed as: length (8 bytes, little-endian), its checksum (4), the
    data, its checksum (4).
    """
    size = file.stat().st_size
    offset = 0
    with file.open("rb") as stream:
        while offset < size:
            stream.seek(offset)
            (length,) = struct.unpack("<Q", stream.read(8))
            yield offset
            offset += 8 + 4 + length + 4
