"""A draft of a `dataset.toml` for a folder or a table, for the user to correct."""

import json
import os
import re
import shlex
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from transfusion_tf import files
from transfusion_tf.datasets.draft_image_paths import DRAWN
from transfusion_tf.datasets.draft_npz import draft_of_npz
from transfusion_tf.datasets.draft_splits import SPLIT_NAMES, data_splits
from transfusion_tf.datasets.draft_tables import (
    Draft,
    ImageFacts,
    draft_of_table,
    patient_entry,
)
from transfusion_tf.datasets.folder_files import entries, files_below, subfolders
from transfusion_tf.datasets.images import IMAGE_SUFFIXES
from transfusion_tf.datasets.names import as_number, find_name, normalized
from transfusion_tf.datasets.patient_names import pattern_in
from transfusion_tf.errors import UserError

CARD_FILE = "dataset.toml"
_TABLES = (".csv", ".tsv", ".xlsx", ".xls")

_SAMPLE = 200
_NEARLY_ALL = 0.8
_MASK = re.compile(r"[_-](mask|seg|segmentation)(?=[_.\d-]|$)", re.I)


def write_draft_card(source: str | Path) -> Path:
    """Looks at a folder or a file and writes a commented `dataset.toml` there.

    Args:
      source: a folder of class folders (perhaps below train, val and test), a folder
        that holds a CSV table and images or an `.npz` archive, or the table or archive
        itself.

    Returns:
      The path of the card, beside the file or in the folder.

    Raises:
      UserError: there is a card already, which is never overwritten; there is no
        such place, nothing in it looks like a data set, or it can't be written to.
    """
    place = Path(source).expanduser().absolute()
    if not place.exists():
        raise UserError(f"no folder or file {place}")
    if place.is_file() and place.suffix.lower() in IMAGE_SUFFIXES:
        raise UserError(f"{place} is an image: name the folder of the data, or a table")
    folder = place if place.is_dir() else place.parent
    target = folder / CARD_FILE
    if not os.access(folder, os.W_OK):
        # Shared data are often read-only: then the card lies here.
        target = Path.cwd() / CARD_FILE
        if not os.access(target.parent, os.W_OK):
            raise UserError(
                f"neither {folder} nor the present folder, {target.parent}, may be "
                "written to: go to one that may, and call init from there"
            )
    if target.exists():
        raise UserError(
            f"{target} is there already and is left as it is; move it away to have a "
            "new one drafted"
        )
    draft = _from_file(place, folder) if place.is_file() else _from_folder(folder)
    files.write_text(target, _as_toml(folder, target, draft))
    return target


def _from_file(file: Path, folder: Path) -> Draft:
    of_kind = draft_of_npz if file.suffix.lower() == ".npz" else draft_of_table
    return of_kind(file, folder)


def _from_folder(folder: Path) -> Draft:
    near = [path for path in _near(folder) if path.is_file()]
    tables = [path for path in near if path.suffix.lower() in _TABLES]
    reasons = []
    drafts = []
    for table in tables:
        try:
            drafts.append((table, draft_of_table(table, folder)))
        except UserError as error:
            reasons.append(str(error))
    if drafts:
        # The table that names the most images; of equals, that of the most labels.
        table, draft = max(drafts, key=lambda item: _worth(item[1]))
        others = [str(path.relative_to(folder)) for path in tables if path != table]
        if others:
            draft.remarks.append(f"other tables there: {', '.join(others)}")
        return draft
    found = _from_class_folders(folder)
    archives = [path for path in near if path.suffix.lower() == ".npz"]
    if found is None and len(archives) == 1:
        return draft_of_npz(archives[0], folder)
    if found is None:
        if archives:
            reasons.append(f"name one of {', '.join(path.name for path in archives)}")
        why = f" ({'; '.join(reasons)})" if reasons else ""
        raise UserError(
            f"{folder} looks like no data set{why}: expected is a folder a class with "
            f"images ({', '.join(IMAGE_SUFFIXES)}), a CSV table that names images, or "
            "an .npz archive"
        )
    found.remarks.extend(f"not used: {reason}" for reason in reasons)
    return found


def _near(folder: Path) -> list[Path]:
    """What lies in the folder or one below it."""
    below = [folder, *subfolders(folder)]
    return [path for top in below for path in entries(top)]


def _worth(draft: Draft) -> tuple[int, int]:
    columns = next(value for key, value, _ in draft.reader if key == "label_columns")
    return len(draft.images), len(columns)


def _from_class_folders(root: Path) -> Draft | None:
    every = sum(
        not (
            _MASK.search(path.stem) or DRAWN.search(str(path.parent.relative_to(root)))
        )
        for path in _images_below(root)
    )
    drafts = []
    # Archives often unpack into a folder around all of it.
    for images_in in (_images_directly_in, _images_below):
        for folder in (root, *filter(Path.is_dir, _near(root))):
            draft = _class_folders_in(folder, str(folder.relative_to(root)), images_in)
            if draft is not None:
                drafts.append(draft)
                # Of a folder per patient, those of one class are no classes.
                if len(draft.images) >= _NEARLY_ALL * every:
                    return draft
    best = max(drafts, key=lambda draft: len(draft.images), default=None)
    if best:
        rest = every - len(best.images)
        best.remarks.append(f"{rest} of {every} images lie in other folders")
    return best


def _images_directly_in(folder: Path) -> list[Path]:
    return [path for path in _images_below(folder) if path.parent == folder]


