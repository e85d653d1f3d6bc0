"""What a view hands to the page, and the rows of its table."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.evaluation import Difference
from transfusion_tf.report import wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.gallery import Picture
from transfusion_tf.report.views import paper_values

_COLUMNS = (
    *("dataset", "model", "initialization", "train_examples", "frozen", "stage"),
    *("pair", "run_a", "run_b", "quantity", "value", "std", "low", "high", "seeds"),
    *("paper", "paper_spread"),
)
# Columns that a table has only where one of its rows has a value.
_OPTIONAL = ("frozen", "stage", "pair", "run_a", "run_b")


# A line of a long table.
Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Sheet:
    """A table as the page prints it: words and rounded numbers.

    Attributes:
      heads: of the columns.
      rows: a cell a column; what follows a line break is printed small below.
      words: how many columns from the left hold words; the others hold numbers.
      caption: what stands below it.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 2
    caption: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """A chapter, drawn.

    Attributes:
      pictures: in order, each a phone wide.
      table: all numbers, unrounded.
      sentences: what is seen.
      sheet: the numbers that the page prints.
      colours: initialization -> its colour in the pictures.
      wide: whether the pictures need the page's whole width.
    """

    pictures: tuple[Picture, ...]
    table: pd.DataFrame
    sentences: tuple[str, ...]
    sheet: Sheet | None = None
    colours: Mapping[str, str] = dataclasses.field(default_factory=dict)
    wide: bool = False


def measured(found: Difference | None) -> dict[str, Any]:
    """The columns of an estimate over seeds."""
    if found is None:
        return {"value": np.nan}
    return {
        "value": found.estimate,
        "std": found.std,
        "low": found.low,
        "high": found.high,
        "seeds": found.seeds,
    }


def long_table(rows: Iterable[Mapping[str, Any]], material: Material) -> pd.DataFrame:
    """The rows with the paper's values beside them.

    Args:
      rows: `quantity`, `value` and any other of the columns.
      material: whose chapter has the paper's values.

    Returns:
      `dataset model initialization train_examples [frozen] [stage] [pair] quantity
      value std low high seeds paper paper_spread`.
    """
    table = pd.DataFrame(list(rows), columns=list(_COLUMNS))
    table = paper_values.join(table, material.chapter.published)
    empty = [name for name in _OPTIONAL if table[name].isna().all()]
    table = table.drop(columns=empty)
    for name in ("seeds", "train_examples"):
        table[name] = table[name].astype("Int64")
    for name in ("value", "std", "low", "high", "paper", "paper_spread"):
        table[name] = table[name].astype(float)
    return table


def lines(table: pd.DataFrame) -> list[Row]:
    """The table's rows, one mapping each."""
    return [
        {str(name): value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def find(table: pd.DataFrame, **wanted: Any) -> Row | None:
    """The first row with these values, or None."""
    for name, value in wanted.items():
        if name not in table:
            return None
        table = table[table[name] == value]
    return None if table.empty else lines(table.head(1))[0]


def with_spread(row: Row | None, digits: int = 3) -> str:
    """`0.912 ± 0.004`; no ± with one seed."""
    if row is None:
        return wording.MISSING
    text = wording.number(row["value"], digits)
    spread = wording.number(row.get("std"), digits)
    return text if spread == wording.MISSING else f"{text} ± {spread}"


def with_interval(row: Row | None, digits: int = 3) -> str:
    """`+0.021`, its interval below."""
    if row is None:
        return wording.MISSING
    text = wording.signed(row["value"], digits)
    return text + interval(row, digits)


def interval(row: Row, digits: int = 3) -> str:
    """The interval on a line of its own; empty where there is none."""
    if not np.isfinite([row["low"], row["high"]]).all():
        return ""
    low, high = (wording.signed(row[end], digits) for end in ("low", "high"))
    return f"\n{low} to {high}"


def paper_number(row: Row | None, digits: int = 3) -> str:
    """The paper's value for a row of ours."""
    if row is None or not np.isfinite(row["paper"]):
        return wording.MISSING
    text = wording.number(row["paper"], digits)
    if np.isfinite(row["paper_spread"]):
        text += f" ± {wording.number(row['paper_spread'], 4)}"
    return text


def small_paper(row: Row | None) -> str:
    """The paper's value on a line of its own, without its spread."""
    if row is None or not np.isfinite(row["paper"]):
        return ""
    return f"\npaper {wording.number(row['paper'])}"


def has_paper(table: pd.DataFrame, quantity: str | None = None) -> bool:
    """Whether a value of the paper stands beside one of ours."""
    if quantity is not None:
        table = table[table["quantity"] == quantity]
    return bool(table["paper"].notna().any())


def extremes(
    values: Mapping[str, float],
) -> tuple[tuple[str, float], tuple[str, float]] | None:
    """Lowest and highest with their names; None where nothing is finite."""
    finite = {name: value for name, value in values.items() if np.isfinite(value)}
    if not finite:
        return None
    names = sorted(finite, key=lambda name: finite[name])
    return (names[0], finite[names[0]]), (names[-1], finite[names[-1]])


def one_seed_note(seeds: Sequence[float]) -> list[str]:
    """What a chapter says that has one seed alone."""
    known = [seed for seed in seeds if np.isfinite(seed)]
    if known and max(known) == 1:
        return ["One seed each: nothing here says how much another seed would change."]
    return []


def dataset_title(material: Material, name: str) -> str:
    """The data set in front of a panel's title; empty where there is one alone."""
    if len(material.results) < 2:
        return ""
    return f"{name}: "
