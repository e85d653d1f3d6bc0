"""Data sizes: the test metric against the number of training images."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from transfusion_tf.report import gallery, style, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE, Panel, Results
from transfusion_tf.report.style import Mark, styled
from transfusion_tf.report.views import paper_values, plots
from transfusion_tf.report.views.accuracy_rows import cell_rows, keys_of
from transfusion_tf.report.views.parts import (
    Sheet,
    View,
    find,
    has_paper,
    lines,
    long_table,
    one_seed_note,
    paper_number,
    with_interval,
    with_spread,
)


def draw(material: Material, folder: Path) -> View:
    """A picture a data set and model."""
    rows = [
        row
        for results in material.results
        for panel in results.panels
        for cell in panel.cells.values()
        for row in cell_rows(results, panel, cell)
    ]
    table = long_table(rows, material)
    labels = [label for each in material.results for label in each.initializations]
    marks = style.marks(list(dict.fromkeys(labels)))
    pictures = []
    for results in material.results:
        name = results.record.runs[0].dataset["name"]
        pictures.append(
            gallery.keep(
                _figure(material, results, table, marks),
                folder,
                f"{material.chapter.name}-{gallery.slug(name)}",
                "Test metric against the number of training images, by model and start",
            )
        )
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(material, table)),
        sheet=_sheet(material, table),
        colours={label: mark.colour for label, mark in marks.items()},
    )


@styled
def _figure(
    material: Material, results: Results, table: pd.DataFrame, marks: dict[str, Mark]
) -> Figure:
    models = sorted(results.models, key=lambda model: -len(_sizes(results, model)))
    heights = [2.3 if len(_sizes(results, model)) > 1 else 1.55 for model in models]
    figure, panels = plots.stacked([heights[0], *heights[1:]], sharex=True, sharey=True)
    for axes, model in zip(panels, models, strict=True):
        cells = list(
            dict.fromkeys(
                label for p in results.panels if p.model == model for label in p.cells
            )
        )
        cells.sort(key=results.initializations.index)
        for index, label in enumerate(cells):
            # Aside of each other, so that intervals do not lie on one another.
            shift = 1 + 0.035 * (index - (len(cells) - 1) / 2)
            places, found = [], []
            for panel in _panels(results, model):
                keys = {**keys_of(results, panel), "initialization": label}
                row = find(table, **keys, quantity="test")
                if row is not None:
                    places.append(panel.train_examples * shift)
                    found.append(row)
            plots.draw_line(axes, places, found, marks[label], label)
        axes.set_title(plots.short(model), pad=4)
        axes.set_xscale("log")
        axes.set_xticks(list(results.sizes), [wording.count(s) for s in results.sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_ylabel(f"test {wording.metric_unit(results.metric)}")
        plots.grid(axes, "y")
    panels[-1].set_xlabel("training images")
    low, high = min(results.sizes), max(results.sizes)
    room = (high / low) ** 0.12 if high > low else 1.3
    panels[-1].set_xlim(low / room, high * room)
    key = []
    if has_paper(table, "test"):
        names = [results.record.runs[0].dataset["name"]]
        key = [plots.paper_key(paper_values.label(material.chapter.published, names))]
    plots.legend_below(figure, panels, key)
    return figure


def _panels(results: Results, model: str) -> list[Panel]:
    return [panel for panel in results.panels if panel.model == model]


def _sizes(results: Results, model: str) -> list[int]:
    return [panel.train_examples for panel in _panels(results, model)]


def _sheet(material: Material, table: pd.DataFrame) -> Sheet:
    paper = has_paper(table, "test")
    rows = []
    for results in material.results:
        for panel in results.panels:
            for index, label in enumerate(panel.cells):
                keys = {**keys_of(results, panel), "initialization": label}
                test = find(table, **keys, quantity="test")
                rows.append(
                    (
                        panel.model if index == 0 else "",
                        label,
                        wording.count(panel.train_examples) if index == 0 else "",
                        with_spread(test),
                        with_interval(
                            find(table, **keys, quantity="difference_to_random")
                        ),
                        *([paper_number(test)] if paper else []),
                    )
                )
    unit = wording.metric_unit(material.results[0].metric)
    heads = ("Model", "Start", "Training images", f"Test {unit}",
             "minus random weights", *(["Paper"] if paper else []))  # fmt: skip
    return Sheet(heads, tuple(rows))


def _sentences(material: Material, table: pd.DataFrame) -> list[str]:
    """What the least and the most data make of each start's lead."""
    said = []
    part = table[table["quantity"] == "difference_to_random"]
    for (model, label), rows in part.groupby(["model", "initialization"], sort=False):
        rows = rows.sort_values("train_examples")
        if len(rows) < 2:
            continue
        first, last = rows.iloc[0], rows.iloc[-1]
        said.append(
            f"{model}, {label} minus random weights: "
            f"{wording.signed(first['value'])} with "
            f"{wording.count(first['train_examples'])} images, "
            f"{wording.signed(last['value'])} with "
            f"{wording.count(last['train_examples'])}."
        )
    if not said:
        for row in lines(part):
            said.append(
                f"{row['model']}, {row['initialization']} minus {BASELINE} weights: "
                f"{wording.signed(row['value'])} with "
                f"{wording.count(row['train_examples'])} images."
            )
    tests = table[table["quantity"] == "test"]
    return said[:3] + one_seed_note(list(tests["seeds"].dropna().astype(float)))
