"""What panels are made of: dots, lines, curves and other layers.

Every layer reads rows of a `LongTable` and draws what they say; it computes nothing.
`quantity` may be a tuple of several, or None for all rows of a panel. `series` is the
column whose values have marks, `label` the column with their words in the legend (the
series' own by default). `places` is a column of numbers, or of names, which stand at
0, 1, ... in the table's order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from transfusion_tf.report.charts import short
from transfusion_tf.report.long_table import LongTable, Quantity, Row, finite
from transfusion_tf.report.long_table import has_interval as bounded
from transfusion_tf.report.style import INK, MUTED, Mark

_DASHES = (0, (4, 2.5))
Style = dict[str, Any]
_EDGED: Style = {"markeredgecolor": "white", "markeredgewidth": 0.6}


@dataclasses.dataclass(frozen=True)
class Dots:
    """Values with intervals, a row per name, series below one another in each row.

    Attributes:
      quantity: what is shown.
      rows: the column with the names at the left, the first at the top.
      gap: between series, of the distance of rows.
      repetitions: quantity of the single runs, drawn faint behind.
    """

    quantity: Quantity
    rows: str
    series: str = "initialization"
    label: str = ""
    gap: float = 0.22
    repetitions: str = ""
    shows_paper = True

    def draw(self, axes: Axes, table: LongTable) -> None:
        names = table.whole.where(quantity=self.quantity).values(self.rows)
        for place, name in enumerate(names):
            own = table.where(**{self.rows: name})
            each = list(_series(own.where(quantity=self.quantity), self))
            for index, (key, label, rows) in enumerate(each):
                height = self.gap * ((len(each) - 1) / 2 - index) - place
                mark = table.mark(key)
                if self.repetitions:
                    runs = own.where(**{self.series: key, "quantity": self.repetitions})
                    values = list(runs.frame["value"])
                    _plot(axes, values, [height] * len(values), mark, 3.4, alpha=0.35)
                _dot(axes, height, rows.first, mark, label, upright=False)
        axes.set_yticks([-place for place in range(len(names))], map(short, names))
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.spines["left"].set_visible(False)
        axes.set_ylim(-len(names) + 0.3, 0.7)


@dataclasses.dataclass(frozen=True)
class Lines:
    """Values joined over ordered places, with their intervals.

    Attributes:
      quantity: what is shown.
      gap: between series, so that intervals do not lie on one another.
      factor: the same on a logarithmic axis: series are this share apart.
      ends: of the interval: `bars`, a `band`, or not drawn.
      size: of the marks where intervals are no bars, points; 0 for none.
      focus: whether limits show zero and the values, and let hopeless intervals run
        out: with two seeds an interval is a hundred times as wide as what it is of.
      mark: of the only series.
      missing: what is written where no value is known.
    """

    quantity: Quantity
    places: str
    series: str = "initialization"
    label: str = ""
    gap: float = 0.06
    factor: float = 0.0
    ends: str = "bars"
    size: float = 4.5
    focus: bool = False
    mark: Mark | None = None
    missing: str = ""

    @property
    def shows_paper(self) -> bool:
        return self.ends == "bars"

    def draw(self, axes: Axes, table: LongTable) -> None:
        own = table.where(quantity=self.quantity)
        place_of = name_places(axes, table.whole.where(quantity=self.quantity), self)
        each = list(_series(own, self))
        for index, (key, label, part) in enumerate(each):
            aside = index - (len(each) - 1) / 2
            stretch = 1 + self.factor * aside
            shift = 0 if self.factor else self.gap * aside
            known = part.frame[np.isfinite(part.frame["value"])]
            rows = part.replace(known.dropna(subset=[self.places])).rows
            places = [place_of(row[self.places]) * stretch + shift for row in rows]
            mark = self.mark or table.mark(key)
            draw = self._draw_bars if self.ends == "bars" else self._draw_joined
            draw(axes, places, rows, mark, label)
        if self.focus:
            _focus(axes, own.rows)
        if self.missing and not np.isfinite(own.frame["value"]).any():
            write(axes, self.missing)

    def _draw_bars(
        self, axes: Axes, places: list[float], rows: list[Row], mark: Mark, label: str
    ) -> None:
        values = [row["value"] for row in rows]
        style: Style = {"linewidth": 1.7}
        if mark.dashed:
            style = {"linewidth": 1.2, "linestyle": _DASHES}
        axes.plot(places, values, color=mark.colour, zorder=2, **style)
        for place, row in zip(places, rows, strict=True):
            _dot(axes, place, row, mark, label, upright=True)

    def _draw_joined(
        self, axes: Axes, places: list[float], rows: list[Row], mark: Mark, label: str
    ) -> None:
        if self.ends == "band" and all(map(bounded, rows)):
            low, high = ([row[end] for row in rows] for end in ("low", "high"))
            fill_band(axes, places, low, high, mark.colour, 0.12)
        values = [row["value"] for row in rows]
        edge = 0.5 if self.size > 4 else 0
        joined = dataclasses.replace(mark, marker=mark.marker if self.size else "")
        style: Style = {"linestyle": "-", "linewidth": 1.5, "label": label}
        style |= {"markeredgecolor": "white", "markeredgewidth": edge}
        _plot(axes, places, values, joined, self.size, **style)


@dataclasses.dataclass(frozen=True)
class Curves:
    """A line over training, and a band from the lowest seed to the highest."""

    quantity: Quantity = "curve"
    series: str = "initialization"
    label: str = ""
    width: float = 1.8

    def draw(self, axes: Axes, table: LongTable) -> None:
        for key, label, part in _series(table.where(quantity=self.quantity), self):
            mark = table.mark(key)
            style: Style = {"linewidth": self.width, "label": label}
            if mark.dashed:
                style |= {"linewidth": 0.75 * self.width, "linestyle": _DASHES}
            _draw_line(axes, part, mark.colour, 0.13, **style)
        axes.set_xlim(left=0)
        axes.margins(x=0)


@dataclasses.dataclass(frozen=True)
class Strip:
    """A mark per run over places, and what they come to.

    Attributes:
      quantity: of the single runs; a run without a value never got there.
      mean: quantity of the means; none is drawn by default.
      bars: whether the means are bars and not dashes.
      faint: opacity of the marks.
      size: of the marks, points.
      never: name of the place above all, at `top`, where runs without a value stand.
      top: quantity whose value is the height of that place.
      marker: in place of the series' own.
    """

    quantity: str
    places: str
    series: str = "initialization"
    label: str = ""
    mean: str = ""
    bars: bool = False
    faint: float = 1.0
    size: float = 4.0
    never: str = ""
    top: str = ""
    marker: str = ""

    def draw(self, axes: Axes, table: LongTable) -> None:
        place_of = name_places(axes, table.whole.where(quantity=self.quantity), self)
        for key, _, part in _series(table.where(quantity=self.quantity), self):
            mark = table.mark(key)
            mark = dataclasses.replace(mark, marker=self.marker or mark.marker)
            frame = part.frame
            known = frame[np.isfinite(frame["value"])]
            places = [place_of(name) for name in known[self.places]]
            mean = table.find(**{self.series: key, "quantity": self.mean or None})
            if self.mean and mean is not None and finite(mean):
                self._draw_mean(axes, place_of(part.first[self.places]), mean, mark)
            style = _EDGED if self.faint == 1 else {"alpha": self.faint}
            _plot(axes, places, list(known["value"]), mark, self.size, **style)
            if self.never and len(known) < len(frame):
                place = place_of(part.first[self.places])
                self._draw_never(axes, table, place, len(frame) - len(known), mark)

    def _draw_mean(self, axes: Axes, place: float, row: Row, mark: Mark) -> None:
        if self.bars:
            axes.bar(place, row["value"], 0.6, color=mark.colour, alpha=0.3)
        else:
            ends = [place - 0.28, place + 0.28]
            axes.plot(ends, [row["value"]] * 2, color=mark.colour, linewidth=2.4)

    def _draw_never(
        self, axes: Axes, table: LongTable, place: float, missed: int, mark: Mark
    ) -> None:
        row = table.find(quantity=self.top)
        assert row is not None
        top, named = row["value"], len(axes.texts)
        places = [place + 0.14 * (i - (missed - 1) / 2) for i in range(missed)]
        style: Style = {"fillstyle": "none", "markeredgewidth": 1, "clip_on": False}
        _plot(axes, places, [1.09 * top] * missed, mark, self.size, **style)
        axes.set_ylim(0, 1.17 * top)
        if not named:
            axes.axhline(top, color=MUTED, linewidth=0.7)
            name_at_right(axes, 1.09 * top, self.never)


@dataclasses.dataclass(frozen=True)
class Scatter:
    """One quantity over another, a mark per run or pair of runs; lines through them.

    Attributes:
      x: quantity.
      y: quantity of the same runs.
      keys: columns that tell which values belong together.
      hollow_where: a column that is true where marks are hollow.
      fit: quantity of the lines' points, whose `place` is where; with ends, a band.
      fit_series: the column whose marks the lines have; one black line by default.
      only: a column that is true where marks are drawn.
      missing: what is written where none is.
    """

    x: str
    y: str
    keys: tuple[str, ...]
    series: str
    label: str = ""
    size: float = 5.0
    hollow_where: str = ""
    fit: str = ""
    fit_series: str = ""
    only: str = ""
    missing: str = ""

    def draw(self, axes: Axes, table: LongTable) -> None:
        shown = table.where(quantity=self.x)
        if self.only:
            shown = shown.where(**{self.only: True})
        if not len(shown):
            write(axes, self.missing)
        ys = table.where(quantity=self.y).frame.set_index(list(self.keys))["value"]
        for key, label, part in _series(shown, self):
            xs = part.frame.set_index(list(self.keys))["value"]
            style = _EDGED | {"alpha": 0.9, "label": label}
            if self.hollow_where:
                hollow = bool(part.first[self.hollow_where])
                style |= {"fillstyle": "none" if hollow else "full"}
                style |= {"markeredgecolor": None, "markeredgewidth": 0.9}
            _plot(axes, xs, ys.reindex(xs.index), table.mark(key), self.size, **style)
        axes.margins(0.12)
        by = [self.fit_series] if self.fit_series else []
        lines = table.where(quantity=self.fit)
        for part in lines.split(*by) if len(lines) else ():
            colour = table.mark(part.first[by[0]]).colour if by else INK
            _draw_line(axes, part, colour, 0.1, linewidth=1.3)


def write(axes: Axes, text: str) -> None:
    """A word in the middle of axes that have nothing to show."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", color=MUTED)


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


