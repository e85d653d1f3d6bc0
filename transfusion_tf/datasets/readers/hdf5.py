"""Reader `hdf5`: images and labels in HDF5 files, as PatchCamelyon comes."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from transfusion_tf.datasets.arrays import own_dataset
from transfusion_tf.datasets.card import SPLITS, DatasetCard, check_options
from transfusion_tf.datasets.images import Hdf5Image
from transfusion_tf.datasets.readers import options as check
from transfusion_tf.datasets.readers.labels import one_label
from transfusion_tf.datasets.readers.rows import Example, Problem, Remark, Rows
from transfusion_tf.datasets.readers.tables import read_table
from transfusion_tf.datasets.splits import subset_order
from transfusion_tf.errors import UserError
from transfusion_tf.files import check_expansion

_OPTIONS = {
    "root": check.is_path,
    "files": check.are_tables,
    "images_dataset": check.is_text,
    "labels_dataset": check.is_text,
    "group_column": check.is_text,
    "examples": lambda value: (
        isinstance(value, dict)
        and all(name in SPLITS and check.is_count(n) for name, n in value.items())
    ),
}
_FILES = {
    "images": check.is_path,
    "labels": check.is_path,
    "groups": check.is_path,
    "split": check.is_split,
}


def read_hdf5_files(card: DatasetCard) -> Rows:
    """Pairs of HDF5 files: images [n, height, width(, channels)] and labels [n, ...].

    Options:
      root: the files' folder below the source; a list is tried in turn.
      files: a table a pair: `images`, `labels`, the `split` that they are
        (`draw`: the card's shares say), and `groups`, a CSV file with a row an image
        whose `group_column` is what splits keep together.
      images_dataset, labels_dataset: names inside the files, `x` and `y`.
      examples: how many of a split to take, drawn by the seed of [splits]: the same
        ones on every machine.
    """
    options = check_options(card, _OPTIONS, required=("files",))
    for entry in options["files"]:
        check.check_table(card, "files", entry, _FILES, ("images", "labels", "split"))
    root = check.root_folder(card, options)
    for entry in options["files"]:
        yield from _pair(card, options, entry, root)


def _pair(
    card: DatasetCard, options: dict[str, Any], entry: dict[str, Any], root: Path
) -> Rows:
    images = check.require(card, "files.images", root, entry["images"])
    labels_file = check.require(card, "files.labels", root, entry["labels"])
    name = options.get("images_dataset", "x")
    count = _length(images, name)
    labels = _labels(labels_file, options.get("labels_dataset", "y"))
    if count != len(labels):
        yield Problem(
            f"{images.name}, {labels_file.name}",
            f"{count} images but {len(labels)} labels",
        )
        return
    groups = None
    if "groups" in entry:
        file = check.find(root, entry["groups"])
        if file is None:
            yield Remark(
                str(entry["groups"]),
                "not there: each image stands for itself, so intervals are narrower "
                "than the number of slides or patients would make them",
            )
        else:
            groups = _groups(file, options["group_column"], count)
    split = entry["split"]
    ids = [f"{images.stem}-{index}" for index in range(count)]
    wanted = options.get("examples", {}).get(split)
    chosen = list(range(count))
    if wanted is not None:
        order = subset_order(ids, card.splits.seed)
        chosen = sorted(int(index) for index in order[:wanted])
        if wanted > count:
            yield Remark(images.name, f"{count} images, fewer than the {wanted} wanted")
    for index in chosen:
        where = f"{labels_file.name}, row {index}"
        try:
            label = one_label(card, str(labels[index]))
        except UserError as error:
            yield Problem(where, str(error))
            continue
        yield Example(
            ids[index],
            groups[index] if groups else ids[index],
            label,
            check.fixed_split(split),
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


def _labels(file: Path, dataset: str) -> np.ndarray:
    """int64 [n], whatever dimensions of length 1 follow."""
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
            values = found[()].reshape(-1)
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{file} is damaged, or not an HDF5 file: {error}") from None
    if values.dtype.kind not in "iub":
        raise UserError(
            f"{file}: labels of type {values.dtype}; whole numbers expected"
        )
    return values.astype(np.int64)


def _dataset(opened: h5py.File, file: Path, name: str) -> h5py.Dataset:
    try:
        return own_dataset(opened, name)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def _groups(file: Path, column: str, count: int) -> list[str]:
    table = read_table(file)
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
