"""The picture beside the headline: what each start gains over random weights."""

import dataclasses
from collections.abc import Callable

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


@dataclasses.dataclass(frozen=True)
class Gain:
    """One line of the picture; places are from 0 to `WIDTH`.

    Attributes:
      panel: the model, or its training size.
      start: what is compared with random weights.
      number: the difference.
      interval: the same in words.
      point: where the estimate is drawn.
      ends: of the interval; None without one.
      judgement: of `Case`.
    """

    panel: str
    start: str
    number: str
    interval: str
    point: float
    ends: tuple[float, float] | None
    judgement: str


@dataclasses.dataclass(frozen=True)
class GainsPicture:
    """All lines on one scale.

    Attributes:
      rows: one per model and start.
      zero: where no difference is.
      band: between minus and plus the margin.
      left_out: how many comparisons are not drawn.
    """

    rows: tuple[Gain, ...]
    zero: float
    band: tuple[float, float]
    left_out: int


def gains_picture(results: Results) -> GainsPicture | None:
    """The gains of all starts; None where nothing is compared with random weights."""
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

    return GainsPicture(
        tuple(_row(results, *each, place) for each in chosen),
        place(0.0),
        (place(-margin), place(margin)),
        len(found) - len(chosen),
    )


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
) -> Gain:
    found = case.difference
    ends = None
    if np.isfinite([found.low, found.high]).all():
        ends = place(found.low), place(found.high)
    return Gain(
        results.panel_name(panel),
        start,
        wording.signed(found.estimate),
        brackets(found),
        place(found.estimate),
        ends,
        case.judgement,
    )
