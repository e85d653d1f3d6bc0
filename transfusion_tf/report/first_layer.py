"""First-layer filters of runs, before and after training, as grids and numbers."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.errors import UserError
from transfusion_tf.report import filter_figures as figures
from transfusion_tf.report import result_tables, sample_images, style, wording
from transfusion_tf.report.long_table import lines
from transfusion_tf.report.pictures import keep
from transfusion_tf.representations import filter_changes, weight_histograms

# Columns of `filter_changes` -> what they are called in a study's measurements.
_SHARES = {
    "explained_before": "gabor_share_before",
    "explained_after": "gabor_share_after",
    "chance": "gabor_share_chance",
}
# Of a filter's line in the table.
_CELLS = (
    *("{filter:.0f}", "{explained_before:.2f}", "{explained_after:.2f}"),
    *("{chance:.2f}", "{orientation_before:.0f}", "{orientation_after:.0f}"),
    *("{frequency_before:.2f}", "{frequency_after:.2f}", "{cosine:.2f}"),
    "{change:.2f}",
)


@dataclasses.dataclass(frozen=True, eq=False)
class FirstLayer:
    """First-layer kernels of a run, float [height, width, in, filters].

    Attributes:
      label: how the page calls the run.
      initialization: the run's, which decides its colour.
      before: at initialization.
      after: after training.
    """

    label: str
    initialization: str
    before: np.ndarray
    after: np.ndarray


def first_layer_section(
    layers: Sequence[FirstLayer], folder: Path
) -> dict[str, Any] | None:
    """The page's section, its figures and tables; None where there is no run."""
    if not layers:
        return None
    labels = [layer.label for layer in layers]
    marks = _marks(layers)
    scale = max(float(np.abs(k).max()) for f in layers for k in (f.before, f.after))
    kernels = {layer.label: (layer.before, layer.after) for layer in layers}
    pictures_folder = folder / "figures"
    keep(figures.filter_grid(kernels, marks), pictures_folder, "first_layer", "")
    weights = {
        f"{layer.label}, {when}": kernel
        for layer in layers
        for when, kernel in (("before", layer.before), ("after", layer.after))
    }
    histograms = weight_histograms(weights)
    result_tables.write_table(histograms, folder / "tables", "weight_histograms")
    pictures = [
        keep(
            figures.weight_histogram(histograms, labels, marks),
            pictures_folder,
            "weight_histogram",
            "Densities of first-layer weights before and after training",
        )
    ]
    changes, refusal = _changes(layers)
    if changes:
        together = pd.concat(
            [table.assign(initialization=label) for label, table in changes.items()]
        )
        result_tables.write_table(together, folder / "tables", "filters")
        picture = keep(
            figures.gabor_shares(
                {
                    label: table.rename(columns=_SHARES)
                    for label, table in changes.items()
                },
                marks,
            ),
            pictures_folder,
            "gabor_shares",
            "Share of each filter that a Gabor explains, before and after training",
        )
        pictures.insert(0, picture)
    shown = [
        {
            "label": layer.label,
            "colour": marks[layer.label].colour,
            "before": _mosaic(layer.before, scale),
            "after": _mosaic(layer.after, scale),
            "facts": _layer_facts(layer, changes.get(layer.label)),
            "rows": _filter_rows(changes.get(layer.label)),
            "total": layer.before.shape[-1],
        }
        for layer in layers
    ]
    return {"layers": shown, "pictures": pictures, "refusal": refusal}


def _mosaic(kernel: np.ndarray, scale: float) -> str:
    return sample_images.data_uri(sample_images.filter_mosaic(kernel, scale), "png")


def _marks(layers: Sequence[FirstLayer]) -> dict[str, style.Mark]:
    """By label; the initialization's own colour, unless both have the same."""
    names = [layer.initialization for layer in layers]
    labels = [layer.label for layer in layers]
    if len(set(names)) < len(names):
        names = [names[0], *labels[1:]]
    marks = style.marks(names)
    return {label: marks[name] for label, name in zip(labels, names, strict=True)}


def _changes(
    layers: Sequence[FirstLayer],
) -> tuple[dict[str, pd.DataFrame], str]:
    """Every filter's change by label, or why there is none."""
    try:
        found = {
            layer.label: filter_changes(layer.before, layer.after) for layer in layers
        }
    except UserError as error:
        return {}, str(error)
    return found, ""


def _layer_facts(layer: FirstLayer, changes: pd.DataFrame | None) -> list[str]:
    moved = wording.number(
        100 * sample_images.filter_change(layer.before, layer.after), 0
    )
    facts = [f"moved {moved} %"]
    if changes is not None:
        before, after, chance = (
            wording.number(100 * changes[name].mean(), 0)
            for name in ("explained_before", "explained_after", "chance")
        )
        facts.append(f"Gabor share {before} → {after} % (chance {chance} %)")
    return facts


def _filter_rows(changes: pd.DataFrame | None) -> list[list[str]]:
    if changes is None:
        return []
    return [[wording.fill(cell, row) for cell in _CELLS] for row in lines(changes)]
