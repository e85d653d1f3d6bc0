"""What a first dataset card can say of a CSV table and the images that it names."""

import dataclasses
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from transfusion_tf.datasets.card import SPLITS
from transfusion_tf.datasets.images import IMAGE_SUFFIXES
from transfusion_tf.datasets.readers.tables import read_table
from transfusion_tf.errors import UserError

SPLIT_NAMES = {*SPLITS, "val", "valid", "dev"}

_MOST_CLASSES = 50
_PATIENT = re.compile(r"patient|subject|person|lesion_?id|case_?id|study_?id", re.I)
_SPLIT = re.compile(r"^(split|fold|set|subset|partition|usage)$", re.I)
_LABEL = re.compile(
    r"label|class|diagnos|level|grade|target|^dx$|categor|finding|patholog|severity",
    re.I,
)
_ORDERED = re.compile(r"level|grade|severity|stage|score|diagnosis", re.I)

# How a patient may stand in a file's name: the most telling first.
_PATIENT_PATTERNS = (
    r"(?i)^(.+?)[_-](?:left|right|l|r|od|os)(?=[_.-]|$)",
    r"(?i)((?:patient|person|subject|pat)[_-]?\d+)",
    r"^([^_]+)_",
    r"^([^-]+)-",
)


@dataclasses.dataclass
class Draft:
    """What goes into the card: (key, value, comment) by table."""

    reader: list[tuple[str, Any, str]]
    kind: str
    classes: list[str]
    extra_labels: list[tuple[str, Any, str]]
    images: list[Path]
    remarks: list[str]


def patient_entry(names: Sequence[str]) -> tuple[str, Any, str]:
    """The line for `patient_pattern`, commented out where nothing speaks for one."""
    for pattern in _PATIENT_PATTERNS:
        found = [re.search(pattern, name) for name in names]
        if not all(found):
            continue
        patients = len({match.group(1) for match in found if match})
        if max(1, 0.02 * len(names)) < patients < 0.98 * len(names):
            return (
                "patient_pattern",
                pattern,
                f"makes {patients} patients of {len(names)} images: is that right?",
            )
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
    table = read_table(file)
    if not table.rows:
        raise UserError(f"{file.name} has no rows that can be read")
    columns = {
        name: [row[name].strip() for _, row in table.rows] for name in table.columns
    }
    path_column, place, suffix, images = _find_images(folder, columns)
    reader: list[tuple[str, Any, str]] = [
        ("kind", "csv", "a table with a row an image"),
        ("file", str(file.relative_to(folder)), f"{len(table.rows)} rows"),
        ("image_folder", place, "from this file"),
        ("path_column", path_column, f"names {len(images)} images that are there"),
    ]
    if suffix:
        reader.append(("path_suffix", suffix, "added to what stands there"))
    rest = {k: v for k, v in columns.items() if k != path_column}
    split = next((k for k in rest if _SPLIT.match(k) and _are_splits(rest[k])), None)
    patient = next((k for k in rest if _PATIENT.search(k)), None)
    rest = {k: v for k, v in rest.items() if k not in (split, patient)}
    labels, kind, classes, extra = _find_labels(rest)
    reader.append(("label_columns", labels, ""))
    if patient:
        count = len(set(columns[patient]))
        reader.append(("patient_column", patient, f"{count} patients"))
    else:
        reader.append(patient_entry(columns[path_column]))
    if split:
        reader.append(("split_column", split, "the data's own splits"))
    unused = [name for name in rest if name not in labels]
    remarks = [f"columns not used: {', '.join(unused)}"] if unused else []
    if len(images) < len(table.rows):
        remarks.append(f"{len(table.rows) - len(images)} rows name no image there")
    return Draft(reader, kind, classes, extra, images, remarks)


def _are_splits(values: Iterable[str]) -> bool:
    return {value.lower() for value in values} <= SPLIT_NAMES


def _find_images(
    folder: Path, columns: dict[str, list[str]]
) -> tuple[str, str, str, list[Path]]:
    """Column of paths, folder that they start from, suffix to add, files found."""
    by_name: dict[str, list[Path]] = defaultdict(list)
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for top, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in names:
            path = Path(top, name)
            if path.suffix.lower() in IMAGE_SUFFIXES:
                by_name[name].append(path)
                by_stem[path.stem].append(path)
    best: tuple[int, str, str, str] = (0, "", "", "")
    for column, values in columns.items():
        for index, bare in ((by_name, False), (by_stem, True)):
            votes: Counter[tuple[str, str]] = Counter()
            for value in values:
                for path in index.get(Path(value).name, ()):
                    suffix = path.suffix if bare else ""
                    full = str(path.relative_to(folder))
                    if full.endswith(value + suffix):
                        start = full[: len(full) - len(value + suffix)]
                        votes[start.rstrip("/") or ".", suffix] += 1
            if votes:
                (start, suffix), number = votes.most_common(1)[0]
                best = max(best, (number, column, start, suffix))
    number, column, start, suffix = best
    if not number:
        raise UserError("no column of the table names images that are there")
    found = [folder / start / (value + suffix) for value in columns[column]]
    return column, start, suffix, [path for path in found if path.is_file()]


_Labels = tuple[list[str], str, list[str], list[tuple[str, Any, str]]]


def _find_labels(columns: dict[str, list[str]]) -> _Labels:
    """Label columns, kind, classes and further lines of [labels]."""
    binary = {
        name: values
        for name, values in columns.items()
        if {"1"} <= _plain(values) <= {"", "0", "1", "-1"}
    }
    if len(binary) >= 2:
        return _many_columns(binary)
    single = {
        name: sorted(set(values))
        for name, values in columns.items()
        if 2 <= len(set(values)) <= _MOST_CLASSES and "" not in values
    }
    named = [name for name in single if _LABEL.search(name)]
    if not single:
        raise UserError(
            "no column of the table looks like labels: 2 to "
            f"{_MOST_CLASSES} different values"
        )
    column = (named or list(single))[0]
    values = single[column]
    if all(re.fullmatch(r"\d+(\.0)?", value) for value in values):
        top = max(int(float(value)) for value in values)
        classes = [str(number) for number in range(top + 1)]
        if top >= 2 and _ORDERED.search(column):
            comment = "the first grade that counts as disease, from 0"
            extra = [("referable_from", min(2, top), comment)]
            return [column], "grade", classes, extra
        return [column], "class", classes, []
    return [column], "class", values, []


def _plain(values: Iterable[str]) -> set[str]:
    return {re.sub(r"\.0+$", "", value) for value in values}


def _many_columns(binary: dict[str, list[str]]) -> _Labels:
    names = list(binary)
    rows = list(zip(*binary.values(), strict=True))
    exclusive = all(
        sorted(float(cell or 0) for cell in row) == [0.0] * (len(row) - 1) + [1.0]
        for row in rows
    )
    if exclusive:
        return names, "class", names, []
    found = set().union(*(_plain(values) for values in binary.values()))
    extra = []
    if "" in found:
        comment = "what a blank cell means: negative, or ignore"
        extra.append(("blank", "negative", comment))
    if "-1" in found:
        comment = "what -1 means: zeros, ones, ignore or multiclass"
        extra.append(("uncertain", "ignore", comment))
    return names, "findings", names, extra
