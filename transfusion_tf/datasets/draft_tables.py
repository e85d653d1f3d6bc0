"""What a first dataset card can say of a CSV table and the images that it names."""

import dataclasses
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from transfusion_tf.datasets.draft_image_paths import find_images, path_entries
from transfusion_tf.datasets.draft_labels import find_labels, listed_findings
from transfusion_tf.datasets.draft_splits import data_splits
from transfusion_tf.datasets.images import IMAGE_SUFFIXES
from transfusion_tf.datasets.patient_names import pattern_in
from transfusion_tf.datasets.readers.csv_table import boxes
from transfusion_tf.datasets.readers.tables import guessed_encoding, read_table
from transfusion_tf.errors import UserError

_PATIENT = re.compile(
    r"(?!.*(\bage|sex|gender))(.*patient|.*subject|.*person|.*(lesion|case|study)_?id)",
    re.I,
)
_SPLIT = re.compile(r"^(split|fold|set|subset|partition|usage)$", re.I)


@dataclasses.dataclass(frozen=True)
class ImageFacts:
    """What is known of the images' pixels.

    Attributes:
      sides: shorter sides of some or all of them, in pixels.
      deep: why a rule is needed for more than 8 bits; empty where none is.
    """

    sides: tuple[int, ...]
    deep: str


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
    facts: ImageFacts | None = None
    """Of images that are no files."""
    name: str = ""
    """The data's, where it is not the folder's."""


def patient_entry(names: Sequence[str], labels: Sequence[str]) -> tuple[str, Any, str]:
    """The line for `patient_pattern`, commented out where nothing speaks for one.

    Args:
      names: of the images.
      labels: the class of each.
    """
    if found := pattern_in(names, len(set(labels))):
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
    found, images = find_images(folder, columns)
    if not found.number:
        raise UserError(f"no column of {file.name} names images that are there")
    path_column = found.column
    reader: list[tuple[str, Any, str]] = [
        ("kind", "csv", "a table with a row an image"),
        ("file", str(file.relative_to(folder)), f"{len(table.rows)} rows"),
        *path_entries(found, len(set(images)), encoding),
    ]
    rest = {k: v for k, v in columns.items() if k != path_column}
    splits = {k: data_splits(rest[k]) for k in rest if _SPLIT.match(k)}
    split = next((name for name, found in splits.items() if found), None)
    patient = next((k for k in rest if _PATIENT.match(k)), None)
    rest = {k: v for k, v in rest.items() if k not in (split, patient)}
    extra: list[tuple[str, Any, str]] = []
    if listed := listed_findings(rest):
        column, classes, lines = listed
        labels, kind = [column], "findings"
        reader += [("label_columns", labels, ""), *lines]
    else:
        labels, kind, classes, extra = find_labels(rest)
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
    remarks = _remarks(unused, table.twice, found.others)
    missing = len(table.rows) - len(images)
    if missing:
        remarks.append(f"{missing} rows name no image there")
    remarks += boxes(len(images), len(set(images)))
    draft = Draft(reader, kind, classes, extra, sorted(set(images)), remarks)
    if given and given.missing:
        draft.shares = given.shares()
    return draft


def _remarks(
    unused: Sequence[str], twice: Collection[str], other_folders: Sequence[str]
) -> list[str]:
    """What a person should check in the table's columns and folders."""
    remarks: list[str] = []
    if unused:
        remarks.append(f"columns not used: {', '.join(unused)}")
    if twice:
        remarks.append(f"columns of one name: {', '.join(sorted(twice))}")
    if other_folders:
        remarks.append(
            f"images of the same names lie in {', '.join(other_folders)}, too: check "
            "image_folder"
        )
    return remarks


def _check_header(file: Path, columns: Sequence[str]) -> None:
    image = next((c for c in columns if c.lower().endswith(IMAGE_SUFFIXES)), None)
    if image:
        raise UserError(
            f"{file.name} has no header, for its first row names the image {image}: "
            "write one above it, such as image,label"
        )
