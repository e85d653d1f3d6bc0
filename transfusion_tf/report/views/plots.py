"""Pieces that several views draw with: panels, curves, marks with intervals."""

import dataclasses
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from transfusion_tf.report.style import INK, MUTED, RULE, WIDTH, Mark
from transfusion_tf.report.views.parts import Row

DASHES = (0, (4, 2.5))
_LEGEND_WIDTH = 74  # characters that fit one line of a legend


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """A line over training.

    Attributes:
      label: in the legend.
      steps: [evaluations].
      values: [seeds, evaluations].
      mark: how it is drawn.
      dashed: whether it is a reference and not the subject.
    """

    label: str
    steps: np.ndarray
    values: np.ndarray
    mark: Mark
    dashed: bool = False


def stacked(heights: Sequence[float], **options) -> tuple[Figure, list[Axes]]:
    """A figure of panels one above the other, heights in inches."""
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    panels = figure.subplots(
        len(heights), 1, squeeze=False, height_ratios=list(heights), **options
    )
    return figure, list(panels[:, 0])


def small_panels(
    count: int, height: float = 1.7, label: str = "", **options
) -> tuple[Figure, list[Axes]]:
    """A figure of small panels, two a row; what is over is not shown.

    Args:
      count: of panels.
      height: of each, inches.
      label: of the horizontal axis, below the lowest panels.
      **options: of `Figure.subplots`.
    """
    rows = -(-count // 2)
    figure = Figure(figsize=(WIDTH, height * rows + 0.3), layout="constrained")
    panels = figure.subplots(rows, 2, squeeze=False, **options)
    for axes in panels.flat[count:]:
        axes.set_visible(False)
    for axes in panels.flat[max(0, count - 2) : count]:
        axes.set_xlabel(label)
    return figure, list(panels.flat[:count])


def ramp(labels: Sequence[str]) -> dict[str, Mark]:
    """Marks of an ordered scale, light to dark: for depth, not for kind."""
    colours = matplotlib.colormaps["plasma"](np.linspace(0.84, 0.08, len(labels)))
    markers = "osD^vPX<>h"
    return {
        label: Mark(matplotlib.colors.to_hex(colour), markers[index % len(markers)])
        for index, (label, colour) in enumerate(zip(labels, colours, strict=True))
    }


def draw_curves(axes: Axes, curves: Sequence[Curve], width: float = 1.8) -> None:
    """Mean over seeds, a band from the lowest seed to the highest."""
    for curve in curves:
        colour = curve.mark.colour
        if len(curve.values) > 1:
            axes.fill_between(
                curve.steps, curve.values.min(axis=0), curve.values.max(axis=0),
                color=colour, alpha=0.13, linewidth=0,
            )  # fmt: skip
        axes.plot(
            curve.steps, curve.values.mean(axis=0), color=colour, label=curve.label,
            linewidth=0.75 * width if curve.dashed else width,
            linestyle=DASHES if curve.dashed else "-",
        )  # fmt: skip
    axes.set_xlim(left=0)
    axes.margins(x=0)
    grid(axes, "y")


def draw_threshold(axes: Axes, value: float, text: str) -> None:
    """A dashed line across, named at its right end."""
    axes.axhline(value, color=MUTED, linewidth=0.8, linestyle=(0, (1.2, 1.6)))
    axes.annotate(
        text, (1, value), xycoords=("axes fraction", "data"), xytext=(4, 0),
        textcoords="offset points", va="center", fontsize=7, color=MUTED,
        annotation_clip=False,
    )  # fmt: skip


def legend_below(
    figure: Figure, axes: Axes | Sequence[Axes], extra: Sequence[Line2D] = ()
) -> None:
    """One legend for all panels, below them, so that it covers nothing."""
    handles: dict[str, Artist] = {}
    for each in axes if isinstance(axes, Sequence) else [axes]:
        for handle, label in zip(*each.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    for line in extra:
        handles.setdefault(str(line.get_label()), line)
    if not handles:
        return
    longest = max(len(label) for label in handles) + 7
    figure.legend(
        list(handles.values()), list(handles), loc="outside lower left",
        ncols=max(1, min(4, _LEGEND_WIDTH // longest, len(handles))),
        handlelength=1.7, labelspacing=0.3, columnspacing=1.4,
    )  # fmt: skip


def paper_key(text: str) -> Line2D:
    """What the legend says of hollow marks."""
    return Line2D(
        [], [], linestyle="none", marker="o", markersize=5.5, color=MUTED,
        fillstyle="none", label=text,
    )  # fmt: skip


def draw_dot(
    axes: Axes,
    place: float,
    row: Row | None,
    mark: Mark,
    label: str,
    *,
    upright: bool = False,
) -> None:
    """A value with its interval, and hollow beside it the paper's.

    Args:
      axes: to draw into.
      place: on the axis that has no numbers.
      row: of a long table.
      mark: colour and marker.
      label: in the legend.
      upright: whether values go up and not right.
    """
    if row is None:
        return
    value, low, high, paper = (
        float(row[name]) for name in ("value", "low", "high", "paper")
    )

    def plot(at, values, *style, **more):
        places = [at] * len(values)
        return axes.plot(
            *((places, values) if upright else (values, places)), *style, **more
        )

    if np.isfinite([low, high]).all():
        plot(
            place,
            [low, high],
            color=mark.colour,
            linewidth=1.6,
            solid_capstyle="round",
            alpha=0.75,
        )
    plot(
        place, [value], mark.marker, color=mark.colour, markersize=5.5, label=label,
        markeredgecolor="white", markeredgewidth=0.6, zorder=3,
    )  # fmt: skip
    if np.isfinite(paper):
        plot(
            place, [paper], mark.marker, color=mark.colour, markersize=5.5,
            fillstyle="none", markeredgewidth=1.2, zorder=2.5,
        )  # fmt: skip


def draw_line(
    axes: Axes,
    places: Sequence[float],
    rows: Sequence[Row | None],
    mark: Mark,
    label: str,
    *,
    dashed: bool = False,
) -> None:
    """Values with upright intervals, joined; hollow marks are the paper's."""
    known = [
        (place, row)
        for place, row in zip(places, rows, strict=True)
        if row is not None and np.isfinite(float(row["value"]))
    ]
    axes.plot(
        [place for place, _ in known], [row["value"] for _, row in known],
        color=mark.colour, linewidth=1.2 if dashed else 1.7,
        linestyle=DASHES if dashed else "-", zorder=2,
    )  # fmt: skip
    for place, row in known:
        draw_dot(axes, place, row, mark, label, upright=True)


def draw_floor(axes: Axes, places: Sequence[float], floor: Sequence[float]) -> None:
    """The noise floor: what unrelated activations score."""
    wide = [places[0] - 0.35, *places, places[-1] + 0.35]
    level = [floor[0], *floor, floor[-1]]
    axes.fill_between(wide, 0, level, color=RULE, alpha=0.75, linewidth=0)
    axes.plot(wide, level, color=MUTED, linewidth=0.8, label="noise floor")
    axes.set_xlim(wide[0], wide[-1])


def name_places(axes: Axes, names: Sequence[str], *, start: int = 0) -> None:
    """Names under the places 0, 1, ..., slanted where they are many or long."""
    crowded = sum(len(name) for name in names) > 40
    axes.set_xticks(
        range(start, start + len(names)), list(names), rotation=35 if crowded else 0,
        ha="right" if crowded else "center", rotation_mode="anchor",
    )  # fmt: skip


def name_rows(axes: Axes, names: Sequence[str], places: Sequence[float]) -> None:
    """Names at the left of a dot plot, the first at the top."""
    axes.set_yticks(list(places), list(names))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(min(places) - 0.7, max(places) + 0.7)


def grid(axes: Axes, axis: str) -> None:
    """Thin lines behind everything."""
    axes.grid(axis=axis, color=RULE, linewidth=0.5)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def focus(axes: Axes, rows: Sequence[Row | None]) -> None:
    """Vertical limits that show zero and the values; hopeless intervals run out.

    With two seeds an interval is a hundred times as wide as what it is of.
    """
    known = [row for row in rows if row is not None]
    values = [float(row["value"]) for row in known] + [0.0]
    ends = [float(row[end]) for row in known for end in ("low", "high")]
    low, high = min(values), max(values)
    room = 1.5 * max(high - low, 0.02)
    finite = [end for end in ends if np.isfinite(end)] + values
    margin = 0.08 * room
    axes.set_ylim(
        max(min(finite), low - room) - margin, min(max(finite), high + room) + margin
    )


def short(text: str, most: int = 30) -> str:
    """The text, broken before its options where it is long."""
    if len(text) <= most or "[" not in text:
        return text
    return text.replace("[", "\n[", 1)
