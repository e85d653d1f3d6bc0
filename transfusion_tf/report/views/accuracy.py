"""Accuracy: the test metric by model and start, and class by class."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf.report import gallery, style, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import Panel, Results
from transfusion_tf.report.style import Mark, styled
from transfusion_tf.report.views import paper_values, plots
from transfusion_tf.report.views.accuracy_rows import (
    DONOR_METRICS,
    cell_rows,
    class_rows,
    donor_metric,
    donor_of,
    keys_of,
)
from transfusion_tf.report.views.parts import (
    Row,
    Sheet,
    View,
    extremes,
    find,
    has_paper,
    interval,
    lines,
    long_table,
    one_seed_note,
    paper_number,
    small_paper,
    with_interval,
    with_spread,
)


def draw(material: Material, folder: Path) -> View:
    """A dot plot of the test metric; with the option `by_class`, one a class."""
    by_class = bool(material.chapter.options.get("by_class"))
    rows: list[dict[str, Any]] = []
    for results in material.results:
        for panel in results.panels:
            rows += _panel_rows(results, panel, by_class)
    table = long_table(rows, material)
    labels = [label for each in material.results for label in each.initializations]
    marks = style.marks(list(dict.fromkeys(labels)))
    pictures = []
    for results in material.results:
        name = results.record.runs[0].dataset["name"]
        own = table[table["dataset"] == name]
        several = len(material.results) > 1
        quantities = [q for q in dict.fromkeys(own["quantity"]) if q.startswith("auc/")]
        key = _paper_key(material, own, quantities or ["test"])
        figure = (
            _class_figure(own, results, quantities, marks, key)
            if quantities
            else _figure(own, results, marks, key)
        )
        pictures.append(
            gallery.keep(
                figure,
                folder,
                material.chapter.name + (f"-{gallery.slug(name)}" if several else ""),
                "Test metric by model and start, with 95 % intervals",
            )
        )
    sheet = _class_sheet if by_class else _sheet
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(material, table, by_class)),
        sheet=sheet(material, table),
        colours={label: mark.colour for label, mark in marks.items()},
    )


def _panel_rows(results: Results, panel: Panel, by_class: bool) -> list[dict[str, Any]]:
    rows = []
    for cell in panel.cells.values():
        rows += cell_rows(results, panel, cell)
        if by_class:
            keys = {**keys_of(results, panel), "initialization": cell.initialization}
            rows += class_rows(keys, cell, panel.baseline)
    keys = keys_of(results, panel)
    first = next(iter(panel.cells.values()))
    for name in ("parameters", "parameters_table1"):
        value = first.mean_status(name)
        if value is not None:
            rows.append({**keys, "quantity": name, "value": value})
    donor = donor_of(results, panel)
    if donor is not None:
        rows += [
            {**keys, "quantity": f"donor/{name}", "value": value}
            for name in DONOR_METRICS
            if (value := donor_metric(donor, name)) is not None
        ]
    return rows


@styled
def _figure(
    table: pd.DataFrame, results: Results, marks: dict[str, Mark], key: list
) -> Figure:
    panels = list(results.panels)
    figure, (axes,) = plots.stacked([0.95 + 0.34 * len(panels)])
    _dots(axes, table, results, "test", marks)
    plots.name_rows(axes, _names(results), [-i for i in range(len(panels))])
    axes.set_xlabel(f"test {wording.metric_unit(results.metric)}")
    plots.legend_below(figure, axes, key)
    return figure


@styled
def _class_figure(
    table: pd.DataFrame,
    results: Results,
    quantities: list[str],
    marks: dict[str, Mark],
    key: list,
) -> Figure:
    rows = len(results.panels)
    shown = ["test", *quantities]
    figure, panels = plots.small_panels(
        len(shown), 0.62 + 0.24 * rows, "test AUC", sharey=True
    )
    for axes, quantity in zip(panels, shown, strict=True):
        _dots(axes, table, results, quantity, marks)
        title = "mean" if quantity == "test" else quantity.removeprefix("auc/")
        axes.set_title(title, pad=4)
        plots.name_rows(axes, _names(results), [-i for i in range(rows)])
    plots.legend_below(figure, panels, key)
    return figure


def _dots(axes, table, results: Results, quantity: str, marks) -> None:
    for place, panel in enumerate(results.panels):
        keys = keys_of(results, panel)
        labels = list(panel.cells)
        for index, label in enumerate(labels):
            shift = 0.22 * ((len(labels) - 1) / 2 - index)
            row = find(table, **keys, initialization=label, quantity=quantity)
            plots.draw_dot(axes, shift - place, row, marks[label], label)
    plots.grid(axes, "x")


def _names(results: Results) -> list[str]:
    return [plots.short(results.panel_name(panel)) for panel in results.panels]


def _paper_key(material: Material, table: pd.DataFrame, quantities: list[str]) -> list:
    if not any(has_paper(table, quantity) for quantity in quantities):
        return []
    name = paper_values.label(
        material.chapter.published, list(dict.fromkeys(table["dataset"]))
    )
    return [plots.paper_key(name)]


def _sheet(material: Material, table: pd.DataFrame) -> Sheet:
    donor = next(
        (name for name in DONOR_METRICS if f"donor/{name}" in set(table["quantity"])),
        None,
    )
    rows = []
    for results in material.results:
        for panel in results.panels:
            keys = keys_of(results, panel)
            counts = [
                find(table, **keys, quantity=name)
                for name in ("parameters", "parameters_table1", f"donor/{donor}")
            ]
            for index, label in enumerate(panel.cells):
                own = {**keys, "initialization": label}
                test = find(table, **own, quantity="test")
                cells = [
                    results.panel_name(panel) if index == 0 else "",
                    label,
                    with_spread(test),
                    _plain_interval(test),
                    with_interval(find(table, **own, quantity="difference_to_random")),
                ]
                if has_paper(table, "test"):
                    cells.append(paper_number(test))
                if index == 0:
                    cells += [_count(counts[0]), _count(counts[1])]
                    cells += [_both(counts[2])] if donor else []
                else:
                    cells += ["", "", *([""] if donor else [])]
                rows.append(tuple(cells))
    unit = wording.metric_unit(material.results[0].metric)
    heads = (
        *("Model", "Start", f"Test {unit}", "95 % interval", "minus random weights"),
        *(("Paper",) if has_paper(table, "test") else ()),
        *("Parameters", "as the paper counts"),
        *((f"Donor’s {wording.metric_title(donor)}",) if donor else ()),
    )
    return Sheet(heads, tuple(rows))


def _class_sheet(material: Material, table: pd.DataFrame) -> Sheet:
    names = [q for q in dict.fromkeys(table["quantity"]) if q.startswith("auc/")]
    rows = []
    for results in material.results:
        for panel in results.panels:
            for index, label in enumerate(panel.cells):
                own = {**keys_of(results, panel), "initialization": label}
                cells = [results.panel_name(panel) if index == 0 else "", label]
                for quantity in ("test", *names):
                    row = find(table, **own, quantity=quantity)
                    cells.append(with_spread(row) + small_paper(row))
                rows.append(tuple(cells))
    heads = ("Model", "Start", "Mean", *(name.removeprefix("auc/") for name in names))
    return Sheet(heads, tuple(rows), caption="AUC on test, ± over seeds.")


def _plain_interval(row: Row | None) -> str:
    if row is None:
        return wording.MISSING
    low, high = wording.number(row["low"]), wording.number(row["high"])
    return f"{low} – {high}" if interval(row) else wording.MISSING


def _count(row: Row | None) -> str:
    if row is None:
        return wording.MISSING
    known = np.isfinite(row["paper"])
    small = f"\npaper {wording.count(row['paper'])}" if known else ""
    return wording.count(row["value"]) + small


def _both(row: Row | None) -> str:
    if row is None:
        return wording.MISSING
    paper = paper_number(row)
    small = "" if paper == wording.MISSING else f"\npaper {paper}"
    return wording.number(row["value"]) + small


def _sentences(material: Material, table: pd.DataFrame, by_class: bool) -> list[str]:
    said = []
    differences = table[table["quantity"] == "difference_to_random"]
    for label, part in differences.groupby("initialization", sort=False):
        said.append(_difference_sentence(str(label), part, material))
    if by_class:
        said += _class_sentences(table)
    tests = table[table["quantity"] == "test"]
    best = extremes(
        {
            f"{row['model']} from {row['initialization']}": float(row["value"])
            for row in lines(tests)
        }
    )
    if best and len(tests) > 2:
        (worst, low), (name, high) = best
        said.append(
            f"Highest is {name} ({wording.number(high)}), lowest {worst} "
            f"({wording.number(low)})."
        )
    return said + one_seed_note(list(tests["seeds"].dropna().astype(float)))


def _difference_sentence(label: str, part: pd.DataFrame, material: Material) -> str:
    several = len(set(part["train_examples"])) > 1
    values = {
        f"{row['model']} on {wording.count(row['train_examples'])}"
        if several
        else str(row["model"]): float(row["value"])
        for row in lines(part)
    }
    found = extremes(values)
    unit = wording.metric_unit(material.results[0].metric)
    if found is None:
        return f"From {label} nothing can be compared with random weights."
    (least, low), (most, high) = found
    if len(values) == 1:
        text = f"From {label}, {least} ends {wording.signed(low)} {unit} from random"
    else:
        text = (
            f"From {label}, models end {wording.signed(low)} ({least}) to "
            f"{wording.signed(high)} {unit} ({most}) from random weights"
        )
    if part["seeds"].max() > 1:
        settled = (part["low"] > 0) | (part["high"] < 0)
        text += f"; the interval leaves out zero in {int(settled.sum())} of {len(part)}"
    return text + "."


def _class_sentences(table: pd.DataFrame) -> list[str]:
    prefix = "difference_to_random/auc/"
    part = table[table["quantity"].str.startswith(prefix)]
    means = part.groupby("quantity", sort=False)["value"].mean()
    found = extremes({str(name).removeprefix(prefix): v for name, v in means.items()})
    if found is None:
        return []
    (least, low), (most, high) = found
    return [
        f"Averaged over models, {most} gains most ({wording.signed(high)}) and {least} "
        f"least ({wording.signed(low)})."
    ]