def ramp(labels: Sequence[str]) -> dict[str, Mark]:
    """Marks of an ordered scale, light to dark: for depth, not for kind."""
    colours = matplotlib.colormaps["plasma"](np.linspace(0.84, 0.08, len(labels)))
    markers = "osD^vPX<>h"
    return {
        label: Mark(matplotlib.colors.to_hex(colour), markers[index % len(markers)])
        for index, (label, colour) in enumerate(zip(labels, colours, strict=True))
    }


def _series(table: LongTable, layer: Any) -> Iterator[tuple[str, str, LongTable]]:
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


def _plot(axes: Axes, xs: Any, ys: Any, mark: Mark, size: float, **style: Any) -> None:
    style = {"markeredgewidth": 0, "linestyle": "none", "markersize": size, **style}
    axes.plot(xs, ys, color=mark.colour, marker=mark.marker, **style)


def fill_band(
    axes: Axes, places: Any, low: Any, high: Any, colour: str, alpha: float
) -> None:
    """A band without an edge."""
    axes.fill_between(places, low, high, color=colour, alpha=alpha, linewidth=0)


def _draw_line(
    axes: Axes, own: LongTable, colour: str, alpha: float, **style: Any
) -> None:
    """A line over `place`, and a band where its ends are known."""
    frame = own.frame
    if np.isfinite(frame["low"]).any():
        fill_band(axes, frame["place"], frame["low"], frame["high"], colour, alpha)
    axes.plot(frame["place"], frame["value"], color=colour, **style)


