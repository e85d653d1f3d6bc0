"""Readers: from what a card names to a list of examples, no pixel read yet.

A reader is a function from a card to examples; rows that it can't make an example
of become problems, so that all of them can be listed at once. To add one, write
the function and put it into `READERS`.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.datasets.card import SPLITS, DatasetCard, check_options
from transfusion_tf.datasets.images import FileImage, ImageSource
from transfusion_tf.datasets.phantoms import photographs, retina
from transfusion_tf.errors import UserError, one_of

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")


@dataclasses.dataclass(frozen=True)
class Example:
    """One row of a data set.

    Attributes:
      example_id: unique in the data set.
      patient_id: what splits keep together.
      labels: one value a class, 0 or 1; NaN where it is not known.
      split: the split that the data set itself says, or None.
      image: where the pixels come from.
      where: file and row, for messages.
    """

    example_id: str
    patient_id: str
    labels: tuple[float, ...]
    split: str | None
    image: ImageSource
    where: str


@dataclasses.dataclass(frozen=True)
class Problem:
    """A row that can't be used: where it stands and what is wrong with it."""

    where: str
    reason: str


Rows = Iterator[Example | Problem]


def read_examples(card: DatasetCard) -> tuple[list[Example], list[Problem]]:
    """Lists a card's examples, and the rows that are none.

    Raises:
      UserError: the reader is unknown, or its options are wrong, or the table or
        the folder that it names does not exist.
    """
    reader = READERS.get(card.reader["kind"])
    if reader is None:
        raise UserError(
            f"{card.path}: key 'reader.kind': "
            f"{one_of('reader', card.reader['kind'], READERS)}"
        )
    rows = list(reader(card))
    examples = [row for row in rows if isinstance(row, Example)]
    return examples, [row for row in rows if isinstance(row, Problem)]


# --- csv -------------------------------------------------------------------------


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def read_csv(card: DatasetCard) -> Rows:
    """A table with a row an image: path, label columns, patient, perhaps split.

    One label column holds class names or numbers from 0; several hold 0 or 1 each,
    in the order of the card's classes.
    """
    options = check_options(
        card,
        {
            "file": _is_text,
            "image_folder": _is_text,
            "path_column": _is_text,
            "path_suffix": _is_text,
            "label_columns": _are_texts,
            "patient_column": _is_text,
            "id_column": _is_text,
            "split_column": _is_text,
        },
        required=("file", "path_column", "label_columns"),
    )
    file = card.folder / options["file"]
    table = _read_table(card, file)
    named = [options["path_column"], *options["label_columns"]]
    named += [options[k] for k in options if k.endswith("_column") and k != named[0]]
    for column in named:
        if column not in table.columns:
            raise UserError(
                f"{file} has no column {column!r}, which {card.path.name} names; "
                f"its columns: {', '.join(table.columns)}"
            )
    width = len(options["label_columns"])
    if width not in (1, len(card.labels.classes)):
        raise UserError(
            f"{card.path}: key 'reader.label_columns' should name one column, or one "
            f"for each of the {len(card.labels.classes)} classes; it names {width}"
        )
    images = card.folder / options.get("image_folder", ".")
    if not images.is_dir():
        raise UserError(f"{card.path}: 'reader.image_folder': no folder {images}")
    for number, row in enumerate(table.to_dict("records"), start=2):
        where = f"{file.name}, row {number}"
        try:
            yield _csv_example(card, options, images, row, where)
        except UserError as error:
            yield Problem(where, str(error))


