"""The bank of synthetic Gabor filters, and what a fit finds in each."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf.initialization import gabor_filter_bank
from transfusion_tf.report import gallery, style, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.style import MUTED, styled
from transfusion_tf.report.views.parts import Sheet, View
from transfusion_tf.representations import gabor_fits

# As `gabor_filter_bank` orders them: cycles a pixel before the paper's resizing.
_FREQUENCIES = (0.08, 0.16, 0.25, 0.32)


def draw(material: Material, folder: Path) -> View:
    """The filters as a grid: a column an orientation, a row a frequency."""
    table = bank_table()
    picture = gallery.keep(
        _figure(),
        folder,
        material.chapter.name,
        "The synthetic Gabor filters by orientation and frequency",
    )
    return View(
        pictures=(picture,),
        table=table,
        sentences=tuple(_sentences(table)),
        sheet=_sheet(table),
        wide=True,
    )


@cache
def bank_table() -> pd.DataFrame:
    """A row a filter: what it was made with, and what a Gabor fit finds in it.

    Returns:
      `filter`, `frequency` (cycles a pixel before resizing), `orientation` (degrees),
      and of the fit `explained`, `fitted_frequency`, `fitted_orientation`, `chance`.
    """
    bank = gabor_filter_bank()
    angles = len(bank) // len(_FREQUENCIES)
    fits = gabor_fits(bank.transpose(1, 2, 0)[:, :, np.newaxis])
    return pd.DataFrame(
        {
            "filter": fits["filter"],
            "frequency": np.repeat(_FREQUENCIES, angles),
            "orientation": np.tile(np.arange(angles) * 180 / angles, len(_FREQUENCIES)),
            "explained": fits["explained"],
            "fitted_frequency": fits["frequency"],
            # Half a turn is the same direction.
            "fitted_orientation": fits["orientation"].round(6) % 180,
            "chance": fits["chance"],
        }
    )


@styled
def _figure() -> Figure:
    bank = gabor_filter_bank()
    rows = len(_FREQUENCIES)
    angles = len(bank) // rows
    scale = float(np.abs(bank).max())
    figure = Figure(figsize=(2 * style.WIDTH, 3.1), layout="constrained")
    panels = figure.subplots(rows, angles)
    for index, kernel in enumerate(bank):
        axes = panels[index // angles, index % angles]
        axes.imshow(kernel, cmap="gray", vmin=-scale, vmax=scale)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        if index < angles:
            degrees = 180 * index / angles
            axes.set_title(f"{degrees:g}°", fontsize=7.5, fontweight="normal",
                           loc="center", pad=3)  # fmt: skip
        if index % angles == 0:
            axes.set_ylabel(f"{_FREQUENCIES[index // angles]:g}", rotation=0,
                            ha="right", va="center", color=MUTED)  # fmt: skip
    figure.supylabel("cycles a pixel", fontsize=8.5)
    figure.suptitle("orientation", fontsize=8.5)
    return figure


def _sheet(table: pd.DataFrame) -> Sheet:
    rows = []
    for frequency, part in table.groupby("frequency", sort=False):
        rows.append(
            (
                f"{frequency:g}",
                wording.number(part["fitted_frequency"].mean(), 3),
                f"{_turns(part).mean():.1f}°",
                f"{100 * part['explained'].mean():.1f} %",
                f"{100 * part['chance'].mean():.0f} %",
            )
        )
    return Sheet(
        ("Cycles a pixel", "as fitted", "Orientation off by", "Gabor share",
         "by chance"),
        tuple(rows),
        words=0,
        caption="Means over 16 orientations. Filters larger than 10 pixels are resized "
        "to 10, which raises their frequency, and all are cut to 7.",
    )  # fmt: skip


def _turns(table: pd.DataFrame) -> pd.Series:
    """Degrees between the orientation asked for and the one fitted, up to 90."""
    turned = (table["fitted_orientation"] - table["orientation"]) % 180
    return turned.where(turned <= 90, 180 - turned)


def _sentences(table: pd.DataFrame) -> list[str]:
    return [
        f"A Gabor function accounts for {100 * table['explained'].min():.1f} to "
        f"{100 * table['explained'].max():.1f} % of each of the "
        f"{len(table)} filters; the orientation that it finds is off by "
        f"{_turns(table).max():.1f}° at most."
    ]
