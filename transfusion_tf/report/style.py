"""How figures look: one place for colours, markers and type.

Colours are Okabe and Ito's, which people with any colour vision tell apart; every
initialization keeps its colour and its marker in all figures and tables.
"""

import dataclasses
import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfusion_tf.report.glyphs import FONT, text_where_glyphs_are_missing

INK = "#22211f"
MUTED = "#6f6b64"
RULE = "#d8d3c8"
PAPER = "#fdfcf9"

# Wide enough for a phone, so that two stand side by side on a desk.
WIDTH = 4.7

_COLOURS = {
    "random": "#6b6f76",
    "transfer": "#0072b2",
    "mean_var": "#d55e00",
    "gabor": "#009e73",
    "sampled": "#cc79a7",
    "shuffled": "#b08a00",
}
# The order in which initializations are listed, drawn and coloured.
_ORDER = ("random", "gabor", "mean_var", "sampled", "shuffled", "transfer:", "transfer")
_SPARE = ("#56b4e9", "#7f3c8d", "#4b7f1b", "#a5463a", "#2f4b7c", "#8c6d46")
_MARKERS = "osD^vPX<>h"

_SETTINGS: Any = {
    "font.family": FONT,
    "font.size": 8.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlepad": 8,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    # What is drawn is names that users give: a "$" in them is a "$".
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    # The same figure makes the same file: no random ids, no date.
    "svg.hashsalt": "transfusion_tf",
    "svg.fonttype": "path",
}


# Decorates what draws: matplotlib takes sizes and colours when an artist is made.
styled = matplotlib.rc_context(_SETTINGS)


@dataclasses.dataclass(frozen=True)
class Mark:
    """How one initialization is drawn."""

    colour: str
    marker: str
    dashed: bool = False  # of a reference, and not the subject


def start_rank(label: str) -> tuple[int, str]:
    """By what initializations are sorted, the baseline first."""
    matching = [i for i, start in enumerate(_ORDER) if label.startswith(start)]
    return (matching[0] if matching else len(_ORDER), label)


def marks(initializations: Sequence[str]) -> dict[str, Mark]:
    """A colour and a marker for every initialization.

    A scheme of its own name has its own colour whatever else is in the study;
    variants (another donor, another stage) take spare ones.
    """
    spare = list(_SPARE)
    chosen = {}
    for index, label in enumerate(initializations):
        colour = _COLOURS.get(label)
        if colour is None:
            colour = spare.pop(0) if spare else MUTED
        chosen[label] = Mark(colour, _MARKERS[index % len(_MARKERS)])
    return chosen


def ramp_colours(count: int) -> np.ndarray:
    """Colours of an ordered scale, light to dark: for depth, not for kind."""
    return matplotlib.colormaps["plasma"](np.linspace(0.84, 0.08, count))


def ramp(labels: Sequence[str]) -> dict[str, Mark]:
    """Marks of an ordered scale, light to dark."""
    colours = map(matplotlib.colors.to_hex, ramp_colours(len(labels)))
    return {
        label: Mark(colour, _MARKERS[index % len(_MARKERS)])
        for index, (label, colour) in enumerate(zip(labels, colours, strict=True))
    }


def new_figure(height: float) -> tuple[Figure, Axes]:
    """A figure of one plot, inches; no pyplot, so nothing global remembers it."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


@styled
def lay_out(figure: Figure) -> None:
    """Puts everything in its place, where it stays.

    As long as a figure has a layout engine, each file of it is drawn twice: half of
    the time that pictures take.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        with text_where_glyphs_are_missing(figure):
            engine.execute(figure)
        figure.set_layout_engine(None)


@styled
def encode(figure: Figure, kind: str) -> bytes:
    """The figure as `svg` or `png`, without a date in it."""
    buffer = io.BytesIO()
    with text_where_glyphs_are_missing(figure):
        figure.savefig(
            buffer,
            format=kind,
            dpi=200,
            transparent=kind == "svg",
            facecolor="none" if kind == "svg" else "white",
            metadata={"Date": None} if kind == "svg" else {"Software": None},
        )
    return buffer.getvalue()
