"""A first `dataset.toml` for a folder or a table, guessed, for the user to correct."""

import dataclasses
import json
import os
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from transfusion_tf import files
from transfusion_tf.datasets.card import SPLITS
from transfusion_tf.datasets.images import IMAGE_SUFFIXES
from transfusion_tf.datasets.readers.tables import read_table
from transfusion_tf.errors import UserError

CARD_FILE = "dataset.toml"

_SAMPLE = 200
_MOST_CLASSES = 50
_SPLIT_NAMES = {*SPLITS, "val", "valid", "dev"}
_PATIENT = re.compile(r"patient|subject|person|lesion_?id|case_?id|study_?id", re.I)
_SPLIT = re.compile(r"^(split|fold|set|subset|partition|usage)$", re.I)
_LABEL = re.compile(
    r"label|class|diagnos|level|grade|target|^dx$|categor|finding|patholog|severity",
    re.I,
)
_ORDERED = re.compile(r"level|grade|severity|stage|score|diagnosis", re.I)
_MASK = re.compile(r"[_-](mask|seg|segmentation)(?=[_.\d-]|$)", re.I)

# How a patient may stand in a file's name: the most telling first.
_PATIENT_PATTERNS = (
    r"(?i)^(.+?)[_-](?:left|right|l|r|od|os)(?=[_.-]|$)",
    r"(?i)((?:patient|person|subject|pat)[_-]?\d+)",
    r"^([^_]+)_",
    r"^([^-]+)-",
)


@dataclasses.dataclass
class _Draft:
    """What goes into the card: (key, value, comment) by table."""

    reader: list[tuple[str, Any, str]]
    kind: str
    classes: list[str]
    extra_labels: list[tuple[str, Any, str]]
    images: list[Path]
    remarks: list[str]


def write_draft(source: str | Path) -> Path:
    """Looks at a folder or a CSV file and writes a commented `dataset.toml` there.

    Args:
      source: a folder of class folders (perhaps below train, val and test), a folder
        that holds a CSV table and images, or the table itself.

    Returns:
      The path of the card, beside the table or in the folder.

    Raises:
      UserError: there is a card already, which is never overwritten; there is no
        such place, nothing in it looks like a data set, or it can't be written to.
    """
    place = Path(source).expanduser().absolute()
    if not place.exists():
        raise UserError(f"no folder or CSV file {place}")
    folder = place if place.is_dir() else place.parent
    target = folder / CARD_FILE
    if target.exists():
        raise UserError(
            f"{target} is there already and is left as it is; move it away to have a "
            "new one guessed"
        )
    draft = _from_table(place, folder) if place.is_file() else _from_folder(folder)
    files.write_text(target, _as_toml(folder, draft))
    return target


# --- folders ---------------------------------------------------------------------


def _from_folder(folder: Path) -> _Draft:
    tables = sorted(path for path in _near(folder, "*.csv") if path.is_file())
    reasons = []
    drafts = []
    for table in tables:
        try:
            drafts.append((table, _from_table(table, folder)))
        except UserError as error:
            reasons.append(str(error))
    if drafts:
        # The table that names the most images; of equals, that of the most labels.
        table, draft = max(drafts, key=lambda item: _worth(item[1]))
        others = [str(path.relative_to(folder)) for path in tables if path != table]
        if others:
            draft.remarks.append(f"other tables there: {', '.join(others)}")
        return draft
    guessed = _from_class_folders(folder)
    if guessed is None:
        why = f" ({'; '.join(reasons)})" if reasons else ""
        raise UserError(
            f"{folder} looks like no data set{why}: expected is a folder a class with "
            f"images ({', '.join(IMAGE_SUFFIXES)}), or a CSV table that names images"
        )
    return guessed


def _near(folder: Path, pattern: str) -> list[Path]:
    """What matches in the folder or one below it."""
    return [*folder.glob(pattern), *folder.glob(f"*/{pattern}")]


def _worth(draft: _Draft) -> tuple[int, int]:
    columns = next(value for key, value, _ in draft.reader if key == "label_columns")
    return len(draft.images), len(columns)


def _from_class_folders(root: Path) -> _Draft | None:
    # Archives often unpack into a folder around all of it.
    for folder in (root, *sorted(_near(root, "*"))):
        if folder.is_dir() and not folder.name.startswith("."):
            draft = _class_folders_in(folder, str(folder.relative_to(root)))
            if draft is not None:
                return draft
    return None


