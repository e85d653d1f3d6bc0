"""Reader `npy_volumes`: slices of `.npy` volumes, as MRNet comes."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from transfusion_tf.datasets.arrays import open_npy
from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.folder_files import is_helper, on_disk
from transfusion_tf.datasets.images import NpySlice
from transfusion_tf.datasets.names import normalized
from transfusion_tf.datasets.readers import options as check
from transfusion_tf.datasets.readers.fold_lists import ListedImage, read_fold_lists
from transfusion_tf.datasets.readers.labels import many_labels
from transfusion_tf.datasets.readers.rows import Example, Problem, Rows
from transfusion_tf.datasets.readers.tables import read_table
from transfusion_tf.errors import UserError
from transfusion_tf.toml_tables import TABLE, Count, Texts


@dataclass(frozen=True, kw_only=True, config=TABLE)
class _Set:
    folder: check.Places
    """The folder of the `<scan>.npy` files."""
    labels: Texts
    """A CSV file for each class, of `<scan>,<0 or 1>` without header."""
    split: check.SplitName = "draw"


@dataclass(frozen=True, kw_only=True, config=TABLE)
class NpyVolumesOptions:
    """Options of the reader `npy_volumes`."""

    root: check.Places = "."
    """The data's folder, below the source."""
    sets: Annotated[tuple[_Set, ...], Field(min_length=1)]
    encoding: check.Encoding = "utf-8"
    """Of the tables' text."""
    slices: Count = 1
    """How many of the middle ones to take per scan; the scan is the patient."""
    lists: check.Places | None = None
    """A folder of lists `*_fold*.csv` that name slices, `<scan>_<plane>_<slice>`, and
    their class: these are taken, in place of the middle ones and of the sets' labels.
    Slices are counted from 0."""


def read_npy_volumes(card: DatasetCard) -> Rows:
    """Slices of volumes [slices, height, width], each an example: middle or listed."""
    options = check.reader_options(card, NpyVolumesOptions)
    if options.lists is not None:
        yield from _listed(card, options, options.lists)
        return
    for entry in options.sets:
        if len(entry.labels) != len(card.labels.named):
            raise UserError(
                f"{card.path}: key 'reader.sets.labels' should name a file for each of "
                f"the {len(card.labels.named)} classes; it names {len(entry.labels)}"
            )
    root = check.root_folder(card, options.root)
    for entry in options.sets:
        yield from _set(card, options, entry, root)


def middle_slices(depth: int, count: int) -> range:
    """The `count` middle slices of `depth`, the later ones where it isn't even.

    Raises:
      UserError: there are fewer.
    """
    if depth < count:
        raise UserError(f"{depth} slices; the card takes {count} a scan")
    start = (depth - count + 1) // 2
    return range(start, start + count)


def _set(
    card: DatasetCard, options: NpyVolumesOptions, entry: _Set, root: Path
) -> Rows:
    folder = check.require(card, "sets.folder", root, entry.folder)
    cells: dict[str, dict[int, str]] = {}
    first: dict[str, str] = {}
    for index, file in enumerate(entry.labels):
        table = read_table(
            check.require(card, "sets.labels", root, file),
            ("scan", "label"),
            options.encoding,
        )
        yield from table.problems
        for where, row in table.rows:
            scan = cells.setdefault(row["scan"], {})
            first.setdefault(row["scan"], where)
            if index in scan:
                yield Problem(where, f"scan {row['scan']!r} stands there twice")
            scan[index] = row["label"]
    for name, found in cells.items():
        where = f"{first[name]} (scan {name})"
        labels = None
        try:
            missing = [file for i, file in enumerate(entry.labels) if i not in found]
            if missing:
                raise UserError(f"scan {name!r} has no row in {', '.join(missing)}")
            labels = many_labels(card, [found[i] for i in range(len(found))])
            yield from _slices(card, options, entry, folder, name, labels, where)
        except UserError as error:
            yield Problem(where, str(error), options.slices, labels)
    for path in sorted(folder.glob("*.npy")):
        if normalized(path.stem) not in cells and not is_helper(path.name):
            name = str(path.relative_to(root))
            yield Problem(name, "no row of the labels names it", options.slices)


def _slices(
    card: DatasetCard,
    options: NpyVolumesOptions,
    entry: _Set,
    folder: Path,
    scan: str,
    labels: tuple[float, ...],
    where: str,
) -> Rows:
    path, depth = _volume([folder], scan)
    for index in middle_slices(depth, options.slices):
        yield Example(
            f"{scan}-{index}",
            scan,
            labels,
            check.fixed_split(entry.split),
            NpySlice(path, index, card.intensity),
            where,
        )


def _listed(card: DatasetCard, options: NpyVolumesOptions, lists: check.Places) -> Rows:
    root = check.root_folder(card, options.root)
    folders = [
        check.require(card, "sets.folder", root, entry.folder) for entry in options.sets
    ]
    images, problems = read_fold_lists(card, lists)
    yield from problems
    for listed in images:
        try:
            yield _listed_slice(card, folders, listed)
        except UserError as error:
            yield Problem(listed.where, str(error), 1, listed.labels)


def _listed_slice(
    card: DatasetCard, folders: list[Path], listed: ListedImage
) -> Example:
    match = re.search(r"([^/]+)_[a-z]+_(\d+)[.\d]*\.\w+$", listed.name)
    if match is None:
        raise UserError(f"{listed.name!r} should be <scan>_<plane>_<slice>")
    scan, index = match[1], int(match[2])
    path, depth = _volume(folders, scan)
    if index >= depth:
        raise UserError(f"slice {index} of {depth} (from 0) in {path.name}")
    image = NpySlice(path, index, card.intensity)
    return Example(listed.name, scan, listed.labels, None, image, listed.where)


def _volume(folders: list[Path], scan: str) -> tuple[Path, int]:
    """The file of a scan in the first folder that has it, and how deep it is."""
    found = (on_disk(folder / f"{scan}.npy") for folder in folders)
    path = next((path for path in found if path is not None), None)
    if Path(scan).name != scan or path is None or not path.is_file():
        raise UserError(f"no volume {' or '.join(f'{f / scan}.npy' for f in folders)}")
    shape = open_npy(path).shape
    if len(shape) != 3:
        raise UserError(
            f"{path.name} has the shape {list(shape)}; a volume is "
            "[slices, height, width]"
        )
    return path, shape[0]
