"""From what stands in the data to one value a class."""

import numpy as np

from transfusion_tf.datasets.card import DatasetCard, Labels
from transfusion_tf.datasets.names import as_number, find_name, is_blank
from transfusion_tf.errors import UserError, valid_names

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
    if (found := find_name(cell, values)) is not None:
        return classes.index(values[found])
    if found := find_name(cell, classes):
        return classes.index(found)
    if is_blank(cell):
        raise UserError(
            f"label {cell!r} is outside the classes; labels.blank = 'leave_out' in "
            "the card leaves out images without a label"
        )
    number = as_number(cell)
    if first is not None and number is not None and number % 1 == 0 and not values:
        index = int(number) - first
        if 0 <= index < len(classes):
            return index
    if values:
        raise UserError(
            f"label {cell!r} is not among the card's labels.values"
            f"{meant_classes(labels, cell)}"
        )
    raise UserError(
        f"label {cell!r} is outside the classes{meant_classes(labels, cell)}"
    )


def meant_classes(labels: Labels, cell: str) -> str:
    """What a cell, or a folder's name, may be, and what a wrong one may have meant."""
    names = tuple(labels.values) or labels.classes
    first, number = labels.count_from, as_number(cell)
    # No number is hinted at in place of another.
    valid = valid_names("" if number is not None else cell, names)
    if first is not None and not labels.values:
        return f"{valid}, or {first} to {first + len(names) - 1}"
    if (
        number is None
        or labels.values
        or any(as_number(name) is not None for name in names)
    ):
        return valid
    return (
        f"{valid}; if numbers in the data count the classes, set labels.count_from = 0 "
        "in the card (or 1, where the first is 1)"
    )


def many_labels(card: DatasetCard, cells: list[str]) -> tuple[float, ...]:
    """Labels from one cell a class: 0 or 1, False or True; for findings blank and -1.

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
    if labels.if_none is not None and not any(value == 1 for value in found):
        index = labels.classes.index(labels.if_none)
        found = (*found[:index], 1.0, *found[index + 1 :])
    if labels.kind != "findings" and np.nansum(found) != 1:
        raise UserError(f"exactly one of the label columns should be 1, got {cells}")
    if labels.auxiliary:
        # Blank is unknown here too where it is unknown there.
        found += tuple(
            1.0 if cell == "-1" else _NAN if np.isnan(meanings[cell]) else 0.0
            for cell in cells
        )
    return found


def listed_labels(
    card: DatasetCard, cell: str, separator: str, no_finding: str | None
) -> tuple[float, ...]:
    """Labels from one cell that lists the findings of an image.

    Args:
      card: says which findings there are.
      cell: `Edema|Mass`; blank by the card's `labels.blank`.
      separator: what stands between them.
      no_finding: what stands there where none is present.

    Raises:
      UserError: a name is no finding of the card, or the cell is blank and must not be.
    """
    named = card.labels.named
    if is_blank(cell):
        return many_labels(card, [""] * len(named))
    names = [] if cell == no_finding else list(map(str.strip, cell.split(separator)))
    for name in names:
        if find_name(name, named) is None:
            valid = meant_classes(card.labels, name)
            raise UserError(f"label {name!r} is outside the classes{valid}")
    present = {find_name(name, named) for name in names}
    return many_labels(card, [str(int(name in present)) for name in named])


def _plain(labels: Labels, cell: str) -> str:
    """What a cell among findings says: "0", "1", "-1" or "" where it has a meaning."""
    meant = find_name(cell, labels.values)
    if meant is None and cell.lower() in map(str.lower, labels.values):
        return cell  # The card has a meaning for True, and none for TRUE.
    cell = cell if meant is None else labels.values[meant]
    return "" if is_blank(cell) else binary_cell(cell)


def binary_cell(cell: str) -> str:
    """The cell as "0", "1" or "-1" where it is one of these, or False or True.

    Programs write these two in any case. Words such as yes, positive or x mean what a
    card's `labels.values` say: in one table "no" is absent, in another not examined.
    """
    named = {"false": "0", "true": "1"}.get(cell.lower(), cell)
    return find_name(named, ("0", "1", "-1")) or cell


def _hint(cell: str) -> str:
    if cell == "":
        return " (labels.blank in the card says what blank means)"
    if cell == "-1":
        return " (labels.uncertain in the card says what -1 means)"
    return ""