def _read_table(card: DatasetCard, file: Path) -> pd.DataFrame:
    if not file.is_file():
        raise UserError(f"{card.path}: key 'reader.file': no file {file}")
    try:
        table = pd.read_csv(
            file, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise UserError(f"{file} can't be read as a CSV table: {error}") from error
    if table.empty:
        raise UserError(f"{file} has no rows")
    return table


def _csv_example(
    card: DatasetCard,
    options: dict[str, Any],
    images: Path,
    row: Mapping[Any, str],
    where: str,
) -> Example:
    name = row[options["path_column"]].strip()
    if not name:
        raise UserError(f"column {options['path_column']!r} is blank")
    path = images / (name + options.get("path_suffix", ""))
    if not path.is_file():
        raise UserError(f"no image {path}")
    example_id = row[options["id_column"]].strip() if "id_column" in options else name
    patient = example_id
    if "patient_column" in options:
        patient = row[options["patient_column"]].strip()
    for column, value in (("id_column", example_id), ("patient_column", patient)):
        if not value:
            raise UserError(f"column {options[column]!r} is blank")
    split = None
    if "split_column" in options:
        split = _split_name(row[options["split_column"]])
    cells = [row[column].strip() for column in options["label_columns"]]
    labels = (
        _one_label(card, cells[0])
        if len(cells) == 1 and (card.labels.kind != "findings")
        else _many_labels(card, cells)
    )
    return Example(
        example_id, patient, labels, split, FileImage(path, card.intensity), where
    )


def _one_label(card: DatasetCard, cell: str) -> tuple[float, ...]:
    classes = card.labels.classes
    if cell in classes:
        index = classes.index(cell)
    else:
        number = float(cell) if re.fullmatch(r"\d+(\.0*)?", cell) else -1.0
        index = int(number)
        if not 0 <= number < len(classes):
            raise UserError(
                f"label {cell!r} is outside the classes; valid: {', '.join(classes)}, "
                f"or 0 to {len(classes) - 1}"
            )
    return tuple(float(i == index) for i in range(len(classes)))


def _many_labels(card: DatasetCard, cells: list[str]) -> tuple[float, ...]:
    blank = card.labels.blank
    meanings = {"0": 0.0, "0.0": 0.0, "1": 1.0, "1.0": 1.0}
    if blank != "error":
        meanings[""] = 0.0 if blank == "negative" else float("nan")
    for cell, name in zip(cells, card.labels.classes, strict=True):
        if cell not in meanings:
            hint = " (labels.blank in the card says what blank means)" * (cell == "")
            raise UserError(f"label {cell!r} for {name!r} should be 0 or 1{hint}")
    labels = tuple(meanings[cell] for cell in cells)
    if card.labels.kind != "findings" and np.nansum(labels) != 1:
        raise UserError(f"exactly one of the label columns should be 1, got {cells}")
    return labels


def _split_name(value: str) -> str:
    aliases = {"val": "validation", "valid": "validation", "dev": "validation"}
    name = value.strip().lower()
    name = aliases.get(name, name)
    if name not in SPLITS:
        raise UserError(f"split {value!r} is none of {', '.join(SPLITS)}")
    return name


# --- class folders ---------------------------------------------------------------


def read_class_folders(card: DatasetCard) -> Rows:
    """A folder a class; or, with `split_folders`, train/validation/test above them.

    `patient_pattern` is a regular expression whose first group is the patient in
    the file's name; without it every image is a patient of its own.
    """
    options = check_options(
        card,
        {
            "folder": _is_text,
            "split_folders": lambda value: isinstance(value, bool),
            "patient_pattern": _is_pattern,
            "exclude": _are_texts,
        },
        required=("folder",),
    )
    if card.labels.kind == "findings":
        raise UserError(
            f"{card.path}: class folders give one class an image: labels.kind should "
            "be 'class' or 'grade'"
        )
    root = card.folder / options["folder"]
    if not root.is_dir():
        raise UserError(f"{card.path}: key 'reader.folder': no folder {root}")
    tops: list[tuple[str | None, Path]] = [(None, root)]
    if options.get("split_folders"):
        tops = []
        for folder in _subfolders(root):
            try:
                tops.append((_split_name(folder.name), folder))
            except UserError as error:
                yield Problem(str(folder), str(error))
    for split, top in tops:
        for folder in _subfolders(top):
            if folder.name not in card.labels.classes:
                yield Problem(
                    str(folder),
                    f"no class {folder.name!r} in the card; valid: "
                    f"{', '.join(card.labels.classes)}",
                )
                continue
            labels = _one_label(card, folder.name)
            yield from _folder_examples(card, options, root, folder, split, labels)


def _is_pattern(value: Any) -> bool:
    try:
        return re.compile(value).groups >= 1
    except (re.error, TypeError):
        return False


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )


