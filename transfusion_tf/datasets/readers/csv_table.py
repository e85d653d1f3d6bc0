"""Reader `csv`: tables with a row an image."""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from transfusion_tf.datasets.card import DatasetCard, check_options
from transfusion_tf.datasets.images import IMAGE_SUFFIXES, FileImage
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
)
from transfusion_tf.errors import UserError

_OPTIONS = {
    "root": check.is_path,
    "file": check.is_path,
    "tables": check.are_tables,
    "image_folder": check.is_path,
    "path_column": check.is_text,
    "path_suffix": check.is_text,
    "path_strip": check.is_count,
    "label_columns": check.are_texts,
    "patient_column": check.is_text,
    "patient_pattern": check.is_pattern,
    "blank_patient": lambda value: value in ("error", "own"),
    "id_column": check.is_text,
    "split_column": check.is_text,
    "split_values": check.is_table,
    "filters": check.are_tables,
    "join": check.is_table,
}
_TABLE = {
    "file": check.is_path,
    "image_folder": check.is_path,
    "split": check.is_split,
}
_FILTER = {
    "column": check.is_text,
    "keep": check.is_list,
    "leave_out": check.is_list,
}
_JOIN = {
    "file": check.is_path,
    "on": check.is_text,
    "key": check.is_text,
    "columns": check.are_texts,
    "optional": check.is_flag,
}


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a table's images lie, and in which split they are."""

    images: Path
    inside: Path
    split: str | None


def read_csv(card: DatasetCard) -> Rows:
    """Tables with a row an image: path, label columns, patient, perhaps split.

    Options:
      root: the data's folder below the source; a list is tried in turn.
      file: the table; or `tables`: several, each with `file`, its own
        `image_folder`, and the `split` that all its rows are in (`draw`: the card's
        shares say).
      image_folder, path_column, path_suffix: where a row's image lies;
        `path_strip` leading folders of the path are dropped.
      label_columns: one, holding class names, numbers from 0 or what
        `labels.values` lists; or one for each class, holding 0 or 1.
      patient_column: what splits keep together, else the path; where it is blank:
        `blank_patient`, an error or the image's own. The first group of
        `patient_pattern` in it, where there is one.
      id_column: unique; else the path.
      split_column: the split; `split_values` maps what stands there to `train`,
        `validation`, `test` or `draw`.
      filters: `column` with the values to `keep` and to `leave_out`; others are
        problems.
      join: brings `columns` of another table `file` whose `key` equals the column
        `on`; may be `optional`.
    """
    several = "tables" in card.reader
    options = check_options(
        card,
        _OPTIONS,
        required=(*(() if several else ("file",)), "path_column", "label_columns"),
    )
    _check(card, options, several)
    root = check.root_folder(card, options)
    joined, remark = _join(card, options, root)
    if remark:
        yield remark
    tables = options.get("tables") or [{"file": options["file"]}]
    used: dict[Path, set[Path]] = {}
    for entry in tables:
        table = read_table(check.require(card, "file", root, entry["file"]))
        table.require_columns(_columns(options, joined), card.path.name)
        images = _image_folder(card, options, entry, root)
        place = _Place(images, card.data_folder(), entry.get("split"))
        found = used.setdefault(images, set())
        for row in _examples(card, options, table, place, joined):
            if isinstance(row, Example) and isinstance(row.image, FileImage):
                found.add(row.image.path)
            yield row
    for images, found in used.items():
        # The data's own folder may hold more than these images.
        if images.resolve() != root.resolve():
            yield from _unlisted(images, found)


def _check(card: DatasetCard, options: dict[str, Any], several: bool) -> None:
    if several and "file" in options:
        raise UserError(f"{card.path}: key 'reader.file' or 'reader.tables', not both")
    for entry in options.get("tables", ()):
        check.check_table(card, "tables", entry, _TABLE, ("file",))
    for entry in options.get("filters", ()):
        check.check_table(card, "filters", entry, _FILTER, ("column", "keep"))
    if "join" in options:
        required = ("file", "on", "columns")
        check.check_table(card, "join", options["join"], _JOIN, required)
    for value, name in options.get("split_values", {}).items():
        if not check.is_split(name):
            raise UserError(
                f"{card.path}: key 'reader.split_values.{value}' should be train, "
                f"validation, test or draw, got {name!r}"
            )
    width, classes = len(options["label_columns"]), len(card.labels.named)
    if width not in (1, classes):
        raise UserError(
            f"{card.path}: key 'reader.label_columns' should name one column, or one "
            f"for each of the {classes} classes; it names {width}"
        )


def _columns(options: dict[str, Any], joined: dict | None) -> list[str]:
    """The columns that the table itself must have."""
    names = [options["path_column"], *options["label_columns"]]
    names += [options[key] for key in options if key.endswith("_column")]
    names += [entry["column"] for entry in options.get("filters", ())]
    brought: set[str] = set()
    if "join" in options:
        brought = set(options["join"]["columns"])
        if joined is not None:
            names.append(options["join"]["on"])
    return [name for name in dict.fromkeys(names) if name not in brought]


