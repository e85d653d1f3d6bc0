"""What a first dataset card can say of an `.npz` archive of images and labels."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np

from transfusion_tf.datasets.card_families import family_cards
from transfusion_tf.datasets.draft_labels import find_labels
from transfusion_tf.datasets.draft_splits import data_splits
from transfusion_tf.datasets.draft_tables import Draft, ImageFacts
from transfusion_tf.datasets.npz_arrays import NpzArray, open_npz
from transfusion_tf.datasets.readers.npz import NPZ_SPLITS, label_rows
from transfusion_tf.datasets.readers.options import SPLIT_ALIASES
from transfusion_tf.errors import UserError


def draft_of_npz(file: Path, folder: Path) -> Draft:
    """What a card of the archive can say; the path in it starts from `folder`.

    Raises:
      UserError: it holds no pair of arrays `<split>_images` and `<split>_labels`, or
        labels that are no classes; or see `npz_arrays.open_npz`.
    """
    arrays = open_npz(file)
    ends = [name.removesuffix("_images") for name in arrays if name.endswith("_images")]
    names = [name for name in ends if f"{name}_labels" in arrays]
    if not names:
        raise UserError(
            f"{file}: no pair of arrays such as train_images and train_labels; it has "
            f"{', '.join(arrays) or 'none'}"
        )
    splits, shares = _splits(names)
    images = [arrays[f"{name}_images"] for name in names]
    labels = [arrays[f"{name}_labels"] for name in names]
    for array in (*images, *labels):
        if not array.shape or 0 in array.shape:
            raise UserError(f"{file}: {array.name!r} has the shape {list(array.shape)}")
    columns = _label_columns(file, labels)
    try:
        _, kind, classes, extra = find_labels(columns)
    except UserError as error:
        raise UserError(f"{file}: {labels[0].name!r}: {error}") from None
    count = sum(array.shape[0] for array in images)
    reader: list[tuple[str, Any, str]] = [
        ("kind", "npz", "<split>_images and <split>_labels"),
        ("file", str(file.relative_to(folder)), f"{count} images"),
    ]
    if splits != NPZ_SPLITS:
        reader.append(("splits", splits, "what they mean; draw: by the shares below"))
    draft = Draft(reader, kind, classes, extra, [], _remarks(file))
    draft.name, draft.facts = file.stem, _facts(images)
    draft.shares = shares or draft.shares
    return draft


def _splits(names: list[str]) -> tuple[dict[str, str], dict[str, float]]:
    """What each name means, and the shares to draw, where these are special."""
    given = data_splits(names)
    if given is None:
        return dict.fromkeys(names, "draw"), {}
    plain = {name: SPLIT_ALIASES.get(name.lower(), name.lower()) for name in names}
    return given.values or plain, given.shares() if given.missing else {}


def _label_columns(file: Path, labels: list[NpzArray]) -> dict[str, list[str]]:
    """The labels as cells of a table: one column, or one per class."""
    rows = [label_rows(array) for array in labels]
    widths = {values.shape[1] for values in rows}
    if len(widths) != 1:
        raise UserError(f"{file}: labels of different widths: {sorted(widths)}")
    columns = np.concatenate(rows).T.tolist()
    names = [f"class {number}" for number in range(len(columns))]
    cells = (list(map(str, column)) for column in columns)
    return dict(zip(names if len(names) > 1 else ["label"], cells, strict=True))


def _facts(images: list[NpzArray]) -> ImageFacts:
    sides = [min(array.shape[1:3]) for array in images if len(array.shape) > 2]
    dtypes = {np.dtype(array.dtype) for array in images} - {np.dtype(np.uint8)}
    deep = f"values of type {', '.join(map(str, dtypes))}" if dtypes else ""
    return ImageFacts(tuple(sides), deep)


def _remarks(file: Path) -> list[str]:
    known = [card for cards in family_cards().values() for card in cards]
    same = next((card for card in known if card.split("/")[-1] == file.stem), None)
    if same is None:
        return []
    return [
        f"for the file that MedMNIST publishes under this name there is a card: "
        f"--dataset={same} --source={shlex.quote(str(file.parent))}"
    ]
