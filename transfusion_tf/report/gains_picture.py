"""The picture beside the headline: what each start gains over random weights."""

from collections.abc import Callable
from typing import Any

import numpy as np

from transfusion_tf.report import wording
from transfusion_tf.report.judged_differences import (
    Case,
    brackets,
    judge,
    transfers,
    unless_unfit,
)
from transfusion_tf.report.results import BASELINE, ModelResults, Results

# More are not told apart at a glance: then transfer alone, the first of its cases.
_MOST_ROWS = 10
WIDTH = 220


def gains_picture(results: Results) -> dict[str, Any] | None:
    """The gains of all starts; None where nothing is compared with random weights.

    Returns:
      `rows`, one per model and start; on the scale of their places, from 0 to `WIDTH`,
      `zero` (no difference) and `band` (minus to plus the margin); and how many
      comparisons are `left_out`.
    """
    found = _cases(results)
    if not found:
        return None
    chosen = found
    if len(found) > _MOST_ROWS:
        chosen = [each for each in found if each[1] in transfers(each[0])] or found
        chosen = chosen[:_MOST_ROWS]
    margin = results.margin
    values = [-1.5 * margin, 1.5 * margin]
    for _, _, case in chosen:
        difference = case.difference
        values += [difference.estimate, difference.low, difference.high]
    known = [value for value in values if np.isfinite(value)]
    low, high = min(known), max(known)

    def place(value: float) -> float:
        return round(4 + (WIDTH - 8) * (value - low) / (high - low), 1)

    return {
        "rows": [_row(results, *each, place) for each in chosen],
        "zero": place(0.0),
        "band": (place(-margin), place(margin)),
        "left_out": len(found) - len(chosen),
    }


def _cases(results: Results) -> list[tuple[ModelResults, str, Case]]:
    found = []
    for panel in results.model_results:
        for label, start in panel.starts.items():
            difference = panel.test_difference(label, BASELINE)
            if label != BASELINE and difference is not None:
                case = Case("", difference, judge(difference, results.margin))
                case = unless_unfit(case, start, panel.starts[BASELINE])
                found.append((panel, label, case))
    return found


def _row(
    results: Results,
    panel: ModelResults,
    start: str,
    case: Case,
    place: Callable[[float], float],
) -> dict[str, Any]:
    found = case.difference
    ends = None
    if np.isfinite([found.low, found.high]).all():
        ends = place(found.low), place(found.high)
    return {
        "panel": results.panel_name(panel),
        "start": start,
        "number": wording.signed(found.estimate),
        "interval": brackets(found),
        "point": place(found.estimate),
        "ends": ends,
        "judgement": case.judgement,
    }
