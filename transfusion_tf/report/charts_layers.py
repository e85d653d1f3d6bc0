"""What panels are made of: dots, lines, curves and other layers.

Every layer reads rows of a `LongTable` and draws what they say; it computes nothing.
`quantity` may be a tuple of several, or None for all rows of a panel. `series` is the
column whose values have marks, `label` the column with their words in the legend (the
series' own by default).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from transfusion_tf.report.charts import short
from transfusion_tf.report.long_table import (
    LongTable,
    Quantity,
    Row,
    finite,
    has_interval,
)
from transfusion_tf.report.style import INK, MUTED, RULE, Mark

_DASHES = (0, (4, 2.5))


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

    @property
    def shows_paper(self) -> bool:
        """Whether hollow marks stand for the paper's values."""
        return True

    def draw(self, axes: Axes, table: LongTable) -> None:
        """See `Layer`."""
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
                    _faint(axes, values, [height] * len(values), mark, 3.4, 0.35)
                _dot(axes, height, rows.first, mark, label, upright=False)
        _name_rows(axes, [short(name) for name in names])


@dataclasses.dataclass(frozen=True)
class Lines:
    """Values joined over ordered places, with their intervals.

    Attributes:
      quantity: what is shown.
      places: a column of numbers, or of names in the table's order.
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
        """Whether hollow marks stand for the paper's values."""
        return self.ends == "bars"

    def draw(self, axes: Axes, table: LongTable) -> None:
        """See `Layer`."""
        own = table.where(quantity=self.quantity)
        place_of = name_places(
            axes, table.whole.where(quantity=self.quantity), self.places
        )
        each = list(_series(own, self))
        for index, (key, label, part) in enumerate(each):
            aside = index - (len(each) - 1) / 2
            rows = [
                row
                for row in part.rows
                if finite(row) and row[self.places] == row[self.places]
            ]
            places = [
                place_of(row[self.places]) * (1 + self.factor * aside)
                + (0 if self.factor else self.gap * aside)
                for row in rows
            ]
            mark = self.mark or table.mark(key)
            if self.ends == "bars":
                _upright(axes, places, rows, mark, label)
            else:
                _joined(axes, places, rows, mark, label, self)
        if self.focus:
            _focus(axes, own.rows)
        if self.missing and not np.isfinite(own.frame["value"]).any():
            write(axes, self.missing)


@dataclasses.dataclass(frozen=True)
class Curves:
    """A line over training, and a band from the lowest seed to the highest."""

    quantity: Quantity = "curve"
    places: str = "place"
    series: str = "initialization"
    label: str = ""
    width: float = 1.8

    def draw(self, axes: Axes, table: LongTable) -> None:
        """See `Layer`."""
        for key, label, part in _series(table.where(quantity=self.quantity), self):
            mark, frame = table.mark(key), part.frame
            if np.isfinite(frame["low"]).any():
                axes.fill_between(
                    frame[self.places],
                    frame["low"],
                    frame["high"],
                    color=mark.colour,
                    alpha=0.13,
                    linewidth=0,
                )
            axes.plot(
                frame[self.places],
                frame["value"],
                color=mark.colour,
                label=label,
                linewidth=0.75 * self.width if mark.dashed else self.width,
                linestyle=_DASHES if mark.dashed else "-",
            )
        axes.set_xlim(left=0)
        axes.margins(x=0)


