"""Layers that others are read against: floors, levels, thresholds; heat maps."""

import dataclasses
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfusion_tf.report.charts_marks import (
    Style,
    fill_band,
    name_at_right,
    name_places,
    write,
)
from transfusion_tf.report.long_table import LongTable, Quantity
from transfusion_tf.report.style import INK, MUTED, RULE
from transfusion_tf.report.wording import number

# Along an axis of a heat map; of more names, every so many.
_MOST_NAMES = 14
# Limits of the axes of a similarity.
TO_ONE = {"ylim": (0, 1.04)}


@dataclasses.dataclass(frozen=True)
class Floor:
    """The noise floor: what unrelated activations score, a value for each place.

    Attributes:
      missing: what is written where there is none.
    """

    places: str
    missing: str = ""

    def __call__(self, axes: Axes, table: LongTable) -> None:
        own = table.where(quantity="floor")
        if not len(own):
            write(axes, self.missing)
            return
        place_of = name_places(axes, own, self)
        places = [place_of(name) for name in own.frame[self.places]]
        wide = [places[0] - 0.35, *places, places[-1] + 0.35]
        floor = list(own.frame["value"])
        level = [floor[0], *floor, floor[-1]]
        fill_band(axes, wide, 0, level, RULE, 0.75)
        axes.plot(wide, level, color=MUTED, linewidth=0.8, label="noise floor")
        axes.set_xlim(wide[0], wide[-1])


def draw_row_floors(axes: Axes, table: LongTable) -> None:
    """The noise floor of every row of a dot plot."""
    style: Style = {"color": MUTED, "linewidth": 0.8}
    for place, row in enumerate(table.where(quantity="floor").rows):
        level, ends = row["value"], [-place - 0.35, -place + 0.35]
        axes.barh(-place, level, 0.7, color=RULE, alpha=0.75)
        axes.plot([level] * 2, ends, label="noise floor", **style)


@dataclasses.dataclass(frozen=True)
class HeatMap:
    """Values in [0, 1] of one column's names with another's.

    Attributes:
      written: whether values are written too, where all names are.
      text_size: of values that are written, points.
    """

    quantity: Quantity = None
    down: str = "stage"
    across: str = "pair"
    written: bool = False
    text_size: float = 8

    def __call__(self, axes: Axes, table: LongTable) -> None:
        own = table.where(quantity=self.quantity)
        down, across = own.values(self.down), own.values(self.across)
        values = own.frame["value"].to_numpy().reshape(len(down), len(across))
        axes.imshow(values, vmin=0, vmax=1, cmap="magma", origin="lower")
        for names, axis in ((down, axes.yaxis), (across, axes.xaxis)):
            step = -(-len(names) // _MOST_NAMES)
            axis.set_ticks(range(0, len(names), step), names[::step])
            axis.set_tick_params(length=0, labelsize=8 if self.written else 6)
        axes.tick_params(axis="x", rotation=90)
        axes.spines[:].set_visible(False)
        if self.written and max(values.shape) <= _MOST_NAMES:
            style: Style = {"ha": "center", "va": "center"}
            style["fontsize"] = self.text_size
            for (row, column), value in np.ndenumerate(values):
                colour = INK if value > 0.6 else "white"
                axes.text(column, row, number(value, 2), color=colour, **style)


@dataclasses.dataclass(frozen=True)
class Level:
    """A line across."""

    at: float = 0.0
    colour: str = INK
    width: float = 0.9

    def __call__(self, axes: Axes, table: LongTable) -> None:
        axes.axhline(self.at, color=self.colour, linewidth=self.width)


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A dotted line across at a value, named at its right end."""

    quantity: str = "threshold"

    def __call__(self, axes: Axes, table: LongTable) -> None:
        row = table.find(quantity=self.quantity)
        if row is not None:
            dots = (0, (1.2, 1.6))
            axes.axhline(row["value"], color=MUTED, linewidth=0.8, linestyle=dots)
            name_at_right(axes, row["value"], f"threshold\n{row['value']:.3f}", 7, 4)


def colour_bar(figure: Figure, axes: Sequence[Axes], table: LongTable) -> None:
    """What the colours of heat maps mean; as charts are finished."""
    scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(0, 1), "magma")
    bar = figure.colorbar(scale, ax=list(axes), location="right", shrink=0.62)
    bar.set_label("CKA")
    bar.outline.set_visible(False)
