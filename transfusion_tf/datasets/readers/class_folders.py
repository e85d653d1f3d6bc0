"""Reader `class_folders`: a folder a class."""

import re
from pathlib import Path
from typing import Any

from transfusion_tf.datasets.card import DatasetCard, check_options
from transfusion_tf.datasets.images import IMAGE_SUFFIXES, FileImage
from transfusion_tf.datasets.readers import options as check
from transfusion_tf.datasets.readers.labels import one_label
from transfusion_tf.datasets.readers.rows import Example, LeftOut, Problem, Rows
from transfusion_tf.errors import UserError

_OPTIONS = {
    "folder": check.is_path,
    "split_folders": lambda value: isinstance(value, bool | dict),
    "leave_out": check.are_texts,
    "exclude": check.are_texts,
    "mask_pattern": check.is_pattern,
    "name_patterns": check.is_table,
    "patient_pattern": check.is_pattern,
}


def read_class_folders(card: DatasetCard) -> Rows:
    """A folder a class, its name a class's or one of `labels.values`.

    Options:
      folder: the folder of these folders; a list is tried in turn.
      split_folders: true where train/validation/test folders stand above them; or a
        table of their names to `train`, `validation`, `test` or `draw` (the card's
        shares say).
      leave_out: folders that are left out.
      exclude: file patterns, such as `*_mask.png`, that are left out.
      mask_pattern: a file that matches it is left out as the mask of the image that
        the groups, put together, name; that image must be there.
      name_patterns: a pattern a class, which the names of its files must match.
      patient_pattern: its first group in the file's name is the patient; without it
        every image is a patient of its own.
    """
    options = check_options(card, _OPTIONS, required=("folder",))
    if card.labels.kind == "findings":
        raise UserError(
            f"{card.path}: class folders give one class an image: labels.kind should "
            "be 'class' or 'grade'"
        )
    _check_patterns(card, options.get("name_patterns", {}))
    root = check.require(card, "folder", card.data_folder(), options["folder"])
    if not root.is_dir():
        raise UserError(f"{card.path}: key 'reader.folder': no folder {root}")
    left_out = options.get("leave_out", ())
    tops: list[tuple[str | None, Path]] = [(None, root)]
    if options.get("split_folders"):
        tops = []
        for folder in _subfolders(root):
            if folder.name in left_out:
                yield from _left_out(root, folder)
                continue
            try:
                tops.append((_folder_split(options["split_folders"], folder), folder))
            except UserError as error:
                yield Problem(str(folder), str(error))
    for split, top in tops:
        for path in sorted(top.iterdir()):
            if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
                name = str(path.relative_to(root))
                yield Problem(name, "an image outside the folders of the classes")
        for folder in _subfolders(top):
            if folder.name in left_out:
                yield from _left_out(root, folder)
                continue
            try:
                labels = one_label(card, folder.name)
            except UserError:
                valid = ", ".join(card.labels.values or card.labels.classes)
                yield Problem(
                    str(folder), f"no class {folder.name!r} in the card; valid: {valid}"
                )
                continue
            yield from _folder_rows(card, options, root, folder, split, labels)


def _check_patterns(card: DatasetCard, patterns: dict[str, Any]) -> None:
    for name, pattern in patterns.items():
        try:
            re.compile(pattern)
            right = name in card.labels.classes
        except (re.error, TypeError):
            right = False
        if not right:
            raise UserError(
                f"{card.path}: key 'reader.name_patterns.{name}' should be a class and "
                f"a regular expression, got {pattern!r}"
            )


def _folder_split(split_folders: bool | dict[str, str], folder: Path) -> str | None:
    if split_folders is True:
        return check.split_name(folder.name)
    assert isinstance(split_folders, dict)
    if folder.name not in split_folders:
        valid = ", ".join(split_folders)
        raise UserError(
            f"folder {folder.name!r} is no split of the card; valid: {valid}"
        )
    return check.fixed_split(split_folders[folder.name])


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )


def _files(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if not (path.is_dir() or path.name.startswith(".") or path.name == "Thumbs.db")
    ]


def _left_out(root: Path, folder: Path) -> Rows:
    for path in _files(folder):
        reason = f"in the folder {folder.name!r}, which the card leaves out"
        yield LeftOut(str(path.relative_to(root)), reason)


def _folder_rows(
    card: DatasetCard,
    options: dict[str, Any],
    root: Path,
    folder: Path,
    split: str | None,
    labels: tuple[float, ...],
) -> Rows:
    for path in _files(folder):
        name = str(path.relative_to(root))
        try:
            reason = _exclusion(options, path)
            if reason:
                yield LeftOut(name, reason)
                continue
            _check_name(card, options, path, labels)
            patient = name
            if "patient_pattern" in options:
                pattern = options["patient_pattern"]
                patient = check.first_group(pattern, path.name, "patient_pattern")
            image = FileImage(path, card.intensity)
            yield Example(name, patient, labels, split, image, name)
        except UserError as error:
            yield Problem(name, str(error))


def _exclusion(options: dict[str, Any], path: Path) -> str | None:
    """Why a file is left out; None where it stays."""
    for pattern in options.get("exclude", ()):
        if path.match(pattern):
            return f"a file that matches {pattern!r}, which the card leaves out"
    match = re.search(options.get("mask_pattern", r"(?!)"), path.name)
    if match:
        image = path.with_name("".join(group or "" for group in match.groups()))
        if not image.is_file():
            raise UserError(f"a mask of {image.name}, which is not there")
        return "a mask"
    return None


def _check_name(
    card: DatasetCard, options: dict[str, Any], path: Path, labels: tuple[float, ...]
) -> None:
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise UserError(f"not an image file ({', '.join(IMAGE_SUFFIXES)})")
    own = card.labels.classes[labels.index(1.0)]
    patterns = options.get("name_patterns", {})
    if own in patterns and not re.search(patterns[own], path.name):
        others = [name for name in patterns if re.search(patterns[name], path.name)]
        whose = f"; it is that of {' or '.join(others)}" if others else ""
        raise UserError(f"the name is not that of an image of {own!r}{whose}")
