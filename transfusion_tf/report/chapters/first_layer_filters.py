"""The chapter on first-layer filters: before and after training, and their weights."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfusion_tf.report import wording
from transfusion_tf.report.chapter_kinds import ChapterKind
from transfusion_tf.report.charts import Chart, DrawnFigure, ForEach, Panel
from transfusion_tf.report.filter_figures import filter_grid, gabor_shares
from transfusion_tf.report.long_table import LongTable
from transfusion_tf.report.material import Material
from transfusion_tf.report.rows.filters_rows import (
    GABOR,
    PanelKernels,
    filter_rows,
    kernels_of_panels,
)
from transfusion_tf.report.sheets import Column, SheetPlan, Show, number, percent
from transfusion_tf.report.style import Mark

_PANEL = ("dataset", "model", "train_examples")
_CAPTION = (
    "Gabor share: how much of a filter’s energy the best Gabor accounts for, on "
    "average; chance is the same with its pixels shuffled. "
)
Marks = Mapping[str, Mark]


@dataclasses.dataclass(frozen=True)
class FilterChanges:
    """Grids before and after training, and how much of a Gabor is in each filter."""

    def figures(self, material: Material, table: LongTable) -> Iterator[DrawnFigure]:
        """Both figures of every panel."""
        for each in kernels_of_panels(material):
            model, name = each.keys["model"], each.keys["panel"]
            yield DrawnFigure(
                _draw_grids(each, table.marks, ("before", "after")),
                name,
                f"First-layer filters of {model} before and after training, by start",
            )
            keys = {column: each.keys[column] for column in _PANEL}
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


@dataclasses.dataclass(frozen=True)
class FiltersBefore:
    """The filters that training starts from."""

    def figures(self, material: Material, table: LongTable) -> Iterator[DrawnFigure]:
        """One figure of every panel of the table."""
        for each in kernels_of_panels(material):
            model, name = each.keys["model"], each.keys["panel"]
            if len(table.where(**{column: each.keys[column] for column in _PANEL})):
                yield DrawnFigure(
                    _draw_grids(each, table.marks, ("before",)),
                    name,
                    f"First-layer filters of {model} before training, by start",
                )


@dataclasses.dataclass(frozen=True)
class Histogram:
    """The distribution of the weights of one start: bins from `left` to `right`."""

    def draw(self, axes: Axes, table: LongTable) -> None:
        """See `Layer`."""
        frame, label = table.frame, table.first["initialization"]
        edges = np.append(frame["left"], frame["right"].iloc[-1:])
        colour = table.mark(label).colour
        axes.stairs(frame["value"], edges, color=colour, fill=True)
        axes.set_title(label, color=colour, pad=3)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)


def _draw_grids(each: PanelKernels, marks: Marks, sides: Sequence[str]) -> Figure:
    shown = {label: pair[: len(sides)] for label, pair in each.kernels.items()}
    return filter_grid(shown, marks, sides, each.keys["model"])


def _rounded(digits: int) -> Show:
    """Shows a number without a minus sign before a zero."""
    return lambda row: (
        wording.MISSING
        if row is None
        else wording.number(round(row["value"], digits) + 0.0, digits)
    )


def _say_moved(own: LongTable) -> str:
    moved = own.find(quantity="moved")
    if moved is None:
        return ""
    text = f"from {moved['initialization']} they moved {100 * moved['value']:.0f} %"
    shares = [own.find(quantity=quantity) for quantity in GABOR]
    if all(shares):
        before, after, chance = map(percent, shares)
        text += f" (Gabor share {before} → {after}, chance {chance})"
    return text


def _say_weights(own: LongTable) -> str:
    deviation, tails = (
        own.find(quantity=f"weight_{name}") for name in ("std", "excess_kurtosis")
    )
    return (
        f"{own.first['initialization']} has standard deviation {number()(deviation)} "
        f"and excess kurtosis {_rounded(1)(tails)}"
    )


def _say_of_each(say: Callable[[LongTable], str]) -> Callable[[LongTable], list[str]]:
    """One sentence for each panel, of what is said of its starts."""

    def said(table: LongTable) -> list[str]:
        sentences = []
        for own in table.split("panel"):
            parts = [
                text
                for part in own.split("dataset", "initialization")
                if (text := say(part))
            ]
            if parts:
                sentences.append(f"{own.first['panel']}: {wording.listed(parts)}.")
        return sentences

    return said


def say_refusals(table: LongTable) -> list[str]:
    """Why no Gabor was looked for."""
    return table.where(quantity="refusal").values("said")


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
                Panel(Histogram(), grid="", height=1.15),
                text="Distribution of the first layer's weights of {model} before "
                "training",
                suffix="{panel}-weights",
                where={"quantity": "density"},
                facet="initialization",
                x="first-layer weight of {model} before training",
                share="x",
                legend=False,
            ),
            FiltersBefore(),
        ),
    ),
    sheet=_filter_sheet(
        (
            Column("Mean weight", "weight_mean", _rounded(4)),
            Column("Standard deviation", "weight_std", number(4)),
            Column("Excess kurtosis", "weight_excess_kurtosis", _rounded(2)),
            Column("Gabor share", "gabor_share_before", percent),
            Column("by chance", "gabor_share_chance", percent),
        ),
        "A normal distribution has excess kurtosis 0.",
    ),
    sentences=(_say_of_each(_say_weights), say_refusals),
)

FILTERS_CHAPTER = ChapterKind(
    name="filters",
    rows=filter_rows,
    charts=FilterChanges(),
    sheet=_filter_sheet(
        (
            Column("Moved", "moved", percent),
            Column("Gabor share before", "gabor_share_before", percent),
            Column("after", "gabor_share_after", percent),
            Column("by chance", "gabor_share_chance", percent),
        ),
        "Moved: ‖W − W₀‖ / ‖W₀‖.",
    ),
    sentences=(_say_of_each(_say_moved), say_refusals),
    variants={"histogram": _HISTOGRAM},
)


KINDS = (FILTERS_CHAPTER,)
