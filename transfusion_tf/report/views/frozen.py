"""Fixed features: the test metric when stages up to one are frozen."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfusion_tf.evaluation import difference
from transfusion_tf.report import gallery, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE, Cell, Panel, Results
from transfusion_tf.report.style import Mark, styled
from transfusion_tf.report.views import plots
from transfusion_tf.report.views.accuracy_rows import class_rows, keys_of
from transfusion_tf.report.views.network_order import in_order, stage_order, through
from transfusion_tf.report.views.parts import (
    Sheet,
    View,
    dataset_title,
    find,
    long_table,
    measured,
    one_seed_note,
    with_interval,
    with_spread,
)

WHOLE, BELOW, RANDOM = "all donor", "donor below, random above", "random"
_MARKS = {
    WHOLE: Mark("#0072b2", "s"),
    BELOW: Mark("#d55e00", "D"),
    RANDOM: Mark("#6b6f76", "o"),
}


def draw(material: Material, folder: Path) -> View:
    """A picture a model: three treatments over the last frozen stage.

    Options: `by_class` draws a panel a class as well.
    """
    by_class = bool(material.chapter.options.get("by_class"))
    rows: list[dict[str, Any]] = []
    for results in material.results:
        for panel in results.panels:
            rows += _rows(results, panel, by_class)
    table = long_table(rows, material)
    pictures = []
    for results in material.results:
        for panel in results.panels:
            keys = keys_of(results, panel)
            title = dataset_title(material, keys["dataset"]) + results.panel_name(panel)
            own = _part(table, keys)
            classes = [q for q in dict.fromkeys(own["quantity"]) if _is_class(q)]
            stages = _stages(panel)
            if own.empty or not stages:
                continue
            pictures.append(
                gallery.keep(
                    _figure(own, results, stages, ["test", *classes], title),
                    folder,
                    f"{material.chapter.name}-{gallery.slug(title)}",
                    f"Test metric by the last frozen stage, {title}",
                )
            )
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(material, table)),
        sheet=_sheet(material, table),
        colours={name: mark.colour for name, mark in _MARKS.items()},
    )


def kind(cell: Cell) -> str | None:
    """Which of the three treatments a cell is; None of a run that froze nothing."""
    config = next(iter(cell.runs.values())).config
    if not config.freeze:
        return None
    if config.initialization == BASELINE:
        return RANDOM
    if config.initialization == "transfer":
        return WHOLE
    return BELOW if through(config.initialization) == config.freeze else None


def _stage(cell: Cell) -> str:
    return next(iter(cell.runs.values())).config.freeze or ""


def _cells(panel: Panel) -> dict[tuple[str, str], Cell]:
    """Treatment and stage -> its cell."""
    return {
        (name, _stage(cell)): cell
        for cell in panel.cells.values()
        if (name := kind(cell)) is not None
    }


def _stages(panel: Panel) -> list[str]:
    runs = [run for cell in panel.cells.values() for run in cell.runs.values()]
    return in_order((stage for _, stage in _cells(panel)), stage_order(runs))


def _rows(results: Results, panel: Panel, by_class: bool) -> list[dict[str, Any]]:
    rows = []
    cells = _cells(panel)
    for stage in _stages(panel):
        for name in _MARKS:
            cell = cells.get((name, stage))
            if cell is None:
                continue
            start = next(iter(cell.runs.values())).config.initialization
            keys = {
                **keys_of(results, panel),
                "initialization": start,
                "frozen": stage,
            }
            rows.append({**keys, "quantity": "test", **measured(cell.test)})
            baseline = cells.get((RANDOM, stage))
            against = (
                difference(cell.scores, baseline.scores)
                if baseline is not None and baseline is not cell
                else None
            )
            if against is not None:
                name = "difference_to_random"
                rows.append({**keys, "quantity": name, **measured(against)})
            if by_class:
                rows += class_rows(keys, cell, baseline)
    return rows


def _part(table: pd.DataFrame, keys: dict[str, Any]) -> pd.DataFrame:
    same = np.logical_and.reduce([table[name] == value for name, value in keys.items()])
    return table[same]


def _is_class(quantity: str) -> bool:
    return quantity.startswith("auc/")


def _row(table: pd.DataFrame, name: str, stage: str, quantity: str = "test"):
    start = {WHOLE: "transfer", BELOW: f"transfer:{stage}", RANDOM: BASELINE}[name]
    return find(table, initialization=start, frozen=stage, quantity=quantity)


@styled
def _figure(
    table: pd.DataFrame,
    results: Results,
    stages: list[str],
    quantities: list[str],
    title: str,
) -> Figure:
    unit = wording.metric_unit(results.metric)
    if len(quantities) == 1:
        figure, panels = plots.stacked([3.3])
        panels[0].set_title(title)
        panels[0].set_ylabel(f"test {unit}")
        panels[0].set_xlabel("last frozen stage")
    else:
        figure, panels = plots.small_panels(len(quantities), label="last frozen stage")
        figure.suptitle(title, x=0.02, ha="left", fontsize=9.5, fontweight="bold")
        figure.supylabel(f"test {unit}", fontsize=8.5)
        for axes, quantity in zip(panels, quantities, strict=True):
            name = "mean" if quantity == "test" else quantity.removeprefix("auc/")
            axes.set_title(name, pad=4)
    for axes, quantity in zip(panels, quantities, strict=True):
        _lines(axes, table, stages, quantity)
    plots.legend_below(figure, panels)
    return figure


def _lines(axes: Axes, table: pd.DataFrame, stages: list[str], quantity: str) -> None:
    for index, (name, mark) in enumerate(_MARKS.items()):
        places = [place + 0.09 * (index - 1) for place in range(len(stages))]
        rows = [_row(table, name, stage, quantity) for stage in stages]
        plots.draw_line(axes, places, rows, mark, name)
    plots.name_places(axes, stages)
    axes.set_xlim(-0.4, len(stages) - 0.6)
    plots.grid(axes, "y")


def _sheet(material: Material, table: pd.DataFrame) -> Sheet:
    rows = []
    for results in material.results:
        for panel in results.panels:
            own = _part(table, keys_of(results, panel))
            for index, stage in enumerate(_stages(panel)):
                values = {name: _row(own, name, stage) for name in _MARKS}
                rows.append(
                    (
                        results.panel_name(panel) if index == 0 else "",
                        stage,
                        *(with_spread(values[name]) for name in _MARKS),
                        with_interval(_row(own, WHOLE, stage, "difference_to_random")),
                    )
                )
    heads = ("Model", "Frozen up to", *_MARKS, "all donor minus random")
    return Sheet(
        heads, tuple(rows), caption="Test metric, ± over seeds; small: 95 % interval."
    )


def _sentences(material: Material, table: pd.DataFrame) -> list[str]:
    said = []
    for results in material.results:
        for panel in results.panels:
            own = _part(table, keys_of(results, panel))
            leads = {
                stage: row["value"]
                for stage in _stages(panel)
                if (row := _row(own, WHOLE, stage, "difference_to_random"))
            }
            name = results.panel_name(panel)
            if leads:
                most = max(leads, key=lambda stage: leads[stage])
                said.append(
                    f"{name}: frozen donor features are between "
                    f"{wording.signed(min(leads.values()))} and "
                    f"{wording.signed(max(leads.values()))} from random ones; the gap "
                    f"is largest with {most} frozen."
                )
            both = [
                whole["value"] - below["value"]
                for stage in _stages(panel)
                if (whole := _row(own, WHOLE, stage))
                and (below := _row(own, BELOW, stage))
            ]
            if both:
                said.append(
                    "Donor weights instead of random ones above the frozen stages make "
                    f"{wording.signed(min(both))} to {wording.signed(max(both))} "
                    "of difference."
                )
    seeds = table.loc[table["quantity"] == "test", "seeds"].dropna().astype(float)
    return said + one_seed_note(list(seeds))
