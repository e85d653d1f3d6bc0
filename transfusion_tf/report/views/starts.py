"""Starts: the test metric from random weights, statistics and weights, everywhere."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf.report import gallery, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.style import Mark, styled
from transfusion_tf.report.views import paper_values, plots
from transfusion_tf.report.views.parts import (
    Sheet,
    View,
    find,
    has_paper,
    long_table,
    one_seed_note,
    small_paper,
    with_spread,
)
from transfusion_tf.report.views.reuse_cells import (
    Cell,
    cells,
    data_name,
    data_of,
    find_cell,
    mean_value,
    models_of,
    rows_of_cells,
    seeds_of,
    start_marks,
    start_name,
)


def draw(material: Material, folder: Path) -> View:
    """One picture, a panel a data set; models one below the other."""
    found = cells(material)
    table = long_table(rows_of_cells(found) + _parameters(found), material)
    marks = start_marks(found)
    pictures = [
        gallery.keep(
            _figure(material, table, found, marks),
            folder,
            material.chapter.name,
            "Test metric by model, data set and start, with 95 % intervals",
        )
    ]
    return View(
        pictures=tuple(pictures) if found else (),
        table=table,
        sentences=tuple(_sentences(found)),
        sheet=_sheet(table, found),
        colours={name: mark.colour for name, mark in marks.items()},
    )


def _parameters(found: list[Cell]) -> list[dict[str, Any]]:
    rows = []
    for model in models_of(found):
        cell = find_cell(found, model=model)
        count = cell.any_run.status.get("parameters") if cell else None
        if count is not None:
            rows.append({"model": model, "quantity": "parameters", "value": count})
    return rows


@styled
def _figure(
    material: Material, table: pd.DataFrame, found: list[Cell], marks: dict[str, Mark]
) -> Figure:
    models, data = models_of(found), data_of(found)
    figure, panels = plots.small_panels(
        len(data), 0.75 + 0.27 * len(models), sharey=True
    )
    for axes, pair in zip(panels, data, strict=True):
        own = [c for c in found if (c.dataset, c.train_examples) == pair]
        for place, model in enumerate(models):
            shown = [cell for cell in own if cell.model == model]
            for index, cell in enumerate(shown):
                row = find(table, **cell.keys, quantity="test")
                shift = 0.22 * ((len(shown) - 1) / 2 - index)
                mark = marks[cell.initialization]
                plots.draw_dot(axes, shift - place, row, mark, start_name(cell))
        axes.set_title(data_name(pair, found), pad=4)
        axes.set_xlabel(f"test {wording.metric_unit(own[0].any_run.metric)}")
        plots.name_rows(axes, models, [-i for i in range(len(models))])
        plots.grid(axes, "x")
    key = []
    if has_paper(table, "test"):
        names = list(dict.fromkeys(name for name, _ in data))
        key = [plots.paper_key(paper_values.label(material.chapter.published, names))]
    plots.legend_below(figure, panels, key)
    return figure


def _sheet(table: pd.DataFrame, found: list[Cell]) -> Sheet:
    data = data_of(found)
    rows = []
    for model in models_of(found):
        starts = dict.fromkeys(c.initialization for c in found if c.model == model)
        count = find(table, model=model, quantity="parameters")
        for index, start in enumerate(starts):
            chosen = [
                find_cell(
                    found,
                    **{"model": model, "initialization": start},
                    **{"dataset": name, "train_examples": size},
                )
                for name, size in data
            ]
            named = next(cell for cell in chosen if cell is not None)
            tests = [
                find(table, **cell.keys, quantity="test") if cell else None
                for cell in chosen
            ]
            size = wording.amount(count["value"]) if count is not None else ""
            rows.append(
                (
                    f"{model}\n{size}" if index == 0 else "",
                    start_name(named),
                    *(with_spread(row) + small_paper(row) for row in tests),
                )
            )
    heads = [data_name(pair, found) for pair in data]
    return Sheet(
        ("Model", "Start", *heads),
        tuple(rows),
        caption="RI: random weights; ST: statistics of the donor's weights; WT: the "
        "weights. ± is over seeds; the metric is each data set's own.",
    )


def _sentences(found: list[Cell]) -> list[str]:
    said = []
    for model in models_of(found):
        gains = {}
        for name, size in data_of(found):
            keys = {"model": model, "dataset": name, "train_examples": size}
            low, high = (
                mean_value(find_cell(found, **keys, initialization=start))
                for start in ("random", "transfer")
            )
            if np.isfinite([low, high]).all():
                gains[data_name((name, size), found)] = high - low
        if gains:
            listed = [f"{wording.signed(v)} on {name}" for name, v in gains.items()]
            said.append(f"{model}: WT minus RI is {wording.listed(listed)}.")
    return said + one_seed_note(seeds_of(found))
