"""Reader `npy_volumes`: slices of `.npy` volumes, as MRNet comes."""

from pathlib import Path
from typing import Any

from transfusion_tf.datasets.arrays import open_npy
from transfusion_tf.datasets.card import DatasetCard, check_options
from transfusion_tf.datasets.images import NpySlice
from transfusion_tf.datasets.readers import options as check
from transfusion_tf.datasets.readers.labels import many_labels
from transfusion_tf.datasets.readers.rows import Example, Problem, Rows
from transfusion_tf.datasets.readers.tables import read_table
from transfusion_tf.errors import UserError

_OPTIONS = {
    "root": check.is_path,
    "sets": check.are_tables,
    "slices": check.is_count,
}
_SET = {"folder": check.is_path, "labels": check.are_texts, "split": check.is_split}


def read_npy_volumes(card: DatasetCard) -> Rows:
    """Middle slices of volumes [slices, height, width], each an example.

    Options:
      root: the data's folder below the source; a list is tried in turn.
      sets: a table a set: the `folder` of `<scan>.npy` files, `labels`, a CSV file
        for each class of `<scan>,<0 or 1>` without header, and its `split` (`draw`:
        the card's shares say).
      slices: how many of the middle ones to take a scan; the scan is the patient.
    """
    options = check_options(card, _OPTIONS, required=("sets",))
    for entry in options["sets"]:
        check.check_table(card, "sets", entry, _SET, ("folder", "labels"))
        if len(entry["labels"]) != len(card.labels.named):
            raise UserError(
                f"{card.path}: key 'reader.sets.labels' should name a file for each of "
                f"the {len(card.labels.named)} classes; it names {len(entry['labels'])}"
            )
    root = check.root_folder(card, options)
    for entry in options["sets"]:
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
    card: DatasetCard, options: dict[str, Any], entry: dict[str, Any], root: Path
) -> Rows:
    folder = check.require(card, "sets.folder", root, entry["folder"])
    cells: dict[str, dict[int, str]] = {}
    first: dict[str, str] = {}
    for index, file in enumerate(entry["labels"]):
        table = read_table(
            check.require(card, "sets.labels", root, file), ("scan", "label")
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
        try:
            missing = [file for i, file in enumerate(entry["labels"]) if i not in found]
            if missing:
                raise UserError(f"scan {name!r} has no row in {', '.join(missing)}")
            labels = many_labels(card, [found[i] for i in range(len(found))])
            yield from _slices(card, options, entry, folder, name, labels, where)
        except UserError as error:
            yield Problem(where, str(error))
    for path in sorted(folder.glob("*.npy")):
        if path.stem not in cells and not path.name.startswith("."):
            yield Problem(str(path.relative_to(root)), "no row of the labels names it")


def _slices(
    card: DatasetCard,
    options: dict[str, Any],
    entry: dict[str, Any],
    folder: Path,
    scan: str,
    labels: tuple[float, ...],
    where: str,
) -> Rows:
    path = folder / f"{scan}.npy"
    if Path(scan).name != scan or not path.is_file():
        raise UserError(f"no volume {path}")
    shape = open_npy(path).shape
    if len(shape) != 3:
        raise UserError(
            f"{path.name} has the shape {list(shape)}; a volume is "
            "[slices, height, width]"
        )
    for index in middle_slices(shape[0], options.get("slices", 1)):
        yield Example(
            f"{scan}-{index}",
            scan,
            labels,
            check.fixed_split(entry.get("split")),
            NpySlice(path, index, card.intensity),
            where,
        )
