"""Examples -> TFRecord shards with TFDS metadata, and an index of their records."""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import joblib
import pandas as pd
from tqdm import tqdm

from transfusion_tf.datasets.card import SPLITS, DatasetCard
from transfusion_tf.datasets.dicom import MissingExtra
from transfusion_tf.datasets.images import ImageSource, encode_jpeg, to_square
from transfusion_tf.datasets.problems import ImageProblem, image_problem
from transfusion_tf.datasets.readers import Example
from transfusion_tf.datasets.validation import assign_splits
from transfusion_tf.errors import UserError


class NothingLeftError(Exception):
    """A split has lost all its images while they were read."""


def encode(image: ImageSource, size: int, aspect: str) -> bytes | str:
    """The stored JPEG, or what is wrong with the image.

    Raises:
      MissingExtra: it can't be known, as a library is not installed.
    """
    try:
        return encode_jpeg(to_square(image.load(), size, aspect))
    except MissingExtra:
        raise
    except UserError as error:
        return str(error)
    except MemoryError:
        return "too large for this machine's memory"


def _reason(image: ImageSource) -> str:
    """What is wrong with the image; empty where nothing is."""
    try:
        image.load()
    except MissingExtra:
        raise
    except UserError as error:
        return str(error)
    except MemoryError:
        return "too large for this machine's memory"
    return ""


def check_images(
    card: DatasetCard, examples: Sequence[Example], workers: int, progress: bool
) -> list[ImageProblem]:
    """Reads every image and stores none; a problem for each that can't be read."""
    if not examples:
        return []
    reasons = _in_parallel(workers)(
        joblib.delayed(_reason)(example.image) for example in examples
    )
    bar = tqdm(
        zip(examples, reasons, strict=True),
        total=len(examples),
        desc=f"Checking the other rows of {card.name}",
        unit="image",
        disable=not progress,
    )
    with contextlib.closing(bar):
        return [image_problem(card, e, reason) for e, reason in bar if reason]


def _in_parallel(workers: int) -> joblib.Parallel:
    return joblib.Parallel(
        n_jobs=workers,
        return_as="generator",
        batch_size="auto",
        pre_dispatch="4*n_jobs",
    )


def write_shards(
    card: DatasetCard,
    examples: Sequence[Example],
    version_dir: Path,
    workers: int,
    progress: bool,
) -> list[ImageProblem]:
    """Writes the images that can be read, and returns the others.

    Args:
      card: what is built.
      examples: with ids that differ.
      version_dir: `<folder>/<name>/<config>/<version>`; must not exist yet.
      workers: processes that read and encode; -1 is one a core.
      progress: whether to show a bar.

    Raises:
      NothingLeftError: a split would be empty; its problems are in `args`.
    """
    from transfusion_tf.datasets import tfds_card

    splits = dict(
        zip(
            [e.example_id for e in examples], assign_splits(card, examples), strict=True
        )
    )
    problems: list[ImageProblem] = []
    ordered = sorted(examples, key=lambda e: SPLITS.index(splits[e.example_id]))
    encoded = _in_parallel(workers)(
        joblib.delayed(encode)(e.image, card.stored_size, card.aspect) for e in ordered
    )
    bar = tqdm(
        zip(ordered, encoded, strict=True),
        total=len(ordered),
        desc=f"Preparing {card.name} ({card.stored_size} px)",
        unit="image",
        disable=not progress,
    )
    present = [name for name in SPLITS if name in splits.values()]

    def records() -> Iterator[tuple[str, Example, bytes]]:
        written = set()
        for example, result in bar:
            if isinstance(result, str):
                problems.append(image_problem(card, example, result))
            else:
                written.add(splits[example.example_id])
                yield splits[example.example_id], example, result
        if written != set(present):
            raise NothingLeftError(problems)

    stream = records()
    with contextlib.closing(bar):
        builder = tfds_card.make_builder(card, version_dir, present, stream)
        try:
            _download_and_prepare(builder, version_dir)
        except (AssertionError, ValueError):
            # TFDS's words for a split without examples: see what else is wrong.
            for _ in stream:
                pass
            raise
    return problems


