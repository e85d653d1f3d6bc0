"""Reliability diagrams: whether a model's outputs can be read as probabilities."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import stats

from transfusion_tf.evaluation import Reliability
from transfusion_tf.report import wording
from transfusion_tf.report.charts import legend_below
from transfusion_tf.report.style import MUTED, RULE, WIDTH, Mark, styled

_TICKS = ([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])


@styled
def reliability_diagram(
    curves: Mapping[str, Reliability],
    errors: Mapping[str, float],
    marks: Mapping[str, Mark],
    kind: str,
    title: str = "",
) -> Figure:
    """Frequency over confidence, and below it how many forecasts were that confident.

    Marks above the diagonal are right more often than they say, those below less.
    Bars are Wilson's 95 % intervals of the frequencies, for forecasts that are
    independent: those of one patient are not, and are less sure than drawn.

    Args:
      curves: by label.
      errors: expected calibration errors by label, for the legend.
      marks: by label.
      kind: `grade`, `class` or `findings`: what the axes are called.
      title: of the figure.
    """
    figure = Figure(figsize=(WIDTH, 4.3), layout="constrained")
    upper, lower = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [3.4, 1]}
    )
    upper.text(
        0.985,
        0.06,
        "overconfident",
        transform=upper.transAxes,
        ha="right",
        fontsize=7.5,
        color=MUTED,
    )
    for label, curve in curves.items():
        name = f"{label}, ECE {wording.number(errors[label])}"
        _frequencies(upper, curve, marks[label], name)
        share = curve.counts / curve.counts.sum()
        colour = marks[label].colour
        lower.stairs(share, curve.edges, color=colour, linewidth=1.4)
        if len(curves) == 1:
            lower.stairs(share, curve.edges, color=colour, alpha=0.13, fill=True)
    upper.plot(
        [0, 1],
        [0, 1],
        color=MUTED,
        linewidth=0.8,
        linestyle=(0, (4, 3)),
        zorder=1,
        label="calibrated",
    )
    upper.set_title(title)
    _name_axes(upper, lower, findings=kind == "findings")
    legend_below(figure, [upper])
    return figure


def _name_axes(upper: Axes, lower: Axes, *, findings: bool) -> None:
    upper.set_ylabel("share with the finding" if findings else "share that is right")
    upper.set_ylim(-0.03, 1.03)
    upper.set_yticks(*_TICKS)
    lower.set_ylabel("forecasts")
    lower.set_ylim(bottom=0)
    lower.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    lower.yaxis.set_major_locator(MaxNLocator(3))
    lower.set_xlabel(
        "output for the finding" if findings else "confidence: the largest output"
    )
    lower.set_xlim(-0.01, 1.01)
    lower.set_xticks(*_TICKS)
    for axes in (upper, lower):
        axes.grid(color=RULE, linewidth=0.5)
        axes.set_axisbelow(True)


def _frequencies(axes: Axes, curve: Reliability, mark: Mark, name: str) -> None:
    filled = curve.counts > 0
    confidence, frequency = curve.confidence[filled], curve.frequency[filled]
    counts = curve.counts[filled]
    ends = np.array(
        [
            stats.binomtest(round(share * count), count).proportion_ci(method="wilson")
            for share, count in zip(frequency, counts.tolist(), strict=True)
        ]
    )
    axes.vlines(confidence, *ends.T, color=mark.colour, linewidth=1.0, alpha=0.45)
    axes.plot(
        confidence,
        frequency,
        color=mark.colour,
        linewidth=1.5,
        marker=mark.marker,
        markersize=4.5,
        markeredgecolor="white",
        markeredgewidth=0.6,
        label=name,
    )
