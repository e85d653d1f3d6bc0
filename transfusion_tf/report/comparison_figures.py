"""A comparison's charts: similarity by stage, the heat map, the first layer."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

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

MEASURE_TITLES = {
    "cca": "CCA",
    "svcca": "SVCCA",
    "pwcca": "PWCCA",
    "cka": "CKA",
    "procrustes": "Procrustes",
}

_LINE = "#0072b2"
_HEAT = LinearSegmentedColormap.from_list(
    "similarity", [PAPER, "#cfe0ea", "#6aa5c8", "#0f6298", "#0b2f4d"]
)
_MOST_LABELLED = 14  # stages, beyond which numbers in cells can't be read


@styled
def similarity_curves(scores: pd.DataFrame, measures: Sequence[str]) -> Figure:
    """Each measure by stage, with its spread, over what unrelated points score.

    Args:
      scores: from `over_repeats`, one comparison's.
      measures: those to draw, a panel each.
    """
    columns = min(2, len(measures))
    rows = -(-len(measures) // columns)
    figure = Figure(figsize=(WIDTH, 0.35 + 2.05 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes, measure in zip(panels.flat, measures, strict=False):
        part = scores[scores["measure"] == measure]
        _curve(axes, part)
        axes.set_title(MEASURE_TITLES.get(measure, measure), pad=5)
    for axes in list(panels.flat)[len(measures) :]:
        axes.set_visible(False)
    panels[0, 0].set_ylim(-0.03, 1.04)
    panels[0, 0].set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    return figure


def _curve(axes: Axes, part: pd.DataFrame) -> None:
    places = np.arange(len(part))
    value, floor = part["value"].to_numpy(float), part["noise_floor"].to_numpy(float)
    spread = part["std"].fillna(0).to_numpy(float)
    # Half a place on either side, so that the floor shows under a single stage too.
    wide = np.concatenate([[-0.35], places, [len(part) - 0.65]])
    level = np.concatenate([floor[:1], floor, floor[-1:]])
    axes.fill_between(wide, -0.03, level, color=RULE, alpha=0.75, linewidth=0)
    axes.plot(wide, level, color=MUTED, linewidth=0.8)
    axes.fill_between(
        places, value - spread, value + spread, color=_LINE, alpha=0.2, linewidth=0
    )
    axes.errorbar(
        places,
        value,
        spread,
        color=_LINE,
        linewidth=1.8,
        elinewidth=1.1,
        capsize=2,
        marker="o",
        markersize=4.5,
        markeredgecolor="white",
        markeredgewidth=0.6,
    )
    axes.set_xlim(wide[0], wide[-1])
    crowded = len(part) > 6
    axes.set_xticks(
        places,
        part["stage"],
        rotation=50 if crowded else 0,
        ha="right" if crowded else "center",
        rotation_mode="anchor",
    )
    axes.grid(axis="y", color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)


@styled
def heat_map(pairs: pd.DataFrame, names: tuple[str, str]) -> Figure:
    """CKA of every stage of one side with every stage of the other.

    Args:
      pairs: from `compare_stage_pairs`.
      names: of the two sides: rows, columns.
    """
    stages_a = list(dict.fromkeys(pairs["stage_a"]))
    stages_b = list(dict.fromkeys(pairs["stage_b"]))
    # Rows come stage by stage of one side, in the other's order.
    values = pairs["cka"].to_numpy(float).reshape(len(stages_a), len(stages_b))
    ratio = len(stages_a) / len(stages_b)
    figure, axes = new_figure(float(np.clip(0.7 + 3.5 * ratio, 2.0, 6.0)))
    picture = axes.imshow(
        values, cmap=_HEAT, vmin=0, vmax=1, origin="lower", aspect="auto"
    )
    axes.set_xticks(
        range(len(stages_b)),
        stages_b,
        rotation=50,
        ha="right",
        rotation_mode="anchor",
    )
    axes.set_yticks(range(len(stages_a)), stages_a)
    if len(stages_b) <= 6:
        for label in axes.get_xticklabels():
            label.set(rotation=0, ha="center")
    axes.set_xlabel(names[1])
    axes.set_ylabel(names[0])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(1, len(stages_b)) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, len(stages_a)) - 0.5, minor=True)
    axes.grid(which="minor", color=PAPER, linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    if max(len(stages_a), len(stages_b)) <= _MOST_LABELLED:
        _write_values(axes, values)
    bar = figure.colorbar(picture, ax=axes, shrink=0.8, aspect=28, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
    bar.set_ticks([0, 0.5, 1], labels=["0", "0.5", "1"])
    bar.set_label("linear CKA", color=MUTED)
    return figure


def _write_values(axes: Axes, values: np.ndarray) -> None:
    size = 8.5 if max(values.shape) <= 7 else 6.5
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        axes.text(
            column,
            row,
            f"{value:.2f}".replace("-", "−"),
            ha="center",
            va="center",
            fontsize=size,
            color="white" if value > 0.55 else INK,
        )


@styled
def gabor_shares(
    changes: Mapping[str, pd.DataFrame], marks: Mapping[str, Mark]
) -> Figure:
    """How much of each filter a Gabor explains, after training over before.

    Args:
      changes: from `filter_changes`, by label.
      marks: of the labels.
    """
    figure, axes = new_figure(3.5)
    columns = ["explained_before", "explained_after"]
    largest = max(float(table[columns].max().max()) for table in changes.values())
    end = min(1.0, np.ceil(10 * max(largest, 0.3) + 0.5) / 10)
    axes.plot([0, end], [0, end], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    for label, table in changes.items():
        chance = table["chance"].mean()
        axes.fill_between(
            [0, chance], 0, chance, color=marks[label].colour, alpha=0.1, linewidth=0
        )
        axes.annotate(
            "chance",
            (chance, 0),
            xytext=(-3, 3),
            textcoords="offset points",
            ha="right",
            fontsize=7,
            color=MUTED,
        )
    axes.annotate(
        "kept",
        (0.95 * end, 0.95 * end),
        xytext=(-3, 1),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=7,
        color=MUTED,
    )
    for label, table in changes.items():
        mark = marks[label]
        axes.plot(
            table["explained_before"],
            table["explained_after"],
            mark.marker,
            color=mark.colour,
            markersize=5,
            alpha=0.85,
            markeredgecolor="white",
            markeredgewidth=0.6,
            label=label,
        )
    axes.set(xlim=(0, end), ylim=(0, end))
    axes.set_xlabel("share of a filter that a Gabor explains, before")
    axes.set_ylabel("after training")
    axes.grid(color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_title("Gabors: below the line, training erased them")
    axes.legend(loc="upper left", handletextpad=0.2)
    return figure


@styled
def weight_histogram(
    histograms: pd.DataFrame, labels: Sequence[str], marks: Mapping[str, Mark]
) -> Figure:
    """Densities of first-layer weights: filled before training, a line after it.

    Args:
      histograms: from `weight_histograms`, of `<label>, before` and `..., after`.
      labels: of the initializations.
      marks: of the labels.
    """
    figure, axes = new_figure(3.5)
    for label in labels:
        colour = marks[label].colour
        for when in ("before", "after"):
            part = histograms[histograms["initialization"] == f"{label}, {when}"]
            edges = np.append(part["left"], part["right"].iloc[-1:])
            filled = when == "before"
            axes.stairs(
                part["density"],
                edges,
                color=colour,
                fill=filled,
                alpha=0.25 if filled else 1,
                linewidth=0 if filled else 1.5,
                label=f"{label}, {when}",
            )
    axes.set_title("First-layer weights")
    axes.set_xlabel("weight")
    axes.set_ylabel("density")
    # Room for the legend above the highest bar.
    axes.set_ylim(0, histograms["density"].max() * (1.12 + 0.11 * len(labels)))
    axes.legend(loc="upper left", handlelength=1.2, ncols=2)
    return figure


@styled
def filter_grids(
    grids: Sequence[tuple[str, np.ndarray, np.ndarray]], marks: Mapping[str, Mark]
) -> Figure:
    """First-layer filters, a column a label, before above after, on one scale.

    Args:
      grids: label, mosaic before, mosaic after; uint8 [rows, columns, 3].
      marks: of the labels.
    """
    figure = Figure(figsize=(2.5 * len(grids), 3.8), layout="constrained")
    panels = figure.subplots(2, len(grids), squeeze=False)
    for column, (label, *mosaics) in enumerate(grids):
        pairs = zip(panels[:, column], mosaics, ("before", "after"), strict=True)
        for axes, mosaic, when in pairs:
            axes.imshow(mosaic, interpolation="nearest")
            axes.axis("off")
            axes.set_title(
                f"{label}, {when}" if len(grids) > 1 else when,
                color=marks[label].colour,
            )
    return figure
