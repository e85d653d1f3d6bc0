"""What panels are made of: dots, lines, curves and other layers.

Every layer reads rows of a `LongTable` and draws what they say; it computes nothing.
`quantity` may be a tuple of several, or None for all rows of a panel. `series` is the
column whose values have marks, `label` the column with their words in the legend (the
series' own by default). `places` is a column of numbers, or of names, which stand at
0, 1, ... in the table's order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from transfusion_tf.report.charts import short
from transfusion_tf.report.charts_marks import (
    DASHES,
    EDGED,
    Style,
    draw_line,
    draw_marks,
    draw_value,
    name_at_right,
    name_places,
    series,
    write,
)
from transfusion_tf.report.long_table import LongTable, Quantity, Row, finite
from transfusion_tf.report.style import INK, MUTED, Mark


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

    def __call__(self, axes: Axes, table: LongTable) -> None:
        names = table.whole.where(quantity=self.quantity).values(self.rows)
        for place, name in enumerate(names):
            own = table.where(**{self.rows: name})
            each = list(series(own.where(quantity=self.quantity), self))
            for index, (key, label, rows) in enumerate(each):
                height = self.gap * ((len(each) - 1) / 2 - index) - place
                mark = table.mark(key)
                if self.repetitions:
                    runs = own.where(**{self.series: key, "quantity": self.repetitions})
                    values = list(runs.frame["value"])
                    draw_marks(
                        axes, values, [height] * len(values), mark, 3.4, alpha=0.35
                    )
                draw_value(axes, height, rows.first, mark, label, upright=False)
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

    def __call__(self, axes: Axes, table: LongTable) -> None:
        own = table.where(quantity=self.quantity)
        place_of = name_places(axes, table.whole.where(quantity=self.quantity), self)
        each = list(series(own, self))
        for index, (key, label, part) in enumerate(each):
            aside = index - (len(each) - 1) / 2
            stretch = 1 + self.factor * aside
            shift = 0 if self.factor else self.gap * aside
            known = part.frame[np.isfinite(part.frame["value"])]
            shown = part.replace(known.dropna(subset=[self.places]))
            places = [
                place_of(name) * stretch + shift for name in shown.frame[self.places]
            ]
            mark = self.mark or table.mark(key)
            draw = self._draw_bars if self.ends == "bars" else self._draw_joined
            draw(axes, places, shown, mark, label)
        if self.focus:
            _focus(axes, own.rows)
        if self.missing and not np.isfinite(own.frame["value"]).any():
            write(axes, self.missing)

    def _draw_bars(
        self, axes: Axes, places: list[float], own: LongTable, mark: Mark, label: str
    ) -> None:
        style: Style = {"linewidth": 1.7}
        if mark.dashed:
            style = {"linewidth": 1.2, "linestyle": DASHES}
        draw_line(axes, places, own, mark.colour, 0, zorder=2, **style)
        for place, row in zip(places, own.rows, strict=True):
            draw_value(axes, place, row, mark, label, upright=True)

    def _draw_joined(
        self, axes: Axes, places: list[float], own: LongTable, mark: Mark, label: str
    ) -> None:
        style: Style = {"linewidth": 1.5, "label": label}
        if self.size:
            style |= {"marker": mark.marker, "markersize": self.size}
            style |= {"markeredgewidth": 0.5 if self.size > 4 else 0}
            style |= {"markeredgecolor": "white"}
        opacity = 0.12 if self.ends == "band" else 0
        draw_line(axes, places, own, mark.colour, opacity, **style)


@dataclasses.dataclass(frozen=True)
class Curves:
    """A line over training, and a band from the lowest seed to the highest."""

    quantity: Quantity = "curve"
    series: str = "initialization"
    label: str = ""
    width: float = 1.8

    def __call__(self, axes: Axes, table: LongTable) -> None:
        for key, label, part in series(table.where(quantity=self.quantity), self):
            mark = table.mark(key)
            style: Style = {"linewidth": self.width, "label": label}
            if mark.dashed:
                style |= {"linewidth": 0.75 * self.width, "linestyle": DASHES}
            draw_line(axes, part.frame["place"], part, mark.colour, 0.13, **style)
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

    def __call__(self, axes: Axes, table: LongTable) -> None:
        place_of = name_places(axes, table.whole.where(quantity=self.quantity), self)
        for key, _, part in series(table.where(quantity=self.quantity), self):
            mark = table.mark(key)
            mark = dataclasses.replace(mark, marker=self.marker or mark.marker)
            frame = part.frame
            known = frame[np.isfinite(frame["value"])]
            places = [place_of(name) for name in known[self.places]]
            mean = table.find(**{self.series: key, "quantity": self.mean or None})
            if self.mean and mean is not None and finite(mean):
                self._draw_mean(axes, place_of(part.first[self.places]), mean, mark)
            style = EDGED if self.faint == 1 else {"alpha": self.faint}
            draw_marks(axes, places, list(known["value"]), mark, self.size, **style)
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
        draw_marks(axes, places, [1.09 * top] * missed, mark, self.size, **style)
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
    fit: str = ""
    fit_series: str = ""
    only: str = ""
    missing: str = ""

    def __call__(self, axes: Axes, table: LongTable) -> None:
        shown = table.where(quantity=self.x)
        if self.only:
            shown = shown.where(**{self.only: True})
        if not len(shown):
            write(axes, self.missing)
        ys = table.where(quantity=self.y).frame.set_index(list(self.keys))["value"]
        for key, label, part in series(shown, self):
            xs = part.frame.set_index(list(self.keys))["value"]
            style = EDGED | {"alpha": 0.9, "label": label}
            draw_marks(
                axes, xs, ys.reindex(xs.index), table.mark(key), self.size, **style
            )
        axes.margins(0.12)
        by = [self.fit_series] if self.fit_series else []
        lines = table.where(quantity=self.fit)
        for part in lines.split(*by) if len(lines) else ():
            colour = table.mark(part.first[by[0]]).colour if by else INK
            draw_line(axes, part.frame["place"], part, colour, 0.1, linewidth=1.3)


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