def _class_folders_in(folder: Path, name: str) -> _Draft | None:
    tops = [f for f in _subfolders(folder) if f.name.lower() in _SPLIT_NAMES]
    reader: list[tuple[str, Any, str]] = [
        ("kind", "class_folders", "a folder a class"),
        ("folder", name, "the folder of these folders, from this file"),
    ]
    if tops:
        names = ", ".join(top.name for top in tops)
        reader.append(("split_folders", True, f"they stand below {names}"))
    classes: dict[str, list[Path]] = defaultdict(list)
    for top in tops or [folder]:
        for child in _subfolders(top):
            images = [p for p in child.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES]
            if images:
                classes[child.name] += images
    if len(classes) < 2:
        return None
    images = [path for paths in classes.values() for path in paths]
    found = {path: _MASK.search(path.stem) for path in images}
    masks = Counter(match.group(0) for match in found.values() if match)
    if masks:
        patterns = [f"*{part}*" for part in sorted(masks)]
        number = masks.total()
        reader.append(("exclude", patterns, f"{number} files look like masks"))
        images = [path for path, match in found.items() if not match]
    reader.append(_patient_entry([path.name for path in images]))
    return _Draft(reader, "class", sorted(classes), [], images, [])


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")
    )


def _patient_entry(names: Sequence[str]) -> tuple[str, Any, str]:
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


# --- tables ----------------------------------------------------------------------


def _from_table(file: Path, folder: Path) -> _Draft:
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
    labels, kind, classes, extra = _guess_labels(rest)
    reader.append(("label_columns", labels, ""))
    if patient:
        count = len(set(columns[patient]))
        reader.append(("patient_column", patient, f"{count} patients"))
    else:
        reader.append(_patient_entry(columns[path_column]))
    if split:
        reader.append(("split_column", split, "the data's own splits"))
    unused = [name for name in rest if name not in labels]
    remarks = [f"columns not used: {', '.join(unused)}"] if unused else []
    if len(images) < len(table.rows):
        remarks.append(f"{len(table.rows) - len(images)} rows name no image there")
    return _Draft(reader, kind, classes, extra, images, remarks)


def _are_splits(values: Iterable[str]) -> bool:
    return {value.lower() for value in values} <= _SPLIT_NAMES


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


def _guess_labels(columns: dict[str, list[str]]) -> _Labels:
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


# --- writing ---------------------------------------------------------------------


def _as_toml(folder: Path, draft: _Draft) -> str:
    name = re.sub(r"\W+", "_", folder.name, flags=re.ASCII).strip("_").lower()
    name = name if name.isidentifier() else f"data_{name}".rstrip("_")
    size, size_comment, deep = _image_facts(draft.images)
    lines = [
        "# Guessed from the files: read each line, correct it, and then run",
        "#   transfusion-data audit " + json.dumps(str(folder / CARD_FILE)),
    ]
    lines += [f"# Note: {remark}." for remark in draft.remarks]
    lines += [
        "",
        _line("name", name, "names folders; letters, digits, underscores"),
        _line("title", folder.name, "stands above the report"),
        _line("image_size", size, size_comment),
    ]
    if deep:
        comment = f"{deep}; or [low, high], which become black and white"
        lines.append(_line("intensity", "minmax", comment))
    lines += ["", "[reader]", *(_line(*entry) for entry in draft.reader)]
    kinds = {
        "grade": "ordered classes; or class",
        "class": "one of the classes; or grade, if they are ordered",
        "findings": "any number of them in an image",
    }
    lines += ["", "[labels]", _line("kind", draft.kind, kinds[draft.kind])]
    lines.append(_line("classes", draft.classes, "in the order of the outputs"))
    lines += [_line(*entry) for entry in draft.extra_labels]
    lines += [
        "",
        "[splits]  # shares of the patients, unless the data have splits of their own",
        _line("train", 0.7, ""),
        _line("validation", 0.15, ""),
        _line("test", 0.15, ""),
        "",
        "[augmentation]",
        _line("policy", "none", "or retina, chest, photographs"),
        "",
    ]
    return "\n".join(lines)


def _line(key: str, value: Any, comment: str) -> str:
    # JSON's texts, numbers, booleans and lists are TOML's.
    text = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    return f"{text}  # {comment}" if comment else text


def _image_facts(paths: Sequence[Path]) -> tuple[int, str, str]:
    """Side to train at, why, and why more than 8 bits must be dealt with, if so."""
    sides, deep = [], Counter[str]()
    for path in paths[:: max(1, len(paths) // _SAMPLE)]:
        if path.suffix.lower() in (".dcm", ".dicom", ".npy"):
            deep[f"{path.suffix} files may have more than 8 bits"] += 1
            continue
        try:
            with Image.open(path) as image:
                sides.append(min(image.size))
                if image.mode.startswith(("I", "F")):
                    deep["images of more than 8 bits"] += 1
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
    why = deep.most_common(1)[0][0] if deep else ""
    if not sides:
        return 224, "height and width of the model's input", why
    middle = int(statistics.median(sides))
    size = 224 if middle >= 224 else max(32, middle // 32 * 32)
    return size, f"the images' shorter sides: {min(sides)} to {max(sides)} px", why
