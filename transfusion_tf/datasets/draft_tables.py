"""What a first dataset card can say of a CSV table and the images that it names."""

import contextlib
import dataclasses
import decimal
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transfusion_tf.datasets.draft_splits import data_splits
from transfusion_tf.datasets.folder_files import files_below
from transfusion_tf.datasets.images import IMAGE_SUFFIXES
from transfusion_tf.datasets.names import as_number, is_blank, normalized
from transfusion_tf.datasets.patient_names import pattern_in
from transfusion_tf.datasets.readers.csv_table import boxes
from transfusion_tf.datasets.readers.labels import binary_cell
from transfusion_tf.datasets.readers.tables import (
    existing_image,
    guessed_encoding,
    read_table,
    strip_folders,
    without_suffix,
)
from transfusion_tf.errors import UserError

_MOST_CLASSES = 50
_BINARY, _TRUTH = {"", "0", "1", "-1"}, {"false", "true"}
# Above a file, in paths that were written on another machine.
_MOST_FOLDERS = 10
# Folders of what was drawn on images.
DRAWN = re.compile(r"mask|segm|annot|label|overlay|contour|heat", re.I)
_PATIENT = re.compile(r"patient|subject|person|lesion_?id|case_?id|study_?id", re.I)
_SPLIT = re.compile(r"^(split|fold|set|subset|partition|usage)$", re.I)
_LABEL = re.compile(
    r"label|class|diagnos|level|grade|target|^dx$|categor|finding|patholog|severity",
    re.I,
)
_ORDERED = re.compile(r"level|grade|severity|stage|score|diagnosis", re.I)


@dataclasses.dataclass
class Draft:
    """What goes into the card: (key, value, comment) by table."""

    reader: list[tuple[str, Any, str]]
    kind: str
    classes: list[str]
    extra_labels: list[tuple[str, Any, str]]
    images: list[Path]
    remarks: list[str]
    shares: dict[str, float] = dataclasses.field(
        default_factory=lambda: {"train": 0.7, "validation": 0.15, "test": 0.15}
    )


def patient_entry(names: Sequence[str], labels: Sequence[str]) -> tuple[str, Any, str]:
    """The line for `patient_pattern`, commented out where nothing speaks for one.

    Args:
      names: of the images.
      labels: the class of each.
    """
    if found := pattern_in(names):
        comment = f"{found.describe(labels)}: is that right?"
        return "patient_pattern", found.pattern, comment
    return (
        "# patient_pattern",
        "^([^_]+)_",
        "its first group is the patient. Without it each image is a patient of its "
        "own: right only if that is so",
    )


