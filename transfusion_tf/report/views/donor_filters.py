"""First-layer filters of each donor, and how much of a Gabor function is in them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from transfusion_tf.errors import UserError
from transfusion_tf.report import gallery, images, style, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.style import Mark, styled
from transfusion_tf.report.views.donor_cells import cell_marks, donor_cells
from transfusion_tf.report.views.parts import Sheet, View, find, long_table
from transfusion_tf.representations import gabor_fits

FILTERS = 36
_SHARE, _CHANCE, _LIKE = "gabor_share", "gabor_share_chance", "gabor_like"
# More than half of a filter's energy in one Gabor function.
_THRESHOLD = 0.5


def draw(material: Material, folder: Path) -> View:
    """The first 36 filters of each donor, as the runs start from them."""
    cells = [cell for cell in donor_cells(material) if not cell.head_first]
    marks = cell_marks(cells)
    kernels: dict[str, np.ndarray] = {}
    for cell in cells:
        if (cell.first.directory.path / "first_layer.npz").exists():
            initial, _ = cell.first.directory.first_layer()
            kernels.setdefault(cell.donor, initial[..., :FILTERS])
    rows: list[dict[str, Any]] = []
    refusals: list[str] = []
    for name, kernel in kernels.items():
        try:
            rows += _rows(name, gabor_fits(kernel), kernel)
        except UserError as error:
            refusals.append(f"No Gabor fits: {error}.")
    table = long_table(rows, material)
    pictures = []
    if kernels:
        pictures.append(
            gallery.keep(
                _figure(kernels, marks),
                folder,
                material.chapter.name,
                f"First {FILTERS} first-layer filters of each donor",
            )
        )
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple([*_sentences(table, kernels), *dict.fromkeys(refusals)]),
        sheet=_sheet(table, kernels),
        colours={name: marks[name].colour for name in kernels},
    )


def _rows(name: str, fits: pd.DataFrame, kernel: np.ndarray) -> list[dict[str, Any]]:
    values = {
        _SHARE: fits["explained"].mean(),
        _CHANCE: fits["chance"].mean(),
        _LIKE: (fits["explained"] > _THRESHOLD).mean(),
        "color_share": color_share(kernel),
    }
    rows: list[dict[str, Any]] = [
        {"initialization": name, "quantity": quantity, "value": float(value)}
        for quantity, value in values.items()
    ]
    rows += [
        {"initialization": name, "stage": f"filter {index}", "quantity": "explained"}
        | {"value": float(value)}
        for index, value in enumerate(fits["explained"])
    ]
    return rows


def color_share(kernel: np.ndarray) -> float:
    """Share of the filters' energy that is not the same in red, green and blue.

    Args:
      kernel: [height, width, 3, filters].

    Returns:
      In [0, 1]; 0 where all filters are grey, NaN where they are all zero.
    """
    kernel = kernel.astype(np.float64)
    gray = kernel.mean(axis=2, keepdims=True)
    energy = float(np.sum(kernel**2))
    return float(np.sum((kernel - gray) ** 2)) / energy if energy else float("nan")


@styled
def _figure(kernels: dict[str, np.ndarray], marks: dict[str, Mark]) -> Figure:
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


def _sheet(table: pd.DataFrame, kernels: dict[str, np.ndarray]) -> Sheet:
    rows = []
    for name in kernels:
        found = {
            quantity: find(table, initialization=name, quantity=quantity)
            for quantity in (_SHARE, _CHANCE, _LIKE, "color_share")
        }
        size = "{} × {}".format(*kernels[name].shape[:2])
        percents = (
            wording.MISSING if row is None else f"{100 * row['value']:.0f} %"
            for row in found.values()
        )
        rows.append((name, size, *percents))
    return Sheet(
        ("Donor", "Filter size", "Gabor share", "by chance", "Gabor-like", "Colour"),
        tuple(rows),
        caption="Gabor share: how much of a filter’s energy the best Gabor accounts "
        f"for, mean of the first {FILTERS}; chance is the same with its pixels "
        "shuffled; Gabor-like: filters with more than half. Colour: energy that is "
        "not the same in red, green and blue.",
    )


def _sentences(table: pd.DataFrame, kernels: dict[str, np.ndarray]) -> list[str]:
    said = []
    for name in kernels:
        share = find(table, initialization=name, quantity=_SHARE)
        chance = find(table, initialization=name, quantity=_CHANCE)
        color = find(table, initialization=name, quantity="color_share")
        if share and chance and color:
            said.append(
                f"{name}: a Gabor accounts for {100 * share['value']:.0f} % of a "
                f"filter ({100 * chance['value']:.0f} % by chance); "
                f"{100 * color['value']:.0f} % of the energy is colour."
            )
    return said
