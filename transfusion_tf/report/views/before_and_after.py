"""Before and after: how much of a model's start is left in it, stage by stage."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf.evaluation import seed_interval
from transfusion_tf.report import gallery, style, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.style import INK, Mark, styled
from transfusion_tf.report.views import pairs, plots
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
from transfusion_tf.report.views.races import paired

_DONOR = "transfer"


def draw(material: Material, folder: Path) -> View:
    """One picture: random starts, pretrained ones, and the difference."""
    scores = pairs.scores(material.analysis("before_after"))
    rows: list[dict[str, Any]] = []
    if not scores.empty:
        for _, part in scores.groupby(["dataset", "model", "stage"], sort=False):
            rows += _rows(part)
    table = long_table(rows, material)
    models = _models(material, table)
    marks = style.marks(models)
    pictures = []
    if not table.empty:
        pictures.append(
            gallery.keep(
                _figure(table, models, marks),
                folder,
                material.chapter.name,
                "Mean CCA of models before and after training, by stage and start",
            )
        )
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(table, models)),
        sheet=_sheet(table, models),
        colours={model: mark.colour for model, mark in marks.items()},
    )


def _rows(part: pd.DataFrame) -> list[dict[str, Any]]:
    first = part.iloc[0]
    keys = {name: first[name] for name in ("dataset", "model", "stage")}
    rows = []
    by_start = {}
    for start, own in part.groupby("initialization", sort=False):
        by_start[start] = dict(zip(own["seed"], own["value"], strict=True))
        found = measured(seed_interval(list(by_start[start].values())))
        named = {**keys, "initialization": start}
        rows.append({**named, "quantity": "cca", **found})
        floor = {"value": own["noise_floor"].mean()}
        rows.append({**named, "quantity": "noise_floor", **floor})
    if {_DONOR, BASELINE} <= set(by_start):
        gap = paired(by_start[_DONOR], by_start[BASELINE])
        if gap is not None:
            named = {**keys, "initialization": _DONOR}
            name = "difference_to_random"
            rows.append({**named, "quantity": name, **measured(gap)})
    return rows


def _models(material: Material, table: pd.DataFrame) -> list[str]:
    """Models from the smallest up, where the table has them."""
    known = [model for results in material.results for model in results.models]
    return [model for model in dict.fromkeys(known) if model in set(table["model"])]


@styled
def _figure(table: pd.DataFrame, models: list[str], marks: dict[str, Mark]) -> Figure:
    figure, panels = plots.stacked([1.9, 1.9, 1.75], sharex=True)
    floor = table.loc[table["quantity"] == "noise_floor", "value"].max()
    shown = (
        ("From random weights", BASELINE, "cca"),
        ("From pretrained weights", _DONOR, "cca"),
        ("Pretrained minus random", _DONOR, "difference_to_random"),
    )
    longest, differences = 0, []
    for axes, (title, start, quantity) in zip(panels, shown, strict=True):
        for index, model in enumerate(models):
            stages = list(dict.fromkeys(table.loc[table["model"] == model, "stage"]))
            longest = max(longest, len(stages))
            rows = [
                find(
                    table,
                    model=model,
                    stage=stage,
                    initialization=start,
                    quantity=quantity,
                )
                for stage in stages
            ]
            shift = 0.07 * (index - (len(models) - 1) / 2)
            places = [place + 1 + shift for place in range(len(stages))]
            plots.draw_line(axes, places, rows, marks[model], model)
            differences += rows if axes is panels[2] else []
        axes.set_title(title, pad=4)
        plots.grid(axes, "y")
    for axes in panels[:2]:
        plots.draw_floor(axes, range(1, longest + 1), [floor] * longest)
        axes.set_ylim(0, 1.04)
        axes.set_ylabel("mean CCA")
    panels[2].axhline(0, color=INK, linewidth=0.9)
    plots.focus(panels[2], differences)
    panels[2].set_ylabel("difference")
    panels[2].set_xlabel("stage, counted from the input")
    plots.name_places(panels[2], [str(n) for n in range(1, longest + 1)], start=1)
    plots.legend_below(figure, panels)
    return figure


def _sheet(table: pd.DataFrame, models: list[str]) -> Sheet:
    rows = []
    for model in models:
        part = table[table["model"] == model]
        for index, stage in enumerate(dict.fromkeys(part["stage"])):
            own = part[part["stage"] == stage]
            values = [
                find(own, initialization=start, quantity="cca")
                for start in (BASELINE, _DONOR)
            ]
            floor = own[own["quantity"] == "noise_floor"]["value"].mean()
            rows.append(
                (
                    model if index == 0 else "",
                    stage,
                    *(with_spread(row) for row in values),
                    with_interval(find(own, quantity="difference_to_random")),
                    wording.number(floor),
                )
            )
    return Sheet(
        ("Model", "Stage", "From random weights", "From pretrained weights",
         "difference", "noise floor"),
        tuple(rows),
        caption="Mean CCA of a model before and after training, ± over seeds; small: "
        "95 % interval over seeds. 1: nothing changed but for a linear map.",
    )  # fmt: skip


def _sentences(table: pd.DataFrame, models: list[str]) -> list[str]:
    said = []
    lowest = {}
    for model in models:
        part = table[table["model"] == model]
        for start in (BASELINE, _DONOR):
            row = find(
                part,
                stage=part["stage"].iloc[0],
                initialization=start,
                quantity="cca",
            )
            if row is not None and np.isfinite(row["value"]):
                lowest[(model, start)] = row["value"]
    for start, words in ((BASELINE, "random"), (_DONOR, "pretrained")):
        values = {m: v for (m, s), v in lowest.items() if s == start}
        if values:
            order = sorted(values, key=lambda model: -values[model])
            listed = wording.listed(
                [f"{model} {wording.number(values[model])}" for model in order]
            )
            said.append(
                f"At the lowest stage, from {words} weights, training leaves of the "
                f"start: {listed} (1 is all of it)."
            )
    part = table[table["quantity"] == "difference_to_random"]
    gaps = part.groupby("model", sort=False)["value"].agg(["first", "last"])
    if len(gaps):
        listed = wording.listed(
            [
                f"{model} {wording.signed(row['first'])} at its lowest and "
                f"{wording.signed(row['last'])} at its highest stage"
                for model, row in gaps.iterrows()
            ][:3]
        )
        said.append(f"Pretrained minus random: {listed}.")
    seeds = table.loc[table["quantity"] == "cca", "seeds"].dropna().astype(float)
    return said + one_seed_note(list(seeds))
