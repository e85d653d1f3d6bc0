"""Chapters on weights: first-layer filters, of donors too, and the Gabor bank."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from transfusion_tf.initialization import gabor_filter_bank
from transfusion_tf.report import comparison_figures, images, style, wording
from transfusion_tf.report.chapter_kinds import ChapterKind
from transfusion_tf.report.chapters.donors import donor_marks
from transfusion_tf.report.charts import DrawnFigure, stacked
from transfusion_tf.report.long_table import LongTable, Row
from transfusion_tf.report.material import Material
from transfusion_tf.report.rows.filters import (
    FILTERS,
    FREQUENCIES,
    GABOR,
    PanelKernels,
    bank_rows,
    donor_filter_rows,
    donor_kernels,
    filter_rows,
    kernels_of_panels,
)
from transfusion_tf.report.sheets import Column, SheetPlan, Show, number, percent
from transfusion_tf.report.style import MUTED, Mark
from transfusion_tf.representations import weight_histograms

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
                    comparison_figures.gabor_shares(changes, table.marks),
                    f"{name}-gabor",
                    f"Share of each filter of {model} that a Gabor explains, before "
                    "and after training",
                )


@dataclasses.dataclass(frozen=True)
class FilterHistograms:
    """The distribution of the weights at initialization, and the filters."""

    def figures(self, material: Material, table: LongTable) -> Iterator[DrawnFigure]:
        """Both figures of every panel."""
        for each in kernels_of_panels(material):
            model, name = each.keys["model"], each.keys["panel"]
            yield DrawnFigure(
                _draw_histogram(each, table.marks),
                f"{name}-weights",
                f"Distribution of the first layer's weights of {model} before training",
            )
            yield DrawnFigure(
                _draw_grids(each, table.marks, ("before",)),
                name,
                f"First-layer filters of {model} before training, by start",
            )


def _draw_grids(each: PanelKernels, marks: Marks, sides: Sequence[str]) -> Figure:
    shown = {label: pair[: len(sides)] for label, pair in each.kernels.items()}
    scale = max(float(np.abs(k).max()) for pair in shown.values() for k in pair)
    mosaics = {
        label: [images.filter_mosaic(kernel, scale) for kernel in pair]
        for label, pair in shown.items()
    }
    height, width, _ = next(iter(mosaics.values()))[0].shape
    side = style.WIDTH / len(mosaics) * height / width
    size = (style.WIDTH, 0.3 + len(sides) * (side + 0.25))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(sides), len(mosaics), squeeze=False)
    for column, (label, pair) in enumerate(mosaics.items()):
        for axes, mosaic, when in zip(panels[:, column], pair, sides, strict=True):
            axes.imshow(mosaic, interpolation="nearest")
            axes.axis("off")
            text = label if len(sides) == 1 else f"{label}, {when}"
            axes.set_title(text, color=marks[label].colour, pad=4, fontsize=8.5)
    figure.suptitle(
        each.keys["model"], x=0.02, ha="left", fontsize=9.5, fontweight="bold"
    )
    return figure


def _draw_histogram(each: PanelKernels, marks: Marks) -> Figure:
    table = weight_histograms({label: pair[0] for label, pair in each.kernels.items()})
    figure, panels = stacked([1.15] * len(each.kernels), sharex=True)
    for axes, label in zip(panels, each.kernels, strict=True):
        part = table[table["initialization"] == label]
        edges = np.append(part["left"], part["right"].iloc[-1:])
        axes.stairs(part["density"], edges, color=marks[label].colour, fill=True)
        axes.set_title(label, color=marks[label].colour, pad=3)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    panels[-1].set_xlabel(f"first-layer weight of {each.keys['model']} before training")
    return figure


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


def _say_refusals(table: LongTable) -> list[str]:
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
    charts=FilterHistograms(),
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
    sentences=(_say_of_each(_say_weights), _say_refusals),
)

FILTERS_KIND = ChapterKind(
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
    sentences=(_say_of_each(_say_moved), _say_refusals),
    variants={"histogram": _HISTOGRAM},
)


@dataclasses.dataclass(frozen=True)
class DonorFilters:
    """The first filters of each donor, as the runs start from them."""

    def figures(self, material: Material, table: LongTable) -> Iterator[DrawnFigure]:
        """One figure of all donors."""
        kernels = donor_kernels(material)
        if kernels:
            yield DrawnFigure(
                _draw_donors(kernels, table.marks),
                "",
                f"First {FILTERS} first-layer filters of each donor",
            )


def _draw_donors(kernels: Mapping[str, np.ndarray], marks: Marks) -> Figure:
    columns = min(2, len(kernels))
    rows = -(-len(kernels) // columns)
    # Donors differ in scale, as in which pixels they take: each has its own.
    mosaics = {
        name: images.filter_mosaic(kernel, float(np.abs(kernel).max()), columns=6)
        for name, kernel in kernels.items()
    }
    ratio = max(mosaic.shape[0] / mosaic.shape[1] for mosaic in mosaics.values())
    height = style.WIDTH / columns * ratio + 0.3
    figure = Figure(figsize=(style.WIDTH, rows * height), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.axis("off")
    for axes, (name, mosaic) in zip(panels.flat, mosaics.items(), strict=False):
        axes.imshow(mosaic, interpolation="nearest")
        axes.set_title(name, color=marks[name].colour, pad=4)
    return figure


def _say_donors(table: LongTable) -> list[str]:
    said = []
    for own in table.split("initialization"):
        shares = [
            own.find(quantity=name)
            for name in ("gabor_share", "gabor_share_chance", "color_share")
        ]
        if all(shares):
            share, chance, color = map(percent, shares)
            said.append(
                f"{own.first['initialization']}: a Gabor accounts for {share} of a "
                f"filter ({chance} by chance); {color} of the energy is colour."
            )
    return said


DONOR_FILTERS = ChapterKind(
    name="donor_filters",
    rows=donor_filter_rows,
    charts=DonorFilters(),
    sheet=SheetPlan(
        (
            Column("Donor", word="initialization"),
            Column("Filter size", word="size"),
            Column("Gabor share", "gabor_share", percent),
            Column("by chance", "gabor_share_chance", percent),
            Column("Gabor-like", "gabor_like", percent),
            Column("Colour", "color_share", percent),
        ),
        lines=("initialization",),
        where={"quantity": "kernel"},
        caption="Gabor share: how much of a filter’s energy the best Gabor accounts "
        f"for, mean of the first {FILTERS}; chance is the same with its pixels "
        "shuffled; Gabor-like: filters with more than half. Colour: energy that is "
        "not the same in red, green and blue.",
    ),
    sentences=(_say_donors, _say_refusals),
    marks=donor_marks,
)


@dataclasses.dataclass(frozen=True)
class BankGrid:
    """The synthetic filters as a grid: orientations across, frequencies down."""

    def figures(self, material: Material, table: LongTable) -> Iterator[DrawnFigure]:
        """One figure."""
        yield DrawnFigure(
            _draw_bank(), "", "The synthetic Gabor filters by orientation and frequency"
        )


def _draw_bank() -> Figure:
    bank = gabor_filter_bank()
    rows = len(FREQUENCIES)
    angles = len(bank) // rows
    scale = float(np.abs(bank).max())
    figure = Figure(figsize=(2 * style.WIDTH, 3.1), layout="constrained")
    panels = figure.subplots(rows, angles)
    for axes, kernel in zip(panels.flat, bank, strict=True):
        axes.imshow(kernel, cmap="gray", vmin=-scale, vmax=scale)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    title = {"fontsize": 7.5, "fontweight": "normal", "loc": "center", "pad": 3}
    for index, axes in enumerate(panels[0]):
        axes.set_title(f"{180 * index / angles:g}°", **title)
    for axes, frequency in zip(panels[:, 0], FREQUENCIES, strict=True):
        label = f"{frequency:g}"
        axes.set_ylabel(label, rotation=0, ha="right", va="center", color=MUTED)
    figure.supylabel("cycles a pixel", fontsize=8.5)
    figure.suptitle("orientation", fontsize=8.5)
    return figure


_SHARES = ("mean_explained", "mean_chance")


def _of_filter(template: str) -> Show:
    def show(row: Row | None) -> str:
        if row is None:
            return ""
        shares = {f"{name}_percent": 100 * row[name] for name in _SHARES}
        return template.format(**row, **shares)

    return show


def _say_bank(table: LongTable) -> list[str]:
    explained, turned = (100 * table.frame["explained"], table.frame["turned"])
    return [
        f"A Gabor function accounts for {explained.min():.1f} to {explained.max():.1f} "
        f"% of each of the {len(table)} filters; the orientation that it finds is off "
        f"by {turned.max():.1f}° at most."
    ]


GABOR_BANK = ChapterKind(
    name="gabor_bank",
    rows=bank_rows,
    charts=BankGrid(),
    sheet=SheetPlan(
        tuple(
            Column(head, "filter", _of_filter(template))
            for head, template in (
                ("Cycles a pixel", "{frequency:g}"),
                ("as fitted", "{mean_fitted_frequency:.3f}"),
                ("Orientation off by", "{mean_turned:.1f}°"),
                ("Gabor share", "{mean_explained_percent:.1f} %"),
                ("by chance", "{mean_chance_percent:.0f} %"),
            )
        ),
        lines=("frequency",),
        caption="Means over 16 orientations. Filters larger than 10 pixels are resized "
        "to 10, which raises their frequency, and all are cut to 7.",
    ),
    sentences=(_say_bank,),
    wide=True,
    columns=(
        "filter",
        "frequency",
        "orientation",
        "explained",
        "fitted_frequency",
        "fitted_orientation",
        "chance",
    ),
)

KINDS = (FILTERS_KIND, DONOR_FILTERS, GABOR_BANK)
