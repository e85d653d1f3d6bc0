"""Which columns of a table are labels, and of which kind."""

import decimal
import re
from collections.abc import Iterable
from typing import Any

from transfusion_tf.datasets.names import as_number, is_blank
from transfusion_tf.datasets.readers.labels import binary_cell
from transfusion_tf.errors import UserError

_MOST_CLASSES = 50
_BINARY, _TRUTH = {"", "0", "1", "-1"}, {"false", "true"}
_LABEL = re.compile(
    r"label|class|diagnos|level|grade|target|^dx$|categor|finding|patholog|severity",
    re.I,
)
_ORDERED = re.compile(r"level|grade|severity|stage|score|diagnosis", re.I)

_NO_FINDING = re.compile(r"(no|none|normal|negative|healthy)\b", re.I)

_Listed = tuple[str, list[str], list[tuple[str, Any, str]]]
_Labels = tuple[list[str], str, list[str], list[tuple[str, Any, str]]]


def find_labels(columns: dict[str, list[str]]) -> _Labels:
    """Label columns, kind, classes and further lines of [labels].

    Args:
      columns: of a table that may be labels: name -> one cell per row.

    Raises:
      UserError: none of them looks like labels.
    """
    binary = {
        name: cells
        for name, values in columns.items()
        if {"1"} <= set(cells := list(map(binary_cell, values))) <= _BINARY
    }
    # False and True may stand for anything that a table notes of its images.
    numbers = [
        name for name in binary if not set(map(str.lower, columns[name])) & _TRUTH
    ]
    if len(numbers) >= 2:
        return _many_columns({name: binary[name] for name in numbers})
    single = {
        name: found
        for name, values in columns.items()
        if 2 <= len(found := _class_names(values)) <= _MOST_CLASSES
    }
    if len(binary) >= 2 and not any(map(_LABEL.search, single.keys() - binary.keys())):
        return _many_columns(binary)
    if not single:
        raise UserError(
            f"nothing looks like labels: 2 to {_MOST_CLASSES} different values"
        )
    blank = {name: sum(map(is_blank, columns[name])) for name in single}
    # What is called so, and of the others what every row has.
    column = min(single, key=lambda name: (not _LABEL.search(name), blank[name] > 0))
    classes = single[column]
    extra: list[tuple[str, Any, str]] = []
    if blank[column]:
        comment = f"{blank[column]} rows without a label are left out"
        extra.append(("blank", "leave_out", comment))
    numbered = all(as_number(name) is not None for name in classes)
    if numbered and len(classes) > 2 and _ORDERED.search(column):
        comment = "the first grade that counts as disease, by its place from 0: "
        extra.append(("referable_from", 2, f"{comment}here it is {classes[2]!r}"))
        return [column], "grade", classes, extra
    return [column], "class", classes, extra


def listed_findings(columns: dict[str, list[str]]) -> _Listed | None:
    """A column whose cells list findings, `Edema|Mass`; None where there is none.

    Returns:
      Its name, the findings, and further lines of [reader].
    """
    for column, values in columns.items():
        if not any("|" in value for value in values):
            continue
        names = _class_names(
            part.strip() for value in values for part in value.split("|")
        )
        nothing = [name for name in names if _NO_FINDING.match(name)]
        found = [name for name in names if name not in nothing[:1]]
        if 2 <= len(found) <= _MOST_CLASSES:
            lines = [("label_separator", "|", "between the findings of an image")]
            if nothing:
                lines.append(("no_finding", nothing[0], "what stands there for none"))
            return column, found, lines
    return None


def _class_names(values: Iterable[str]) -> list[str]:
    """Different values in their order; numbers by their value, each once."""
    named = sorted({value for value in values if not is_blank(value)})
    numbers: dict[decimal.Decimal, str] = {}
    for value in sorted(named, key=len):
        number = as_number(value)
        if number is None:
            return named
        # As it stands there, "01", but without the decimals of "1.0".
        plain = value if value.lstrip("-").isdecimal() else f"{number.normalize():f}"
        numbers.setdefault(number, plain)
    return [numbers[number] for number in sorted(numbers)]


def _many_columns(binary: dict[str, list[str]]) -> _Labels:
    names = list(binary)
    rows = list(zip(*binary.values(), strict=True))
    exclusive = all(
        sorted(int(cell or "0") for cell in row) == [0] * (len(row) - 1) + [1]
        for row in rows
    )
    if exclusive:
        return names, "class", names, []
    found = set().union(*binary.values())
    extra = []
    if "" in found:
        comment = "what a blank cell means: negative, or ignore"
        extra.append(("blank", "negative", comment))
    if "-1" in found:
        comment = "what -1 means: zeros, ones, ignore or multiclass"
        extra.append(("uncertain", "ignore", comment))
    return names, "findings", names, extra
