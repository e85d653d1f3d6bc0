"""The chapter on where transfer pays: by distance from the source and by images."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from transfusion_tf.report import wording
from transfusion_tf.report.chapter_kinds import ChapterKind, marks_of
from transfusion_tf.report.charts import Chart, Panel
from transfusion_tf.report.long_table import LongTable, finite
from transfusion_tf.report.rows.gains_rows import gain_rows
from transfusion_tf.report.sentences import one_seed_note, say_extremes
from transfusion_tf.report.sheets import BESIDE_PAPER, EFFECT, Column, SheetPlan
from transfusion_tf.report.style import INK, MUTED

_COLOURS = matplotlib.colormaps["viridis"]
_WITH_ENDS = "{value:.3f}[\n{low:.3f} to {high:.3f}]"
_DOT = 26.0  # points², of a gain of nothing


def draw_bubbles(axes: Axes, table: LongTable) -> None:
    """Gains as dots over distance and images; their colour is the share of reuse."""
    for row in table.where(quantity="relative_gain").rows:
        if not finite(row):
            continue
        at = (row["place"], int(row["train_examples"]))
        shade = row["shade"]
        axes.scatter(
            *at,
            s=_area(row["value"]),
            color=_COLOURS(shade) if np.isfinite(shade) else "white",
            edgecolors=INK,
            linewidths=0.6,
            zorder=3,
        )
        axes.annotate(
            f"{row['value']:.2f}",
            at,
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=MUTED,
        )


def _area(gain: float) -> float:
    """Points² of a dot, so that what is gained shows."""
    return _DOT * float(np.clip(1.0 + 6.0 * (gain - 1.0), 0.15, 12.0))


def _name_data(axes: Axes, own: LongTable) -> None:
    tasks = own.whole.where(quantity="task").rows
    sizes = sorted({int(row["train_examples"]) for row in tasks})
    axes.set_yscale("log")
    axes.set_yticks(sizes, [wording.count(size) for size in sizes])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0.45 * sizes[0], 2.0 * sizes[-1])
    axes.margins(x=0.25)
    ticks = {row["dataset"]: (row["place"], row["tick"]) for row in tasks}
    places, names = zip(*ticks.values(), strict=True)
    axes.set_xticks(
        places, names, rotation=25, ha="right", rotation_mode="anchor", fontsize=6.5
    )


def _explain(figure: Figure, axes: Sequence[Axes], own: LongTable) -> None:
    for each in axes[-2:]:
        each.xaxis.label.set_fontsize(7)
    known = own.where(quantity="feature_reuse_share").frame["value"].dropna()
    if known.empty:
        return
    scale = matplotlib.cm.ScalarMappable(cmap=_COLOURS)
    scale.set_clim(float(known.min()), float(known.max()))
    bar = figure.colorbar(scale, ax=list(axes), location="bottom", aspect=40, pad=0.03)
    bar.set_label("feature reuse, (WT − ST) / WT; dots: gain, WT / RI")
    bar.outline.set_visible(False)


def _say_distances(table: LongTable) -> list[str]:
    rows = table.where(quantity="frechet_distance").rows
    if not rows:
        return [
            "How far the data are from the donor's was not measured: they stand in the "
            "study's order."
        ]
    rows.sort(key=lambda row: row["value"])
    listed = [f"{row['dataset']} ({wording.number(row['value'], 2)})" for row in rows]
    return [f"From near to far, the data sets are {wording.listed(listed)}."]


GAINS = ChapterKind(
    name="gains",
    rows=gain_rows,
    charts=Chart(
        Panel(
            draw_bubbles,
            title="{model}",
            y="training images",
            where={"quantity": ("task", "relative_gain")},
            grid="both",
            adjust=_name_data,
        ),
        text="Gain of transfer and share of feature reuse by Fréchet distance and "
        "number of training images, a panel a model",
        where={"has_gains": True},
        facet="model",
        small=2.4,
        x="(Fréchet distance to the source)",
        share="xy",
        legend=False,
        finish=_explain,
    ),
    sheet=SheetPlan(
        (
            Column("Data", word="data", once=True),
            Column("Model", word="model"),
            Column("Training images", word="images", once=True),
            Column(
                "Fréchet distance",
                "frechet_distance",
                "{value:.2f}" + BESIDE_PAPER,
                of=("dataset",),
                once=True,
            ),
            *(
                Column(head, name, _WITH_ENDS + BESIDE_PAPER)
                for head, name in (
                    ("Gain, WT / RI", "relative_gain"),
                    ("Feature reuse, (WT − ST) / WT", "feature_reuse_share"),
                )
            ),
            Column("Skill, WT − RI", "skill_over_random", EFFECT),
            Column("WT − ST", "skill_over_statistics", EFFECT),
        ),
        lines=("data", "model"),
        where={"quantity": "task"},
        words=2,
        caption="Ratios of means over seeds; small: 95 % interval. The distance is "
        "corrected for the number of images. Dots are hollow where there is no ST. "
        "Skill: of the metric, 0 is chance and 1 perfect, so AUC counts as much as "
        "kappa.",
    ),
    sentences=(
        say_extremes(
            "{model} gains most on {most} (WT / RI {high:.3f})[, least on {least} "
            "({low:.3f})].",
            "{data}",
            "relative_gain",
            by=("model",),
        ),
        _say_distances,
        one_seed_note("runs"),
    ),
    marks=marks_of("model"),
    coloured="",
)

KINDS = (GAINS,)
