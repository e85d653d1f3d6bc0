"""First-layer filters: before and after training, and their weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf.errors import UserError
from transfusion_tf.evaluation import seed_interval
from transfusion_tf.report import comparison_figures, gallery, images, style, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.gallery import Picture
from transfusion_tf.report.results import Cell
from transfusion_tf.report.style import Mark, styled
from transfusion_tf.report.views import plots
from transfusion_tf.report.views.accuracy_rows import keys_of
from transfusion_tf.report.views.parts import Sheet, View, find, long_table, measured
from transfusion_tf.representations import filter_changes, gabor_fits, weight_histograms

_GABOR = {
    "gabor_share_before": "explained_before",
    "gabor_share_after": "explained_after",
    "gabor_share_chance": "chance",
}

Kernels = dict[str, tuple[np.ndarray, np.ndarray]]


def draw(material: Material, folder: Path) -> View:
    """Grids before and after, and how much of a Gabor is in each filter.

    Options: `histogram` draws the weights' distribution at initialization instead of
    what training did to them.
    """
    histogram = bool(material.chapter.options.get("histogram"))
    labels = [label for each in material.results for label in each.initializations]
    marks = style.marks(list(dict.fromkeys(labels)))
    pictures: list[Picture] = []
    rows: list[dict[str, Any]] = []
    refusals = []
    for results in material.results:
        for panel in results.panels:
            kernels = {
                label: found
                for label, cell in panel.cells.items()
                if (found := _kernels(cell)) is not None
            }
            if not kernels:
                continue
            changes, refusal = _gabors(kernels, histogram)
            refusals += [refusal] if refusal else []
            name = f"{material.chapter.name}-{gallery.slug(results.panel_name(panel))}"
            draw_panel = _draw_histogram if histogram else _draw_changes
            pictures += draw_panel(kernels, changes, marks, folder, name, panel.model)
            for label in kernels:
                keys = {**keys_of(results, panel), "initialization": label}
                rows += _rows(keys, panel.cells[label], changes.get(label))
    table = long_table(rows, material)
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple([*_sentences(material, table, histogram), *refusals]),
        sheet=_sheet(material, table, histogram),
        colours={label: mark.colour for label, mark in marks.items()},
    )


def _kernels(cell: Cell) -> tuple[np.ndarray, np.ndarray] | None:
    """Before and after, of the lowest seed that kept them."""
    for _, run in sorted(cell.runs.items()):
        if (run.directory.path / "first_layer.npz").exists():
            return run.directory.first_layer()
    return None


def _gabors(kernels: Kernels, only_before: bool) -> tuple[dict[str, pd.DataFrame], str]:
    """How much of a Gabor is in every filter by label, or why none was looked for."""
    try:
        if only_before:
            fits = {label: gabor_fits(before) for label, (before, _) in kernels.items()}
            names = {"explained": "explained_before"}
            return {label: fit.rename(columns=names) for label, fit in fits.items()}, ""
        return {label: filter_changes(*pair) for label, pair in kernels.items()}, ""
    except UserError as error:
        return {}, f"No Gabor fits: {error}."


def _draw_changes(
    kernels: Kernels, changes, marks, folder: Path, name: str, model: str
) -> list[Picture]:
    pictures = [
        gallery.keep(
            _grids(kernels, marks, model, ("before", "after")),
            folder,
            name,
            f"First-layer filters of {model} before and after training, by start",
        )
    ]
    if changes:
        pictures.append(
            gallery.keep(
                comparison_figures.gabor_shares(changes, marks),
                folder,
                f"{name}-gabor",
                f"Share of each filter of {model} that a Gabor explains, before and "
                "after training",
            )
        )
    return pictures


def _draw_histogram(
    kernels: Kernels, changes, marks, folder: Path, name: str, model: str
) -> list[Picture]:
    del changes  # What training did is not what this chapter is about.
    return [
        gallery.keep(
            _histogram(kernels, marks, model),
            folder,
            f"{name}-weights",
            f"Distribution of the first layer's weights of {model} before training",
        ),
        gallery.keep(
            _grids(kernels, marks, model, ("before",)),
            folder,
            name,
            f"First-layer filters of {model} before training, by start",
        ),
    ]


@styled
def _grids(
    kernels: Kernels, marks: dict[str, Mark], model: str, sides: tuple[str, ...]
) -> Figure:
    shown = [pair[: len(sides)] for pair in kernels.values()]
    scale = max(float(np.abs(kernel).max()) for pair in shown for kernel in pair)
    columns = len(kernels)
    sample = images.filter_mosaic(next(iter(kernels.values()))[0], scale)
    side = style.WIDTH / columns * sample.shape[0] / sample.shape[1]
    figure = Figure(
        figsize=(style.WIDTH, 0.3 + len(sides) * (side + 0.25)), layout="constrained"
    )
    panels = figure.subplots(len(sides), columns, squeeze=False)
    for column, (label, pair) in enumerate(kernels.items()):
        for row, when in enumerate(sides):
            axes = panels[row, column]
            mosaic = images.filter_mosaic(pair[row], scale)
            axes.imshow(mosaic, interpolation="nearest")
            axes.axis("off")
            text = label if len(sides) == 1 else f"{label}, {when}"
            axes.set_title(text, color=marks[label].colour, pad=4, fontsize=8.5)
    figure.suptitle(model, x=0.02, ha="left", fontsize=9.5, fontweight="bold")
    return figure


@styled
def _histogram(kernels: Kernels, marks: dict[str, Mark], model: str) -> Figure:
    table = weight_histograms({label: pair[0] for label, pair in kernels.items()})
    figure, panels = plots.stacked([1.15] * len(kernels), sharex=True)
    for axes, label in zip(panels, kernels, strict=True):
        part = table[table["initialization"] == label]
        edges = np.append(part["left"], part["right"].iloc[-1:])
        axes.stairs(part["density"], edges, color=marks[label].colour, fill=True)
        axes.set_title(label, color=marks[label].colour, pad=3)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    panels[-1].set_xlabel(f"first-layer weight of {model} before training")
    return figure


def _rows(
    keys: dict[str, Any], cell: Cell, changes: pd.DataFrame | None
) -> list[dict[str, Any]]:
    pairs = [
        run.directory.first_layer()
        for _, run in sorted(cell.runs.items())
        if (run.directory.path / "first_layer.npz").exists()
    ]
    moved = [images.filter_change(*pair) for pair in pairs]
    moved = [value for value in moved if np.isfinite(value)]
    rows = []
    if moved:
        found = measured(seed_interval(moved))
        rows.append({**keys, "quantity": "moved", **found})
    if changes is not None:
        rows += [
            {**keys, "quantity": name, "value": changes[column].mean(), "seeds": 1}
            for name, column in _GABOR.items()
            if column in changes
        ]
    initial = pairs[0][0].astype(np.float64)
    deviation = initial.std()
    kurtosis = np.mean((initial - initial.mean()) ** 4) / deviation**4 - 3
    rows += [
        {**keys, "quantity": name, "value": float(value), "seeds": 1}
        for name, value in (
            ("weight_mean", initial.mean()),
            ("weight_std", deviation),
            ("weight_excess_kurtosis", kurtosis if deviation else np.nan),
        )
    ]
    return rows


def _each(material: Material, table: pd.DataFrame):
    """Results, panel and label of every start that kept its filters."""
    for results in material.results:
        for panel in results.panels:
            for label in panel.cells:
                keys = {**keys_of(results, panel), "initialization": label}
                if find(table, **keys, quantity="weight_std") is not None:
                    yield results, panel, label, keys


def _sheet(material: Material, table: pd.DataFrame, histogram: bool) -> Sheet:
    rows = []
    for results, panel, label, keys in _each(material, table):
        values = {
            name: row["value"]
            for name in (*_GABOR, "moved", "weight_mean", "weight_std",
                         "weight_excess_kurtosis")
            if (row := find(table, **keys, quantity=name)) is not None
        }  # fmt: skip
        shown = (
            [
                _rounded(values["weight_mean"], 4),
                wording.number(values["weight_std"], 4),
                _rounded(values["weight_excess_kurtosis"], 2),
                _percent(values.get("gabor_share_before")),
                _percent(values.get("gabor_share_chance")),
            ]
            if histogram
            else [
                _percent(values.get("moved")),
                *(_percent(values.get(name)) for name in _GABOR),
            ]
        )
        rows.append((results.panel_name(panel), label, *shown))
    heads = (
        ("Model", "Start", "Mean weight", "Standard deviation", "Excess kurtosis",
         "Gabor share", "by chance")
        if histogram
        else ("Model", "Start", "Moved", "Gabor share before", "after", "by chance")
    )  # fmt: skip
    return Sheet(
        heads,
        tuple(rows),
        caption="Gabor share: how much of a filter’s energy the best Gabor accounts "
        "for, on average; chance is the same with its pixels shuffled. "
        + (
            "A normal distribution has excess kurtosis 0."
            if histogram
            else "Moved: ‖W − W₀‖ / ‖W₀‖."
        ),
    )


def _rounded(value: float, digits: int) -> str:
    """Without a minus sign before a zero."""
    return wording.number(round(value, digits) + 0.0, digits)


def _percent(value: float | None) -> str:
    return wording.MISSING if value is None else f"{100 * value:.0f} %"


def _sentences(material: Material, table: pd.DataFrame, histogram: bool) -> list[str]:
    by_model: dict[str, list[str]] = {}
    for results, panel, label, keys in _each(material, table):
        name = results.panel_name(panel)
        if histogram:
            deviation = find(table, **keys, quantity="weight_std")
            tails = find(table, **keys, quantity="weight_excess_kurtosis")
            assert deviation is not None
            assert tails is not None
            by_model.setdefault(name, []).append(
                f"{label} has standard deviation {wording.number(deviation['value'])} "
                f"and excess kurtosis {_rounded(tails['value'], 1)}"
            )
            continue
        moved = find(table, **keys, quantity="moved")
        if moved is None:
            continue
        text = f"from {label} they moved {100 * moved['value']:.0f} %"
        shares = [find(table, **keys, quantity=quantity) for quantity in _GABOR]
        if all(shares):
            before, after, chance = (_percent(row["value"]) for row in shares if row)
            text += f" (Gabor share {before} → {after}, chance {chance})"
        by_model.setdefault(name, []).append(text)
    return [f"{name}: {wording.listed(said)}." for name, said in by_model.items()]
