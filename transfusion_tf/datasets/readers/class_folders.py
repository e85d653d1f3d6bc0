"""Reader `class_folders`: a folder a class."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, StrictBool, WithJsonSchema
from pydantic.dataclasses import dataclass

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.folder_files import (
    entries,
    files_below,
    on_disk,
    subfolders,
)
from transfusion_tf.datasets.images import IMAGE_SUFFIXES, FileImage
from transfusion_tf.datasets.names import find_name, normalized
from transfusion_tf.datasets.readers import options as check
from transfusion_tf.datasets.readers.labels import meant_classes, one_label
from transfusion_tf.datasets.readers.rows import Example, LeftOut, Problem, Rows
from transfusion_tf.errors import UserError, valid_names
from transfusion_tf.toml_tables import TABLE, Text

_SplitFolders = Annotated[
    StrictBool | Mapping[str, check.SplitName],
    WithJsonSchema(
        {"expected": "true, or names of folders to train, validation, test or draw"}
    ),
]


@dataclass(frozen=True, kw_only=True, config=TABLE)
class ClassFolderOptions:
    """Options of the reader `class_folders`."""

    folder: check.Places
    """The folder of the classes' folders."""
    split_folders: _SplitFolders = False
    """True where train, validation and test stand above them; or their other names."""
    leave_out: tuple[Text, ...] = ()
    """Folders that are left out."""
    exclude: tuple[Text, ...] = ()
    """File patterns, such as `*_mask.png`, that are left out."""
    mask_pattern: check.Pattern | None = None
    """A file that matches it is left out as the mask of the image that the groups, put
    together, name; that image must be there."""
    name_patterns: Mapping[str, check.AnyPattern] = Field(default_factory=dict)
    """A pattern per class, which the names of its files must match."""
    patient_pattern: check.Pattern | None = None
    """Its first group in the file's name is the patient, or, where the pattern holds a
    slash, in its path below the folder of the class; without it every image is a
    patient of its own."""


def read_class_folders(card: DatasetCard) -> Rows:
    """A folder a class, its name a class's or one of `labels.values`."""
    options = check.reader_options(card, ClassFolderOptions)
    if card.labels.kind == "findings":
        raise UserError(
            f"{card.path}: class folders give one class an image: labels.kind should "
            "be 'class' or 'grade'"
        )
    for name in options.name_patterns:
        if name not in card.labels.classes:
            valid = valid_names(name, card.labels.classes)
            raise UserError(
                f"{card.path}: unknown key 'reader.name_patterns.{name}'{valid}"
            )
    root = check.require(card, "folder", card.data_folder(), options.folder)
    if not root.is_dir():
        raise UserError(f"{card.path}: key 'reader.folder': no folder {root}")
    tops: list[tuple[str | None, Path]] = [(None, root)]
    if options.split_folders:
        tops = []
        for folder in subfolders(root):
            if find_name(folder.name, options.leave_out):
                yield from _left_out(root, folder)
                continue
            try:
                tops.append((_folder_split(options.split_folders, folder), folder))
            except UserError as error:
                yield Problem(str(folder), str(error), images=_count_images(folder))
    for split, top in tops:
        yield from _top_rows(card, options, root, top, split)


def _top_rows(
    card: DatasetCard,
    options: ClassFolderOptions,
    root: Path,
    top: Path,
    split: str | None,
) -> Rows:
    for path in entries(top):
        if _is_image(path) and path.is_file():
            name = str(path.relative_to(root))
            yield Problem(name, "an image outside the folders of the classes")
    for folder in subfolders(top):
        if find_name(folder.name, options.leave_out):
            yield from _left_out(root, folder)
            continue
        try:
            labels = one_label(card, folder.name)
        except UserError:
            valid = meant_classes(card.labels, folder.name)
            yield Problem(
                str(folder),
                f"no class {folder.name!r} in the card{valid}",
                images=_count_images(folder),
            )
            continue
        yield from _folder_rows(card, options, root, folder, split, labels)


def _folder_split(split_folders: bool | Mapping[str, str], folder: Path) -> str | None:
    if split_folders is True:
        return check.split_name(folder.name, "split_folders")
    assert isinstance(split_folders, Mapping)
    meant = find_name(folder.name, split_folders)
    if meant is None:
        valid = valid_names(folder.name, split_folders)
        raise UserError(f"folder {folder.name!r} is no split of the card{valid}")
    return check.fixed_split(split_folders[meant])


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _count_images(folder: Path) -> int:
    return sum(map(_is_image, files_below(folder)))


def _left_out(root: Path, folder: Path) -> Rows:
    for path in files_below(folder):
        reason = f"in the folder {folder.name!r}, which the card leaves out"
        yield LeftOut(str(path.relative_to(root)), reason)


def _folder_rows(
    card: DatasetCard,
    options: ClassFolderOptions,
    root: Path,
    folder: Path,
    split: str | None,
    labels: tuple[float, ...],
) -> Rows:
    for path in files_below(folder):
        name = normalized(str(path.relative_to(root)))
        try:
            reason = _exclusion(options, path)
            if reason:
                yield LeftOut(name, reason)
                continue
            _check_name(card, options, path, labels)
            patient = name
            if pattern := options.patient_pattern:
                below = path.relative_to(folder) if "/" in pattern else path.name
                patient = check.first_group(pattern, str(below), "patient_pattern")
            image = FileImage(path, card.intensity)
            yield Example(name, patient, labels, split, image, name)
        except UserError as error:
            yield Problem(name, str(error), images=int(_is_image(path)), labels=labels)


def _exclusion(options: ClassFolderOptions, path: Path) -> str | None:
    """Why a file is left out; None where it stays."""
    for pattern in options.exclude:
        if path.match(pattern):
            return f"a file that matches {pattern!r}, which the card leaves out"
    match = re.search(options.mask_pattern or r"(?!)", normalized(path.name))
    if match:
        image = path.with_name("".join(group or "" for group in match.groups()))
        if on_disk(image) is None:
            raise UserError(f"a mask of {image.name}, which is not there")
        return "a mask"
    return None


def _check_name(
    card: DatasetCard,
    options: ClassFolderOptions,
    path: Path,
    labels: tuple[float, ...],
) -> None:
    if not _is_image(path):
        raise UserError(f"not an image file ({', '.join(IMAGE_SUFFIXES)})")
    own = card.labels.classes[labels.index(1.0)]
    patterns, name = options.name_patterns, normalized(path.name)
    if own in patterns and not re.search(patterns[own], name):
        others = [other for other in patterns if re.search(patterns[other], name)]
        whose = f"; it is that of {' or '.join(others)}" if others else ""
        raise UserError(f"the name is not that of an image of {own!r}{whose}")
