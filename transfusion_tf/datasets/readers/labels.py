"""From what stands in the data to one value a class."""

import re

import numpy as np

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.errors import UserError

_NAN = float("nan")


def one_label(card: DatasetCard, cell: str) -> tuple[float, ...]:
    """One-hot labels from a class's name, its number from 0, or `labels.values`.

    Raises:
      UserError: it is none of these.
    """
    classes = card.labels.classes
    index = _class_index(card, cell)
    return tuple(float(i == index) for i in range(len(classes)))


def _class_index(card: DatasetCard, cell: str) -> int:
    classes, values = card.labels.classes, card.labels.values
    if cell in values:
        return classes.index(values[cell])
    if cell in classes:
        return classes.index(cell)
    if values:
        raise UserError(
            f"label {cell!r} is not among the card's labels.values; valid: "
            f"{', '.join(values)}"
        )
    number = float(cell) if re.fullmatch(r"\d+(\.0*)?", cell, re.ASCII) else -1.0
    if not 0 <= number < len(classes):
        raise UserError(
            f"label {cell!r} is outside the classes; valid: {', '.join(classes)}, "
            f"or 0 to {len(classes) - 1}"
        )
    return int(number)


def many_labels(card: DatasetCard, cells: list[str]) -> tuple[float, ...]:
    """Labels from one cell a class: 0 or 1, and for findings blank and -1.

    With `uncertain = "multiclass"` the labels of the auxiliary outputs follow.

    Raises:
      UserError: a cell that the card gives no meaning, or, unless these are
        findings, not exactly one 1.
    """
    meanings = {"0": 0.0, "0.0": 0.0, "1": 1.0, "1.0": 1.0}
    labels = card.labels
    if labels.blank != "error":
        meanings[""] = 0.0 if labels.blank == "negative" else _NAN
    if labels.uncertain != "error":
        meaning = {"zeros": 0.0, "ones": 1.0}.get(labels.uncertain, _NAN)
        meanings |= {"-1": meaning, "-1.0": meaning}
    cells = [labels.values.get(cell, cell) for cell in cells]
    for cell, name in zip(cells, labels.named, strict=True):
        if cell not in meanings:
            raise UserError(
                f"label {cell!r} for {name!r} should be 0 or 1{_hint(cell)}"
            )
    found = tuple(meanings[cell] for cell in cells)
    if labels.kind != "findings" and np.nansum(found) != 1:
        raise UserError(f"exactly one of the label columns should be 1, got {cells}")
    if labels.auxiliary:
        # Blank is unknown here too where it is unknown there.
        found += tuple(
            1.0 if cell.startswith("-1") else _NAN if np.isnan(meanings[cell]) else 0.0
            for cell in cells
        )
    return found


def _hint(cell: str) -> str:
    if cell == "":
        return " (labels.blank in the card says what blank means)"
    if cell in ("-1", "-1.0"):
        return " (labels.uncertain in the card says what -1 means)"
    return ""
