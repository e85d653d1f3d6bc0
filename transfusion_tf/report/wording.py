"""Numbers, lists, and templates of rows, as people read them."""

import dataclasses
import math
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from transfusion_tf.evaluation import units

MISSING = "–"

_METRICS = {
    "referable_auc": "AUC of referable disease",
    "mean_auc": "mean AUC over the classes",
    "balanced_accuracy": "balanced accuracy",
    "quadratic_kappa": "quadratic kappa",
    "top5_accuracy": "top-5 accuracy",
    "prior_weighted_auc": "AUC, classes weighted by their share",
}


def metric_title(metric: str) -> str:
    """The metric's name in a sentence."""
    return _METRICS.get(metric, metric)


def metric_unit(metric: str) -> str:
    """What stands behind a number: `AUC`, `accuracy`."""
    return units.metric_unit(metric) or metric


def number(value: float | None, digits: int = 3) -> str:
    """`0.912`, with a true minus sign; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return MISSING
    # `z`: what rounds to zero has no sign.
    return f"{value:z.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 3) -> str:
    """`+0.031`, `−0.012`; what rounds to zero is `0.000`."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = number(value, digits)
    return f"+{text}" if value > 0 and text.strip("0.") else text


def times(doublings: float | None) -> str:
    """How many times as much that is: `2.00` of 1, `0.50` of −1, `12.3`."""
    if doublings is None or not math.isfinite(doublings):
        return MISSING
    factor = 2.0**doublings
    return count(factor) if factor >= 100 else number(factor, 1 if factor >= 10 else 2)


def count(value: float | None) -> str:
    """`12 345`, with narrow no-break spaces."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{round(value):,}".replace(",", "\u202f").replace("-", "−")


def amount(value: float | None) -> str:
    """`1.08 M`, `540 k`, `320`."""
    if value is None or not math.isfinite(value):
        return MISSING
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            digits = 2 if value < 10 * size else 1 if value < 100 * size else 0
            return f"{value / size:.{digits}f}\u202f{letter}"
    return f"{value:.0f}"


def duration(seconds: float | None) -> str:
    """`45 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    whole = round(seconds)
    if whole < 60:
        return f"{whole}\u202fs"
    if whole < 3600:
        return f"{whole // 60}\u202fmin {whole % 60:02d}\u202fs"
    return f"{whole // 3600}\u202fh {whole % 3600 // 60:02d}\u202fmin"


def plural(value: int, singular: str, several: str | None = None) -> str:
    """`1 seed`, `3 seeds`."""
    word = singular if value == 1 else (several or singular + "s")
    return f"{count(value)} {word}"


def without_folders(text: str) -> str:
    """A message whose absolute paths keep their last part alone."""
    return re.sub(r"(?<![\w./<])~?/(?:[^\s/'\"]+/)+", ".../", text)


def without_place(text: str) -> str:
    """A remark without the file, perhaps a path with spaces, that it begins with.

    So those of runs begin that were made before remarks kept their reason alone.
    """
    return re.sub(r"^.*/[^:]*: |^[^:/]*\.[A-Za-z]\w{1,4}\b[^:]*: ", "", text)


def without_names(text: str) -> str:
    """A message about data without what it quotes, and without paths."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|\S*/\S*", "…", text)


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + " and " + items[-1]


@dataclasses.dataclass(frozen=True)
class _Number:
    """A number in a template: Python's format codes, `count`, and `%` for `.0%`."""

    value: Any
    missing: str

    def __format__(self, spec: str) -> str:
        if not math.isfinite(self.value):
            return self.missing
        if spec == "count":
            return count(self.value)
        text = format(self.value, ".0%" if spec == "%" else spec)
        # No minus sign before a zero, unless signs are asked for.
        if "+" not in spec and not text.strip("-0.%"):
            text = text.lstrip("-")
        return text.replace("-", "−").replace("%", " %")


def fill(template: str, row: Mapping[str, Any], missing: str = MISSING) -> str:
    """A template with the values of a row: `{value:.3f}[ ± {std:.3f}]`.

    What stands in brackets is left out where one of its values is not known.

    Args:
      template: with the row's columns as fields. Besides Python's, their formats are
        `count` (`12 345`) and `%` (of a share, as Python's `.0%`).
      row: with the values.
      missing: in place of a number that is not known, and of an empty text.
    """

    def optional(found: re.Match[str]) -> str:
        fields = [name for _, name, _, _ in string.Formatter().parse(found[1]) if name]
        known = all(_is_known(row.get(name)) for name in fields)
        return found[1] if known else ""

    shown = {
        name: _Number(value, missing)
        if isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        else value
        for name, value in row.items()
    }
    return re.sub(r"\[([^]]*)\]", optional, template).format_map(shown) or missing


def _is_known(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value)
    return isinstance(value, (int, float, np.number)) and math.isfinite(value)
