"""Gains: where transfer pays, by distance from the source and number of images."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from transfusion_tf.evaluation import (
    Interval,
    between_extremes,
    feature_reuse_share,
    relative_gain,
)
from transfusion_tf.report import gallery, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.style import INK, MUTED, styled
from transfusion_tf.report.views import plots
from transfusion_tf.report.views.parts import (
    Row,
    Sheet,
    View,
    find,
    lines,
    long_table,
    one_seed_note,
    small_paper,
)
from transfusion_tf.report.views.reuse_cells import (
    Cell,
    cells,
    data_name,
    data_of,
    find_cell,
    models_of,
    seeds_of,
)

_COLOURS = matplotlib.colormaps["viridis"]
_DOT = 26.0  # points², of a gain of nothing


def draw(material: Material, folder: Path) -> View:
    """One picture, a panel a model; and how gain goes with distance."""
    found = cells(material)
    distances = _distances(material)
    rows = [row for cell in found for row in _gain_rows(cell, found)]
    table = long_table([*rows, *_distance_rows(distances)], material)
    pictures = []
    if rows:
        pictures = [
            gallery.keep(
                _figure(table, found, distances),
                folder,
                material.chapter.name,
                "Gain of transfer and share of feature reuse by Fréchet distance and "
                "number of training images, a panel a model",
            )
        ]
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(table, found, distances)),
        sheet=_sheet(table, found),
    )


def _distances(material: Material) -> dict[str, Row]:
    """Data set -> its row of the Fréchet distance."""
    table = material.analysis("frechet")
    if table.empty:
        return {}
    return {row["dataset"]: row for row in lines(table.drop_duplicates("dataset"))}


def _value(row: Row) -> float:
    corrected = float(row["corrected"])
    return corrected if np.isfinite(corrected) else float(row["value"])


def _distance_rows(distances: dict[str, Row]) -> list[dict[str, Any]]:
    return [
        {
            **{"dataset": name, "quantity": "frechet_distance", "value": _value(row)},
            **{"low": row["low"], "high": row["high"]},
        }
        for name, row in distances.items()
    ]


def _gain_rows(cell: Cell, found: list[Cell]) -> list[dict[str, Any]]:
    """Both gains, where the cell is one of transferred weights."""
    if cell.initialization != "transfer":
        return []
    others = {
        name: find_cell(
            found,
            **{"dataset": cell.dataset, "train_examples": cell.train_examples},
            **{"model": cell.model, "fraction": fraction},
        )
        for name, fraction in (("random", None), ("mean_var", 0.0))
    }
    rows = []
    for quantity, other, gain in (
        ("relative_gain", "random", relative_gain),
        ("feature_reuse_share", "mean_var", feature_reuse_share),
    ):
        baseline = others[other]
        if baseline is not None:
            interval: Interval = gain(cell.values, baseline.values)
            rows.append(
                {
                    **{**cell.keys, "quantity": quantity},
                    **{"value": interval.estimate, "low": interval.low},
                    **{"high": interval.high, "seeds": len(cell.runs)},
                }
            )
    return rows


@styled
def _figure(
    table: pd.DataFrame, found: list[Cell], distances: dict[str, Row]
) -> Figure:
    models, data = models_of(found), data_of(found)
    places = _places(data, distances)
    shares = table[table["quantity"] == "feature_reuse_share"]
    shade = dict(zip(shares.index, between_extremes(shares["value"]), strict=True))
    figure, panels = plots.small_panels(len(models), 2.4, sharex=True, sharey=True)
    for axes, model in zip(panels, models, strict=True):
        for pair in data:
            keys = {"model": model, "dataset": pair[0], "train_examples": pair[1]}
            gain = find(table, **keys, quantity="relative_gain")
            own = shares[
                (shares["model"] == model)
                & (shares["dataset"] == pair[0])
                & (shares["train_examples"] == pair[1])
            ]
            if gain is None or not np.isfinite(gain["value"]):
                continue
            level = shade[own.index[0]] if len(own) else np.nan
            colour = _COLOURS(level) if np.isfinite(level) else "white"
            axes.scatter(
                places[pair], pair[1], s=_area(gain["value"]), color=colour,
                edgecolors=INK, linewidths=0.6, zorder=3,
            )  # fmt: skip
            axes.annotate(
                f"{gain['value']:.2f}", (places[pair], pair[1]), xytext=(9, 0),
                textcoords="offset points", va="center", fontsize=7, color=MUTED,
            )  # fmt: skip
        axes.set_title(model, pad=4)
        axes.set_yscale("log")
        sizes = sorted({size for _, size in data})
        axes.set_yticks(sizes, [wording.count(size) for size in sizes])
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(0.45 * sizes[0], 2.0 * sizes[-1])
        axes.margins(x=0.25)
        at = {pair[0]: place for pair, place in places.items()}
        axes.set_xticks(
            list(at.values()), [_tick(name, at[name], distances) for name in at],
            rotation=25, ha="right", rotation_mode="anchor", fontsize=6.5,
        )  # fmt: skip
        plots.grid(axes, "both")
    for axes in panels[::2]:
        axes.set_ylabel("training images")
    for axes in panels[-2:]:
        axes.set_xlabel("(Fréchet distance to the source)", fontsize=7)
    scale = matplotlib.cm.ScalarMappable(cmap=_COLOURS)
    known = shares["value"].dropna()
    if len(known):
        scale.set_clim(float(known.min()), float(known.max()))
        bar = figure.colorbar(scale, ax=panels, location="bottom", aspect=40, pad=0.03)
        bar.set_label("feature reuse, (WT − ST) / WT; dots: gain, WT / RI")
        bar.outline.set_visible(False)
    return figure


def _places(
    data: list[tuple[str, int]], distances: dict[str, Row]
) -> dict[tuple[str, int], float]:
    """Where a data set stands: its distance, or its number where there is none."""
    if all(name in distances for name, _ in data):
        return {pair: _value(distances[pair[0]]) for pair in data}
    return {pair: float(index) for index, pair in enumerate(data)}


def _tick(name: str, distance: float, distances: dict[str, Row]) -> str:
    return f"{name} ({wording.number(distance, 1)})" if name in distances else name


def _area(gain: float) -> float:
    """Points² of a dot, so that what is gained shows."""
    return _DOT * float(np.clip(1.0 + 6.0 * (gain - 1.0), 0.15, 12.0))


def _sheet(table: pd.DataFrame, found: list[Cell]) -> Sheet:
    rows = []
    for pair in data_of(found):
        distance = find(table, dataset=pair[0], quantity="frechet_distance")
        for index, model in enumerate(models_of(found)):
            keys = {"model": model, "dataset": pair[0], "train_examples": pair[1]}
            gains = [
                find(table, **keys, quantity=name)
                for name in ("relative_gain", "feature_reuse_share")
            ]
            shown = _plain(distance) + small_paper(distance) if index == 0 else ""
            rows.append(
                (
                    data_name(pair, found) if index == 0 else "",
                    model,
                    wording.count(pair[1]) if index == 0 else "",
                    shown,
                    *(_with_ends(row) + small_paper(row) for row in gains),
                )
            )
    return Sheet(
        ("Data", "Model", "Training images", "Fréchet distance", "Gain, WT / RI",
         "Feature reuse, (WT − ST) / WT"),
        tuple(rows),
        caption="Ratios of means over seeds; small: Fieller's 95 % interval, missing "
        "where the denominator is too uncertain. The distance is corrected for the "
        "number of images. Dots are hollow where there is no ST.",
    )  # fmt: skip


def _plain(row: Row | None) -> str:
    return wording.MISSING if row is None else wording.number(row["value"], 2)


def _with_ends(row: Row | None) -> str:
    if row is None:
        return wording.MISSING
    text = wording.number(row["value"])
    if np.isfinite([row["low"], row["high"]]).all():
        low, high = (wording.number(row[end]) for end in ("low", "high"))
        text += f"\n{low} to {high}"
    return text


def _sentences(
    table: pd.DataFrame, found: list[Cell], distances: dict[str, Row]
) -> list[str]:
    said = []
    gains = table[table["quantity"] == "relative_gain"].dropna(subset=["value"])
    for model, part in gains.groupby("model", sort=False):
        part = part.sort_values("value")
        names = [
            data_name((row["dataset"], int(row["train_examples"])), found)
            for row in lines(part)
        ]
        values = list(part["value"])
        said.append(
            f"{model} gains most on {names[-1]} (WT / RI {wording.number(values[-1])})"
            + (
                f", least on {names[0]} ({wording.number(values[0])})."
                if len(names) > 1
                else "."
            )
        )
    if distances:
        order = sorted(distances, key=lambda name: _value(distances[name]))
        listed = [f"{n} ({wording.number(_value(distances[n]), 2)})" for n in order]
        said.append(f"From near to far, the data sets are {wording.listed(listed)}.")
    else:
        said.append(
            "How far the data are from the donor's was not measured: they stand in the "
            "study's order."
        )
    return said + one_seed_note(seeds_of(found))