def _folder_examples(
    card: DatasetCard,
    options: dict[str, Any],
    root: Path,
    folder: Path,
    split: str | None,
    labels: tuple[float, ...],
) -> Rows:
    pattern = options.get("patient_pattern")
    for path in sorted(folder.rglob("*")):
        hidden = path.name.startswith(".") or path.name == "Thumbs.db"
        if path.is_dir() or hidden:
            continue
        if any(path.match(exclude) for exclude in options.get("exclude", ())):
            continue
        name = str(path.relative_to(root))
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            yield Problem(name, f"not an image file ({', '.join(IMAGE_SUFFIXES)})")
            continue
        patient = name
        if pattern:
            match = re.search(pattern, path.name)
            if not match:
                yield Problem(name, f"no match for reader.patient_pattern {pattern!r}")
                continue
            patient = match.group(1)
        image = FileImage(path, card.intensity)
        yield Example(name, patient, labels, split, image, name)


# --- phantoms --------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class DrawnRetina:
    """A fundus that is drawn when it is needed."""

    index: int
    seed: int
    size: int
    lesion_scale: float

    def load(self) -> np.ndarray:
        """See `phantoms.retina.draw_retina`."""
        return retina.draw_retina(
            self.index, seed=self.seed, size=self.size, lesion_scale=self.lesion_scale
        )

    def fingerprint(self) -> str:
        """All that the drawing depends on."""
        return repr(self)


def read_phantom_retina(card: DatasetCard) -> Rows:
    """Drawn fundus photographs, two eyes a patient."""
    options = check_options(
        card,
        {
            "patients": _is_count,
            "seed": lambda value: isinstance(value, int),
            "lesion_scale": lambda v: isinstance(v, int | float) and 0 < v <= 10,
        },
        required=("patients",),
    )
    seed = options.get("seed", 0)
    scale = float(options.get("lesion_scale", 1.0))
    for index in range(2 * options["patients"]):
        meta = retina.retina_metadata(index, seed=seed)
        labels = tuple(float(grade == meta.grade) for grade in range(5))
        image = DrawnRetina(index, seed, card.stored_size, scale)
        where = f"drawing {index}"
        yield Example(meta.example_id, meta.patient_id, labels, None, image, where)


@dataclasses.dataclass(frozen=True)
class DrawnPhotograph:
    """A crop of a photograph that is cut when it is needed."""

    index: int
    seed: int
    size: int

    def load(self) -> np.ndarray:
        """See `phantoms.photographs.draw_photograph_crop`."""
        return photographs.draw_photograph_crop(
            self.index, seed=self.seed, size=self.size
        )

    def fingerprint(self) -> str:
        """All that the crop depends on."""
        return repr(self)


def read_photographs(card: DatasetCard) -> Rows:
    """Crops of the photographs in the scikit-image and scikit-learn wheels."""
    options = check_options(
        card,
        {"crops": _is_count, "seed": lambda value: isinstance(value, int)},
        required=("crops",),
    )
    seed = options.get("seed", 0)
    names = photographs.photograph_names()
    if names != card.labels.classes:
        raise UserError(
            f"{card.path}: key 'labels.classes' should be {', '.join(names)}"
        )
    for index in range(options["crops"]):
        meta = photographs.photograph_metadata(index, seed=seed)
        labels = tuple(float(i == meta.label) for i in range(len(names)))
        image = DrawnPhotograph(index, seed, card.stored_size)
        where = f"crop {index}"
        yield Example(
            meta.example_id, meta.patient_id, labels, meta.split, image, where
        )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


READERS: dict[str, Callable[[DatasetCard], Rows]] = {
    "csv": read_csv,
    "class_folders": read_class_folders,
    "phantom_retina": read_phantom_retina,
    "photographs": read_photographs,
}