@dataclasses.dataclass(frozen=True)
class Strip:
    """A mark per run over places, and what they come to.

    Attributes:
      quantity: of the single runs; a run without a value never got there.
      places: a column of numbers, or of names in the table's order.
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
        """See `Layer`."""
        own = table.where(quantity=self.quantity)
        place_of = name_places(
            axes, table.whole.where(quantity=self.quantity), self.places
        )
        for key, _, part in _series(own, self):
            mark = table.mark(key)
            mark = dataclasses.replace(mark, marker=self.marker or mark.marker)
            known = part.frame[np.isfinite(part.frame["value"])]
            places = [place_of(name) for name in known[self.places]]
            values = list(known["value"])
            if self.mean:
                mean = table.find(**{self.series: key, "quantity": self.mean})
                self._draw_mean(axes, place_of(part.first[self.places]), mean, mark)
            if self.faint < 1:
                _faint(axes, places, values, mark, self.size, self.faint)
            else:
                _marked(axes, places, values, mark, self.size)
        if self.never:
            self._draw_never(axes, own, float(table.find(quantity=self.top)["value"]))  # type: ignore[index]

    def _draw_mean(self, axes: Axes, place: float, row: Row | None, mark: Mark) -> None:
        if row is None or not finite(row):
            return
        if self.bars:
            axes.bar(place, row["value"], 0.6, color=mark.colour, alpha=0.3)
        else:
            ends = [place - 0.28, place + 0.28]
            axes.plot(ends, [row["value"]] * 2, color=mark.colour, linewidth=2.4)

    def _draw_never(self, axes: Axes, own: LongTable, top: float) -> None:
        missed = own.frame[~np.isfinite(own.frame["value"])]
        if missed.empty:
            return
        place_of = name_places(
            axes, own.whole.where(quantity=self.quantity), self.places
        )
        for name, part in missed.groupby(self.places, sort=False):
            mark = own.mark(part[self.series].iloc[0])
            for index in range(len(part)):
                axes.plot(
                    place_of(name) + 0.14 * (index - (len(part) - 1) / 2),
                    1.09 * top,
                    mark.marker,
                    color=mark.colour,
                    fillstyle="none",
                    markersize=self.size,
                    clip_on=False,
                )
        axes.axhline(top, color=MUTED, linewidth=0.7)
        _at_right(axes, 1.09 * top, self.never)
        axes.set_ylim(0, 1.17 * top)


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
        """See `Layer`."""
        shown = table.where(quantity=self.x)
        if self.only:
            shown = shown.where(**{self.only: True})
        if not len(shown):
            write(axes, self.missing)
        for key, label, part in _series(shown, self):
            mark = table.mark(key)
            xs, ys = (
                own.frame.set_index(list(self.keys))["value"]
                for own in (part, table.where(quantity=self.y))
            )
            hollow = self.hollow_where and bool(part.first[self.hollow_where])
            axes.plot(
                xs,
                ys.reindex(xs.index),
                mark.marker,
                color=mark.colour,
                markersize=self.size,
                fillstyle="none" if hollow else "full",
                markeredgecolor=mark.colour if self.hollow_where else "white",
                markeredgewidth=0.9 if self.hollow_where else 0.6,
                alpha=0.9,
                label=label,
            )
        axes.margins(0.12)
        for part in table.where(quantity=self.fit).split(
            *([self.fit_series] if self.fit_series else [])
        ):
            frame = part.frame
            colour = (
                table.mark(part.first[self.fit_series]).colour
                if (self.fit_series)
                else INK
            )
            axes.plot(frame["place"], frame["value"], color=colour, linewidth=1.3)
            if np.isfinite(frame["low"]).all():
                axes.fill_between(
                    frame["place"],
                    frame["low"],
                    frame["high"],
                    color=colour,
                    alpha=0.1,
                    linewidth=0,
                )


@dataclasses.dataclass(frozen=True)
class Floor:
    """The noise floor: what unrelated activations score, a value for each place.

    Attributes:
      missing: what is written where there is none.
    """

    places: str
    quantity: str = "floor"
    missing: str = ""

    def draw(self, axes: Axes, table: LongTable) -> None:
        """See `Layer`."""
        own = table.where(quantity=self.quantity)
        if not len(own):
            write(axes, self.missing)
            return
        place_of = name_places(axes, own, self.places)
        places = [place_of(name) for name in own.frame[self.places]]
        wide = [places[0] - 0.35, *places, places[-1] + 0.35]
        floor = list(own.frame["value"])
        level = [floor[0], *floor, floor[-1]]
        axes.fill_between(wide, 0, level, color=RULE, alpha=0.75, linewidth=0)
        axes.plot(wide, level, color=MUTED, linewidth=0.8, label="noise floor")
        axes.set_xlim(wide[0], wide[-1])


@dataclasses.dataclass(frozen=True)
class RowFloor:
    """The noise floor of every row of a dot plot."""

    rows: str
    quantity: str = "floor"

    def draw(self, axes: Axes, table: LongTable) -> None:
        """See `Layer`."""
        for place, row in enumerate(table.where(quantity=self.quantity).rows):
            level = row["value"]
            axes.barh(-place, level, 0.7, color=RULE, alpha=0.75)
            axes.plot(
                [level] * 2,
                [-place - 0.35, -place + 0.35],
                color=MUTED,
                linewidth=0.8,
                label="noise floor",
            )


@dataclasses.dataclass(frozen=True)
class HeatMap:
    """Values in [0, 1] of one column's names with another's."""

    quantity: Quantity = None
    down: str = "stage"
    across: str = "pair"
    most_names: int = 14

    def draw(self, axes: Axes, table: LongTable) -> None:
        """See `Layer`."""
        own = table.where(quantity=self.quantity)
        down, across = own.values(self.down), own.values(self.across)
        values = own.frame["value"].to_numpy().reshape(len(down), len(across))
        axes.imshow(values, vmin=0, vmax=1, cmap="magma", origin="lower")
        for names, axis in ((down, axes.yaxis), (across, axes.xaxis)):
            step = -(-len(names) // self.most_names)
            axis.set_ticks(range(0, len(names), step), names[::step])
            axis.set_tick_params(length=0, labelsize=6)
        axes.tick_params(axis="x", rotation=90)
        for spine in axes.spines.values():
            spine.set_visible(False)


@dataclasses.dataclass(frozen=True)
class Level:
    """A line across."""

    at: float = 0.0
    colour: str = INK
    width: float = 0.9

    def draw(self, axes: Axes, table: LongTable) -> None:
        """See `Layer`."""
        axes.axhline(self.at, color=self.colour, linewidth=self.width)


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A dashed line across at a value, named at its right end."""

    quantity: str = "threshold"

    def draw(self, axes: Axes, table: LongTable) -> None:
        """See `Layer`."""
        row = table.find(quantity=self.quantity)
        if row is not None:
            axes.axhline(
                row["value"], color=MUTED, linewidth=0.8, linestyle=(0, (1.2, 1.6))
            )
            _at_right(axes, row["value"], f"threshold\n{row['value']:.3f}", 7, 4)


