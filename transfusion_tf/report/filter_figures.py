"""Figures of first-layer filters: themselves, their weights, the Gabors in them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf.report.charts import legend_below
from transfusion_tf.report.sample_images import Tile, filter_mosaic, picture_grid
from transfusion_tf.report.style import MUTED, RULE, Mark, new_figure, styled

_BEFORE, _AFTER = "gabor_share_before", "gabor_share_after"
_CHANCE = "gabor_share_chance"


def filter_grid(
    kernels: Mapping[str, Sequence[np.ndarray]],
    marks: Mapping[str, Mark],
    sides: Sequence[str] = ("before", "after"),
    title: str = "",
) -> Figure:
    """Filters on one scale, a column of each label, before above after.

    Args:
      kernels: label -> one array per side, float [height, width, in, filters].
      marks: of the labels.
      sides: what the rows are.
      title: of the figure.
    """
    scale = max(
        float(np.abs(kernel).max()) for own in kernels.values() for kernel in own
    )
    rows = [
        [
            Tile(
                filter_mosaic(own[row], scale),
                label if len(sides) == 1 else f"{label}, {side}",
                marks[label].colour,
            )
            for label, own in kernels.items()
        ]
        for row, side in enumerate(sides)
    ]
    return picture_grid(rows, title)


@styled
def gabor_shares(
    changes: Mapping[str, pd.DataFrame], marks: Mapping[str, Mark]
) -> Figure:
    """How much of each filter a Gabor explains, after training over before.

    Args:
      changes: by label, a row per filter with `gabor_share_before`,
        `gabor_share_after` and `gabor_share_chance`.
      marks: of the labels.
    """
    figure, axes = new_figure(3.5)
    shares = pd.concat(list(changes.values()))[[_BEFORE, _AFTER]]
    end = min(1.0, np.ceil(10 * max(shares.max().max(), 0.3) + 0.5) / 10)
    axes.plot([0, end], [0, end], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    chances = {label: table[_CHANCE].mean() for label, table in changes.items()}
    for label, chance in chances.items():
        axes.fill_between(
            [0, chance], 0, chance, color=marks[label].colour, alpha=0.1, linewidth=0
        )
    note: dict[str, Any] = {"textcoords": "offset points", "ha": "right"}
    note |= {"fontsize": 7, "color": MUTED}
    # Said once: most starts have nearly the same.
    axes.annotate("chance", (max(chances.values()), 0), xytext=(-3, 3), **note)
    kept = 0.95 * end
    axes.annotate("kept", (kept, kept), xytext=(-3, 1), va="bottom", **note)
    for label, table in changes.items():
        mark = marks[label]
        axes.plot(
            table[_BEFORE],
            table[_AFTER],
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
    legend_below(figure, [axes])
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
    legend_below(figure, [axes])
    return figure
