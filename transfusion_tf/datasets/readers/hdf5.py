"""Reader `hdf5`: images and labels in HDF5 files, as PatchCamelyon comes."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import h5py
import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from transfusion_tf.datasets.arrays import own_dataset
from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.images import Hdf5Image
from transfusion_tf.datasets.names import normalized
from transfusion_tf.datasets.readers import options as check
from transfusion_tf.datasets.readers.fold_lists import ListedImage, read_fold_lists
from transfusion_tf.datasets.readers.labels import one_label
from transfusion_tf.datasets.readers.rows import Example, Problem, Remark, Rows
from transfusion_tf.datasets.readers.tables import read_table
from transfusion_tf.datasets.splits import subset_order
from transfusion_tf.errors import UserError
from transfusion_tf.files import check_expansion
from transfusion_tf.toml_tables import TABLE, Count, Text


@dataclass(frozen=True, kw_only=True, config=TABLE)
class _Pair:
    images: check.Places
    labels: check.Places
    split: check.SplitName
    groups: check.Places | None = None
    """A CSV file with one row per image."""


@dataclass(frozen=True, kw_only=True, config=TABLE)
class Hdf5Options:
    """Options of the reader `hdf5`."""

    root: check.Places = "."
    """The folder of the files, below the source."""
    files: Annotated[tuple[_Pair, ...], Field(min_length=1)]
    images_dataset: Text = "x"
    """What the files call the images."""
    labels_dataset: Text = "y"
    """What the files call the labels."""
    group_column: Text = "group"
    """The column of `groups` that splits keep together."""
    examples: Mapping[check.SplitName, Count] = Field(default_factory=dict)
    """How many of a split to take, drawn by the seed of [splits]: the same ones on
    every machine."""
    lists: check.Places | None = None
    """A folder of lists `*_fold*.csv` that name images `<index>_label=<label>` of all
    files: these are taken. Where several files have that index with that label, the
    last is meant: the files were written out one over the other."""


def read_hdf5_files(card: DatasetCard) -> Rows:
    """Pairs of HDF5 files: images [n, height, width(, channels)], labels [n, ...]."""
    options = check.reader_options(card, Hdf5Options)
    root = check.root_folder(card, options.root)
    if options.lists is not None:
        yield from _listed(card, options, options.lists, root)
        return
    for entry in options.files:
        yield from _pair(card, options, entry, root)


def _opened(
    card: DatasetCard, options: Hdf5Options, entry: _Pair, root: Path
) -> tuple[Path, Path, list[str]] | Problem:
    """The files of images and of labels, and the labels."""
    images = check.require(card, "files.images", root, entry.images)
    labels_file = check.require(card, "files.labels", root, entry.labels)
    count = _length(images, options.images_dataset)
    labels = _labels(labels_file, options.labels_dataset)
    if count == len(labels):
        return images, labels_file, labels
    return Problem(
        f"{images.name}, {labels_file.name}",
        f"{count} images but {len(labels)} labels",
        images=count,
    )


def _listed(
    card: DatasetCard, options: Hdf5Options, lists: check.Places, root: Path
) -> Rows:
    files: list[tuple[Path, list[str]]] = []
    for entry in options.files:
        opened = _opened(card, options, entry, root)
        if isinstance(opened, Problem):
            yield opened
        else:
            files.append((opened[0], opened[2]))
    listed_images, problems = read_fold_lists(card, lists)
    yield from problems
    for listed in listed_images:
        try:
            images, index = _place(card, listed, reversed(files))
        except UserError as error:
            yield Problem(listed.where, str(error), 1, listed.labels)
            continue
        name = f"{images.stem}-{index}"
        image = Hdf5Image(images, options.images_dataset, index, card.intensity)
        yield Example(name, name, listed.labels, None, image, listed.where)


def _place(
    card: DatasetCard, listed: ListedImage, files: Iterable[tuple[Path, list[str]]]
) -> tuple[Path, int]:
    """The file of an image and its row there; the first of `files` that has it."""
    match = re.search(r"(\d+)_label=(\w+)\.\w+$", listed.name)
    if match is None:
        raise UserError(f"{listed.name!r} should be <index>_label=<label>")
    index, label = int(match[1]), match[2]
    if one_label(card, label) != listed.labels:
        raise UserError(f"{listed.name!r} is of another class in the list")
    for images, labels in files:
        if index < len(labels) and labels[index] == label:
            return images, index
    raise UserError(f"no file has an image {index} with the label {label}")


def _pair(card: DatasetCard, options: Hdf5Options, entry: _Pair, root: Path) -> Rows:
    opened = _opened(card, options, entry, root)
    if isinstance(opened, Problem):
        yield opened
        return
    images, labels_file, labels = opened
    name, count = options.images_dataset, len(labels)
    groups = None
    if entry.groups is not None:
        file = check.find(root, entry.groups)
        if file is None:
            yield Remark(
                str(entry.groups),
                "not there: each image stands for itself, so intervals are narrower "
                "than the number of slides or patients would make them",
            )
        else:
            groups = _groups(file, options.group_column, count)
    ids = [f"{images.stem}-{index}" for index in range(count)]
    wanted = options.examples.get(entry.split)
    chosen = list(range(count))
    if wanted is not None:
        order = subset_order(ids, card.splits.seed)
        chosen = sorted(int(index) for index in order[:wanted])
        if wanted > count:
            yield Remark(images.name, f"{count} images, fewer than the {wanted} wanted")
    for index in chosen:
        where = f"{labels_file.name}, row {index}"
        try:
            label = one_label(card, labels[index])
        except UserError as error:
            yield Problem(where, str(error))
            continue
        yield Example(
            ids[index],
            groups[index] if groups else ids[index],
            label,
            check.fixed_split(entry.split),
            Hdf5Image(images, name, index, card.intensity),
            where,
        )


def _length(file: Path, dataset: str) -> int:
    try:
        with h5py.File(file, "r") as opened:
            shape = _dataset(opened, file, dataset).shape
    except OSError as error:
        raise UserError(f"{file} is damaged, or not an HDF5 file: {error}") from None
    if len(shape) not in (3, 4):
        raise UserError(
            f"{file}: {dataset!r} has the shape {list(shape)}; images are "
            "[n, height, width(, channels)]"
        )
    return shape[0]


def _labels(file: Path, dataset: str) -> list[str]:
    """One text an image, whatever dimensions of length 1 follow."""
    try:
        with h5py.File(file, "r") as opened:
            found = _dataset(opened, file, dataset)
            if not found.shape or found.size != found.shape[0]:
                raise UserError(
                    f"{file}: {dataset!r} has the shape {list(found.shape)}; one label "
                    "an image is expected"
                )
            claimed = found.size * found.dtype.itemsize
            check_expansion(
                f"{file}: {dataset!r}", claimed, found.id.get_storage_size()
            )
            if text := h5py.check_string_dtype(found.dtype):
                found = found.asstr(text.encoding, errors="replace")
            values = found[()].reshape(-1)
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{file} is damaged, or not an HDF5 file: {error}") from None
    if text:
        return [normalized(str(value).strip()) for value in values]
    if values.dtype.kind not in "iubf":
        raise UserError(f"{file}: labels of type {values.dtype}; numbers or names")
    if values.dtype.kind == "b":
        values = values.astype(np.int64)
    return [str(value) for value in values]


def _dataset(opened: h5py.File, file: Path, name: str) -> h5py.Dataset:
    try:
        return own_dataset(opened, name)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def _groups(file: Path, column: str, count: int) -> list[str]:
    table = read_table(file, encoding=None)
    table.require_columns([column], "the card")
    if table.problems:
        raise UserError(f"{table.problems[0].where}: {table.problems[0].reason}")
    groups = [row[column] for _, row in table.rows]
    if len(groups) != count:
        raise UserError(f"{file} has {len(groups)} rows for {count} images")
    for where, row in table.rows:
        if not row[column]:
            raise UserError(f"{where}: column {column!r} is blank")
    return groups
