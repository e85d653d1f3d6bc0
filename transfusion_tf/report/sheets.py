"""Sheets: the tables that the page prints, declared as columns over a long table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from transfusion_tf.report import wording
from transfusion_tf.report.charts import fill
from transfusion_tf.report.long_table import LongTable, Row

# How numbers are written; what follows a line break is printed small.
SPREAD = "{value:.3f}[ ± {std:.3f}]"
EFFECT = "{value:+.3f}[\n{low:+.3f} to {high:+.3f}]"
ENDS = "[{low:.3f} – {high:.3f}]"
SIGNED_ENDS = "[{low:+.3f} to {high:+.3f}]"
COUNT = "{value:count}[\npaper {paper:count}]"
PERCENT = "{value:%}"
OF_SEEDS = "{value:count} of {seeds}"
PAPER = "[{paper:.3f}][ ± {paper_spread:.4f}]"
BESIDE_PAPER = "[\npaper {paper:.3f}]"


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


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a sheet: a word of each line's first row, or one of its numbers.

    Attributes:
      head: template.
      quantity: the number's.
      show: how it is written, a template of its row.
      missing: what stands for a number that there is not.
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
    show: str = SPREAD
    word: str = ""
    where: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    of: tuple[str, ...] | None = None
    once: bool = False
    if_paper: bool = False
    if_several: bool = False
    missing: str = wording.MISSING


@dataclasses.dataclass(frozen=True)
class SheetPlan:
    """What a sheet shows.

    Attributes:
      columns: of the sheet, or a function of the long table that says them.
      lines: columns of the long table; every combination of their values is a line.
      group: columns whose values keep lines together; the lines' first by default.
      where: what the rows have that make lines, or a function that says it.
      words: how many columns from the left hold words; those that are words by default.
      caption: template: what stands below it, or a function of the long table that
        says it.
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
        caption = fill(caption, table)
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
        row = table.find(**wanted, quantity=column.quantity)
        if row is None:
            return column.missing
        return wording.fill(column.show, row, column.missing)
