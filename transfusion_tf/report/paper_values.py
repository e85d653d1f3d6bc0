"""The paper's numbers beside ours: rows are joined where their keys agree."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

_KEYS = (
    *("dataset", "population", "model", "initialization", "train_examples"),
    *("frozen", "stage", "pair", "quantity"),
)


def join(table: pd.DataFrame, published: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Fills `paper` and `paper_spread` of a long table.

    A row of the paper stands beside one of ours where all the keys that it names
    agree: `model`, `initialization`, `train_examples`, `stage`, `pair`, `quantity`;
    `dataset`, and `population`, its number of images, where ours say them.
    """
    table = table.copy()
    table["paper"], table["paper_spread"] = np.nan, np.nan
    for row in published:
        same = _agree(table, row)
        table.loc[same, "paper"] = float(row["value"])
        spread = row.get("spread")
        table.loc[same, "paper_spread"] = np.nan if spread is None else float(spread)
    return table


def unmatched(
    table: pd.DataFrame, published: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The paper's rows that stand beside none of ours."""
    return [row for row in published if not _agree(table, row).any()]


def label(published: Sequence[Mapping[str, Any]], datasets: Sequence[str] = ()) -> str:
    """What the paper's values are called: `paper`, and whose data they are of.

    Args:
      published: rows may say with `data` what they were measured on, and with
        `dataset` which card has those data.
      datasets: cards that the study uses.
    """
    beside = [row for row in published if row.get("dataset") in (None, *datasets)]
    if beside and all(row.get("dataset") for row in beside):
        return "paper"
    rows = beside or published
    named = list(dict.fromkeys(row["data"] for row in rows if row.get("data")))
    return f"paper: {'; '.join(named)}" if named else "paper: its own data and donors"


def _agree(table: pd.DataFrame, row: Mapping[str, Any]) -> pd.Series:
    same = pd.Series(True, index=table.index)
    for key in _KEYS:
        if row.get(key) is None or (
            key in ("dataset", "population") and key not in table
        ):
            continue
        if key not in table:
            return pd.Series(False, index=table.index)
        same &= table[key] == row[key]
    return same
