"""Forms of sentences that several chapters say of their long tables."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from transfusion_tf.report.long_table import LongTable, Quantity, Row, finite
from transfusion_tf.report.wording import fill, listed

Sentences = Callable[[LongTable], list[str]]


def extremes(
    values: Mapping[str, float],
) -> tuple[tuple[str, float], tuple[str, float]] | None:
    """Lowest and highest with their names; None where nothing is finite."""
    finite = {name: value for name, value in values.items() if np.isfinite(value)}
    if not finite:
        return None
    names = sorted(finite, key=lambda name: finite[name])
    return (names[0], finite[names[0]]), (names[-1], finite[names[-1]])


def say_each(template: str, quantity: Quantity, **where: Any) -> Sentences:
    """A sentence about every row of a quantity that has a value, from a template."""
    return lambda table: [
        fill(template, row)
        for row in table.where(quantity=quantity, **where).rows
        if finite(row)
    ]


def say_remarks(table: LongTable) -> list[str]:
    """What rows of the quantity `remark` say: why there is no number, and the like."""
    return table.where(quantity="remark").values("said")


def say_listed(
    template: str, item: str, quantity: Quantity, by: tuple[str, ...] = ()
) -> Sentences:
    """A sentence for every value of some columns, that lists the rows with it.

    `template` is of the first row, with `{listed}` for the items of all.
    """

    def said(table: LongTable) -> list[str]:
        sentences = []
        for own in table.where(quantity=quantity).split(*by):
            rows = [row for row in own.rows if finite(row)]
            if rows:
                names = listed([fill(item, row) for row in rows])
                sentences.append(fill(template, {**rows[0], "listed": names}))
        return sentences

    return said


def say_extremes(
    template: str,
    name: str,
    quantity: Quantity,
    by: tuple[str, ...] = (),
    fewest: int = 1,
) -> Sentences:
    """A sentence for every value of some columns, on the lowest and highest row.

    Args:
      template: of the highest row, with `{most}`, `{high}`, `{least}` and `{low}`; of a
        single row `{low}` is not known.
      name: template: what a row is called.
      quantity: of the rows.
      by: the columns.
      fewest: rows that a sentence is about.
    """

    def said(table: LongTable) -> list[str]:
        sentences = []
        for own in table.where(quantity=quantity).split(*by):
            rows = sorted(filter(finite, own.rows), key=lambda row: row["value"])
            if rows and len(own) >= fewest:
                sentences.append(fill(template, _ends(rows, name)))
        return sentences

    return said


def _ends(rows: list[Row], name: str) -> Row:
    low, high = rows[0], rows[-1]
    return {
        **high,
        "most": fill(name, high),
        "high": high["value"],
        "least": fill(name, low),
        "low": low["value"] if len(rows) > 1 else np.nan,
    }


def one_seed_note(quantity: Quantity = "test") -> Sentences:
    """What a chapter says whose rows of a quantity have one seed alone."""

    def said(table: LongTable) -> list[str]:
        seeds = table.where(quantity=quantity).frame["seeds"].dropna()
        if len(seeds) and seeds.max() == 1:
            return [
                "One seed each: nothing here says how much another seed would change."
            ]
        return []

    return said


def settled(table: LongTable) -> int:
    """In how many rows the interval leaves out zero."""
    return int(((table.frame["low"] > 0) | (table.frame["high"] < 0)).sum())


def say_settled(table: LongTable) -> str:
    """The same in words, to follow what the rows show."""
    known = int(np.isfinite(table.frame[["low", "high"]]).all(axis=1).sum())
    if not known:
        return "so few runs have no interval"
    if len(table) == 1:
        return f"its interval {'leaves out' if settled(table) else 'includes'} zero"
    return f"the interval leaves out zero in {settled(table)} of {known}"