def _images_below(folder: Path) -> list[Path]:
    return [p for p in files_below(folder) if p.suffix.lower() in IMAGE_SUFFIXES]


def _class_folders_in(
    folder: Path, name: str, images_in: Callable[[Path], list[Path]]
) -> Draft | None:
    tops = [f for f in subfolders(folder) if f.name.lower() in SPLIT_NAMES]
    given = data_splits(top.name for top in tops)
    if not tops:
        tops = [child for child in subfolders(folder) if _images_below(child)]
        given = data_splits(top.name for top in tops)
        tops = tops if given else []
    reader: list[tuple[str, Any, str]] = [
        ("kind", "class_folders", "a folder a class"),
        ("folder", name, "the folder of these folders, from this file"),
    ]
    if tops:
        names = ", ".join(top.name for top in tops)
        comment = f"they stand below {names}"
        if given and given.missing:
            comment += f"; {given.missing} is drawn"
        value = given.values if given and given.values else True
        reader.append(("split_folders", value, comment))
    classes: dict[str, list[Path]] = defaultdict(list)
    # As the reader has it: path below the folder of its class.
    below: dict[Path, str] = {}
    for top in tops or [folder]:
        for child in subfolders(top):
            if images_in(child):
                # The reader takes what lies deeper too.
                images = _images_below(child)
                own = find_name(child.name, classes) or normalized(child.name)
                classes[own] += images
                below |= {path: path.relative_to(child).as_posix() for path in images}
    if len(classes) < 2:
        return None
    masks = Counter(found[0] for path in below if (found := _MASK.search(path.stem)))
    if masks:
        patterns = [f"*{part}*" for part in sorted(masks)]
        number = masks.total()
        reader.append(("exclude", patterns, f"{number} files look like masks"))
    images = [path for path in below if not _MASK.search(path.stem)]
    of = {path: name for name, paths in classes.items() for path in paths}
    named = [normalized(below[path]) for path in images]
    if not pattern_in(named, len(classes)):
        named = [path.rsplit("/", 1)[-1] for path in named]
    reader.append(patient_entry(named, [of[path] for path in images]))
    ordered = sorted(classes, key=lambda name: (as_number(name) or 0, name))
    draft = Draft(reader, "class", ordered, [], images, [])
    if given and given.missing:
        draft.shares = given.shares()
    return draft


def _as_toml(folder: Path, target: Path, draft: Draft) -> str:
    title = draft.name or folder.name
    name = re.sub(r"\W+", "_", title, flags=re.ASCII).strip("_").lower()
    name = name if name.isidentifier() else f"data_{name}".rstrip("_")
    facts = draft.facts or _image_facts(draft.images)
    size, size_comment = _size_to_train_at(facts.sides)
    lines = [
        "# Drafted from the files: read each line, correct it, and then run",
        "#   transfusion-data audit " + shlex.quote(str(target)),
    ]
    remarks = [*draft.remarks, *_odd_classes(draft.classes)]
    lines += [f"# Note: {remark}." for remark in remarks]
    lines += [
        "",
        _line("name", name, "names folders; letters, digits, underscores"),
        _line("title", title, "stands above the report"),
        _line("image_size", size, size_comment),
    ]
    if target.parent != folder:
        lines.append(_line("folder", str(folder), "where the data lie"))
    if facts.deep:
        comment = f"{facts.deep}; or [low, high], which become black and white"
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
        *(_line(name, share, "") for name, share in draft.shares.items()),
        "",
        "[augmentation]",
        _line("policy", "none", "or retina, chest, photographs"),
        "",
    ]
    return "\n".join(lines)


def _odd_classes(classes: Sequence[str]) -> list[str]:
    """What is to be said of names that are hardly different classes, or several."""
    remarks = []
    by_letters: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        by_letters[re.sub(r"[\s_]", "", name.casefold())].append(name)
    for alike in by_letters.values():
        if len(alike) > 1:
            named = " and ".join(map(repr, alike))
            remarks.append(f"{named} are spelled differently: labels.values joins them")
    joined = [name for name in classes if "|" in name]
    if joined:
        remarks.append(
            f"{joined[0]!r} looks like several findings in one cell: write a table "
            "with a column for each, which holds 0 or 1"
        )
    return remarks


def _line(key: str, value: Any, comment: str) -> str:
    # JSON's texts, numbers, booleans and lists are TOML's; patterns read better raw.
    raw = isinstance(value, str) and "\\" in value and "'" not in value
    written = f"'{value}'" if raw else _as_json(value)
    text = f"{key} = {written}"
    return f"{text}  # {comment}" if comment else text


def _as_json(value: Any) -> str:
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    pairs = (f"{_as_json(key)} = {_as_json(entry)}" for key, entry in value.items())
    return f"{{{', '.join(pairs)}}}"


def _image_facts(paths: Sequence[Path]) -> ImageFacts:
    """What some of the files say of their images."""
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
    return ImageFacts(tuple(sides), deep.most_common(1)[0][0] if deep else "")


def _size_to_train_at(sides: Sequence[int]) -> tuple[int, str]:
    """The side of the model's input, and why."""
    if not sides:
        return 224, "height and width of the model's input"
    middle = int(statistics.median(sides))
    size = 224 if middle >= 224 else max(32, middle // 32 * 32)
    return size, f"the images' shorter sides: {min(sides)} to {max(sides)} px"
