"""Donors compared: test AUC by target, donor and way of fine-tuning; calibration."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf.evaluation import (
    forecasts,
    labels_and_probabilities,
    reliability,
)
from transfusion_tf.report import gallery, wording
from transfusion_tf.report.calibration import reliability_diagram
from transfusion_tf.report.material import Material
from transfusion_tf.report.repetitions import mean_difference, mean_on_test
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.style import Mark, styled
from transfusion_tf.report.views import paper_values, plots
from transfusion_tf.report.views.donor_cells import (
    DonorCell,
    by_target,
    cell_marks,
    donor_cells,
    over_repetitions,
    target_title,
)
from transfusion_tf.report.views.parts import (
    Row,
    Sheet,
    View,
    find,
    has_paper,
    interval,
    lines,
    long_table,
    measured,
    small_paper,
    with_interval,
    with_spread,
)
from transfusion_tf.studies.study_folder import Run

CALIBRATION, BALANCED = "expected_calibration_error", "balanced_accuracy"
# Fewer than the error is computed with: intervals must stay apart.
_BINS = 10


def draw(material: Material, folder: Path) -> View:
    """A dot plot of all targets, and a reliability diagram of each."""
    cells = donor_cells(material)
    marks = cell_marks(cells)
    rows: list[dict[str, Any]] = []
    for own in by_target(cells).values():
        rows += _rows(own)
    table = long_table(rows, material)
    pictures = []
    if cells:
        pictures.append(
            gallery.keep(
                _figure(cells, table, marks, material),
                folder,
                material.chapter.name,
                "Test AUC by target and donor, mean over folds with 95 % intervals",
            )
        )
    for name, own in by_target(cells).items():
        figure = _calibration(own, marks)
        if figure is not None:
            pictures.append(
                gallery.keep(
                    figure,
                    folder,
                    f"{material.chapter.name}-calibration-{gallery.slug(name)}",
                    f"Reliability diagram on {target_title(own[0])}, by donor",
                )
            )
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(cells, table)),
        sheet=_sheet(cells, table),
        colours={label: mark.colour for label, mark in marks.items()},
    )


def _rows(cells: list[DonorCell]) -> list[dict[str, Any]]:
    """Rows of one target."""
    baseline = next((cell for cell in cells if cell.donor == BASELINE), None)
    rows = []
    for cell in cells:
        keys = {
            **{"dataset": cell.dataset, "initialization": cell.label},
            "train_examples": cell.first.train_examples,
        }
        rows.append({**keys, "quantity": "test", **measured(mean_on_test(cell.runs))})
        if baseline is not None and cell is not baseline:
            gap = mean_difference(cell.runs, baseline.runs)
            if gap is not None:
                found = measured(gap)
                rows.append({**keys, "quantity": "difference_to_random", **found})
        for name in (BALANCED, CALIBRATION):
            values = cell.values(_metric(name))
            if values:
                found = measured(over_repetitions(values, cell))
                rows.append({**keys, "quantity": name, **found})
    return rows


def _metric(name: str) -> Callable[[Run], float | None]:
    """Takes a metric on test from a run."""
    return lambda run: run.test_metrics.get(name)


@styled
def _figure(
    cells: list[DonorCell],
    table: pd.DataFrame,
    marks: dict[str, Mark],
    material: Material,
) -> Figure:
    targets = by_target(cells)
    figure, (axes,) = plots.stacked([1.0 + 0.8 * len(targets)])
    for place, (name, own) in enumerate(targets.items()):
        for index, cell in enumerate(own):
            shift = 0.16 * ((len(own) - 1) / 2 - index)
            row = find(table, dataset=name, initialization=cell.label, quantity="test")
            plots.draw_dot(axes, shift - place, row, marks[cell.label], cell.label)
    plots.grid(axes, "x")
    names = [target_title(own[0]) for own in targets.values()]
    plots.name_rows(axes, names, [-place for place in range(len(targets))])
    units = {wording.metric_unit(cell.first.metric) for cell in cells}
    axes.set_xlabel(f"test {wording.listed(sorted(units))}")
    known = has_paper(table, "test")
    label = paper_values.label(material.chapter.published, list(targets))
    plots.legend_below(figure, axes, [plots.paper_key(label)] if known else [])
    return figure


def _calibration(cells: list[DonorCell], marks: dict[str, Mark]) -> Figure | None:
    """All folds' forecasts in one diagram; the error is the mean of the runs' own."""
    curves, errors = {}, {}
    for cell in cells:
        if cell.head_first:
            continue  # Its error is in the table; more curves than three tangle.
        pairs = [_forecasts(run) for run in cell.runs.values()]
        happened, forecast = (np.concatenate(side) for side in zip(*pairs, strict=True))
        if not len(forecast):
            continue
        curves[cell.label] = reliability(happened, forecast, _BINS)
        values = cell.values(_metric(CALIBRATION))
        errors[cell.label] = (
            float(np.mean(list(values.values()))) if values else float("nan")
        )
    if not curves:
        return None
    return reliability_diagram(
        *(curves, errors, marks, cells[0].first.dataset["kind"]),
        target_title(cells[0]),
    )


def _forecasts(run: Run) -> tuple[np.ndarray, np.ndarray]:
    return forecasts(
        *labels_and_probabilities(
            run.directory.predictions("test"), run.dataset["classes"]
        ),
        run.dataset["kind"],
    )


def _sheet(cells: list[DonorCell], table: pd.DataFrame) -> Sheet:
    rows = []
    for name, own in by_target(cells).items():
        for cell in own:
            keys = {"dataset": name, "initialization": cell.label}
            found = {
                quantity: find(table, **keys, quantity=quantity)
                for quantity in ("test", "difference_to_random", BALANCED, CALIBRATION)
            }
            test = found["test"]
            rows.append(
                (
                    target_title(cell) if cell is own[0] else "",
                    cell.label,
                    with_spread(test) + small_paper(test),
                    _plain(test),
                    with_interval(found["difference_to_random"]),
                    with_spread(found[BALANCED]),
                    with_spread(found[CALIBRATION]),
                )
            )
    return Sheet(
        ("Target", "Donor", "Test AUC", "95 % interval", "minus random weights",
         "Balanced accuracy", "Calibration error"),
        tuple(rows),
        caption="Mean ± standard deviation over folds; intervals count that folds "
        "share training images. Calibration error: expected calibration error, 15 "
        "bins; 0 is calibrated.",
    )  # fmt: skip


def _plain(row: Row | None) -> str:
    if row is None or not interval(row):
        return wording.MISSING
    return f"{wording.number(row['low'])} – {wording.number(row['high'])}"


def _sentences(cells: list[DonorCell], table: pd.DataFrame) -> list[str]:
    said = []
    best = []
    for name, own in by_target(cells).items():
        tests = lines(table[(table["dataset"] == name) & (table["quantity"] == "test")])
        known = [row for row in tests if np.isfinite(row["value"])]
        if known:
            top = max(known, key=lambda row: row["value"])
            best.append(
                f"{top['initialization']} on {target_title(own[0])} "
                f"({wording.number(top['value'])})"
            )
    if best:
        said.append(f"Highest mean: {wording.listed(best)}.")
    gains = table[table["quantity"] == "difference_to_random"]
    for label, part in gains.groupby("initialization", sort=False):
        settled = int(((part["low"] > 0) | (part["high"] < 0)).sum())
        said.append(
            f"{label}: {wording.signed(part['value'].mean())} AUC against random "
            f"weights on average; the interval leaves out zero on {settled} of "
            f"{wording.plural(len(part), 'target')}."
        )
    errors = table[table["quantity"] == CALIBRATION]
    means = errors.groupby("initialization", sort=False)["value"].mean()
    if len(means) > 1:
        said.append(
            f"Best calibrated on average is {means.idxmin()} (calibration error "
            f"{wording.number(means.min())}), worst {means.idxmax()} "
            f"({wording.number(means.max())})."
        )
    return said
