"""Sheets: the tables that the page prints, declared as columns over a long table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from transfusion_tf.report import wording
from transfusion_tf.report.charts import fill
from transfusion_tf.report.long_table import LongTable, Row, finite, has_interval

Show = Callable[[Row | None], str]


@dataclasses.dataclass(frozen=True)
class Sheet:
    """A table as the page prints it: words and rounded numbers.

    Attributes:
      heads: of the columns.
      rows: a cell per column; what follows a line break is printed small below.
      words: how many columns from the left hold words; the others hold numbers.
      caption: what stands below it.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 2
    caption: str = ""


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
    if not has_interval(row):
        return text
    low, high = (wording.signed(row[end], digits) for end in ("low", "high"))
    return f"{text}\n{low} to {high}"


def interval(row: Row | None) -> str:
    """`0.901 – 0.923`."""
    if row is None or not has_interval(row):
        return wording.MISSING
    return f"{wording.number(row['low'])} – {wording.number(row['high'])}"


def signed_interval(row: Row | None) -> str:
    """`+0.012 to +0.034`."""
    if row is None:
        return ""
    return f"{wording.signed(row['low'])} to {wording.signed(row['high'])}"


def number(digits: int = 3, missing: str = wording.MISSING) -> Show:
    """Shows `0.912`."""
    return lambda row: missing if row is None else wording.number(row["value"], digits)


def signed(missing: str = wording.MISSING) -> Show:
    """Shows `+0.021`."""
    return lambda row: missing if row is None else wording.signed(row["value"])


def percent(row: Row | None) -> str:
    """`12 %`."""
    return wording.MISSING if row is None else f"{100 * row['value']:.0f} %"


def count(row: Row | None) -> str:
    """`12 345`, and the paper's count below."""
    if row is None:
        return wording.MISSING
    known = np.isfinite(row["paper"])
    small = f"\npaper {wording.count(row['paper'])}" if known else ""
    return wording.count(row["value"]) + small


def steps(row: Row | None) -> str:
    """A number of steps, or `never`."""
    return wording.count(row["value"]) if row is not None and finite(row) else "never"


def share(row: Row | None) -> str:
    """`2 of 3` seeds."""
    return "" if row is None else f"{int(row['value'])} of {int(row['seeds'])}"


def paper_number(row: Row | None, digits: int = 3) -> str:
    """The paper's value for a row of ours."""
    if row is None or not np.isfinite(row["paper"]):
        return wording.MISSING
    text = wording.number(row["paper"], digits)
    if np.isfinite(row["paper_spread"]):
        text += f" ± {wording.number(row['paper_spread'], 4)}"
    return text


def beside_paper(show: Show) -> Show:
    """Shows the paper's value on a line of its own, without its spread."""

    def shown(row: Row | None) -> str:
        if row is None or not np.isfinite(row["paper"]):
            return show(row)
        return f"{show(row)}\npaper {wording.number(row['paper'])}"

    return shown


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a sheet: a word of each line's first row, or one of its numbers.

    Attributes:
      head: template.
      quantity: the number's.
      show: how it is written.
      word: the column of the long table that has the word, in place of a number.
      where: what else its row has.
      of: columns in which its row agrees with the line; those that make a line by
        default.
      once: whether it is empty but for the first line of each group.
      if_paper: whether the column is there only where the paper has this quantity.
      if_several: whether it is there only where there are several words.
    """

    head: str
    quantity: str = ""
    show: Show = with_spread
    word: str = ""
    where: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    of: tuple[str, ...] | None = None
    once: bool = False
    if_paper: bool = False
    if_several: bool = False


@dataclasses.dataclass(frozen=True)
class SheetPlan:
    """What a sheet shows.

    Attributes:
      columns: of the sheet, or a function of the long table that says them.
      lines: columns of the long table; every combination of their values is a line.
      group: columns whose values keep lines together; the lines' first by default.
      where: what the rows have that make lines, or a function that says it.
      words: how many columns from the left hold words; those that are words by default.
      caption: what stands below it, or a function of the long table that says it.
      show_empty: whether there is a sheet without lines.
    """

    columns: tuple[Column, ...] | Callable[[LongTable], Sequence[Column]]
    lines: tuple[str, ...]
    group: tuple[str, ...] = ()
    where: Mapping[str, Any] | Callable[[LongTable], Mapping[str, Any]] = (
        dataclasses.field(default_factory=dict)
    )
    words: int | None = None
    caption: str | Callable[[LongTable], str] = ""
    show_empty: bool = True

    def sheet(self, table: LongTable) -> Sheet | None:
        """The sheet of a long table."""
        columns = self.columns(table) if callable(self.columns) else self.columns
        shown = [
            column
            for column in columns
            if (not column.if_paper or table.has_paper(column.quantity))
            and (not column.if_several or len(table.values(column.word)) > 1)
        ]
        where = self.where(table) if callable(self.where) else self.where
        rows: list[tuple[str, ...]] = []
        for group in table.where(**where).split(*self.group or self.lines[:1]):
            for index, own in enumerate(group.split(*self.lines)):
                line = own.first
                rows.append(
                    tuple(
                        "" if index and column.once else self._cell(column, line, table)
                        for column in shown
                    )
                )
        if not rows and not self.show_empty:
            return None
        caption = self.caption(table) if callable(self.caption) else self.caption
        heads = tuple(fill(column.head, table) for column in shown)
        words = len([column for column in shown if column.word])
        if self.words is not None:
            words = self.words
        return Sheet(heads, tuple(rows), words, caption)

    def _cell(self, column: Column, line: Row, table: LongTable) -> str:
        if column.word:
            return str(line[column.word])
        keys = column.of if column.of is not None else self.lines
        wanted = {name: line[name] for name in keys} | dict(column.where)
        return column.show(table.find(**wanted, quantity=column.quantity))
