"""Similarity by start: CCA between models of one start, stage by stage."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf.report import gallery, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.style import INK, Mark, styled
from transfusion_tf.report.views import pairs, paper_values, plots
from transfusion_tf.report.views.parts import (
    Sheet,
    View,
    find,
    has_paper,
    long_table,
    measured,
    small_paper,
    with_interval,
    with_spread,
)

TRANSFER, RANDOM = "transfer – transfer", "random – random"
MARKS = {
    TRANSFER: Mark("#0072b2", "s"),
    RANDOM: Mark("#6b6f76", "o"),
    "random – transfer": Mark("#cc79a7", "D"),
}
DIFFERENCE = f"{TRANSFER} minus {RANDOM}"


def draw(material: Material, folder: Path) -> View:
    """A picture a model: both kinds of pairs above, their difference below."""
    scores = pairs.scores(material.analysis("population_best"))
    rows: list[dict[str, Any]] = []
    for _, part in _by_model(scores):
        rows += _rows(part, material)
    table = long_table(rows, material)
    pictures = [
        gallery.keep(
            _figure(material, own, str(model)),
            folder,
            f"{material.chapter.name}-{gallery.slug(f'{dataset}-{model}')}",
            f"Mean CCA by stage between models of one start, {model}",
        )
        for (dataset, model), own in table.groupby(["dataset", "model"], sort=False)
    ]
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(table)),
        sheet=_sheet(table),
        colours={name: mark.colour for name, mark in MARKS.items()},
    )


def _by_model(scores: pd.DataFrame):
    if scores.empty:
        return []
    return scores.groupby(["dataset", "model"], sort=False)


def _rows(part: pd.DataFrame, material: Material) -> list[dict[str, Any]]:
    starts = {name: run.config.initialization for name, run in material.runs.items()}
    same, _ = pairs.kinds(part)
    rows = []
    for stage, own in part.groupby("stage", sort=False):
        keys = {
            "dataset": own["dataset"].iloc[0],
            "model": own["model"].iloc[0],
            "stage": stage,
        }
        for pair in same:
            chosen = own[own["pair"] == pair]
            found = pairs.over_runs(chosen, pairs.mean_of(pair), starts)
            if found is None:
                continue
            spread = {"std": chosen["value"].std(ddof=1)}
            named = {**keys, "pair": pair}
            rows.append({**named, "quantity": "cca", **measured(found), **spread})
            floor = {"value": chosen["noise_floor"].mean()}
            rows.append({**named, "quantity": "noise_floor", **floor})
        if {TRANSFER, RANDOM} <= set(own["pair"]):
            found = pairs.over_runs(own, pairs.difference_of(TRANSFER, RANDOM), starts)
            rows.append(
                {
                    **{**keys, "pair": DIFFERENCE, "quantity": "cca_difference"},
                    **measured(found),
                }
            )
    return rows


@styled
def _figure(material: Material, table: pd.DataFrame, model: str) -> Figure:
    stages = list(dict.fromkeys(table["stage"]))
    figure, (upper, lower) = plots.stacked([2.7, 1.4], sharex=True)
    floors = table[table["quantity"] == "noise_floor"]
    level = floors.groupby("stage", sort=False)["value"].mean()
    plots.draw_floor(upper, range(len(stages)), [level[stage] for stage in stages])
    found = [p for p in dict.fromkeys(table["pair"]) if p != DIFFERENCE]
    for index, pair in enumerate(found):
        mark = MARKS.get(pair, Mark("#56b4e9", "^"))
        shift = 0.06 * (index - (len(found) - 1) / 2)
        rows = [find(table, stage=s, pair=pair, quantity="cca") for s in stages]
        places = [place + shift for place in range(len(stages))]
        plots.draw_line(upper, places, rows, mark, pair)
    upper.set_ylim(0, 1.03)
    upper.set_ylabel("mean CCA")
    upper.set_title(plots.short(model))
    lower.axhline(0, color=INK, linewidth=0.9)
    rows = [find(table, stage=s, quantity="cca_difference") for s in stages]
    if any(rows):
        mark = Mark("#0072b2", "D")
        plots.draw_line(lower, list(range(len(stages))), rows, mark, "difference")
        plots.focus(lower, rows)
    lower.set_ylabel("difference")
    lower.set_xlabel("stage")
    plots.name_places(lower, stages)
    for axes in (upper, lower):
        plots.grid(axes, "y")
    key = []
    if has_paper(table, "cca"):
        names = list(dict.fromkeys(table["dataset"]))
        key = [plots.paper_key(paper_values.label(material.chapter.published, names))]
    plots.legend_below(figure, [upper], key)
    return figure


def _sheet(table: pd.DataFrame) -> Sheet:
    rows = []
    for model, part in table.groupby("model", sort=False):
        for index, stage in enumerate(dict.fromkeys(part["stage"])):
            cells = [str(model) if index == 0 else "", stage]
            for pair in (TRANSFER, RANDOM):
                row = find(part, stage=stage, pair=pair, quantity="cca")
                cells.append(with_spread(row) + small_paper(row))
            row = find(part, stage=stage, quantity="cca_difference")
            cells.append(with_interval(row))
            floor = part[(part["stage"] == stage) & (part["quantity"] == "noise_floor")]
            cells.append(wording.number(floor["value"].mean()))
            rows.append(tuple(cells))
    return Sheet(
        ("Model", "Stage", TRANSFER, RANDOM, "difference", "noise floor"),
        tuple(rows),
        caption="Mean CCA, ± between pairs; small: 95 % interval, runs left out one at "
        "a time. Noise floor: the same activations, their points matched at random.",
    )


def _sentences(table: pd.DataFrame) -> list[str]:
    said = []
    for model, part in table.groupby("model", sort=False):
        differences = part[part["quantity"] == "cca_difference"]
        differences = differences[np.isfinite(differences["value"])]
        if differences.empty:
            continue
        first, last = differences.iloc[0], differences.iloc[-1]
        said.append(
            f"{model}: models from one donor are {wording.signed(first['value'])} more "
            f"alike than models from random weights at {first['stage']}, and "
            f"{wording.signed(last['value'])} at {last['stage']}."
        )
    return said
