"""Convergence: validation metric over training, and steps to a threshold."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf.report import gallery, style, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.style import Mark, styled
from transfusion_tf.report.views import plots
from transfusion_tf.report.views.parts import (
    Sheet,
    View,
    find,
    has_paper,
    long_table,
    one_seed_note,
    with_interval,
    with_spread,
)
from transfusion_tf.report.views.races import (
    Race,
    all_races,
    by_class,
    race_curves,
    race_rows,
    runner_keys,
)

# They are drawn dashed where other starts are the subject.
_REFERENCES = (BASELINE, "transfer")


def draw(material: Material, folder: Path) -> View:
    """Curves, a picture a data set and model.

    Options: `together` (models of one architecture share the axes), `by_class` (a
    panel a class), `threshold` (in place of each panel's own).
    """
    options = material.chapter.options
    classes = bool(options.get("by_class"))
    found = all_races(material, together=bool(options.get("together")))
    labels = list(dict.fromkeys(label for race in found for label in race.runners))
    marks = style.marks(labels)
    subjects = [label for label in labels if label not in _REFERENCES]
    dashed = _REFERENCES if len(subjects) > 1 else ()
    pictures, rows = [], []
    for race in found:
        rows += race_rows(race)
        parts = by_class(race) if classes else []
        for part in parts:
            rows += race_rows(part, f"/{part.metric}")
        if parts:
            figure = _class_figure([race, *parts], marks, dashed)
        else:
            figure = _figure(race, marks, dashed)
        pictures.append(
            gallery.keep(
                figure,
                folder,
                f"{material.chapter.name}-{gallery.slug(race.name)}",
                f"Validation metric over training steps by start, {race.name}",
            )
        )
    table = long_table(rows, material)
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(found, table, classes)),
        sheet=_class_sheet(found, table) if classes else _sheet(found, table, material),
        colours={label: mark.colour for label, mark in marks.items()},
    )


@styled
def _figure(race: Race, marks: dict[str, Mark], dashed: tuple[str, ...]) -> Figure:
    figure, (axes,) = plots.stacked([3.1 + 0.16 * len(race.runners)])
    plots.draw_curves(axes, race_curves(race, marks, dashed))
    plots.draw_threshold(
        axes, race.threshold, f"threshold\n{wording.number(race.threshold)}"
    )
    axes.set_title(race.name)
    axes.set_xlabel("training step")
    axes.set_ylabel(f"validation {wording.metric_unit(race.metric)}")
    plots.legend_below(figure, axes)
    return figure


@styled
def _class_figure(
    parts: list[Race], marks: dict[str, Mark], dashed: tuple[str, ...]
) -> Figure:
    figure, panels = plots.small_panels(len(parts), label="training step")
    for axes, part in zip(panels, parts, strict=True):
        plots.draw_curves(axes, race_curves(part, marks, dashed), width=1.4)
        name = part.metric.removeprefix("auc/")
        axes.set_title(name if part.metric.startswith("auc/") else "mean", pad=4)
    figure.supylabel("validation AUC", fontsize=8.5)
    plots.legend_below(figure, panels)
    return figure


def _sheet(found: list[Race], table: pd.DataFrame, material: Material) -> Sheet:
    several = len(material.results) > 1
    unit = wording.metric_unit(found[0].metric) if found else ""
    paper = has_paper(table, "steps")
    rows = []
    for race in found:
        for runner in race.runners.values():
            keys = runner_keys(race, runner)
            steps = find(table, **keys, quantity="steps")
            reached = find(table, **keys, quantity="reached")
            assert steps is not None
            assert reached is not None
            count = f"{int(reached['value'])} of {int(reached['seeds'])}"
            cells = [
                *([race.dataset] if several else []),
                runner.model,
                runner.initialization,
                _steps(steps),
                count,
                with_spread(find(table, **keys, quantity="area")),
                with_interval(
                    find(table, **keys, quantity="area_difference_to_random")
                ),
            ]
            if paper:
                cells.append(wording.count(steps["paper"]))
            rows.append(tuple(cells))
    heads = (
        *(("Data",) if several else ()),
        *("Model", "Start", "Steps to threshold", "Seeds there"),
        *(f"Mean {unit} while learning", "minus random weights"),
        *(("Paper: steps",) if paper else ()),
    )
    return Sheet(heads, tuple(rows), words=2 + several, caption=_caption(found))


def _class_sheet(found: list[Race], table: pd.DataFrame) -> Sheet:
    """Leads over random weights, a column a class."""
    prefix = "area_difference_to_random"
    names = [q for q in dict.fromkeys(table["quantity"]) if q.startswith(prefix)]
    rows = []
    for race in found:
        for runner in race.runners.values():
            keys = runner_keys(race, runner)
            cells = [find(table, **keys, quantity=name) for name in names]
            if any(cells):
                leads = (with_interval(row) for row in cells)
                rows.append((runner.model, runner.initialization, *leads))
    classes = (name.removeprefix(f"{prefix}/auc/") for name in names if name != prefix)
    return Sheet(
        ("Model", "Start", "Mean", *classes),
        tuple(rows),
        caption="Validation AUC while learning, minus that of random weights; small: "
        "95 % interval over seeds. While learning: until the slowest seed of random "
        "weights is at the threshold of its class.",
    )


def _steps(row) -> str:
    if not np.isfinite(row["value"]):
        return "never"
    spread = "" if not np.isfinite(row["std"]) else f" ± {wording.count(row['std'])}"
    return wording.count(row["value"]) + spread


def _caption(found: list[Race]) -> str:
    if not found:
        return ""
    thresholds = wording.listed(
        list(
            dict.fromkeys(
                f"{wording.number(race.threshold)} ({race.name})" for race in found
            )
        )
    )
    rule = (
        "Threshold, nine tenths of the way from chance to the best of random weights"
        if found[0].threshold_from
        else "Threshold, set by the study"
    )
    return (
        f"{rule}: {thresholds}. Steps are means over the seeds that got there. "
        "While learning: until the slowest seed of random weights is there."
    )


def _sentences(found: list[Race], table: pd.DataFrame, classes: bool) -> list[str]:
    said = [text for race in found if (text := _said(race))]
    if classes:
        said += [text for race in found if (text := _classes_said(race))]
    return said[:4] + one_seed_note(
        [len(runner.runs) for race in found for runner in race.runners.values()]
    )


def _said(race: Race) -> str:
    """Who was first, and by how much over random weights."""
    means = {}
    for label, runner in race.runners.items():
        steps = [value for value in race.steps(runner).values() if value is not None]
        if len(steps) == len(runner.runs):
            means[label] = float(np.mean(steps))
    never = [label for label in race.runners if label not in means]
    if not means:
        return (
            f"{race.name}: no start takes all of its seeds to "
            f"{wording.number(race.threshold)}."
        )
    order = sorted(means, key=lambda label: means[label])
    text = f"Steps of {race.name} to {wording.number(race.threshold)}: " + (
        wording.listed([f"{label} {wording.count(means[label])}" for label in order])
    )
    if never:
        text += f"; not all seeds get there from {wording.listed(never)}"
    leads = {
        label: lead
        for label, runner in race.runners.items()
        if (lead := race.lead(runner, race.baseline)) is not None
        and lead.decided != "undecided"
    }
    if race.baseline is not None and len(race.baseline.runs) > 1:
        text += (
            "; while learning, "
            + wording.listed(
                [f"{label} {wording.signed(x.estimate)}" for label, x in leads.items()]
            )
            + " from random weights (intervals without zero)"
            if leads
            else "; no lead over random weights has an interval without zero"
        )
    return text + "."


def _classes_said(race: Race) -> str:
    """For which classes a start leads random weights."""
    parts = by_class(race)
    said = []
    for label, runner in race.runners.items():
        leads = {
            part.metric.removeprefix("auc/"): lead.estimate
            for part in parts
            if (lead := part.lead(runner, part.baseline)) is not None
        }
        if leads:
            ahead = [name for name, value in leads.items() if value > 0]
            listed = (
                f" ({wording.listed(ahead)})" if 0 < len(ahead) < len(leads) else ""
            )
            said.append(f"{label} for {len(ahead)} of {len(leads)} classes{listed}")
    if not said:
        return ""
    return f"{race.name}: ahead of random weights on average is {'; '.join(said)}."
