"""Reader `cbis_ddsm`: the case descriptions of CBIS-DDSM and its mammograms.

The tables have one row per abnormality; an example here is a whole mammogram, once or
with every row of it. The file names in the tables are not those of a download: see
`find_mammogram`.
"""

import dataclasses
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.folder_files import files_below
from transfusion_tf.datasets.images import IMAGE_SUFFIXES, FileImage
from transfusion_tf.datasets.readers import options as check
from transfusion_tf.datasets.readers.labels import one_label
from transfusion_tf.datasets.readers.rows import Example, Problem, Remark, Rows
from transfusion_tf.datasets.readers.tables import not_blank, read_table
from transfusion_tf.errors import UserError
from transfusion_tf.toml_tables import TABLE

_COLUMNS = (
    "patient_id",
    "left or right breast",
    "image view",
    "image file path",
)


@dataclass(frozen=True, kw_only=True, config=TABLE)
class _Table:
    file: check.Places
    split: check.SplitName
    """That its rows are in."""


@dataclass(frozen=True, kw_only=True, config=TABLE)
class CbisDdsmOptions:
    """Options of the reader `cbis_ddsm`."""

    root: check.Places = "."
    """The folder of the tables, below the source."""
    tables: Annotated[tuple[_Table, ...], Field(min_length=1)]
    image_folder: check.Places
    """Where the folders of the mammograms lie."""
    example: Literal["mammogram", "row"] = "mammogram"
    """One per mammogram, or one per row: an image as often as it has abnormalities,
    each time with the class of one of them."""
    label_column: Literal["pathology", "abnormality type"] = "pathology"
    """Of the tables, that has the class."""


@dataclasses.dataclass
class _Mammogram:
    patient: str
    where: list[str]
    path: Path
    label: int
    splits: list[str | None]


def read_cbis_ddsm(card: DatasetCard) -> Rows:
    """Whole mammograms, one example per patient, side and view, or per row.

    A mammogram with several abnormalities, perhaps in several tables, is one example;
    its class is the highest of theirs, in the order of the card's classes. With
    `example = "row"` it is as many examples, numbered in the order of the tables.
    """
    options = check.reader_options(card, CbisDdsmOptions)
    root = check.root_folder(card, options.root)
    images = check.require(card, "image_folder", root, options.image_folder)
    found: dict[str, _Mammogram] = {}
    failed: dict[str, list[Problem]] = {}
    count = Counter[str]()
    for entry in options.tables:
        table = read_table(
            check.require(card, "tables.file", root, entry.file), encoding=None
        )
        table.require_columns((*_COLUMNS, options.label_column), "the reader")
        yield from table.problems
        for where, row in table.rows:
            example_id = "_".join(row[column] for column in _COLUMNS[:3])
            if options.example == "row":
                count[example_id] += 1
                example_id += f"-{count[example_id]}"
            split = check.fixed_split(entry.split)
            try:
                label = one_label(card, row[options.label_column]).index(1.0)
                _add(found, example_id, label, images, row, where, split)
            except UserError as error:
                # The highest class of its rows is not known without this one.
                others = failed.setdefault(example_id, [])
                others.append(Problem(where, str(error), images=int(not others)))
    for problems in failed.values():
        yield from problems
    for example_id, mammogram in found.items():
        if example_id not in failed:
            yield from _examples(card, example_id, mammogram)


def _add(
    found: dict[str, _Mammogram],
    example_id: str,
    label: int,
    images: Path,
    row: dict[str, str],
    where: str,
    split: str | None,
) -> None:
    patient, side, view = (not_blank(row, column) for column in _COLUMNS[:3])
    if side not in ("LEFT", "RIGHT") or view not in ("CC", "MLO"):
        raise UserError(f"side {side!r} and view {view!r}: LEFT or RIGHT, CC or MLO")
    mammogram_id = f"{patient}_{side}_{view}"
    named = not_blank(row, "image file path")
    if mammogram_id not in PurePosixPath(named).parts[0]:
        raise UserError(f"the path {named!r} is not that of {mammogram_id}")
    path = find_mammogram(images, named)
    mammogram = found.setdefault(example_id, _Mammogram(patient, [], path, label, []))
    mammogram.where.append(where)
    mammogram.label = max(mammogram.label, label)
    mammogram.splits.append(split)


def _examples(card: DatasetCard, example_id: str, mammogram: _Mammogram) -> Rows:
    splits = set(mammogram.splits)
    split = mammogram.splits[0]
    where = mammogram.where[0]
    if len(splits) > 1:
        if card.splits.conflict == "error":
            yield Problem(
                "; ".join(mammogram.where), f"mammogram {example_id} is in two splits"
            )
            return
        split = card.splits.conflict
        yield Remark(
            "; ".join(mammogram.where),
            f"mammogram {example_id} is in two splits; it goes to {split}",
        )
    labels = tuple(float(i == mammogram.label) for i in range(len(card.labels.classes)))
    image = FileImage(mammogram.path, card.intensity)
    yield Example(example_id, mammogram.patient, labels, split, image, where)


def find_mammogram(images: Path, named: str) -> Path:
    """The file of a mammogram that the tables name.

    The tables say `<case>/<study>/<series>/000000.dcm`. A download has the same
    folders with `1-1.dcm`, or describes study and series in words. A conversion has
    the same tree with another suffix, `<case>.png`, or `<series>/<any name>.jpg`.

    Args:
      images: the folder of the cases.
      named: column `image file path`.

    Raises:
      UserError: no file, or more than one that could be it.
    """
    path = PurePosixPath(named)
    if path.is_absolute() or ".." in path.parts or len(path.parts) != 4:
        raise UserError(f"path {named!r} should be <case>/<study>/<series>/<file>")
    case, _, series, _ = path.parts
    whole = images / path
    for stem in (whole.with_suffix(""), whole.with_name("1-1"), images / case):
        for suffix in IMAGE_SUFFIXES:
            # Not with_suffix: a case's name may hold a dot.
            file = stem.with_name(stem.name + suffix)
            if file.is_file():
                return file
    found: list[Path] = []
    for folder in (images / series, images / "jpeg" / series, images / case):
        found = found or _image_files(folder)
    described = [file for file in found if "full mammogram" in file.parent.name]
    found = described or found
    if not found:
        raise UserError(f"no image {whole}, nor another file below {images / case}")
    if len(found) > 1:
        names = ", ".join(str(file.relative_to(images)) for file in found[:3])
        raise UserError(f"{len(found)} files could be {named}: {names}")
    return found[0]


def _image_files(folder: Path) -> list[Path]:
    below = files_below(folder) if folder.is_dir() else ()
    return [path for path in below if path.suffix.lower() in IMAGE_SUFFIXES]
