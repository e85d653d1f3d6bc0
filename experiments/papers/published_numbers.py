"""The numbers that the papers print, read from `published/`.

One file per table or figure, one row per number. `value` and `spread` (what stands
behind the paper's ±) are as printed, in `unit`; `source` is the table or figure;
`data` says what they were measured on. The other columns say which of our rows a number
stands beside.
"""

import csv
import statistics
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "published"
_NUMBERS = ("value", "spread", "train_examples", "population")


def read_published(name: str) -> tuple[dict[str, Any], ...]:
    """Rows as `Chapter.published` takes them.

    Args:
      name: of the file, as in `transfusion_table1`.

    Returns:
      Rows without their empty cells. Per cents are shares, in [0, 1].
    """
    with (_FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_row(cells) for cells in csv.DictReader(file))


def published_mean(name: str, **wanted: Any) -> float:
    """The mean of some of the numbers of a table.

    Args:
      name: of the file.
      **wanted: values of the columns; a tuple names alternatives.
    """
    options = {
        column: value if isinstance(value, tuple) else (value,)
        for column, value in wanted.items()
    }
    return statistics.fmean(
        row["value"]
        for row in read_published(name)
        if all(row.get(column) in options[column] for column in options)
    )


def _row(cells: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {name: text for name, text in cells.items() if text}
    del row["source"]
    percent = row.pop("unit", None) == "%"
    for name in _NUMBERS:
        if name in row:
            text = row[name]
            number = float(text) if "." in text else int(text)
            in_percent = percent and name in ("value", "spread")
            row[name] = round(number / 100, 6) if in_percent else number
    return row
