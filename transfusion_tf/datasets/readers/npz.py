"""Reader `npz`: one archive with images and labels of each split, as MedMNIST comes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.images import NpzImage
from transfusion_tf.datasets.names import is_blank
from transfusion_tf.datasets.npz_arrays import NpzArray, open_npz
from transfusion_tf.datasets.readers import options as check
from transfusion_tf.datasets.readers.labels import many_labels, one_label
from transfusion_tf.datasets.readers.rows import (
    Example,
    LeftOut,
    Problem,
    Remark,
    Rows,
)
from transfusion_tf.errors import UserError
from transfusion_tf.toml_tables import TABLE, Count, Text

# MedMNIST's names of splits.
NPZ_SPLITS: Mapping[str, check.SplitName] = {
    "train": "train",
    "val": "validation",
    "test": "test",
}


# Share of the card's size below which it is remarked on: 28 px for 32 are usual.
_SMALL = 0.8


@dataclass(frozen=True, kw_only=True, config=TABLE)
class NpzOptions:
    """Options of the reader `npz`."""

    file: check.Places
    """The archive, of `<split>_images` and `<split>_labels`."""
    splits: Annotated[Mapping[Text, check.SplitName], Field(min_length=1)] = Field(
        default_factory=lambda: dict(NPZ_SPLITS)
    )
    """What stands for `<split>`, to ours."""
    examples: Mapping[Text, Count] = Field(default_factory=dict)
    """Images that a split is known to have: where others are found, the reading
    remarks on it."""


def read_npz(card: DatasetCard) -> Rows:
    """Images [n, height, width(, 3)], labels [n], [n, 1] or [n, classes]; patients [n].

    Without an array `<split>_patients` each image stands for itself.
    """
    options = check.reader_options(card, NpzOptions)
    folder = card.data_folder()
    file = check.find(folder, options.file)
    if file is None:
        advice = card.how_to_get() or "reader.file in the card should name it"
        raise UserError(f"{card.name}: no {options.file} in {folder}. {advice}")
    arrays = open_npz(file)
    used = set()
    for name, split in options.splits.items():
        images = _array(card, arrays, file, f"{name}_images")
        labels = _array(card, arrays, file, f"{name}_labels")
        used |= {images.name, labels.name}
        _check_images(card, images)
        _check_labels(card, labels, images)
        if remark := _small_images(card, images):
            yield remark
        known = options.examples.get(name, images.shape[0])
        if images.shape[0] != known:
            reason = f"{images.shape[0]} images, where the card knows {known}"
            yield Remark(f"{file.name}, {images.name}", reason)
        patients = None
        if f"{name}_patients" in arrays:
            used.add(f"{name}_patients")
            patients = _patients(arrays[f"{name}_patients"], images)
        fixed = check.fixed_split(split)
        yield from _examples(card, name, fixed, images, labels, patients)
    if unused := sorted(arrays.keys() - used):
        yield Remark(file.name, f"arrays that are not used: {', '.join(unused)}")


def _array(
    card: DatasetCard, arrays: Mapping[str, NpzArray], file: Path, name: str
) -> NpzArray:
    if name not in arrays:
        raise UserError(
            f"{file} has no array {name!r}; it has {', '.join(arrays) or 'none'}. "
            f"reader.splits in {card.path} says which splits there are"
        )
    return arrays[name]


def _check_images(card: DatasetCard, images: NpzArray) -> None:
    shape, dtype = images.shape, np.dtype(images.dtype)
    if len(shape) not in (3, 4) or shape[3:] not in ((), (1,), (3,)) or 0 in shape:
        raise UserError(
            f"{images.path}: {images.name!r} has the shape {list(shape)}; images are "
            "[n, height, width] or [n, height, width, 3]"
        )
    if dtype.kind not in "buif":
        raise UserError(
            f"{images.path}: {images.name!r} holds {dtype}; images are uint8, 0 to 255"
        )
    if dtype not in (np.uint8, np.bool_) and card.intensity == "error":
        raise UserError(
            f"{images.path}: {images.name!r} holds {dtype}; images are uint8, 0 to "
            "255. Say in the card which values become black and white, intensity = "
            "[0.0, 1.0], or save them as uint8"
        )


def _small_images(card: DatasetCard, images: NpzArray) -> Remark | None:
    """Of images that are much enlarged: those of a smaller set under another name."""
    height, width = images.shape[1:3]
    if min(height, width) >= _SMALL * card.image_size:
        return None
    side = card.image_size
    reason = f"images of {height}x{width} pixels are enlarged to {side}x{side}"
    return Remark(f"{images.path.name}, {images.name}", reason)


def _check_labels(card: DatasetCard, labels: NpzArray, images: NpzArray) -> None:
    count, classes, shape = images.shape[0], len(card.labels.named), labels.shape
    where = f"{labels.path}: {labels.name!r}"
    _check_label_type(labels)
    if not shape or shape[0] != count:
        raise UserError(
            f"{where} has the shape {list(shape)} for {count} images in "
            f"{images.name!r}: both should be as long"
        )
    widths = (classes,) if card.labels.kind == "findings" else (1, classes)
    if len(shape) > 2 or (*shape, 1)[1] not in widths:
        right = " or ".join(f"[{count}, {width}]" for width in widths)
        raise UserError(
            f"{where} has the shape {list(shape)}; for the card's {classes} classes "
            f"of kind {card.labels.kind!r} it should be {right}"
        )


def _check_label_type(labels: NpzArray) -> None:
    dtype = np.dtype(labels.dtype)
    if dtype.kind not in "buifU":
        raise UserError(
            f"{labels.path}: {labels.name!r} holds {dtype}; labels are whole numbers"
        )


def label_rows(labels: NpzArray) -> np.ndarray:
    """The labels, [n, columns]; of False and True 0 and 1.

    Raises:
      UserError: they are neither numbers nor text.
    """
    _check_label_type(labels)
    values = labels.values()
    values = values.reshape(len(values), -1)
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def _patients(array: NpzArray, images: NpzArray) -> list[str]:
    where, count = f"{array.path}: {array.name!r}", images.shape[0]
    if array.shape not in ((count,), (count, 1)):
        raise UserError(
            f"{where} has the shape {list(array.shape)} for {count} images in "
            f"{images.name!r}: both should be as long"
        )
    if np.dtype(array.dtype).kind not in "iuU":
        raise UserError(
            f"{where} holds {np.dtype(array.dtype)}; patients are whole numbers or text"
        )
    return [str(value) for value in array.values().reshape(-1)]


def _examples(
    card: DatasetCard,
    name: str,
    split: str | None,
    images: NpzArray,
    labels: NpzArray,
    patients: list[str] | None,
) -> Rows:
    meant: dict[tuple, tuple[float, ...] | UserError | None] = {}
    for index, row in enumerate(map(tuple, label_rows(labels).tolist())):
        if row not in meant:
            meant[row] = _labels(card, row)
        found = meant[row]
        where = f"{images.path.name}, {labels.name}, row {index}"
        if found is None:
            yield LeftOut(where, "its label is blank")
            continue
        if isinstance(found, UserError):
            yield Problem(where, str(found))
            continue
        image = NpzImage(images, index, card.intensity)
        example_id = f"{name}-{index}"
        where = where.replace(labels.name, images.name)
        patient = patients[index] if patients else example_id
        yield Example(example_id, patient, found, split, image, where)


def _labels(card: DatasetCard, row: tuple) -> tuple[float, ...] | UserError | None:
    """None where the card leaves out images without a label."""
    cells = [str(value).strip() for value in row]
    if card.labels.blank == "leave_out" and all(map(is_blank, cells)):
        return None
    try:
        if len(cells) == 1 and card.labels.kind != "findings":
            return one_label(card, cells[0])
        return many_labels(card, cells)
    except UserError as error:
        return error