def write(axes: Axes, text: str) -> None:
    """A word in the middle of axes that have nothing to show."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", color=MUTED)


def name_places(axes: Axes, table: LongTable, column: str):
    """Where a value of the column stands; names are written below their places.

    Names stand at 0, 1, ..., slanted where they are many or long.
    """
    names = table.values(column)
    if not any(isinstance(name, str) for name in names):
        return float
    crowded = sum(len(name) for name in names) > 40
    axes.set_xticks(
        range(len(names)),
        names,
        rotation=35 if crowded else 0,
        ha="right" if crowded else "center",
        rotation_mode="anchor",
    )
    return {name: float(index) for index, name in enumerate(names)}.__getitem__


def _series(table: LongTable, layer: Any) -> Iterator[tuple[str, str, LongTable]]:
    """Key, words and rows of every series, in the order of the marks."""
    keys = table.values(layer.series)
    order = list(table.marks)
    keys.sort(key=lambda key: order.index(key) if key in order else len(order))
    for key in keys:
        part = table.where(**{layer.series: key})
        column = layer.label or layer.series
        for own in part.split(column) if column != layer.series else [part]:
            yield key, str(own.first[column]), own


def _dot(
    axes: Axes, place: float, row: Row, mark: Mark, label: str, *, upright: bool
) -> None:
    """A value with its interval, and hollow beside it the paper's."""

    def plot(values: list[float], *style: Any, **more: Any) -> None:
        places = [place] * len(values)
        axes.plot(*((places, values) if upright else (values, places)), *style, **more)

    if has_interval(row):
        plot(
            [row["low"], row["high"]],
            color=mark.colour,
            linewidth=1.6,
            solid_capstyle="round",
            alpha=0.75,
        )
    plot(
        [row["value"]],
        mark.marker,
        color=mark.colour,
        markersize=5.5,
        label=label,
        markeredgecolor="white",
        markeredgewidth=0.6,
        zorder=3,
    )
    if np.isfinite(row["paper"]):
        plot(
            [row["paper"]],
            mark.marker,
            color=mark.colour,
            markersize=5.5,
            fillstyle="none",
            markeredgewidth=1.2,
            zorder=2.5,
        )


