"""Reader `csv`: tables with a row an image."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StrictBool, model_validator
from pydantic.dataclasses import dataclass

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.folder_files import files_below
from transfusion_tf.datasets.images import IMAGE_SUFFIXES, FileImage
from transfusion_tf.datasets.names import find_name, is_blank, without_decimals
from transfusion_tf.datasets.readers import options as check
from transfusion_tf.datasets.readers.labels import many_labels, one_label
from transfusion_tf.datasets.readers.rows import (
    Example,
    LeftOut,
    Problem,
    Remark,
    Rows,
)
from transfusion_tf.datasets.readers.tables import (
    Table,
    existing_image,
    not_blank,
    read_table,
    strip_folders,
)
from transfusion_tf.errors import UserError
from transfusion_tf.toml_tables import TABLE, Count, Text, Texts, WrongKey

# Rows per image from which on a table is not one of images with a few mistakes.
_SEVERAL = 1.2


@dataclass(frozen=True, kw_only=True, config=TABLE)
class _Table:
    file: check.Places
    image_folder: check.Places | None = None
    """Where its images lie, if not where the reader says."""
    split: check.SplitName | None = None
    """That all its rows are in."""


@dataclass(frozen=True, kw_only=True, config=TABLE)
class _Filter:
    column: Text
    keep: tuple[str, ...]
    leave_out: tuple[str, ...] = ()
    """A row with a value that is in neither list is a problem."""


@dataclass(frozen=True, kw_only=True, config=TABLE)
class _Join:
    file: check.Places
    on: Text
    """The column that names the other table's row."""
    columns: Texts
    """The columns of the other table to bring to this one."""
    key: Text | None = None
    """What the other table calls `on`, where it is another name."""
    optional: StrictBool = False
    """Whether it may be missing."""


@dataclass(frozen=True, kw_only=True, config=TABLE)
class CsvOptions:
    """Options of the reader `csv`."""

    root: check.Places = "."
    """The data's folder, below the source."""
    file: check.Places | None = None
    """The table; or `tables`, where there are several."""
    tables: Annotated[tuple[_Table, ...], Field(min_length=1)] | None = None
    image_folder: check.Places = "."
    path_column: Text
    """Names the row's image, below `image_folder`."""
    encoding: check.Encoding = "utf-8"
    """Of the tables' text."""
    path_suffix: str = ""
    """Added to what stands there; `*` is that of the file that is there."""
    path_strip: Count | None = None
    """How many leading folders of the path are dropped."""
    label_columns: Texts
    """One, holding names of classes, what `labels.values` lists or numbers by
    `labels.count_from`; or one for each class in their order, holding 0 or 1."""
    patient_column: Text | None = None
    """What splits keep together; without it, the path."""
    patient_pattern: check.Pattern | None = None
    """Its first group in what stands there is the patient."""
    blank_patient: Literal["error", "own"] = "error"
    """Where no patient is named; own: the image is a patient of its own."""
    id_column: Text | None = None
    """Unique; without it, the path."""
    split_column: Text | None = None
    """Holds names of splits, or what `split_values` lists."""
    split_values: Mapping[str, check.SplitName] | None = None
    filters: tuple[_Filter, ...] = ()
    join: _Join | None = None
    """Brings columns of another table."""

    @model_validator(mode="after")
    def _one_file_or_several(self) -> "CsvOptions":
        if self.file is None and self.tables is None:
            raise WrongKey(
                "file", "the table, or 'reader.tables' some: both are missing"
            )
        if self.file is not None and self.tables is not None:
            raise WrongKey("file", "absent where 'reader.tables' is given: not both")
        return self

    def all_tables(self) -> tuple[_Table, ...]:
        """The tables to read, one or several."""
        return self.tables or (_Table(file=self.file or ""),)

    def columns(self, joined: bool) -> list[str]:
        """The columns that the table itself must have."""
        columns = (self.patient_column, self.id_column, self.split_column)
        names = [self.path_column, *self.label_columns, *filter(None, columns)]
        names += [entry.column for entry in self.filters]
        brought = set(self.join.columns) if self.join else set()
        if self.join and joined:
            names.append(self.join.on)
        return [name for name in dict.fromkeys(names) if name not in brought]


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a table's images lie, and in which split they are."""

    images: Path
    inside: Path
    split: str | None


