"""Similarity of starts: mixed pairs against pairs of two random starts."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf.report import gallery, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.style import MUTED, RULE, styled
from transfusion_tf.report.views import pairs, plots
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
from transfusion_tf.report.views.similarity_by_start import MARKS

ALIKE, MIXED = "random – random", "random – transfer"
DIFFERENCE = f"{ALIKE} minus {MIXED}"
_TOP_STAGES = 2


def draw(material: Material, folder: Path) -> View:
    """One picture: a row a model, a mark a kind of pair.

    Options: `top_stages`, how many from the output down are averaged.
    """
    top = int(material.chapter.options.get("top_stages", _TOP_STAGES))
    scores = pairs.scores(material.analysis("population_best"))
    rows: list[dict[str, Any]] = []
    if not scores.empty:
        for _, part in scores.groupby(["dataset", "model"], sort=False):
            rows += _rows(part, material, top)
    table = long_table(rows, material)
    pictures = []
    if not table.empty:
        pictures.append(
            gallery.keep(
                _figure(table),
                folder,
                material.chapter.name,
                "Mean CCA of the top stages by model and kind of pair",
            )
        )
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(table)),
        sheet=_sheet(table),
        colours={pair: MARKS[pair].colour for pair in (ALIKE, MIXED)},
    )


def _rows(part: pd.DataFrame, material: Material, top: int) -> list[dict[str, Any]]:
    starts = {name: run.config.initialization for name, run in material.runs.items()}
    stages = list(dict.fromkeys(part["stage"]))[-top:]
    own = (
        part[part["stage"].isin(stages)]
        .groupby(["dataset", "model", "run_a", "run_b", "pair"], sort=False)[
            ["value", "noise_floor"]
        ]
        .mean()
        .reset_index()
    )
    keys = {
        "dataset": own["dataset"].iloc[0],
        "model": own["model"].iloc[0],
        "stage": " + ".join(stages),
    }
    rows = []
    for pair in (ALIKE, MIXED):
        chosen = own[own["pair"] == pair]
        found = pairs.over_runs(chosen, pairs.mean_of(pair), starts)
        if found is None:
            continue
        spread = {"std": chosen["value"].std(ddof=1)}
        named = {**keys, "pair": pair}
        rows.append({**named, "quantity": "cca", **measured(found), **spread})
        floor = {"value": chosen["noise_floor"].mean()}
        rows.append({**named, "quantity": "noise_floor", **floor})
    if {ALIKE, MIXED} <= set(own["pair"]):
        both = own[own["pair"].isin([ALIKE, MIXED])]
        found = pairs.over_runs(both, pairs.difference_of(ALIKE, MIXED), starts)
        named = {**keys, "pair": DIFFERENCE, "quantity": "cca_difference"}
        rows.append({**named, **measured(found)})
    return rows


@styled
def _figure(table: pd.DataFrame) -> Figure:
    models = list(dict.fromkeys(table["model"]))
    figure, (axes,) = plots.stacked([1.0 + 0.42 * len(models)])
    for place, model in enumerate(models):
        floor = find(table, model=model, quantity="noise_floor")
        if floor is not None:
            axes.barh(-place, floor["value"], 0.7, color=RULE, alpha=0.75)
            axes.plot([floor["value"]] * 2, [-place - 0.35, -place + 0.35], color=MUTED,
                      linewidth=0.8, label="noise floor")  # fmt: skip
        for pair, shift in ((ALIKE, 0.13), (MIXED, -0.13)):
            row = find(table, model=model, pair=pair, quantity="cca")
            plots.draw_dot(axes, shift - place, row, MARKS[pair], pair)
    plots.name_rows(
        axes, [plots.short(m) for m in models], [-i for i in range(len(models))]
    )
    axes.set_xlim(0, min(1.02, axes.get_xlim()[1]))
    stages = list(dict.fromkeys(table["stage"]))
    axes.set_xlabel("mean CCA" + (f" at {stages[0]}" if len(stages) == 1 else
                                  " at the top stages"))  # fmt: skip
    plots.grid(axes, "x")
    plots.legend_below(figure, axes)
    return figure


def _sheet(table: pd.DataFrame) -> Sheet:
    rows = []
    for model, part in table.groupby("model", sort=False):
        stage = part["stage"].iloc[0]
        values = [find(part, pair=pair, quantity="cca") for pair in (ALIKE, MIXED)]
        floor = part[part["quantity"] == "noise_floor"]["value"].mean()
        rows.append(
            (
                str(model),
                stage,
                *(with_spread(row) for row in values),
                with_interval(find(part, quantity="cca_difference")),
                wording.number(floor),
            )
        )
    return Sheet(
        ("Model", "Stages", ALIKE, MIXED, "difference", "noise floor"),
        tuple(rows),
        caption="Mean CCA, ± between pairs; small: 95 % interval, runs left out one at "
        "a time.",
    )


def _sentences(table: pd.DataFrame) -> list[str]:
    part = table[table["quantity"] == "cca_difference"]
    if part.empty:
        return []
    values = [f"{row['model']} {wording.signed(row['value'])}" for row in lines(part)]
    text = (
        "CCA of two random starts minus that of a random and a pretrained one: "
        + wording.listed(values)
    )
    known = part[part["low"].notna()]
    if len(known):
        settled = int(((known["low"] > 0) | (known["high"] < 0)).sum())
        text += f"; the interval leaves out zero in {settled} of {len(part)}"
    return [text + "."]
