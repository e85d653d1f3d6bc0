"""Truncated: the test metric of a transformer cut to its first blocks."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf.evaluation import difference
from transfusion_tf.models import parse_model_name
from transfusion_tf.models.architectures import ARCHITECTURES
from transfusion_tf.report import gallery, style, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.style import styled
from transfusion_tf.report.views import plots
from transfusion_tf.report.views.parts import (
    Sheet,
    View,
    find,
    long_table,
    measured,
    one_seed_note,
    with_interval,
    with_spread,
)
from transfusion_tf.report.views.reuse_cells import (
    Cell,
    cells,
    data_name,
    data_of,
    rows_of_cells,
    seeds_of,
)


def draw(material: Material, folder: Path) -> View:
    """One picture: the metric by number of blocks, a line a data set."""
    found = sorted(cells(material), key=blocks_of)
    rows = rows_of_cells(found) + [r for cell in found for r in _gap(cell, found)]
    table = long_table(rows, material)
    pictures = []
    if found:
        pictures = [
            gallery.keep(
                _figure(table, found),
                folder,
                material.chapter.name,
                "Test metric by number of blocks",
            )
        ]
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(table, found)),
        sheet=_sheet(table, found),
    )


def blocks_of(cell: Cell) -> int:
    """How many blocks a cell's model has."""
    spec = parse_model_name(cell.model)
    return spec.blocks or ARCHITECTURES[spec.architecture].blocks or 0


def _gap(cell: Cell, found: list[Cell]) -> list[dict[str, Any]]:
    """The metric minus that of the whole model, which has the most blocks."""
    same = [c for c in found if _data(c) == _data(cell)]
    whole = max(same, key=blocks_of)
    if cell is whole:
        return []
    gap = difference(cell.scores, whole.scores)
    return [{**cell.keys, "quantity": "difference_to_whole", **measured(gap)}]


def _data(cell: Cell) -> tuple[str, int]:
    return cell.dataset, cell.train_examples


@styled
def _figure(table: pd.DataFrame, found: list[Cell]) -> Figure:
    data = data_of(found)
    marks = style.marks([data_name(pair, found) for pair in data])
    figure, (axes,) = plots.stacked([2.7])
    for pair in data:
        own = [cell for cell in found if _data(cell) == pair]
        name = data_name(pair, found)
        plots.draw_line(
            axes,
            [blocks_of(cell) for cell in own],
            [find(table, **cell.keys, quantity="test") for cell in own],
            marks[name],
            name,
        )
    axes.set_xticks(sorted({blocks_of(cell) for cell in found}))
    axes.set_xlabel("blocks kept, from the input up")
    metrics = {wording.metric_unit(cell.any_run.metric) for cell in found}
    axes.set_ylabel(f"test {metrics.pop() if len(metrics) == 1 else 'metric'}")
    plots.grid(axes, "y")
    plots.legend_below(figure, axes)
    return figure


def _sheet(table: pd.DataFrame, found: list[Cell]) -> Sheet:
    rows = []
    for pair in data_of(found):
        own = [cell for cell in found if _data(cell) == pair]
        for index, cell in enumerate(own):
            rows.append(
                (
                    data_name(pair, found) if index == 0 else "",
                    str(blocks_of(cell)),
                    with_spread(find(table, **cell.keys, quantity="test")),
                    with_interval(
                        find(table, **cell.keys, quantity="difference_to_whole")
                    ),
                )
            )
    return Sheet(
        ("Data", "Blocks", "Test metric", "minus the whole"),
        tuple(rows),
        words=1,
        caption="± is over seeds; small: 95 % interval over seeds and test patients.",
    )


def _sentences(table: pd.DataFrame, found: list[Cell]) -> list[str]:
    said = []
    for pair in data_of(found):
        gaps = []
        for cell in found:
            row = find(table, **cell.keys, quantity="difference_to_whole")
            if _data(cell) == pair and row is not None:
                gaps.append(
                    f"{blocks_of(cell)} blocks end {wording.signed(row['value'])}"
                )
        if gaps:
            said.append(
                f"{data_name(pair, found)}: {wording.listed(gaps)} from the whole."
            )
    return said + one_seed_note(seeds_of(found))