def _download_and_prepare(builder, version_dir: Path, **options) -> None:
    import tensorflow_datasets as tfds

    from transfusion_tf.datasets import tfds_card

    tfds.disable_progress_bar()
    # TFDS makes a folder for downloads, and prints; there is nothing to download.
    downloads = version_dir.parent.parent.parent / "downloads"
    with contextlib.redirect_stdout(io.StringIO()), tfds_card.stable_bytes():
        builder.download_and_prepare(
            download_dir=str(downloads), file_format="tfrecord", **options
        )


# --- the same on Apache Beam -----------------------------------------------------


@dataclasses.dataclass(frozen=True)
class EncodeOrNote:
    """What a Beam worker does with an example: its record, or a note of its problem.

    Attributes:
      card: what is built.
      notes: a folder that all workers see; a problem is a file in it, named by the
        example, so that a worker that is started again repeats and adds nothing.
    """

    card: DatasetCard
    notes: Path

    def __call__(self, example: Example) -> Iterator[tuple[str, dict]]:
        """Yields (key, features), or nothing."""
        from transfusion_tf.datasets import tfds_card

        result = encode(example.image, self.card.stored_size, self.card.aspect)
        if isinstance(result, bytes):
            yield tfds_card.as_features(example, result)
            return
        problem = image_problem(self.card, example, result)
        name = hashlib.sha256(example.example_id.encode()).hexdigest()
        text = json.dumps(dataclasses.asdict(problem))
        (self.notes / f"{name}.json").write_text(text, encoding="utf-8")


def write_shards_on_beam(
    card: DatasetCard,
    examples: Sequence[Example],
    version_dir: Path,
    pipeline_options: Sequence[str],
) -> list[ImageProblem]:
    """`write_shards` on an Apache Beam runner, through TFDS.

    Args:
      card: what is built.
      examples: with ids that differ; the runner's workers must see their files.
      version_dir: as for `write_shards`, in a folder that the workers see.
      pipeline_options: Beam's own, such as `--runner=FlinkRunner`.

    Raises:
      UserError: Beam is not installed, or refuses the options.
      NothingLeftError: a split would be empty; its problems are in `args`.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ModuleNotFoundError:
        raise UserError(
            "--beam_pipeline_options needs Apache Beam: pip install "
            "'transfusion_tf[beam]'"
        ) from None
    import tensorflow_datasets as tfds

    from transfusion_tf.datasets import tfds_card

    notes = version_dir.parent.parent.parent / "problems"
    notes.mkdir(parents=True)
    of_split: dict[str, list[Example]] = {name: [] for name in SPLITS}
    for example, split in zip(examples, assign_splits(card, examples), strict=True):
        of_split[split].append(example)
    transforms = {
        split: beam.Create(rows)
        # Else a runner may read all images where the list of them was made.
        | f"spread {split}" >> beam.Reshuffle()
        | f"encode {split}" >> beam.FlatMap(EncodeOrNote(card, notes))
        for split, rows in of_split.items()
        if rows
    }
    builder = tfds_card.make_beam_builder(card, version_dir, transforms)
    config = tfds.download.DownloadConfig(
        beam_options=PipelineOptions(list(pipeline_options))
    )
    failed: Exception | None = None
    try:
        _download_and_prepare(builder, version_dir, download_config=config)
    except (AssertionError, ValueError) as error:
        # TFDS's words for a split without examples, among others.
        failed = error
    problems = [
        ImageProblem(**json.loads(note.read_text(encoding="utf-8")))
        for note in sorted(notes.glob("*.json"))
    ]
    if failed is not None:
        if problems:
            raise NothingLeftError(problems) from failed
        raise failed
    place = {example.example_id: index for index, example in enumerate(examples)}
    return sorted(problems, key=lambda problem: place[problem.example_id])


# --- index -----------------------------------------------------------------------


def make_index(card: DatasetCard, version_dir: Path) -> pd.DataFrame:
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
    size = os.path.getsize(file)
    offset = 0
    with file.open("rb") as stream:
        while offset < size:
            stream.seek(offset)
            (length,) = struct.unpack("<Q", stream.read(8))
            yield offset
            offset += 8 + 4 + length + 4
