"""Chapters on Gabor functions: in the first filters of donors, and the bank itself."""

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.figure import Figure

from transfusion_tf.initialization import gabor_filter_bank
from transfusion_tf.report import style
from transfusion_tf.report.chapter_kinds import ChapterKind
from transfusion_tf.report.chapters.donor_accuracy import donor_marks
from transfusion_tf.report.charts import DrawnFigure
from transfusion_tf.report.long_table import LongTable
from transfusion_tf.report.material import Material
from transfusion_tf.report.rows.filters_rows import (
    FREQUENCIES,
    DonorKernel,
    bank_rows,
    donor_filter_rows,
    donor_kernels,
)
from transfusion_tf.report.sample_images import Tile, filter_mosaic, picture_grid
from transfusion_tf.report.sentences import say_each
from transfusion_tf.report.sheets import PERCENT, Column, SheetPlan
from transfusion_tf.report.style import MUTED, Mark

Marks = Mapping[str, Mark]


def draw_donor_filters(material: Material, table: LongTable) -> Iterator[DrawnFigure]:
    """The first filters of each donor, as the runs start from them."""
    kernels = donor_kernels(material)
    if kernels:
        yield DrawnFigure(
            _draw_donors(kernels, table.marks),
            "",
            "First-layer filters of each donor",
        )


def _draw_donors(donors: Mapping[str, DonorKernel], marks: Marks) -> Figure:
    # Donors differ in scale, as in which pixels they take: each has its own.
    tiles = [
        Tile(
            filter_mosaic(donor.kernel, float(np.abs(donor.kernel).max()), columns=6),
            name,
            marks[name].colour,
        )
        for name, donor in donors.items()
    ]
    return picture_grid([tiles[i : i + 2] for i in range(0, len(tiles), 2)])


DONOR_FILTERS = ChapterKind(
    name="donor_filters",
    rows=donor_filter_rows,
    charts=draw_donor_filters,
    sheet=SheetPlan(
        (
            Column("Donor", word="initialization"),
            Column("Filter size", word="size"),
            Column("Gabor share", "gabor_share", PERCENT),
            Column("by chance", "gabor_share_chance", PERCENT),
            Column("Gabor-like", "gabor_like", PERCENT),
            Column("Colour", "color_share", PERCENT),
        ),
        lines=("initialization",),
        where={"quantity": "kernel"},
        caption="Gabor share: how much of a filter’s energy the best Gabor accounts "
        "for, mean of the filters that are shown; chance is the same with its pixels "
        "shuffled; Gabor-like: filters with more than half. Colour: energy that is "
        "not the same in red, green and blue.",
    ),
    sentences=(
        say_each(
            "{initialization}: a Gabor accounts for {value:%} of a filter ({chance:%} "
            "by chance); {color:%} of the energy is colour.",
            "gabor_share",
        ),
    ),
    marks=donor_marks,
)


def draw_bank_grid(material: Material, table: LongTable) -> Iterator[DrawnFigure]:
    """The synthetic filters as a grid: orientations across, frequencies down."""
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
    charts=draw_bank_grid,
    sheet=SheetPlan(
        tuple(
            Column(head, "filter", template, missing="")
            for head, template in (
                ("Cycles a pixel", "{frequency:g}"),
                ("as fitted", "{mean_fitted_frequency:.3f}"),
                ("Orientation off by", "{mean_turned:.1f}°"),
                ("Gabor share", "{mean_explained:.1%}"),
                ("by chance", "{mean_chance:%}"),
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

KINDS = (DONOR_FILTERS, GABOR_BANK)
