"""The chapter on first-layer filters: before and after training, and their weights."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfusion_tf.report.chapter_kinds import ChapterKind
from transfusion_tf.report.charts import Chart, DrawnFigure, ForEach, Panel
from transfusion_tf.report.filter_figures import filter_grid, gabor_shares
from transfusion_tf.report.long_table import LongTable
from transfusion_tf.report.material import Material
from transfusion_tf.report.rows.filters_rows import (
    PanelKernels,
    filter_rows,
    kernels_of_panels,
)
from transfusion_tf.report.sentences import say_listed, say_remarks
from transfusion_tf.report.sheets import PERCENT, Column, SheetPlan
from transfusion_tf.report.style import Mark

_PANEL = ("dataset", "model", "train_examples")
_CAPTION = (
    "Gabor share: how much of a filter’s energy the best Gabor accounts for, on "
    "average; chance is the same with its pixels shuffled. "
)
Marks = Mapping[str, Mark]


def draw_filter_changes(material: Material, table: LongTable) -> Iterator[DrawnFigure]:
    """Grids before and after training, and how much of a Gabor is in each filter."""
    for each in kernels_of_panels(material):
        columns = each.panel.columns
        model, name = columns["model"], columns["panel"]
        yield DrawnFigure(
            _draw_grids(each, table.marks, ("before", "after")),
            name,
            f"First-layer filters of {model} before and after training, by start",
        )
        keys = {column: columns[column] for column in _PANEL}
        filters = table.where(quantity="filter", **keys)
        changes = {
            own.first["initialization"]: own.frame
            for own in filters.split("initialization")
        }
        if changes:
            yield DrawnFigure(
                gabor_shares(changes, table.marks),
                f"{name}-gabor",
                f"Share of each filter of {model} that a Gabor explains, before "
                "and after training",
            )


def draw_filters_before(material: Material, table: LongTable) -> Iterator[DrawnFigure]:
    """The filters that training starts from."""
    for each in kernels_of_panels(material):
        columns = each.panel.columns
        model, name = columns["model"], columns["panel"]
        if len(table.where(**{column: columns[column] for column in _PANEL})):
            yield DrawnFigure(
                _draw_grids(each, table.marks, ("before",)),
                name,
                f"First-layer filters of {model} before training, by start",
            )


def draw_histogram(axes: Axes, table: LongTable) -> None:
    """The distribution of the weights of one start: bins from `left` to `right`."""
    frame, label = table.frame, table.first["initialization"]
    edges = np.append(frame["left"], frame["right"].iloc[-1:])
    colour = table.mark(label).colour
    axes.stairs(frame["value"], edges, color=colour, fill=True)
    axes.set_title(label, color=colour, pad=3)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _draw_grids(each: PanelKernels, marks: Marks, sides: Sequence[str]) -> Figure:
    shown = {label: pair[: len(sides)] for label, pair in each.shown.items()}
    return filter_grid(shown, marks, sides, each.panel.model)


def _filter_sheet(columns: tuple[Column, ...], caption: str) -> SheetPlan:
    return SheetPlan(
        (
            Column("Model", word="panel"),
            Column("Start", word="initialization"),
            *columns,
        ),
        lines=(*_PANEL, "initialization"),
        where={"quantity": "weight_std"},
        caption=_CAPTION + caption,
    )


_HISTOGRAM = ChapterKind(
    name="filters",
    rows=filter_rows,
    charts=ForEach(
        _PANEL,
        (
            Chart(
                Panel(draw_histogram, grid="", height=1.15),
                text="Distribution of the first layer's weights of {model} before "
                "training",
                suffix="{panel}-weights",
                where={"quantity": "density"},
                facet="initialization",
                x="first-layer weight of {model} before training",
                share="x",
                legend=False,
            ),
            draw_filters_before,
        ),
    ),
    sheet=_filter_sheet(
        (
            Column("Mean weight", "weight_mean", "{value:.4f}"),
            Column("Standard deviation", "weight_std", "{value:.4f}"),
            Column("Excess kurtosis", "weight_excess_kurtosis", "{value:.2f}"),
            Column("Gabor share", "gabor_share_before", PERCENT),
            Column("by chance", "gabor_share_chance", PERCENT),
        ),
        "A normal distribution has excess kurtosis 0.",
    ),
    sentences=(
        say_listed(
            "{panel}: {listed}.",
            "{initialization} has standard deviation {value:.3f} and excess kurtosis "
            "{kurtosis:.1f}",
            "weight_std",
            by=("panel",),
        ),
        say_remarks,
    ),
)

FILTERS_CHAPTER = ChapterKind(
    name="filters",
    rows=filter_rows,
    charts=draw_filter_changes,
    sheet=_filter_sheet(
        (
            Column("Moved", "moved", PERCENT),
            Column("Gabor share before", "gabor_share_before", PERCENT),
            Column("after", "gabor_share_after", PERCENT),
            Column("by chance", "gabor_share_chance", PERCENT),
        ),
        "Moved: ‖W − W₀‖ / ‖W₀‖.",
    ),
    sentences=(
        say_listed(
            "{panel}: {listed}.",
            "from {initialization} they moved {value:%}[ (Gabor share "
            "{gabor_share_before:%} → {gabor_share_after:%}, chance "
            "{gabor_share_chance:%})]",
            "moved",
            by=("panel",),
        ),
        say_remarks,
    ),
    variants={"histogram": _HISTOGRAM},
)


KINDS = (FILTERS_CHAPTER,)
