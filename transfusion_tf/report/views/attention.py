"""Attention: how far each head of each block looks, by start."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf.evaluation import seed_interval
from transfusion_tf.report import gallery, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.style import Mark, styled
from transfusion_tf.report.views import plots
from transfusion_tf.report.views.parts import (
    Sheet,
    View,
    long_table,
    measured,
    one_seed_note,
)
from transfusion_tf.report.views.reuse_cells import (
    Cell,
    cells,
    seeds_of,
    start_marks,
    start_name,
)


def draw(material: Material, folder: Path) -> View:
    """One picture: a panel a start, a dot a head and seed, blocks from the input up."""
    table = material.analysis("attention")
    found = [] if table.empty else [c for c in cells(material) if _own(table, c).size]
    marks = start_marks(found)
    rows = [row for cell in found for row in _rows(cell, _own(table, cell))]
    pictures = []
    if found:
        pictures = [
            gallery.keep(
                _figure(table, found, marks),
                folder,
                material.chapter.name,
                "Mean attended distance of every head by block, a panel a start",
            )
        ]
    return View(
        pictures=tuple(pictures),
        table=long_table(rows, material),
        sentences=tuple(_sentences(table, found)),
        sheet=_sheet(table, found) if found else None,
        colours={name: mark.colour for name, mark in marks.items()},
    )


def _own(table: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    return table[table["run"].isin([run.run_id for run in cell.runs.values()])]


def _rows(cell: Cell, own: pd.DataFrame) -> list[dict[str, Any]]:
    """A row a head; heads are told apart by how far they look, near ones first."""
    ranked = own.assign(
        rank=own.groupby(["run", "position"])["distance"].rank(method="first")
    )
    rows = []
    for key, part in ranked.groupby(["position", "block", "rank"]):
        _, block, rank = tuple(key)
        named = {**cell.keys, "stage": block, "pair": f"head {rank:g}"}
        found = measured(seed_interval(list(part["distance"])))
        rows.append({**named, "quantity": "attended_distance", **found})
    return rows


@styled
def _figure(table: pd.DataFrame, found: list[Cell], marks: dict[str, Mark]) -> Figure:
    figure, panels = plots.small_panels(
        len(found), 2.2, "block", sharex=True, sharey=True
    )
    for axes, cell in zip(panels, found, strict=True):
        own, mark = _own(table, cell), marks[cell.initialization]
        axes.plot(
            own["position"] + 1, own["distance"], mark.marker, color=mark.colour,
            markersize=4, alpha=0.6, markeredgewidth=0,
        )  # fmt: skip
        means = own.groupby("position")["distance"].mean()
        axes.plot(means.index + 1, means, color=mark.colour, linewidth=1.3)
        axes.set_title(f"{cell.model}, {start_name(cell)}", pad=4)
        axes.set_xticks(range(1, int(table["position"].max()) + 2))
        axes.set_ylim(0, 1.08 * float(table["distance"].max()))
        plots.grid(axes, "y")
    for axes in panels[::2]:
        axes.set_ylabel("attended distance, px")
    return figure


def _sheet(table: pd.DataFrame, found: list[Cell]) -> Sheet:
    rows = []
    for cell in found:
        own = _own(table, cell)
        for index, (_, part) in enumerate(own.groupby("position")):
            ends = part.groupby("run")["distance"].agg(["min", "mean", "max"]).mean()
            share = float(part["class_token_share"].mean())
            rows.append(
                (
                    f"{cell.model}\n{start_name(cell)}" if index == 0 else "",
                    str(part["block"].iloc[0]),
                    *(wording.number(ends[name], 1) for name in ends.index),
                    f"{100 * share:.0f} %",
                )
            )
    return Sheet(
        ("Model", "Block", "Nearest head, px", "Mean", "Farthest head",
         "looks at class tokens"),
        tuple(rows),
        caption="Distance between a patch and those it attends to, averaged with the "
        "attention weights, over patches, images and seeds; class tokens left out.",
    )  # fmt: skip


def _sentences(table: pd.DataFrame, found: list[Cell]) -> list[str]:
    said = []
    for cell in found:
        own = _own(table, cell)
        first = own[own["position"] == 0].groupby("run")["distance"]
        low, high = (float(np.mean(getattr(first, end)())) for end in ("min", "max"))
        said.append(
            f"{cell.model} from {start_name(cell)}: in its first block the heads look "
            f"{wording.number(low, 1)} to {wording.number(high, 1)} px far."
        )
    return said + one_seed_note(seeds_of(found))