def read_csv(card: DatasetCard) -> Rows:
    """Tables with a row an image: path, label columns, patient, perhaps split."""
    options = check.reader_options(card, CsvOptions)
    width, classes = len(options.label_columns), len(card.labels.named)
    if width not in (1, classes):
        raise UserError(
            f"{card.path}: key 'reader.label_columns' should name one column, or one "
            f"for each of the {classes} classes; it names {width}"
        )
    if width > 1:
        _check_order(card, options.label_columns)
    root = check.root_folder(card, options.root)
    joined, remark = _join(card, options.join, options.encoding, root)
    if remark:
        yield remark
    used: dict[Path, set[Path]] = {}
    named = 0
    for entry in options.all_tables():
        table = read_table(
            check.require(card, "file", root, entry.file), encoding=options.encoding
        )
        table.require_columns(options.columns(joined is not None), card.path.name)
        images = _image_folder(card, options, entry, root)
        place = _Place(images, card.data_folder(), entry.split)
        found = used.setdefault(images, set())
        for row in _examples(card, options, table, place, joined):
            if isinstance(row, Example) and isinstance(row.image, FileImage):
                found.add(row.image.path)
                named += 1
            yield row
    for sentence in boxes(named, len(set().union(*used.values()))):
        yield Remark(card.path.name, sentence)
    for images, found in used.items():
        # The data's own folder may hold more than these images.
        if images.resolve() != root.resolve():
            yield from _unlisted(images, found)


def boxes(rows: int, images: int) -> list[str]:
    """Says so where a table has a row a box, and not a row an image."""
    if not images or rows < _SEVERAL * images:
        return []
    return [
        f"{rows} rows name {images} images: one row per box (or finding), not per "
        "image. Write a table with one row per image, which says what the image shows, "
        "and name that"
    ]


def _check_order(card: DatasetCard, columns: tuple[str, ...]) -> None:
    """Columns that are named as classes are must be theirs, one by one."""
    named = card.labels.named
    for column, own in zip(columns, named, strict=True):
        meant = find_name(column, named)
        if meant not in (None, own):
            raise UserError(
                f"{card.path}: key 'reader.label_columns': column {column!r} stands "
                f"where class {own!r} is; both lists should be in one order"
            )


def _image_folder(
    card: DatasetCard, options: CsvOptions, entry: _Table, root: Path
) -> Path:
    places = entry.image_folder or options.image_folder
    folder = check.require(card, "image_folder", root, places)
    if not folder.is_dir():
        raise UserError(f"{card.path}: 'reader.image_folder': no folder {folder}")
    return folder


def _join(
    card: DatasetCard, join: _Join | None, encoding: str, root: Path
) -> tuple[dict[str, dict[str, str]] | None, Remark | None]:
    """The cells to bring to a row, by key; None where the file may be missing."""
    if join is None:
        return None, None
    if join.optional and check.find(root, join.file) is None:
        return None, Remark(
            str(join.file),
            f"not there: {' and '.join(join.columns)} of the images is not known, "
            "each stands for itself",
        )
    file = check.require(card, "join.file", root, join.file)
    table = read_table(file, encoding=encoding)
    key = join.key or join.on
    table.require_columns([key, *join.columns], card.path.name)
    if table.problems:
        raise UserError(f"{table.problems[0].where}: {table.problems[0].reason}")
    found: dict[str, dict[str, str]] = {}
    for where, row in table.rows:
        cells = {name: row[name] for name in join.columns}
        if found.setdefault(row[key], cells) != cells:
            raise UserError(f"{where}: {key} {row[key]!r} stands there twice")
    return found, None