def draft_of_table(file: Path, folder: Path) -> Draft:
    """What a card of the table can say; paths in it start from `folder`.

    Raises:
      UserError: it names no images that are there, or nothing in it looks like labels.
    """
    with file.open("rb") as stream:
        encoding = guessed_encoding(stream.read()) or "utf-8"
    table = read_table(file, encoding=encoding)
    if not table.rows:
        raise UserError(f"{file.name} has no rows that can be read")
    columns = {
        name: [row[name] for _, row in table.rows]
        for name in table.columns
        if name not in table.twice
    }
    _check_header(file, table.columns)
    found, images = _find_images(folder, columns)
    if not found.number:
        raise UserError(f"no column of {file.name} names images that are there")
    path_column = found.column
    reader: list[tuple[str, Any, str]] = [
        ("kind", "csv", "a table with a row an image"),
        ("file", str(file.relative_to(folder)), f"{len(table.rows)} rows"),
        ("image_folder", found.start, "from this file"),
        ("path_column", path_column, f"names {len(set(images))} images that are there"),
    ]
    if encoding != "utf-8":
        reader.append(("encoding", encoding, "as its bytes look: are accents right?"))
    if found.strip:
        reader.append(("path_strip", found.strip, "leading folders that are not here"))
    if found.suffix:
        reader.append(("path_suffix", found.suffix, "added to what stands there"))
    rest = {k: v for k, v in columns.items() if k != path_column}
    splits = {k: data_splits(rest[k]) for k in rest if _SPLIT.match(k)}
    split = next((name for name, found in splits.items() if found), None)
    patient = next((k for k in rest if _PATIENT.search(k)), None)
    rest = {k: v for k, v in rest.items() if k not in (split, patient)}
    labels, kind, classes, extra = _find_labels(rest)
    reader.append(("label_columns", labels, ""))
    if patient:
        count = len(set(columns[patient]))
        reader.append(("patient_column", patient, f"{count} patients"))
    else:
        of = columns[labels[0]] if len(labels) == 1 else ["images"] * len(table.rows)
        # One name per image, where a table has several rows of one.
        named = dict(zip(columns[path_column], of, strict=True))
        reader.append(patient_entry(list(named), list(named.values())))
    given = splits[split] if split else None
    if given:
        reader.append(("split_column", split, "the data's own splits"))
    if given and given.values:
        comment = f"{given.missing} is drawn" if given.missing else "what they mean"
        reader.append(("split_values", given.values, comment))
    unused = [name for name in rest if name not in labels]
    remarks = [f"columns not used: {', '.join(unused)}"] if unused else []
    if table.twice:
        remarks.append(f"columns of one name: {', '.join(sorted(table.twice))}")
    if found.others:
        remarks.append(
            f"images of the same names lie in {', '.join(found.others)}, too: check "
            "image_folder"
        )
    missing = len(table.rows) - len(images)
    if missing:
        remarks.append(f"{missing} rows name no image there")
    remarks += boxes(len(images), len(set(images)))
    draft = Draft(reader, kind, classes, extra, sorted(set(images)), remarks)
    if given and given.missing:
        draft.shares = given.shares()
    return draft


def _check_header(file: Path, columns: Sequence[str]) -> None:
    image = next((c for c in columns if c.lower().endswith(IMAGE_SUFFIXES)), None)
    if image:
        raise UserError(
            f"{file.name} has no header, for its first row names the image {image}: "
            "write one above it, such as image,label"
        )


@dataclasses.dataclass(frozen=True)
class _Found:
    """Where the images lie that a column names: see `CsvOptions`.

    Attributes:
      number: how many of the values are images' paths.
      start: the folder that they start from.
      suffix: what they lack.
      others: further folders from which as many are.
      column: the column.
      strip: how many leading folders are dropped from them.
    """

    number: int = 0
    start: str = ""
    suffix: str = ""
    others: tuple[str, ...] = ()
    column: str = ""
    strip: int = 0


def _find_images(
    folder: Path, columns: dict[str, list[str]]
) -> tuple[_Found, list[Path]]:
    """Where the images of a table lie, and the files."""
    by_name: dict[str, list[str]] = defaultdict(list)
    by_stem: dict[str, list[str]] = defaultdict(list)
    for path in files_below(folder):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            full = normalized(path.relative_to(folder).as_posix())
            by_name[normalized(path.name)].append(full)
            by_stem[normalized(path.stem)].append(full)
    best = _Found()
    # Paths of another machine only where no column names what is here.
    for strip in range(_MOST_FOLDERS):
        for column, cells in columns.items():
            values = [strip_folders(cell.replace("\\", "/"), strip) for cell in cells]
            stems = _place(list(map(without_suffix, values)), by_stem)
            for found in (
                _place(values, by_name),
                _place(values, by_stem),
                # With another suffix than the file's: .jpg for .JPG, .dcm for .png.
                dataclasses.replace(stems, suffix="*"),
            ):
                if found.number > best.number:
                    best = dataclasses.replace(found, column=column, strip=strip)
        if best.number:
            break
    files = []
    for value in columns.get(best.column, ()):
        with contextlib.suppress(UserError):
            name = strip_folders(value, best.strip)
            files.append(existing_image(folder / best.start, name, folder, best.suffix))
    return best, files


