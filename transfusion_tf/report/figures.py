"""The report's charts: curves, races and differences.

Each function returns a figure of one width that can be read on a phone.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from transfusion_tf.report import wording
from transfusion_tf.report.results import BASELINE, Cell, Panel, Results
from transfusion_tf.report.style import (
    INK,
    MUTED,
    PAPER,
    RULE,
    WIDTH,
    Mark,
    new_figure,
    styled,
)

_ROW = 0.27  # inches


@styled
def convergence(
    panel: Panel,
    title: str,
    marks: Mapping[str, Mark],
    metric: str,
    limits: tuple[float, float],
) -> Figure:
    """Validation metric over training: mean over seeds, band from lowest to highest.

    Args:
      panel: whose cells are drawn.
      title: of the figure.
      marks: of the initializations.
      metric: the main metric.
      limits: of the vertical axis, the same for all panels.
    """
    figure, axes = new_figure(2.9)
    for label, cell in panel.cells.items():
        steps, values = curves(cell)
        if not len(steps):
            continue
        colour = marks[label].colour
        if len(values) > 1:
            axes.fill_between(
                steps,
                values.min(axis=0),
                values.max(axis=0),
                color=colour,
                alpha=0.13,
                linewidth=0,
            )
        axes.plot(steps, values.mean(axis=0), color=colour, linewidth=1.8, label=label)
    axes.axhline(panel.threshold, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.annotate(
        f"threshold\n{wording.number(panel.threshold)}",
        (1, panel.threshold),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
        color=MUTED,
        annotation_clip=False,
    )
    axes.set_title(title)
    axes.set_xlabel("training step")
    axes.set_ylabel(f"validation {wording.metric_unit(metric)}")
    axes.set_ylim(*limits)
    axes.set_xlim(left=0)
    axes.margins(x=0)
    _grid(axes, "y")
    axes.legend(loc="lower right", handlelength=1.4, labelspacing=0.3)
    return figure


def curves(cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """Steps [evaluations] and validation metric [seeds, evaluations] of a cell.

    A run that ended early keeps its last value to the end of the longest.
    """
    measured = [run.curve() for _, run in sorted(cell.runs.items())]
    measured = [
        (steps[~np.isnan(values)], values[~np.isnan(values)])
        for steps, values in measured
    ]
    measured = [curve for curve in measured if len(curve[0])]
    if not measured:
        return np.zeros(0), np.zeros((0, 0))
    union = np.unique(np.concatenate([steps for steps, _ in measured]))
    return union, np.array([np.interp(union, *curve) for curve in measured])


def curve_limits(results: Results) -> tuple[float, float]:
    """Limits that hold the curves of every panel."""
    values = [
        curves(cell)[1].ravel()
        for panel in results.panels
        for cell in panel.cells.values()
    ]
    together = np.concatenate([*values, [panel.threshold for panel in results.panels]])
    low, high = float(together.min()), float(together.max())
    room = 0.04 * max(high - low, 0.05)
    return low - room, high + room


@styled
def steps_to_threshold(results: Results, marks: Mapping[str, Mark]) -> Figure:
    """Steps to each panel's threshold: a mark a seed, a bar for the mean."""
    rows = [(panel, cell) for panel in results.panels for cell in panel.cells.values()]
    longest = max(run.config.steps for _, cell in rows for run in cell.runs.values())
    never = 1.09 * longest
    figure, axes, heights = _rows_figure(results, rows)
    for height, (_, cell) in zip(heights, rows, strict=True):
        mark = marks[cell.initialization]
        reached = [value for value in cell.steps.values() if value is not None]
        missed = len(cell.steps) - len(reached)
        if reached:
            axes.barh(height, np.mean(reached), 0.62, color=mark.colour, alpha=0.22)
        axes.plot(
            reached,
            [height] * len(reached),
            mark.marker,
            color=mark.colour,
            markersize=4.5,
            markeredgecolor="white",
            markeredgewidth=0.6,
        )
        for index in range(missed):
            axes.plot(
                never + 0.025 * longest * index,
                height,
                mark.marker,
                markersize=4.5,
                color=mark.colour,
                fillstyle="none",
                clip_on=False,
            )
    if any(value is None for _, cell in rows for value in cell.steps.values()):
        axes.axvline(longest, color=MUTED, linewidth=0.7)
        axes.text(
            never, 1.0, "never", transform=axes.get_xaxis_transform(), ha="left",
            va="bottom", fontsize=7.5, color=MUTED,
        )  # fmt: skip
    axes.set_xlim(0, longest * 1.2)
    axes.set_xticks(
        [
            tick
            for tick in MaxNLocator(5).tick_values(0, longest)
            if 0 <= tick <= longest
        ]
    )
    axes.set_xlabel("training steps to the threshold (fewer is faster)")
    _grid(axes, "x")
    return figure


