"""Reader `csv`: tables with a row an image."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.folder_files import files_below, on_disk
from transfusion_tf.datasets.images import IMAGE_SUFFIXES, FileImage
from transfusion_tf.datasets.names import find_name, is_blank, without_decimals
from transfusion_tf.datasets.readers import options as check
from transfusion_tf.datasets.readers.csv_options import CsvJoin, CsvOptions, CsvTable
from transfusion_tf.datasets.readers.labels import (
    listed_labels,
    many_labels,
    one_label,
)
from transfusion_tf.datasets.readers.rows import (
    Example,
    LeftOut,
    Problem,
    Remark,
    Rows,
)
from transfusion_tf.datasets.readers.split_lists import read_split_lists
from transfusion_tf.datasets.readers.tables import (
    Table,
    existing_image,
    not_blank,
    read_table,
    strip_folders,
)
from transfusion_tf.errors import UserError

# Rows per image from which on a table is not one of images with a few mistakes.
_SEVERAL = 1.2


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a table's images lie, and in which split they are."""

    images: tuple[Path, ...]
    inside: Path
    split: str | None
    lists: Mapping[str, str | None] | None


def read_csv(card: DatasetCard) -> Rows:
    """Tables with a row an image: path, label columns, patient, perhaps split."""
    options = check.reader_options(card, CsvOptions)
    _check_label_columns(card, options)
    root = check.root_folder(card, options.root)
    joined, remark = _join(card, options.join, options.encoding, root)
    if remark:
        yield remark
    lists = None
    if options.split_lists is not None:
        lists = read_split_lists(card, options.split_lists, root)
    folders: dict[Path, None] = {}
    used: set[Path] = set()
    named = 0
    for entry in options.all_tables():
        table = read_table(
            check.require(card, "file", root, entry.file), encoding=options.encoding
        )
        table.require_columns(options.columns(joined is not None), card.path.name)
        images = _image_folders(card, options, entry, root)
        folders |= dict.fromkeys(images)
        place = _Place(images, card.data_folder(), entry.split, lists)
        for row in _examples(card, options, table, place, joined):
            if isinstance(row, Example) and isinstance(row.image, FileImage):
                used.add(row.image.path)
                named += 1
            yield row
    for sentence in boxes(named, len(used)):
        yield Remark(card.path.name, sentence)
    for folder in folders:
        # The data's own folder may hold more than these images.
        if folder.resolve() != root.resolve():
            yield from _unlisted(folder, used)


def boxes(rows: int, images: int) -> list[str]:
    """Says so where a table has a row a box, and not a row an image."""
    if not images or rows < _SEVERAL * images:
        return []
    return [
        f"{rows} rows name {images} images: one row per box (or finding), not per "
        "image. Write a table with one row per image, which says what the image shows, "
        "and name that"
    ]


def _check_label_columns(card: DatasetCard, options: CsvOptions) -> None:
    """As many as classes, each in the place of its own; or one."""
    columns, named = options.label_columns, card.labels.named
    if len(columns) not in (1, len(named)):
        raise UserError(
            f"{card.path}: key 'reader.label_columns' should name one column, or one "
            f"for each of the {len(named)} classes; it names {len(columns)}"
        )
    findings = card.labels.kind == "findings"
    listed = options.label_separator is not None
    if listed and not (findings and len(columns) == 1):
        raise UserError(
            f"{card.path}: key 'reader.label_separator' is for one column of findings"
        )
    if findings and not listed and len(columns) != len(named):
        raise UserError(
            f"{card.path}: key 'reader.label_separator' should say what stands between "
            f"the findings in column {columns[0]!r}"
        )
    if len(columns) == 1:
        return
    for column, own in zip(columns, named, strict=True):
        meant = find_name(column, named)
        if meant not in (None, own):
            raise UserError(
                f"{card.path}: key 'reader.label_columns': column {column!r} stands "
                f"where class {own!r} is; both lists should be in one order"
            )


def _image_folders(
    card: DatasetCard, options: CsvOptions, entry: CsvTable, root: Path
) -> tuple[Path, ...]:
    places = entry.image_folder or options.image_folder
    check.require(card, "image_folder", root, places)
    folders = tuple(check.find_all(root, places))
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{card.path}: 'reader.image_folder': no folder {folder}")
    return folders


def _join(
    card: DatasetCard, join: CsvJoin | None, encoding: str, root: Path
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
    join: CsvJoin, joined: dict[str, dict[str, str]], row: Mapping[str, str]
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
    if options.label_separator is not None:
        separator, no_finding = options.label_separator, options.no_finding
        return listed_labels(card, cells[0], separator, no_finding)
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
    folder = _folder_of(place.images, f"{below}{options.path_suffix}")
    path = existing_image(folder, below, place.inside, options.path_suffix)
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


def _folder_of(folders: tuple[Path, ...], name: str) -> Path:
    """The one of the folders that has the file; the first where no other has it."""
    return next((f for f in folders[1:] if on_disk(f / name)), folders[0])


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
    if place.lists is not None:
        name = row[options.path_column]
        if name not in place.lists:
            listed = ", ".join(options.split_lists or ())
            raise UserError(f"{name!r} is named by none of {listed}")
        return place.lists[name]
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