def _examples(
    card: DatasetCard,
    options: CsvOptions,
    table: Table,
    place: _Place,
    joined: dict[str, dict[str, str]] | None,
) -> Rows:
    yield from table.problems
    for where, row in table.rows:
        labels = None
        try:
            if options.join and joined is not None:
                row = row | _brought(options.join, joined, row)
            reason = _filtered(options, row) or _unlabelled(card, options, row)
            if reason:
                yield LeftOut(where, reason)
            else:
                labels = _labels(card, options, row)
                yield _example(card, options, place, row, labels, where)
        except UserError as error:
            yield Problem(where, str(error), labels=labels)


def _brought(
    join: _Join, joined: dict[str, dict[str, str]], row: Mapping[str, str]
) -> dict[str, str]:
    cell = row[join.on]
    if cell not in joined:
        raise UserError(f"{join.on} {cell!r} has no row in the joined table")
    return joined[cell]


def _filtered(options: CsvOptions, row: Mapping[str, str]) -> str | None:
    """Why the row is left out; None where it stays."""
    for entry in options.filters:
        value = row[entry.column]
        if find_name(value, entry.keep) is not None:
            continue
        if find_name(value, entry.leave_out) is None:
            raise UserError(
                f"{entry.column} {value!r} is neither kept nor left out by the "
                "card's reader.filters"
            )
        return f"{entry.column} is {value!r}"
    return None


def _single(card: DatasetCard, options: CsvOptions) -> bool:
    return len(options.label_columns) == 1 and card.labels.kind != "findings"


def _unlabelled(
    card: DatasetCard, options: CsvOptions, row: Mapping[str, str]
) -> str | None:
    if card.labels.blank != "leave_out":
        return None
    named = (*card.labels.values, *card.labels.classes)
    cells = [row[column] for column in options.label_columns]
    blank = all(is_blank(cell) and find_name(cell, named) is None for cell in cells)
    return "its label is blank" if blank else None


def _labels(
    card: DatasetCard, options: CsvOptions, row: Mapping[str, str]
) -> tuple[float, ...]:
    cells = [row[column] for column in options.label_columns]
    if _single(card, options):
        return one_label(card, cells[0])
    return many_labels(card, cells)


def _example(
    card: DatasetCard,
    options: CsvOptions,
    place: _Place,
    row: Mapping[str, str],
    labels: tuple[float, ...],
    where: str,
) -> Example:
    name = not_blank(row, options.path_column)
    below = strip_folders(name, options.path_strip or 0)
    path = existing_image(place.images, below, place.inside, options.path_suffix)
    example_id = name
    if options.id_column is not None:
        example_id = not_blank(row, options.id_column)
    return Example(
        example_id,
        _patient(options, row, example_id),
        labels,
        _split(options, place, row),
        FileImage(path, card.intensity),
        where,
    )


def _patient(options: CsvOptions, row: Mapping[str, str], example_id: str) -> str:
    column, pattern = options.patient_column, options.patient_pattern
    if column is None:
        if pattern is None:
            return example_id
        patient = row[options.path_column]
    elif row.get(column):
        patient = row[column]
    elif column not in row or options.blank_patient == "own":
        return example_id
    else:
        patient = not_blank(row, column)
    if pattern is None:
        return without_decimals(patient)
    return check.first_group(pattern, patient, "patient_pattern")


def _split(options: CsvOptions, place: _Place, row: Mapping[str, str]) -> str | None:
    if options.split_column is None:
        return check.fixed_split(place.split)
    value = row[options.split_column]
    if options.split_values is None:
        return check.split_name(value, "split_values")
    meant = find_name(value, options.split_values)
    if meant is None:
        valid = ", ".join(options.split_values)
        raise UserError(f"split {value!r} is none of {valid}")
    return check.fixed_split(options.split_values[meant])


def _unlisted(images: Path, used: set[Path]) -> Iterator[Remark]:
    """Images in a folder of their own that no row names."""
    listed = {path.resolve() for path in used}
    extra = [
        path
        for path in files_below(images)
        if path.suffix.lower() in IMAGE_SUFFIXES and path.resolve() not in listed
    ]
    if extra:
        first = min(extra).relative_to(images)
        yield Remark(
            f"{images} (first {first})",
            f"{len(extra)} images that no usable row names",
        )