def _image_folder(
    card: DatasetCard, options: dict[str, Any], entry: dict[str, Any], root: Path
) -> Path:
    places = entry.get("image_folder", options.get("image_folder", "."))
    folder = check.require(card, "image_folder", root, places)
    if not folder.is_dir():
        raise UserError(f"{card.path}: 'reader.image_folder': no folder {folder}")
    return folder


def _join(
    card: DatasetCard, options: dict[str, Any], root: Path
) -> tuple[dict[str, dict[str, str]] | None, Remark | None]:
    """The cells to bring to a row, by key; None where the file may be missing."""
    if "join" not in options:
        return None, None
    join = options["join"]
    if join.get("optional") and check.find(root, join["file"]) is None:
        return None, Remark(
            str(join["file"]),
            f"not there: {' and '.join(join['columns'])} of the images is not known, "
            "each stands for itself",
        )
    table = read_table(check.require(card, "join.file", root, join["file"]))
    key = join.get("key", join["on"])
    table.require_columns([key, *join["columns"]], card.path.name)
    if table.problems:
        raise UserError(f"{table.problems[0].where}: {table.problems[0].reason}")
    found: dict[str, dict[str, str]] = {}
    for where, row in table.rows:
        cells = {name: row[name] for name in join["columns"]}
        if found.setdefault(row[key], cells) != cells:
            raise UserError(f"{where}: {key} {row[key]!r} stands there twice")
    return found, None


def _examples(
    card: DatasetCard,
    options: dict[str, Any],
    table: Table,
    place: _Place,
    joined: dict[str, dict[str, str]] | None,
) -> Rows:
    yield from table.problems
    for where, row in table.rows:
        try:
            if joined is not None:
                row = row | _brought(options["join"], joined, row)
            reason = _filtered(options, row)
            if reason:
                yield LeftOut(where, reason)
            else:
                yield _example(card, options, place, row, where)
        except UserError as error:
            yield Problem(where, str(error))


def _brought(
    join: dict[str, Any], joined: dict[str, dict[str, str]], row: Mapping[str, str]
) -> dict[str, str]:
    if row[join["on"]] not in joined:
        raise UserError(
            f"{join['on']} {row[join['on']]!r} has no row in the joined table"
        )
    return joined[row[join["on"]]]


def _filtered(options: dict[str, Any], row: Mapping[str, str]) -> str | None:
    """Why the row is left out; None where it stays."""
    for entry in options.get("filters", ()):
        value = row[entry["column"]]
        if value in entry["keep"]:
            continue
        if value not in entry.get("leave_out", ()):
            raise UserError(
                f"{entry['column']} {value!r} is neither kept nor left out by the "
                "card's reader.filters"
            )
        return f"{entry['column']} is {value!r}"
    return None


def _example(
    card: DatasetCard,
    options: dict[str, Any],
    place: _Place,
    row: Mapping[str, str],
    where: str,
) -> Example:
    name = not_blank(row, options["path_column"])
    below = name
    if "path_strip" in options:
        below = str(PurePosixPath(*PurePosixPath(name).parts[options["path_strip"] :]))
    below += options.get("path_suffix", "")
    path = existing_image(place.images, below, place.inside)
    example_id = name
    if "id_column" in options:
        example_id = not_blank(row, options["id_column"])
    cells = [row[column] for column in options["label_columns"]]
    single = len(cells) == 1 and card.labels.kind != "findings"
    return Example(
        example_id,
        _patient(options, row, example_id),
        one_label(card, cells[0]) if single else many_labels(card, cells),
        _split(options, place, row),
        FileImage(path, card.intensity),
        where,
    )


def _patient(options: dict[str, Any], row: Mapping[str, str], example_id: str) -> str:
    column = options.get("patient_column")
    if column is None:
        if "patient_pattern" not in options:
            return example_id
        patient = row[options["path_column"]]
    elif row.get(column):
        patient = row[column]
    elif column not in row or options.get("blank_patient") == "own":
        return example_id
    else:
        patient = not_blank(row, column)
    if "patient_pattern" in options:
        pattern = options["patient_pattern"]
        return check.first_group(pattern, patient, "patient_pattern")
    return patient


def _split(
    options: dict[str, Any], place: _Place, row: Mapping[str, str]
) -> str | None:
    if "split_column" not in options:
        return check.fixed_split(place.split)
    value = row[options["split_column"]]
    if "split_values" not in options:
        return check.split_name(value)
    if value not in options["split_values"]:
        valid = ", ".join(options["split_values"])
        raise UserError(f"split {value!r} is none of {valid}")
    return check.fixed_split(options["split_values"][value])


def _unlisted(images: Path, used: set[Path]) -> Iterator[Remark]:
    """Images in a folder of their own that no row names."""
    listed = {path.resolve() for path in used}
    extra = []
    for folder, _, names in os.walk(images):
        for name in names:
            path = Path(folder, name)
            if (
                path.suffix.lower() in IMAGE_SUFFIXES
                and not name.startswith(".")
                and path.resolve() not in listed
            ):
                extra.append(path)
    if extra:
        first = min(extra).relative_to(images)
        yield Remark(
            str(images),
            f"{len(extra)} images there that no usable row names, the first is {first}",
        )
