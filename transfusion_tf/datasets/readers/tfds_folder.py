"""Reader `tfds`: a data set that TensorFlow Datasets has prepared; no download."""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.readers import options as check
from transfusion_tf.datasets.readers.labels import one_label
from transfusion_tf.datasets.readers.rows import Example, Problem, Remark, Rows
from transfusion_tf.datasets.readers.tf_records import (
    TfRecordImage,
    parse_example,
    records,
)
from transfusion_tf.errors import UserError
from transfusion_tf.toml_tables import TABLE, Text


@dataclass(frozen=True, kw_only=True, config=TABLE)
class TfdsOptions:
    """Options of the reader `tfds`."""

    name: Text
    """As TFDS calls it, with the config: `imagenette/full-size-v2`."""
    version: Text = "*"
    """Without it, the newest that is there."""
    tfds_data_dir: check.Places = "."
    """The `data_dir` that it was prepared in, below the source."""
    splits: Mapping[str, check.SplitName]
    """The splits of TFDS, to ours; one that is not named is not used."""
    image_key: Text = "image"
    label_key: Text = "label"
    id_key: Text | None = None
    """A feature with a text; without it, split and number."""
    patient_key: Text | None = None
    """A feature with a text; without it, the id."""


@dataclasses.dataclass(frozen=True)
class _Split:
    name: str
    files: tuple[Path, ...]
    lengths: tuple[int, ...]


def read_tfds(card: DatasetCard) -> Rows:
    """A prepared TFDS data set of images with one class label each."""
    options = check.reader_options(card, TfdsOptions)
    folder = _version_folder(card, options)
    splits = _splits(folder)
    names = _label_names(folder, options.label_key)
    for name in options.splits:
        if name not in splits:
            yield Problem(
                str(folder),
                f"no split {name!r}; it has {', '.join(splits) or 'none'}",
                images=0,
            )
    for name, split in splits.items():
        if name in options.splits:
            yield from _split_rows(card, options, split, names)
        else:
            yield Remark(name, f"a split of {sum(split.lengths)} images, not used")


def _version_folder(card: DatasetCard, options: TfdsOptions) -> Path:
    root = card.data_folder()
    data_dir = check.find(root, options.tfds_data_dir) or root
    folder = data_dir / options.name
    versions = {
        tuple(int(number) for number in path.parent.name.split(".")): path.parent
        for path in folder.glob(f"{options.version}/dataset_info.json")
        if re.fullmatch(r"\d+\.\d+\.\d+", path.parent.name)
    }
    if not versions:
        raise UserError(
            f"no prepared data set in {folder}/<version>/; nothing is downloaded here. "
            "Prepare it where there is a network, with TensorFlow Datasets' own "
            f"command, then copy the folder: tfds build {options.name} "
            f"--data_dir={data_dir}\n\n{card.layout()}"
        )
    return versions[max(versions)]


def _splits(folder: Path) -> dict[str, _Split]:
    file = folder / "dataset_info.json"
    try:
        info = json.loads(file.read_text(encoding="utf-8"))
        result = {}
        for split in info["splits"]:
            lengths = tuple(int(n) for n in split.get("shardLengths", ()))
            kind = info.get("fileFormat", "tfrecord")
            if kind != "tfrecord":
                raise UserError(f"{file}: files of format {kind!r}; tfrecord is read")
            template = split.get(
                "filepathTemplate", "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
            )
            names = (
                template.replace("{DATASET}", info["name"])
                .replace("{SPLIT}", split["name"])
                .replace("{FILEFORMAT}", kind)
                .replace("{SHARD_X_OF_Y}", f"{index:05d}-of-{len(lengths):05d}")
                for index in range(len(lengths))
            )
            files = tuple(folder / Path(name).name for name in names)
            result[split["name"]] = _Split(split["name"], files, lengths)
        return result
    except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{file} can't be read: {error!r}") from None


def _label_names(folder: Path, key: str) -> list[str] | None:
    file = folder / f"{key}.labels.txt"
    if not file.is_file():
        return None
    return [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]


def _split_rows(
    card: DatasetCard,
    options: TfdsOptions,
    split: _Split,
    names: list[str] | None,
) -> Rows:
    number = 0
    for file, expected in zip(split.files, split.lengths, strict=True):
        if not file.is_file():
            reason = f"no such file; it should hold {expected} images"
            yield Problem(file.name, reason, images=expected)
            continue
        count = 0
        try:
            for offset, data in records(file):
                yield _row(card, options, split.name, names, file, offset, data, number)
                count += 1
                number += 1
        except UserError as error:
            missing = max(0, expected - count)
            yield Problem(file.name, str(error), images=missing)
            continue
        if count != expected:
            reason = f"{count} records; {expected} are expected"
            yield Problem(file.name, reason, images=max(0, expected - count))


def _row(
    card: DatasetCard,
    options: TfdsOptions,
    split: str,
    names: list[str] | None,
    file: Path,
    offset: int,
    data: memoryview,
    number: int,
) -> Example | Problem:
    where = f"{file.name}, record at {offset}"
    try:
        values = parse_example(data)
        found = values.get(options.label_key, [])
        if len(found) != 1 or not isinstance(found[0], int):
            raise UserError("the record has no class label")
        label = found[0]
        if names is not None and not 0 <= label < len(names):
            raise UserError(f"label {label} is outside the {len(names)} classes")
        labels = one_label(card, names[label] if names is not None else str(label))
        if options.image_key not in values:
            raise UserError("the record has no image")
        example_id = _text(values, options.id_key) or f"{split}-{number}"
        patient = _text(values, options.patient_key) or example_id
        return Example(
            example_id,
            patient,
            labels,
            check.fixed_split(options.splits[split]),
            TfRecordImage(file, offset, options.image_key, card.intensity),
            where,
        )
    except UserError as error:
        return Problem(where, str(error))


def _text(values: dict[str, Any], key: str | None) -> str | None:
    if key is None:
        return None
    found = values.get(key)
    if not found or isinstance(found[0], int):
        raise UserError(f"the record has no text {key!r}")
    return bytes(found[0]).decode()
