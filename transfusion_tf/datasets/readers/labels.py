"""From what stands in the data to one value a class."""

import numpy as np

from transfusion_tf.datasets.card import DatasetCard, Labels
from transfusion_tf.datasets.names import as_number, find_name
from transfusion_tf.errors import UserError, closest

_NAN = float("nan")


def one_label(card: DatasetCard, cell: str) -> tuple[float, ...]:
    """One-hot labels from a class's name, or what `labels` says that cells hold.

    Raises:
      UserError: it is no class.
    """
    classes = card.labels.classes
    index = _class_index(card.labels, cell)
    return tuple(float(i == index) for i in range(len(classes)))


def _class_index(labels: Labels, cell: str) -> int:
    classes, values, first = labels.classes, labels.values, labels.count_from
    if not cell:
        raise UserError(
            "label '' is outside the classes; labels.blank = 'leave_out' in the card "
            "leaves out images without a label"
        )
    if found := find_name(cell, values):
        return classes.index(values[found])
    if found := find_name(cell, classes):
        return classes.index(found)
    if values:
        raise UserError(
            f"label {cell!r} is not among the card's labels.values; valid: "
            f"{', '.join(values)}{closest(cell, values)}"
        )
    number = as_number(cell)
    valid = ", ".join(classes)
    if first is not None:
        last = first + len(classes) - 1
        if number is not None and first <= number <= last and number % 1 == 0:
            return int(number) - first
        raise UserError(
            f"label {cell!r} is outside the classes; valid: {valid}, or {first} to "
            f"{last}"
        )
    hint = closest(cell, classes)
    if number is not None and all(as_number(name) is None for name in classes):
        hint = (
            "; if numbers in the data count the classes, set labels.count_from = 0 in "
            "the card (or 1, where the first is 1)"
        )
    raise UserError(f"label {cell!r} is outside the classes; valid: {valid}{hint}")


def many_labels(card: DatasetCard, cells: list[str]) -> tuple[float, ...]:
    """Labels from one cell a class: 0 or 1, and for findings blank and -1.

    With `uncertain = "multiclass"` the labels of the auxiliary outputs follow.

    Raises:
      UserError: a cell that the card gives no meaning, or, unless these are
        findings, not exactly one 1.
    """
    meanings = {"0": 0.0, "1": 1.0}
    labels = card.labels
    if labels.blank != "error":
        meanings[""] = 0.0 if labels.blank == "negative" else _NAN
    if labels.uncertain != "error":
        meaning = {"zeros": 0.0, "ones": 1.0}.get(labels.uncertain, _NAN)
        meanings["-1"] = meaning
    given, cells = cells, [_plain(labels, cell) for cell in cells]
    for cell, as_given, name in zip(cells, given, labels.named, strict=True):
        if cell not in meanings:
            raise UserError(
                f"label {as_given!r} for {name!r} should be 0 or 1{_hint(cell)}"
            )
    found = tuple(meanings[cell] for cell in cells)
    if labels.kind != "findings" and np.nansum(found) != 1:
        raise UserError(f"exactly one of the label columns should be 1, got {cells}")
    if labels.auxiliary:
        # Blank is unknown here too where it is unknown there.
        found += tuple(
            1.0 if cell == "-1" else _NAN if np.isnan(meanings[cell]) else 0.0
            for cell in cells
        )
    return found


def _plain(labels: Labels, cell: str) -> str:
    """What a cell among findings says: "0", "1", "-1" or "" where it has a meaning."""
    meant = find_name(cell, labels.values)
    cell = cell if meant is None else labels.values[meant]
    return find_name(cell, ("0", "1", "-1")) or cell


def _hint(cell: str) -> str:
    if cell == "":
        return " (labels.blank in the card says what blank means)"
    if cell == "-1":
        return " (labels.uncertain in the card says what -1 means)"
    return ""
