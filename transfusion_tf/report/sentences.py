"""Forms of sentences that several chapters say of their long tables."""

from collections.abc import Callable, Mapping

import numpy as np

from transfusion_tf.report.long_table import LongTable, Quantity

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
