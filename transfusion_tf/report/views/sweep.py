"""Sweep: the test metric by the share of stages with the donor's weights (WT-ST)."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfusion_tf.evaluation import ratio_of_means
from transfusion_tf.report import gallery, style, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.style import MUTED, Mark, styled
from transfusion_tf.report.views import plots
from transfusion_tf.report.views.parts import (
    Sheet,
    View,
    find,
    long_table,
    one_seed_note,
    with_spread,
)
from transfusion_tf.report.views.reuse_cells import (
    Cell,
    cells,
    data_name,
    data_of,
    find_cell,
    has_levels,
    mean_value,
    models_of,
    rows_of_cells,
    seeds_of,
    start_name,
)

# Where random weights stand, left of a fraction of 0.
_RANDOM_PLACE = -0.14


def draw(material: Material, folder: Path) -> View:
    """One picture: a panel a data set, and the mean gain over statistics alone."""
    found = cells(material)
    rows = rows_of_cells(found) + [
        row for cell in found for row in _gain_rows(cell, found)
    ]
    table = long_table(rows, material)
    marks = style.marks(models_of(found))
    pictures = []
    if found:
        pictures = [
            gallery.keep(
                _figure(table, found, marks),
                folder,
                material.chapter.name,
                "Test metric by share of transferred stages, a line a model",
            )
        ]
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(found)),
        sheet=_sheet(table, found),
        colours={model: mark.colour for model, mark in marks.items()},
    )


def _gain_rows(cell: Cell, found: list[Cell]) -> list[dict[str, Any]]:
    """The metric over that of statistics alone: the last panel's numbers."""
    if not cell.fraction:
        return []
    statistics = _same(cell, found, fraction=0.0)
    if statistics is None:
        return []
    gain = ratio_of_means(cell.values, statistics.values)
    return [
        {
            **{**cell.keys, "quantity": "statistics_gain", "value": gain.estimate},
            **{"low": gain.low, "high": gain.high, "seeds": len(cell.runs)},
        }
    ]


def _same(cell: Cell, found: list[Cell], **wanted: Any) -> Cell | None:
    """The cell of the same model and data with another start."""
    return find_cell(
        found,
        **{"dataset": cell.dataset, "train_examples": cell.train_examples},
        **{"model": cell.model, **wanted},
    )


@styled
def _figure(table: pd.DataFrame, found: list[Cell], marks: dict[str, Mark]) -> Figure:
    swept = [cell for cell in found if has_levels([cell])]
    data = data_of(swept or found)
    figure, panels = plots.small_panels(
        len(data) + 1, 2.1, "share of stages transferred", sharex=True
    )
    for axes, pair in zip(panels, data, strict=False):
        own = [c for c in found if (c.dataset, c.train_examples) == pair]
        for model, mark in marks.items():
            _draw_model(axes, table, [c for c in own if c.model == model], mark)
        axes.set_title(data_name(pair, found), pad=4)
        axes.set_ylabel(f"test {wording.metric_unit(own[0].any_run.metric)}")
    _draw_gains(panels[-1], table, found, marks)
    for axes in panels:
        axes.set_xlim(-0.26, 1.08)
        axes.set_xticks([_RANDOM_PLACE, 0.0, 0.5, 1.0], ["RI", "ST", "½", "WT"])
        plots.grid(axes, "y")
    plots.legend_below(figure, panels)
    return figure


def _draw_model(axes: Axes, table: pd.DataFrame, own: list[Cell], mark: Mark) -> None:
    rows = {cell: find(table, **cell.keys, quantity="test") for cell in own}
    swept = [cell for cell in own if cell.fraction is not None]
    if swept:
        places = [float(cell.fraction or 0.0) for cell in swept]
        found = [rows[cell] for cell in swept]
        plots.draw_line(axes, places, found, mark, swept[0].model)
    for cell in own:
        row = rows[cell]
        if cell.fraction is None and row is not None:
            axes.plot(
                _RANDOM_PLACE, row["value"], "*", color=mark.colour, markersize=8,
                markeredgecolor="white", markeredgewidth=0.5,
            )  # fmt: skip


def _draw_gains(
    axes: Axes, table: pd.DataFrame, found: list[Cell], marks: dict[str, Mark]
) -> None:
    gains = table[table["quantity"] == "statistics_gain"]
    for model, mark in marks.items():
        own = [cell for cell in found if cell.model == model and cell.fraction]
        points: dict[float, list[float]] = {0.0: [1.0]}
        for cell in own:
            row = find(gains, **cell.keys)
            if row is not None and np.isfinite(row["value"]):
                points.setdefault(float(cell.fraction or 0.0), []).append(row["value"])
        places = sorted(points)
        axes.plot(
            places, [float(np.mean(points[place])) for place in places],
            color=mark.colour, marker=mark.marker, markersize=4, linewidth=1.7,
            markeredgecolor="white", markeredgewidth=0.5,
        )  # fmt: skip
    axes.axhline(1.0, color=MUTED, linewidth=0.8)
    axes.set_title("gain over ST, mean", pad=4)
    axes.set_ylabel("metric / ST")


def _sheet(table: pd.DataFrame, found: list[Cell]) -> Sheet:
    rows = []
    for pair in data_of(found):
        for model in models_of(found):
            own = [
                cell
                for cell in found
                if (cell.dataset, cell.train_examples, cell.model) == (*pair, model)
            ]
            for index, cell in enumerate(own):
                gain = find(table, **cell.keys, quantity="statistics_gain")
                rows.append(
                    (
                        data_name(pair, found) if index == 0 else "",
                        model if index == 0 else "",
                        start_name(cell),
                        wording.MISSING
                        if cell.fraction is None
                        else wording.number(cell.fraction, 2),
                        with_spread(find(table, **cell.keys, quantity="test")),
                        wording.number(None if gain is None else gain["value"]),
                    )
                )
    return Sheet(
        ("Data", "Model", "Start", "Share transferred", "Test metric", "over ST"),
        tuple(rows),
        words=3,
        caption="± is over seeds. Share: of the stages that have the donor's weights.",
    )


def _sentences(found: list[Cell]) -> list[str]:
    """How much of the way from ST to WT is gone at about half of the stages."""
    said = []
    for pair in data_of(found):
        for model in models_of(found):
            own = [
                cell
                for cell in found
                if (cell.dataset, cell.train_examples, cell.model) == (*pair, model)
            ]
            low, high = (mean_value(find_cell(own, fraction=f)) for f in (0.0, 1.0))
            between = [c for c in own if c.fraction is not None and 0 < c.fraction < 1]
            if not between or not np.isfinite([low, high]).all():
                continue
            middle = min(between, key=lambda cell: abs((cell.fraction or 0.0) - 0.5))
            said.append(
                f"{model} on {data_name(pair, found)}: from ST "
                f"{wording.number(low)} to WT {wording.number(high)}, and "
                f"{wording.number(mean_value(middle))} with "
                f"{wording.number(100 * (middle.fraction or 0.0), 0)} % of the stages "
                "transferred."
            )
    return said + one_seed_note(seeds_of(found))