def _upright(
    axes: Axes, places: list[float], rows: list[Row], mark: Mark, label: str
) -> None:
    axes.plot(
        places,
        [row["value"] for row in rows],
        color=mark.colour,
        linewidth=1.2 if mark.dashed else 1.7,
        linestyle=_DASHES if mark.dashed else "-",
        zorder=2,
    )
    for place, row in zip(places, rows, strict=True):
        _dot(axes, place, row, mark, label, upright=True)


def _joined(
    axes: Axes,
    places: list[float],
    rows: list[Row],
    mark: Mark,
    label: str,
    layer: Lines,
) -> None:
    if layer.ends == "band" and all(has_interval(row) for row in rows):
        low, high = ([row[end] for row in rows] for end in ("low", "high"))
        axes.fill_between(places, low, high, color=mark.colour, alpha=0.12, linewidth=0)
    axes.plot(
        places,
        [row["value"] for row in rows],
        color=mark.colour,
        marker=mark.marker if layer.size else "",
        markersize=layer.size,
        linewidth=1.5,
        markeredgecolor="white",
        markeredgewidth=0.5 if layer.size > 4 else 0,
        label=label,
    )


def _marked(
    axes: Axes, xs: Sequence[float], ys: Sequence[float], mark: Mark, size: float
) -> None:
    axes.plot(
        xs,
        ys,
        mark.marker,
        color=mark.colour,
        markersize=size,
        markeredgecolor="white",
        markeredgewidth=0.6,
    )


def _faint(
    axes: Axes,
    xs: Sequence[float],
    ys: Sequence[float],
    mark: Mark,
    size: float,
    alpha: float,
) -> None:
    axes.plot(
        xs,
        ys,
        mark.marker,
        color=mark.colour,
        markersize=size,
        alpha=alpha,
        markeredgewidth=0,
    )


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Names at the left of a dot plot, the first at the top."""
    axes.set_yticks([-place for place in range(len(names))], list(names))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-len(names) + 0.3, 0.7)


def _at_right(
    axes: Axes, height: float, text: str, size: float = 7.5, aside: float = 3
) -> None:
    axes.annotate(
        text,
        (1, height),
        xycoords=("axes fraction", "data"),
        xytext=(aside, 0),
        textcoords="offset points",
        va="center",
        fontsize=size,
        color=MUTED,
        annotation_clip=False,
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


def ramp(labels: Sequence[str]) -> dict[str, Mark]:
    """Marks of an ordered scale, light to dark: for depth, not for kind."""
    colours = matplotlib.colormaps["plasma"](np.linspace(0.84, 0.08, len(labels)))
    markers = "osD^vPX<>h"
    return {
        label: Mark(matplotlib.colors.to_hex(colour), markers[index % len(markers)])
        for index, (label, colour) in enumerate(zip(labels, colours, strict=True))
    }