def _place(values: Sequence[str], images: Mapping[str, Sequence[str]]) -> _Found:
    """How many values are files' paths from one folder.

    Args:
      values: of a column.
      images: paths of images by what the last part of a value may be.
    """
    votes = Counter[str]()
    suffixes: dict[str, set[str]] = defaultdict(set)
    for value in values:
        value = value.removeprefix("./")
        for full in images.get(value.rsplit("/", 1)[-1], ()):
            start, found, rest = f"/{full}".rpartition(f"/{value}")
            if found and "/" not in rest:
                votes[start.lstrip("/") or "."] += 1
                suffixes[start.lstrip("/") or "."].add(rest)
    if not votes:
        return _Found()
    # Masks have the names of their images.
    start = max(votes, key=lambda name: (votes[name], not DRAWN.search(name)))
    others = tuple(n for n in votes if n != start and votes[n] == votes[start])
    missing = suffixes[start]
    suffix = "*" if len(missing) > 1 else missing.pop()
    return _Found(votes[start], start, suffix, others)


_Labels = tuple[list[str], str, list[str], list[tuple[str, Any, str]]]


def _find_labels(columns: dict[str, list[str]]) -> _Labels:
    """Label columns, kind, classes and further lines of [labels]."""
    binary = {
        name: cells
        for name, values in columns.items()
        if {"1"} <= set(cells := list(map(binary_cell, values))) <= _BINARY
    }
    # False and True may stand for anything that a table notes of its images.
    numbers = [
        name for name in binary if not set(map(str.lower, columns[name])) & _TRUTH
    ]
    if len(numbers) >= 2:
        return _many_columns({name: binary[name] for name in numbers})
    single = {
        name: found
        for name, values in columns.items()
        if 2 <= len(found := _class_names(values)) <= _MOST_CLASSES
    }
    if len(binary) >= 2 and not any(map(_LABEL.search, single.keys() - binary.keys())):
        return _many_columns(binary)
    if not single:
        raise UserError(
            "no column of the table looks like labels: 2 to "
            f"{_MOST_CLASSES} different values"
        )
    blank = {name: sum(map(is_blank, columns[name])) for name in single}
    # What is called so, and of the others what every row has.
    column = min(single, key=lambda name: (not _LABEL.search(name), blank[name] > 0))
    classes = single[column]
    extra: list[tuple[str, Any, str]] = []
    if blank[column]:
        comment = f"{blank[column]} rows without a label are left out"
        extra.append(("blank", "leave_out", comment))
    numbered = all(as_number(name) is not None for name in classes)
    if numbered and len(classes) > 2 and _ORDERED.search(column):
        comment = "the first grade that counts as disease, by its place from 0: "
        extra.append(("referable_from", 2, f"{comment}here it is {classes[2]!r}"))
        return [column], "grade", classes, extra
    return [column], "class", classes, extra


def _class_names(values: Iterable[str]) -> list[str]:
    """Different values in their order; numbers by their value, each once."""
    named = sorted({value for value in values if not is_blank(value)})
    numbers: dict[decimal.Decimal, str] = {}
    for value in sorted(named, key=len):
        number = as_number(value)
        if number is None:
            return named
        # As it stands there, "01", but without the decimals of "1.0".
        plain = value if value.lstrip("-").isdecimal() else f"{number.normalize():f}"
        numbers.setdefault(number, plain)
    return [numbers[number] for number in sorted(numbers)]


def _many_columns(binary: dict[str, list[str]]) -> _Labels:
    names = list(binary)
    rows = list(zip(*binary.values(), strict=True))
    exclusive = all(
        sorted(int(cell or "0") for cell in row) == [0] * (len(row) - 1) + [1]
        for row in rows
    )
    if exclusive:
        return names, "class", names, []
    found = set().union(*binary.values())
    extra = []
    if "" in found:
        comment = "what a blank cell means: negative, or ignore"
        extra.append(("blank", "negative", comment))
    if "-1" in found:
        comment = "what -1 means: zeros, ones, ignore or multiclass"
        extra.append(("uncertain", "ignore", comment))
    return names, "findings", names, extra