@styled
def differences(results: Results, marks: Mapping[str, Mark], margin: float) -> Figure:
    """Forest plot: each initialization minus random weights on test, 95 % intervals."""
    rows = [
        (panel, cell)
        for panel in results.panels
        for label, cell in panel.cells.items()
        if label != BASELINE and panel.test_difference(label, BASELINE) is not None
    ]
    figure, axes, heights = _rows_figure(results, rows)
    axes.axvspan(-margin, margin, color=RULE, alpha=0.45, linewidth=0)
    axes.axvline(0, color=INK, linewidth=0.9)
    ends = [0.0, -1.4 * margin, 1.4 * margin]
    for height, (panel, cell) in zip(heights, rows, strict=True):
        found = panel.test_difference(cell.initialization, BASELINE)
        assert found is not None
        mark = marks[cell.initialization]
        settled = found.seeds > 1 and found.decided != "undecided"
        axes.plot(
            [found.low, found.high], [height, height], color=mark.colour, linewidth=1.7,
            solid_capstyle="round",
        )  # fmt: skip
        axes.plot(
            found.estimate, height, mark.marker, color=mark.colour, markersize=6,
            markerfacecolor=mark.colour if settled else "white", markeredgewidth=1.5,
        )  # fmt: skip
        axes.annotate(
            f"{wording.signed(found.estimate)}  "
            f"[{wording.signed(found.low)}, {wording.signed(found.high)}]",
            (1, height), xycoords=("axes fraction", "data"), xytext=(6, 0),
            textcoords="offset points", va="center", fontsize=7.5, color=INK,
            annotation_clip=False,
        )  # fmt: skip
        ends += [value for value in (found.low, found.high) if np.isfinite(value)]
    room = 0.06 * (max(ends) - min(ends))
    axes.set_xlim(min(ends) - room, max(ends) + room)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    unit = wording.metric_unit(results.metric)
    axes.set_xlabel(f"difference in test {unit} to random weights")
    _grid(axes, "x")
    return figure


def _rows_figure(
    results: Results, rows: Sequence[tuple[Panel, Cell]]
) -> tuple[Figure, Axes, list[float]]:
    """A figure with a row a cell, under its panel's name where there are several."""
    several = len(results.panels) > 1
    heights: list[float] = []
    names: list[tuple[float, str]] = []
    position, previous = 0.0, None
    for panel, _ in rows:
        if panel is not previous:
            if several:
                position -= 0.35 if previous else 0
                names.append((position, results.panel_name(panel)))
                position -= 1
            previous = panel
        heights.append(position)
        position -= 1
    figure, axes = new_figure(0.75 + _ROW * -position, WIDTH)
    axes.set_ylim(position + 0.3, 0.7)
    axes.set_yticks(heights, [cell.initialization for _, cell in rows])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    for height, name in names:
        axes.text(
            0, height, name, transform=axes.get_yaxis_transform(), va="center",
            ha="left", fontsize=8.5, fontweight="bold", color=INK,
            bbox={"facecolor": PAPER, "linewidth": 0, "pad": 1.5},
        )  # fmt: skip
    return figure, axes, heights


def _grid(axes: Axes, axis: str) -> None:
    axes.grid(axis=axis, color=RULE, linewidth=0.5)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def _tick(value: float) -> str:
    return "0" if abs(value) < 1e-9 else f"{value:+g}".replace("-", "−")
