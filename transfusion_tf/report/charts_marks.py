"""What layers draw with: marks, lines and bands, and words beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from transfusion_tf.report.long_table import LongTable, Row, has_interval
from transfusion_tf.report.style import MUTED, Mark

Style = dict[str, Any]
DASHES = (0, (4, 2.5))
EDGED: Style = {"markeredgecolor": "white", "markeredgewidth": 0.6}


def series(table: LongTable, layer: Any) -> Iterator[tuple[str, str, LongTable]]:
    """Key, words and rows of every series, in the order of the marks."""
    order = list(table.marks)
    keys = sorted(
        table.values(layer.series),
        key=lambda key: order.index(key) if key in order else len(order),
    )
    for key in keys:
        part = table.where(**{layer.series: key})
        for own in part.split(*([layer.label] if layer.label else [])):
            yield key, str(own.first[layer.label or layer.series]), own


def name_places(axes: Axes, table: LongTable, layer: Any) -> Callable[[Any], float]:
    """Where a value of a layer's `places` stands; names are written below theirs,
    slanted where they are many or long.
    """
    names = table.values(layer.places)
    if not any(isinstance(name, str) for name in names):
        return float
    crowded = sum(map(len, names)) > 40
    style: Style = {"rotation": 35, "ha": "right"} if crowded else {}
    axes.set_xticks(range(len(names)), names, rotation_mode="anchor", **style)
    return {name: float(index) for index, name in enumerate(names)}.__getitem__


def draw_marks(
    axes: Axes, xs: Any, ys: Any, mark: Mark, size: float, **style: Any
) -> None:
    """Marks alone, in points."""
    style = {"markeredgewidth": 0, "linestyle": "none", "markersize": size, **style}
    axes.plot(xs, ys, color=mark.colour, marker=mark.marker, **style)


def draw_value(
    axes: Axes, place: float, row: Row, mark: Mark, label: str, *, upright: bool
) -> None:
    """A value with its interval, and hollow beside it the paper's."""

    def at(*values: float) -> tuple[list[float], list[float]]:
        places = [place] * len(values)
        return (places, list(values)) if upright else (list(values), places)

    if has_interval(row):
        style: Style = {"linewidth": 1.6, "solid_capstyle": "round", "alpha": 0.75}
        axes.plot(*at(row["low"], row["high"]), color=mark.colour, **style)
    draw_marks(axes, *at(row["value"]), mark, 5.5, label=label, zorder=3, **EDGED)
    if np.isfinite(row["paper"]):
        hollow: Style = {"fillstyle": "none", "markeredgewidth": 1.2, "zorder": 2.5}
        draw_marks(axes, *at(row["paper"]), mark, 5.5, **hollow)


def draw_line(
    axes: Axes, places: Any, own: LongTable, colour: str, opacity: float, **style: Any
) -> None:
    """A line through the values, and a band where their ends are known."""
    frame = own.frame
    if opacity and np.isfinite(frame["low"]).any():
        fill_band(axes, places, frame["low"], frame["high"], colour, opacity)
    axes.plot(places, frame["value"], color=colour, **style)


def fill_band(
    axes: Axes, places: Any, low: Any, high: Any, colour: str, alpha: float
) -> None:
    """A band without an edge."""
    axes.fill_between(places, low, high, color=colour, alpha=alpha, linewidth=0)


def name_at_right(
    axes: Axes, height: float, text: str, size: float = 7.5, aside: float = 3
) -> None:
    """A word beside the axes, at a height."""
    style: Style = {"fontsize": size, "color": MUTED, "va": "center"}
    place: Style = {
        "xycoords": ("axes fraction", "data"),
        "textcoords": "offset points",
    }
    axes.annotate(
        text, (1, height), (aside, 0), **place, **style, annotation_clip=False
    )


def write(axes: Axes, text: str) -> None:
    """A word in the middle of axes that have nothing to show."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", color=MUTED)
