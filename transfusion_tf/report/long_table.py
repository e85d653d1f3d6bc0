"""The long table of a chapter: one row per number, and what charts and sheets ask it.

Rows are mappings. Besides the columns that are published they may have others that only
say how they are shown: `label` (words of a legend), `panel`, `place`, `unit`; and rows
with `hidden` are drawn, such as the points of a curve, but not published.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.evaluation import Estimate
from transfusion_tf.report import paper_values
from transfusion_tf.report.style import Mark

COLUMNS = (
    *("dataset", "model", "initialization", "train_examples", "frozen", "stage"),
    *("pair", "run_a", "run_b", "quantity", "value", "std", "low", "high", "seeds"),
    *("paper", "paper_spread"),
)
# Columns that a published table has only where one of its rows has a value.
_OPTIONAL = ("frozen", "stage", "pair", "run_a", "run_b")
_NUMBERS = ("value", "std", "low", "high", "paper", "paper_spread")
_UNKNOWN = Mark("#56b4e9", "^")

# One, one of several, or any.
Quantity = str | tuple[str, ...] | None
Row = Mapping[str, Any]
Rows = list[dict[str, Any]]


@dataclasses.dataclass(frozen=True, eq=False)
class LongTable:
    """Rows of a chapter, or some of them.

    Attributes:
      frame: one row per number.
      lines: one mapping per row of the whole table, in which the frame's index counts:
        making them takes longer than all that is asked of them.
      published: the paper's rows.
      marks: how labels are drawn.
      words: what templates may name besides the columns; `similarity` is the measure of
        a chapter that compares representations.
      figure: all rows of the figure that is being drawn, where these are some of them.
    """

    frame: pd.DataFrame
    lines: Sequence[Row]
    published: Sequence[Row] = ()
    marks: Mapping[str, Mark] = dataclasses.field(default_factory=dict)
    words: Mapping[str, str] = dataclasses.field(default_factory=dict)
    figure: LongTable | None = None

    @classmethod
    def from_rows(cls, rows: Iterable[Row], published: Sequence[Row] = ()) -> LongTable:
        """Our rows, with the values of the paper's beside them."""
        frame = pd.DataFrame(list(rows))
        others = [name for name in frame.columns if name not in COLUMNS]
        frame = frame.reindex(columns=[*COLUMNS, *others])
        if "hidden" not in frame:
            frame["hidden"] = False
        frame["hidden"] = frame["hidden"].eq(True)
        frame = paper_values.join(frame, published)
        for name in ("seeds", "train_examples"):
            frame[name] = frame[name].astype("Int64")
        for name in _NUMBERS:
            frame[name] = frame[name].astype(float)
        return cls(frame, lines(frame), published)

    def __len__(self) -> int:
        return len(self.frame)

    def replace(self, frame: pd.DataFrame) -> LongTable:
        """The same with other rows."""
        return dataclasses.replace(self, frame=frame)

    def publish(self, columns: Sequence[str] = ()) -> pd.DataFrame:
        """The rows for the file beside the page, unrounded; all columns, or these."""
        if columns:
            return self.frame[~self.frame["hidden"]].reindex(columns=list(columns))
        shown = self.frame.loc[~self.frame["hidden"], list(COLUMNS)]
        empty = [name for name in _OPTIONAL if shown[name].isna().all()]
        return shown.drop(columns=empty).reset_index(drop=True)

    def where(self, **wanted: Any) -> LongTable:
        """The rows with these values; a tuple names alternatives, None is no wish."""
        asked = {name: value for name, value in wanted.items() if value is not None}
        chosen = np.array([_agrees(row, asked) for row in self.rows], bool)
        return self.replace(self.frame[chosen])

    def find(self, **wanted: Any) -> Row | None:
        """The first row with these values, or None."""
        asked = {name: value for name, value in wanted.items() if value is not None}
        return next((row for row in self.rows if _agrees(row, asked)), None)

    def values(self, column: str) -> list[Any]:
        """What a column has, each once, as it comes."""
        if column not in self.frame:
            return []
        return list(dict.fromkeys(self.frame[column].dropna()))

    def split(self, *columns: str) -> Iterator[LongTable]:
        """The rows of every combination of these columns' values, as they come."""
        if not columns:
            yield self
        elif all(name in self.frame for name in columns):
            for _, frame in self.frame.groupby(list(columns), sort=False):
                yield self.replace(frame)

    @property
    def rows(self) -> list[Row]:
        """One mapping per row."""
        return [self.lines[index] for index in self.frame.index]

    @property
    def first(self) -> Row:
        """The first row."""
        return self.lines[self.frame.index[0]]

    @property
    def whole(self) -> LongTable:
        """All rows of the figure."""
        return self.figure if self.figure is not None else self

    def mark(self, label: str) -> Mark:
        """How a label is drawn."""
        return self.marks.get(label, _UNKNOWN)

    def has_paper(self, quantity: Quantity = None) -> bool:
        """Whether a value of the paper stands beside one of ours."""
        return bool(self.where(quantity=quantity).frame["paper"].notna().any())

    @property
    def paper_label(self) -> str:
        """What the paper's values are called."""
        return paper_values.label(self.published, self.values("dataset"))


def _agrees(row: Row, wanted: Row) -> bool:
    for name, value in wanted.items():
        own = row.get(name)
        if own is pd.NA:  # It has no truth value.
            return False
        if not (own in value if isinstance(value, tuple) else own == value):
            return False
    return True


def lines(frame: pd.DataFrame) -> list[Row]:
    """One mapping per row of a frame."""
    return [
        {str(name): value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def mean_rows(rows: Iterable[Row], by: str, quantity: str) -> Rows:
    """Hidden rows of a quantity: the mean over the rows of each value of a column."""
    values: dict[Any, list[float]] = {}
    for row in rows:
        values.setdefault(row[by], []).append(float(row["value"]))
    return [
        {"hidden": True, by: key, "quantity": quantity, "value": float(np.nanmean(own))}
        for key, own in values.items()
    ]


def measured(found: Estimate | None) -> dict[str, Any]:
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


def effect_rows(quantity: str, found: Estimate | None, **columns: Any) -> Rows:
    """The row of an effect; none where it was not measured."""
    if found is None:
        return []
    return [{**columns, "quantity": quantity, **measured(found)}]


def finite(row: Row | None) -> bool:
    """Whether there is a row, and its value is a number."""
    return row is not None and bool(np.isfinite(row["value"]))


def has_interval(row: Row | None) -> bool:
    """Whether both ends of its interval are known."""
    return row is not None and bool(np.isfinite([row["low"], row["high"]]).all())
