"""Writes a comparison's page: similarity by stage, heat map, first layer, tables."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf import files
from transfusion_tf.report import result_tables, wording
from transfusion_tf.report.charts import Chart, Panel
from transfusion_tf.report.charts_layers import Lines
from transfusion_tf.report.charts_references import Floor, HeatMap, colour_bar
from transfusion_tf.report.first_layer import FirstLayer, first_layer_section
from transfusion_tf.report.long_table import LongTable, Rows, lines
from transfusion_tf.report.next_steps import shown_command
from transfusion_tf.report.pictures import keep
from transfusion_tf.report.rendering import render
from transfusion_tf.report.style import Mark
from transfusion_tf.representations import over_repeats
from transfusion_tf.representations.measure_names import MEASURE_NAMES

_MARK = Mark("#0072b2", "o")
# Procrustes is a fourth opinion: in the table, not in the picture.
_DRAWN = ("cca", "svcca", "pwcca", "cka")
# Scores closer than this are called the same.
_EVEN = 0.05
_MOST_SAID = 5
_MEANS = {"cca": "Mean CCA", "svcca": "Mean SVCCA", "pwcca": "Weighted mean CCA"}
_ONE_MEANS = {
    "cca": "1 is the same up to a linear map.",
    "cka": "1 is the same up to rotation and scale.",
    "procrustes": "1 is the same up to rotation and scale.",
}


@dataclasses.dataclass(frozen=True)
class Side:
    """One of the two models.

    Attributes:
      name: how the page calls it, short enough for an axis.
      source: the run directory or file.
      facts: what it is, as (name, value).
    """

    name: str
    source: str
    facts: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Everything that the page says.

    Attributes:
      title: the question.
      sides: the two models.
      one_run: whether they are one run, before and after training.
      scores: from `compare_models` and its relatives: a row a stage, repeat, measure.
      stage_pairs: from `compare_stage_pairs`.
      first_layers: of the runs among the sides.
      settings: how it was sampled, as (name, value).
      notes: warnings that the numbers need.
      command: what to type to get the same.
      versions: of what the numbers depend on.
      created: the date.
    """

    title: str
    sides: tuple[Side, Side]
    one_run: bool
    scores: pd.DataFrame
    stage_pairs: pd.DataFrame
    first_layers: tuple[FirstLayer, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    command: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    created: str = ""


def write_comparison(comparison: Comparison, folder: str | Path) -> Path:
    """Writes `comparison.html`, `figures/` and `tables/` into the folder.

    The page holds its figures, and needs no network and no script.

    Returns:
      Path of `comparison.html`.

    Raises:
      UserError: the folder can't be written to.
    """
    folder = Path(folder)
    scores = over_repeats(comparison.scores)
    measures = list(dict.fromkeys(scores["measure"]))
    result_tables.write_table(scores, folder / "tables", "scores")
    result_tables.write_table(comparison.scores, folder / "tables", "repeats")
    result_tables.write_table(comparison.stage_pairs, folder / "tables", "stage_pairs")
    names = (comparison.sides[0].name, comparison.sides[1].name)
    drawn = [name for name in measures if name in _DRAWN] or measures
    curves = keep(
        _SIMILARITY.draw(_score_table(scores, drawn)),
        folder / "figures",
        "similarity",
        f"Similarity of {names[0]} and {names[1]} by stage",
    )
    heat_map = keep(
        _stage_map(comparison.stage_pairs, names),
        folder / "figures",
        "heat_map",
        f"CKA of every stage of {names[0]} with every stage of {names[1]}",
    )
    context = {
        "comparison": comparison,
        "command": shown_command(comparison.command),
        "finding": finding(comparison, scores),
        "curves": curves,
        "heat_map": heat_map,
        "heat_images": int(comparison.stage_pairs["images"].iloc[0]),
        "measures": [(name, MEASURE_NAMES.get(name, name)) for name in measures],
        "rows": score_rows(scores, measures),
        "filters": first_layer_section(comparison.first_layers, folder),
        "wording": wording,
    }
    target = folder / "comparison.html"
    files.write_text(target, render("comparison.html", context))
    return target


def _score_table(scores: pd.DataFrame, measures: Sequence[str]) -> LongTable:
    """Each measure by stage, with its spread, and what unrelated points score."""
    rows: Rows = []
    for row in scores[scores["measure"].isin(measures)].to_dict("records"):
        measure = row["measure"]
        keys = {
            "stage": row["stage"],
            "measure": MEASURE_NAMES.get(measure, measure),
        }
        value, spread = row["value"], row["std"]
        ends = {"value": value, "low": value - spread, "high": value + spread}
        rows.append({**keys, "quantity": "similarity", **ends})
        rows.append({**keys, "quantity": "floor", "value": row["noise_floor"]})
    table = LongTable.from_rows(rows)
    marks = dict.fromkeys(table.values("measure"), _MARK)
    return dataclasses.replace(table, marks=marks)


_SIMILARITY = Chart(
    Panel(
        (Floor("stage"), Lines("similarity", "stage", series="measure")),
        title="{measure}",
        axes={
            "ylim": (-0.03, 1.04),
            "yticks": [0, 0.25, 0.5, 0.75, 1],
            "yticklabels": ["0", "", "0.5", "", "1"],
        },
    ),
    text="",
    facet="measure",
    small=2.05,
    share="xy",
    legend=False,
)


def _stage_map(pairs: pd.DataFrame, names: tuple[str, str]) -> Figure:
    """CKA of every stage of one side, down, with every stage of the other."""
    frame = pairs.rename(columns={"stage_a": "stage", "stage_b": "pair"})
    table = LongTable.from_rows(lines(frame.assign(value=frame["cka"])))
    count = len(table.values("stage")) / len(table.values("pair"))
    height = float(np.clip(0.7 + 3.5 * count, 2.0, 6.0))
    panel = Panel(HeatMap(written=True), x=names[1], y=names[0], grid="", height=height)
    return Chart(panel, text="", legend=False, finish=colour_bar).draw(table)


def finding(comparison: Comparison, scores: pd.DataFrame) -> tuple[str, str]:
    """The headline and the line below it."""
    measure = "cca" if "cca" in set(scores["measure"]) else scores["measure"].iloc[0]
    rows = scores[scores["measure"] == measure].to_dict("records")
    title = MEASURE_NAMES.get(measure, measure)
    high = max(rows, key=lambda row: row["value"])
    low = min(rows, key=lambda row: row["value"])
    between = f"{_short(low['value'])} to {_short(high['value'])}"
    if len(rows) == 1:
        head = f"{title} at {high['stage']} is {_short(high['value'])}"
    elif high["value"] - low["value"] < _EVEN:
        changed = "Training changed every stage" if comparison.one_run else "Alike"
        head = f"{changed} to about the same degree" + (
            "" if comparison.one_run else " at every stage"
        )
    elif comparison.one_run:
        head = (
            f"Training left {high['stage']} most as it was, and changed "
            f"{low['stage']} most"
        )
    else:
        head = f"Most alike at {high['stage']}, least at {low['stage']}"
    shown = rows if len(rows) <= _MOST_SAID else [high, low]
    said = "; ".join(
        f"{row['stage']} {_short(row['value'])} (chance {_short(row['noise_floor'])})"
        for row in shown
    )
    line = f"{_MEANS.get(measure, title)}: {said}. {_ONE_MEANS.get(measure, '')}"
    if len(rows) > _MOST_SAID:
        line = f"{_MEANS.get(measure, title)} from {between}: {said}."
    near = [row["stage"] for row in rows if _near_floor(row)]
    if near:
        line += f" No more alike than unrelated points: {wording.listed(near)}."
    return head, line.strip()


def _near_floor(row: dict[Any, Any]) -> bool:
    spread = np.nanmax([0.0, row["std"], row["noise_floor_std"]])
    return bool(row["value"] - row["noise_floor"] < 2 * spread)


def _short(value: float) -> str:
    """Two digits, and no minus sign before a zero."""
    return wording.number(round(value, 2) + 0.0, 2)


def score_rows(scores: pd.DataFrame, measures: Sequence[str]) -> list[dict[str, Any]]:
    """The table's lines: a stage, its points, and by measure value, ± and floor."""
    rows = []
    for stage, part in scores.groupby("stage", sort=False):
        found = {row["measure"]: row for row in part.to_dict("records")}
        cells = [
            {
                "value": wording.number(found[measure]["value"]),
                "std": wording.number(found[measure]["std"]),
                "floor": _short(found[measure]["noise_floor"]),
            }
            for measure in measures
        ]
        ranks = part.dropna(subset=["rank_x"])
        rows.append(
            {
                "stage": stage,
                "points": wording.count(int(part["points"].iloc[0])),
                "ranks": ""
                if ranks.empty
                else " / ".join(
                    wording.count(float(ranks[side].iloc[0]))
                    for side in ("rank_x", "rank_y")
                ),
                "cells": cells,
            }
        )
    return rows


def score_text(scores: pd.DataFrame) -> str:
    """The table of `over_repeats` for a terminal, `0.794 ± 0.003 (floor)`."""
    measures = list(dict.fromkeys(scores["measure"]))
    lines = [["stage", "points", *(MEASURE_NAMES.get(m, m) for m in measures)]]
    for row in score_rows(scores, measures):
        cells = [
            f"{cell['value']} ± {cell['std']} ({cell['floor']})"
            if cell["std"] != wording.MISSING
            else f"{cell['value']} ({cell['floor']})"
            for cell in row["cells"]
        ]
        lines.append([row["stage"], row["points"], *cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    ]
    return "\n".join(line.rstrip() for line in padded)
