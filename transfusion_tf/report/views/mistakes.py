"""Prediction similarity: whether models from two donors err on the same images."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf.evaluation import PredictionSimilarity
from transfusion_tf.report import gallery, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.repetitions import RunKey
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.style import MUTED, Mark, styled
from transfusion_tf.report.views import plots
from transfusion_tf.report.views.donor_cells import (
    DonorCell,
    by_target,
    donor_cells,
    once_note,
    over_repetitions,
    target_title,
)
from transfusion_tf.report.views.parts import (
    Sheet,
    View,
    find,
    lines,
    long_table,
    measured,
    with_interval,
    with_spread,
)
from transfusion_tf.studies.measurements.agreement import run_similarity

SIMILARITY, INDEPENDENT, EXCESS = "similarity", "independent", "excess"
_MARKS = {SIMILARITY: Mark("#0072b2", "s"), INDEPENDENT: Mark("#d55e00", "o")}
_WORDS = {SIMILARITY: "predictions", INDEPENDENT: "if mistakes were independent"}


def draw(material: Material, folder: Path) -> View:
    """Similarity and its baseline, a mark a fold and the mean, target by target."""
    cells = donor_cells(material)
    found = {
        (name, f"{left.donor} – {right.donor}"): (left, compare(left, right))
        for name, own in by_target(cells).items()
        for left, right in _pairs(own)
    }
    rows: list[dict[str, Any]] = []
    for (name, pair), (cell, values) in found.items():
        rows += _rows(name, pair, cell, values)
    table = long_table(rows, material)
    pictures = []
    if found:
        pictures.append(
            gallery.keep(
                _figure(found, table),
                folder,
                material.chapter.name,
                "Prediction similarity of models from two donors, by target, beside "
                "that of models whose mistakes are independent",
            )
        )
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(table) + once_note(cells)),
        sheet=_sheet(found, table),
        colours={name: mark.colour for name, mark in _MARKS.items()},
    )


def compare(left: DonorCell, right: DonorCell) -> dict[RunKey, PredictionSimilarity]:
    """Prediction similarity on the test examples of every fold that both have."""
    return {
        key: run_similarity(left.runs[key], right.runs[key])
        for key in left.runs
        if key in right.runs
    }


def _pairs(cells: list[DonorCell]) -> list[tuple[DonorCell, DonorCell]]:
    """Donors with one another, each fine-tuned whole from the first step."""
    donors = [c for c in cells if c.donor != BASELINE and not c.head_first]
    return list(itertools.combinations(donors, 2))


def _rows(
    name: str, pair: str, cell: DonorCell, found: dict[RunKey, PredictionSimilarity]
) -> list[dict[str, Any]]:
    keys = {"dataset": name, "pair": pair}
    values = {
        SIMILARITY: {key: each.similarity for key, each in found.items()},
        INDEPENDENT: {key: each.independent for key, each in found.items()},
        EXCESS: {key: each.excess.estimate for key, each in found.items()},
    }
    rows: list[dict[str, Any]] = []
    for quantity, own in values.items():
        row = {**keys, "quantity": quantity, **measured(over_repetitions(own, cell))}
        if quantity != EXCESS:
            # Of a share: with two folds Student's interval is wider than all there is.
            row["low"], row["high"] = np.clip([row["low"], row["high"]], 0, 1)
        rows.append(row)
    for key, each in found.items():
        run = cell.runs[key].run_id
        for quantity, span in (("similarity_of_run", each.interval),
                               ("excess_of_run", each.excess)):  # fmt: skip
            ends = {"value": span.estimate, "low": span.low, "high": span.high}
            rows.append({**keys, "run_a": run, "quantity": quantity, **ends})
    return rows


@styled
def _figure(found: dict, table: pd.DataFrame) -> Figure:
    figure, (axes,) = plots.stacked([1.1 + 0.6 * len(found)])
    names = []
    several = len({pair for _, pair in found}) > 1
    for place, ((name, pair), (cell, values)) in enumerate(found.items()):
        names.append(target_title(cell) + (f"\n{pair}" if several else ""))
        for index, (quantity, mark) in enumerate(_MARKS.items()):
            height = 0.16 * (0.5 - index) * 2 - place
            folds = [getattr(each, quantity) for each in values.values()]
            axes.plot(
                folds, [height] * len(folds), mark.marker, color=mark.colour,
                markersize=3.4, alpha=0.35, markeredgewidth=0,
            )  # fmt: skip
            row = find(table, dataset=name, pair=pair, quantity=quantity)
            plots.draw_dot(axes, height, row, mark, _WORDS[quantity])
    plots.grid(axes, "x")
    plots.name_rows(axes, names, [-place for place in range(len(found))])
    axes.set_xlabel("share of test images on which both are right or both are wrong")
    axes.text(
        1, 1.02, "faint: folds", transform=axes.transAxes, ha="right", fontsize=7,
        color=MUTED,
    )  # fmt: skip
    plots.legend_below(figure, axes)
    return figure


def _sheet(found: dict, table: pd.DataFrame) -> Sheet:
    rows = []
    for (name, pair), (cell, values) in found.items():
        keys = {"dataset": name, "pair": pair}
        accuracies = np.array([each.accuracies for each in values.values()])
        spans = [each.excess for each in values.values()]
        settled = sum(span.low > 0 for span in spans)
        rows.append(
            (
                target_title(cell),
                pair,
                *(
                    with_spread(find(table, **keys, quantity=quantity))
                    for quantity in (SIMILARITY, INDEPENDENT)
                ),
                with_interval(find(table, **keys, quantity=EXCESS)),
                f"{settled} of {len(spans)}",
                " and ".join(wording.number(a) for a in accuracies.mean(axis=0)),
            )
        )
    return Sheet(
        ("Target", "Donors", "Similarity", "if independent", "Excess",
         "Folds above", "Accuracies"),
        tuple(rows),
        caption="± over folds; small: 95 % interval over folds. Folds above: those "
        "whose own interval, over patients, lies above zero.",
    )  # fmt: skip


def _sentences(table: pd.DataFrame) -> list[str]:
    excesses = lines(table[table["quantity"] == EXCESS])
    if not excesses:
        return []
    above = [row for row in excesses if row["low"] > 0]
    values = [float(row["value"]) for row in excesses]
    said = [
        "Models from two donors are both right or both wrong on "
        f"{wording.signed(100 * min(values), 1)} to "
        f"{wording.signed(100 * max(values), 1)} % of the images more than with "
        f"independent mistakes; the interval lies above zero for {len(above)} of "
        f"{len(excesses)}."
    ]
    return said
