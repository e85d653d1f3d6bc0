"""Speed-up: curves by share of stages transferred, and how much sooner they learn."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf.evaluation import (
    convergence_speedup,
    learning_curve_area,
    seed_interval,
    steps_to_threshold,
)
from transfusion_tf.report import gallery, style, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import race
from transfusion_tf.report.style import MUTED, Mark, styled
from transfusion_tf.report.views import plots
from transfusion_tf.report.views.parts import (
    Sheet,
    View,
    find,
    long_table,
    measured,
    one_seed_note,
    with_spread,
)
from transfusion_tf.report.views.plots import Curve
from transfusion_tf.report.views.reuse_cells import (
    Cell,
    cells,
    data_name,
    seeds_of,
    start_marks,
    start_name,
)


@dataclasses.dataclass(frozen=True, eq=False)
class _Race:
    """Starts of one model on one data set, raced to one threshold.

    Attributes:
      name: the model, and its data set.
      cells: random weights first, then by share transferred.
      threshold: of the validation metric, set by random weights as everywhere.
      horizon: the step at which the slowest of their seeds reaches it.
    """

    name: str
    cells: tuple[Cell, ...]
    threshold: float
    horizon: float

    def steps(self, cell: Cell) -> list[float | None]:
        """Steps to the threshold, one a seed; None is never."""
        return [
            steps_to_threshold(*run.curve(), self.threshold)
            for _, run in sorted(cell.runs.items())
        ]

    def areas(self, cell: Cell) -> list[float]:
        """Mean validation metric up to the horizon, one a seed."""
        return [
            learning_curve_area(*run.curve(), until=self.horizon)
            for _, run in sorted(cell.runs.items())
        ]


def draw(material: Material, folder: Path) -> View:
    """A picture a model with its curves, and one of all speed-ups."""
    found = cells(material)
    races = _races(found)
    table = long_table([row for each in races for row in _rows(each)], material)
    marks = start_marks(found)
    pictures = [
        gallery.keep(
            _curves(each, marks),
            folder,
            f"{material.chapter.name}-{gallery.slug(each.name)}",
            f"Validation metric over training by share transferred, {each.name}",
        )
        for each in races
    ]
    if races:
        pictures.append(
            gallery.keep(
                _speed(table, races),
                folder,
                f"{material.chapter.name}-speed",
                "Speed-up and mean validation metric by share transferred, by model",
            )
        )
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(table, races)),
        sheet=_sheet(table, races),
        colours={name: mark.colour for name, mark in marks.items()},
    )


def _races(found: list[Cell]) -> list[_Race]:
    groups: dict[tuple, list[Cell]] = {}
    for cell in found:
        key = (cell.dataset, cell.train_examples, cell.model)
        groups.setdefault(key, []).append(cell)
    several = len({key[:2] for key in groups}) > 1
    races = []
    for (dataset, size, model), own in groups.items():
        # Without random weights the start that ends lowest sets the mark.
        lowest = min(own, key=_best)
        baseline = next((cell for cell in own if cell.fraction is None), lowest)
        last = max(r.config.steps for cell in own for r in cell.runs.values())
        threshold, horizon = race(baseline.runs.values(), last)
        name = f"{model} on {data_name((dataset, size), found)}" if several else model
        races.append(_Race(name, tuple(own), threshold, horizon))
    return races


def _best(cell: Cell) -> float:
    return float(np.mean([run.best_validation() for run in cell.runs.values()]))


def _rows(each: _Race) -> list[dict[str, Any]]:
    statistics = next((cell for cell in each.cells if cell.fraction == 0), None)
    rows = []
    for cell in each.cells:
        steps = each.steps(cell)
        reached = [value for value in steps if value is not None]
        found = measured(seed_interval(reached)) if reached else {"value": np.nan}
        rows += [
            {**cell.keys, "quantity": "steps", **found},
            {
                **{**cell.keys, "quantity": "reached", "value": len(reached)},
                "seeds": len(steps),
            },
            {
                **{**cell.keys, "quantity": "area"},
                **measured(seed_interval(each.areas(cell))),
            },
        ]
        if statistics is not None and cell.fraction is not None:
            speed = convergence_speedup(steps, each.steps(statistics))
            rows.append(
                {
                    **{**cell.keys, "quantity": "speed_up", "value": speed.estimate},
                    **{"low": speed.low, "high": speed.high, "seeds": len(steps)},
                }
            )
    return rows


@styled
def _curves(each: _Race, marks: dict[str, Mark]) -> Figure:
    figure, (axes,) = plots.stacked([3.1])
    curves = []
    for cell in each.cells:
        found = [run.curve() for _, run in sorted(cell.runs.items())]
        steps = np.unique(np.concatenate([at for at, _ in found]))
        values = np.array([np.interp(steps, at, v) for at, v in found])
        mark = marks[cell.initialization]
        dashed = cell.fraction is None
        curves.append(Curve(start_name(cell), steps, values, mark, dashed))
    plots.draw_curves(axes, curves)
    plots.draw_threshold(
        axes, each.threshold, f"threshold\n{wording.number(each.threshold)}"
    )
    axes.set_title(each.name)
    axes.set_xlabel("training step")
    unit = wording.metric_unit(each.cells[0].any_run.metric)
    axes.set_ylabel(f"validation {unit}")
    plots.legend_below(figure, axes)
    return figure


@styled
def _speed(table: pd.DataFrame, races: list[_Race]) -> Figure:
    figure, (upper, lower) = plots.stacked([2.0, 2.0], sharex=True)
    marks = style.marks([each.name for each in races])
    for each in races:
        mark = marks[each.name]
        swept = [cell for cell in each.cells if cell.fraction is not None]
        places = [float(cell.fraction or 0.0) for cell in swept]
        for axes, quantity in ((upper, "speed_up"), (lower, "area")):
            rows = [find(table, **cell.keys, quantity=quantity) for cell in swept]
            known = [
                (place, row["value"])
                for place, row in zip(places, rows, strict=True)
                if row is not None and np.isfinite(row["value"])
            ]
            axes.plot(
                [place for place, _ in known], [value for _, value in known],
                color=mark.colour, marker=mark.marker, markersize=4.5, linewidth=1.7,
                markeredgecolor="white", markeredgewidth=0.5, label=each.name,
            )  # fmt: skip
    upper.axhline(1.0, color=MUTED, linewidth=0.8)
    speeds = table.loc[table["quantity"] == "speed_up", "value"]
    if not np.isfinite(speeds).any():
        upper.annotate(
            "no model has all of its seeds there", (0.5, 0.6), ha="center",
            xycoords="axes fraction", fontsize=8, color=MUTED,
        )  # fmt: skip
    upper.set_title("Times sooner at the threshold than ST", pad=5)
    lower.set_title("Mean validation metric while random weights learn", pad=5)
    lower.set_xlabel("share of stages transferred")
    lower.set_xticks([0, 0.25, 0.5, 0.75, 1], ["ST", "¼", "½", "¾", "WT"])
    for axes in (upper, lower):
        plots.grid(axes, "y")
    plots.legend_below(figure, lower)
    return figure


def _sheet(table: pd.DataFrame, races: list[_Race]) -> Sheet:
    rows = []
    for each in races:
        for index, cell in enumerate(each.cells):
            steps, reached, area, speed = (
                find(table, **cell.keys, quantity=name)
                for name in ("steps", "reached", "area", "speed_up")
            )
            there = ""
            if reached is not None:
                there = f"{int(reached['value'])} of {int(reached['seeds'])}"
            rows.append(
                (
                    each.name if index == 0 else "",
                    start_name(cell),
                    "never"
                    if steps is None or not np.isfinite(steps["value"])
                    else wording.count(steps["value"]),
                    there,
                    wording.number(None if speed is None else speed["value"], 2),
                    with_spread(area),
                )
            )
    thresholds = wording.listed(
        [f"{wording.number(each.threshold)} ({each.name})" for each in races]
    )
    return Sheet(
        ("Model", "Start", "Steps to threshold", "Seeds there", "Times sooner than ST",
         "Mean while learning"),
        tuple(rows),
        caption="Threshold, nine tenths of the way from chance to the best of random "
        f"weights: {thresholds}. Times sooner: of mean steps, missing where a seed "
        "never gets there.",
    )  # fmt: skip


def _sentences(table: pd.DataFrame, races: list[_Race]) -> list[str]:
    said = []
    for each in races:
        areas = []
        for cell in each.cells:
            row = find(table, **cell.keys, quantity="area")
            if row is not None and np.isfinite(row["value"]):
                areas.append(f"{start_name(cell)} {wording.number(row['value'])}")
        said.append(
            f"{each.name}: mean validation metric while random weights learn is "
            f"{wording.listed(areas)}."
        )
    return said + one_seed_note(seeds_of([c for each in races for c in each.cells]))
