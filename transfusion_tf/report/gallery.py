"""Draws all figures of a report and keeps them as PNG and SVG."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from transfusion_tf.report import figures, images, style, wording
from transfusion_tf.report.cases import MARGIN
from transfusion_tf.report.pictures import Picture, keep, slug
from transfusion_tf.report.results import BASELINE, Cell, Results
from transfusion_tf.studies.run_groups import RunKey


@dataclasses.dataclass(frozen=True)
class FilterPair:
    """First-layer filters of one initialization, before and after training.

    Attributes:
      initialization: the label.
      before: data URI.
      after: data URI, drawn on the same scale.
      changes: relative change, one a seed.
      mosaics: the pixels of both.
    """

    initialization: str
    before: str
    after: str
    changes: tuple[float, ...]
    mosaics: tuple[np.ndarray, np.ndarray] = dataclasses.field(repr=False)

    @property
    def change(self) -> str:
        """`12 %`, or `12 % (10–14 over 3 seeds)`."""
        percents = [100 * value for value in self.changes if np.isfinite(value)]
        if not percents:
            return wording.MISSING
        mean = f"{np.mean(percents):.0f} %"
        low, high = f"{min(percents):.0f}", f"{max(percents):.0f}"
        if low == high:
            return mean
        return f"{mean} ({low}–{high} over {len(percents)} seeds)"


def draw(results: Results, folder: Path) -> dict[str, list[Picture]]:
    """Draws the charts into the folder.

    Returns:
      Pictures by section: `convergence` (one a panel), `race`, `differences`.
    """
    marks = style.marks(results.initializations)
    limits = figures.curve_limits(results)
    unit = wording.metric_unit(results.metric)
    pictures: dict[str, list[Picture]] = {
        "convergence": [],
        "race": [],
        "differences": [],
    }
    for panel in results.panels:
        name = results.panel_name(panel)
        figure = figures.convergence(panel, name, marks, results.metric, limits)
        text = f"Validation {unit} over training steps by initialization, {name}"
        pictures["convergence"].append(
            keep(figure, folder, f"convergence-{slug(name)}", text)
        )
    pictures["race"].append(
        keep(
            figures.steps_to_threshold(results, marks),
            folder,
            "steps_to_threshold",
            f"Training steps to the threshold of validation {unit}, a mark a seed",
        )
    )
    compared = any(
        panel.test_difference(label, BASELINE) is not None
        for panel in results.panels
        for label in panel.cells
        if label != BASELINE
    )
    if compared:
        pictures["differences"].append(
            keep(
                figures.differences(results, marks, MARGIN),
                folder,
                "differences",
                f"Difference in test {unit} to random weights with 95 % intervals",
            )
        )
    return pictures


def draw_filters(results: Results, folder: Path) -> dict[str, list[FilterPair]]:
    """First-layer filters by model, at the largest training size, lowest seed."""
    marks = style.marks(results.initializations)
    shown: dict[str, list[FilterPair]] = {}
    for panel in results.panels:
        pairs = [pair for cell in panel.cells.values() if (pair := _filter_pair(cell))]
        if pairs:
            shown[panel.model] = pairs
    for model, pairs in shown.items():
        figure = images.filters_figure(
            [
                (pair.initialization, *pair.mosaics, float(np.mean(pair.changes)))
                for pair in pairs
            ],
            marks,
        )
        keep(figure, folder, f"first_layer-{slug(model)}", "")
    return shown


def draw_samples(results: Results, folder: Path) -> dict[str, list[str]]:
    """Sample images by class as data URIs."""
    run = results.record.runs[0]
    if not (run.directory.path / "samples.npz").exists():
        return {}
    samples = images.samples_by_class(*run.directory.samples(), run.dataset["classes"])
    if not any(samples.values()):
        return {}
    keep(images.samples_figure(samples), folder, "samples", "")
    return {
        name: [images.data_uri(image, "jpeg") for image in pictures]
        for name, pictures in samples.items()
    }


def _filter_pair(cell: Cell) -> FilterPair | None:
    kernels: Mapping[RunKey, tuple[np.ndarray, np.ndarray]] = {
        key: run.directory.first_layer()
        for key, run in sorted(cell.runs.items())
        if (run.directory.path / "first_layer.npz").exists()
    }
    if not kernels:
        return None
    initial, best = next(iter(kernels.values()))
    scale = float(max(np.abs(initial).max(), np.abs(best).max()))
    mosaics = (images.filter_mosaic(initial, scale), images.filter_mosaic(best, scale))
    before, after = (images.data_uri(mosaic, "png") for mosaic in mosaics)
    changes = tuple(images.filter_change(*pair) for pair in kernels.values())
    return FilterPair(cell.initialization, before, after, changes, mosaics)