def _dot(
    axes: Axes, place: float, row: Row, mark: Mark, label: str, *, upright: bool
) -> None:
    """A value with its interval, and hollow beside it the paper's."""

    def at(*values: float) -> tuple[list[float], list[float]]:
        places = [place] * len(values)
        return (places, list(values)) if upright else (list(values), places)

    if bounded(row):
        style: Style = {"linewidth": 1.6, "solid_capstyle": "round", "alpha": 0.75}
        axes.plot(*at(row["low"], row["high"]), color=mark.colour, **style)
    _plot(axes, *at(row["value"]), mark, 5.5, label=label, zorder=3, **_EDGED)
    if np.isfinite(row["paper"]):
        hollow: Style = {"fillstyle": "none", "markeredgewidth": 1.2, "zorder": 2.5}
        _plot(axes, *at(row["paper"]), mark, 5.5, **hollow)


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


def _focus(axes: Axes, rows: Sequence[Row]) -> None:
    """Vertical limits, see `Lines`."""
    values = [float(row["value"]) for row in rows] + [0.0]
    ends = [float(row[end]) for row in rows for end in ("low", "high")]
    low, high = min(values), max(values)
    room = 1.5 * max(high - low, 0.02)
    known = [end for end in ends if np.isfinite(end)] + values
    margin = 0.08 * room
    axes.set_ylim(
        max(min(known), low - room) - margin, min(max(known), high + room) + margin
    )
