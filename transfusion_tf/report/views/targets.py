"""Targets: how many images, classes and pixels every data set has, and its images."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfusion_tf.report import gallery, images, style, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.donors import is_gray
from transfusion_tf.report.style import styled
from transfusion_tf.report.views import plots
from transfusion_tf.report.views.donor_cells import by_target, donor_cells, target_title
from transfusion_tf.report.views.parts import (
    Row,
    Sheet,
    View,
    find,
    has_paper,
    long_table,
)
from transfusion_tf.studies.study_folder import Run

_QUANTITIES = ("images", "classes", "image_size")
_MOST_IMAGES = 6
# Of the bars, inches.
_TITLE_HEIGHT, _BAR_HEIGHT, _LINE_HEIGHT = 0.26, 0.3, 0.14
_COLOUR = style.marks(["transfer"])["transfer"].colour


def draw(material: Material, folder: Path) -> View:
    """Shares of the classes; with the option `samples`, example images instead."""
    runs = {
        name: (target_title(cells[0]), cells[0].first)
        for name, cells in by_target(donor_cells(material)).items()
    }
    samples = bool(material.chapter.options.get("samples"))
    rows = [row for name, (_, run) in runs.items() for row in _rows(name, run)]
    table = long_table(rows, material)
    figure = _samples(runs) if samples else _shares(runs)
    text = "Example images of every target" if samples else "Class shares by target"
    pictures = []
    if figure is not None:
        pictures.append(gallery.keep(figure, folder, material.chapter.name, text))
    return View(
        pictures=tuple(pictures),
        table=table,
        sentences=tuple(_sentences(runs)),
        sheet=_sheet(runs, table),
    )


def image_count(run: Run) -> int:
    """Images of a data set, each once: a fold may be both validation and test."""
    counts = run.dataset["counts"]
    shared = run.config.fold is not None and run.config.fold_protocol == "paper"
    splits = ("train", "test") if shared else ("train", "validation", "test")
    return sum(int(counts[name]["images"]) for name in splits if name in counts)


def class_counts(run: Run) -> dict[str, int]:
    """Images of every class over all splits."""
    counts = run.dataset["counts"]
    shared = run.config.fold is not None and run.config.fold_protocol == "paper"
    splits = ("train", "test") if shared else ("train", "validation", "test")
    return {
        name: sum(
            int(counts[split].get("classes", {}).get(name, 0))
            for split in splits
            if split in counts
        )
        for name in run.dataset["classes"]
    }


def _rows(name: str, run: Run) -> list[dict[str, Any]]:
    values = {
        "images": image_count(run),
        "classes": len(run.dataset["classes"]),
        "image_size": int(run.dataset["image_size"]),
        **{f"images/{key}": count for key, count in class_counts(run).items()},
    }
    return [
        {"dataset": name, "quantity": quantity, "value": value}
        for quantity, value in values.items()
    ]


@styled
def _shares(runs: dict[str, tuple[str, Run]]) -> Figure:
    heights = [_bar_height(run) + _TITLE_HEIGHT for _, run in runs.values()]
    figure, (axes,) = plots.stacked([0.55 + sum(heights)])
    top = 0.0
    for (title, run), height in zip(runs.values(), heights, strict=True):
        total = wording.count(image_count(run))
        axes.text(0, top - 0.6 * _TITLE_HEIGHT, f"{title}: {total} images", fontsize=8)
        draw_bars = _side_by_side if run.dataset["kind"] == "findings" else _in_one
        draw_bars(axes, top - _TITLE_HEIGHT, run)
        top -= height
    axes.set_ylim(top - 0.03, 0)
    axes.set_xlim(0, 1)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("share of the images")
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    return figure


def _bar_height(run: Run) -> float:
    """Inches: one bar for classes that exclude one another, one each for findings."""
    findings = run.dataset["kind"] == "findings"
    return _LINE_HEIGHT * len(run.dataset["classes"]) if findings else _BAR_HEIGHT


def _in_one(axes: Axes, top: float, run: Run) -> None:
    """Classes as parts of one bar, named where there is room."""
    left, counts = 0.0, class_counts(run)
    for index, (name, count) in enumerate(counts.items()):
        share, alpha = count / max(image_count(run), 1), _alpha(index, len(counts))
        middle = top - 0.4 * _BAR_HEIGHT
        axes.barh(
            middle, share, 0.8 * _BAR_HEIGHT, left=left, color=_COLOUR, alpha=alpha
        )
        if share > 0.013 * len(name) + 0.01:
            axes.text(
                left + share / 2, middle, name, ha="center", va="center",
                fontsize=6.5, color="white" if alpha > 0.5 else style.INK,
            )  # fmt: skip
        left += share


def _side_by_side(axes: Axes, top: float, run: Run) -> None:
    """A bar a finding: an image may have several, so they need not sum to one."""
    counts = class_counts(run)
    for index, (name, count) in enumerate(counts.items()):
        share = count / max(image_count(run), 1)
        middle = top - _LINE_HEIGHT * (index + 0.5)
        alpha = _alpha(index, len(counts))
        axes.barh(middle, share, 0.75 * _LINE_HEIGHT, color=_COLOUR, alpha=alpha)
        axes.text(share + 0.01, middle, name, va="center", fontsize=6.5)


def _alpha(index: int, count: int) -> float:
    return 0.35 + 0.5 * index / max(1, count - 1)


@styled
def _samples(runs: dict[str, tuple[str, Run]]) -> Figure | None:
    shown = []
    for title, run in runs.values():
        if (run.directory.path / "samples.npz").exists():
            found = images.samples_by_class(
                *run.directory.samples(), run.dataset["classes"]
            )
            turns = [pictures for pictures in found.values() if pictures]
            # One of each class before a second one of any.
            mixed = [
                pictures[turn]
                for turn in range(_MOST_IMAGES)
                for pictures in turns
                if turn < len(pictures)
            ]
            shown.append((title, mixed[:_MOST_IMAGES]))
    if not shown:
        return None
    side = style.WIDTH / _MOST_IMAGES
    figure = Figure(
        figsize=(style.WIDTH, (side + 0.24) * len(shown)), layout="constrained"
    )
    panels = figure.subplots(len(shown), _MOST_IMAGES, squeeze=False)
    for (title, pictures), row in zip(shown, panels, strict=True):
        row[0].set_title(title, pad=3, fontsize=8)
        for axes in row:
            axes.axis("off")
        for axes, picture in zip(row, pictures, strict=False):
            axes.imshow(picture)
    return figure


def _sheet(runs: dict[str, tuple[str, Run]], table: pd.DataFrame) -> Sheet:
    rows = []
    for name, (title, run) in runs.items():
        found = [find(table, dataset=name, quantity=q) for q in _QUANTITIES]
        images_, classes, size = (
            wording.count(row["value"]) + _paper_count(row) if row else ""
            for row in found
        )
        gray = {True: "grey", False: "colour", None: wording.MISSING}[is_gray(run)]
        rows.append((title, images_, classes, size, gray, _folds(run)))
    paper = "small: the paper’s. " if has_paper(table) else ""
    return Sheet(
        ("Target", "Images", "Classes", "Pixels", "Images are", "Folds"),
        tuple(rows),
        words=1,
        caption=f"{paper}Images that could be used, over all splits.",
    )


def _paper_count(row: Row) -> str:
    """The paper's count on a line of its own, where there is one."""
    known = np.isfinite(row["paper"])
    return f"\npaper {wording.count(row['paper'])}" if known else ""


def _folds(run: Run) -> str:
    if run.config.fold is None:
        return wording.MISSING
    return f"{run.config.folds}, {run.config.fold_protocol}"


def _sentences(runs: dict[str, tuple[str, Run]]) -> list[str]:
    said = []
    configs = [run.config for _, run in runs.values()]
    protocols = {each.fold_protocol for each in configs if each.fold is not None}
    if protocols == {"paper"}:
        said.append(
            "As in the paper, weights are chosen on the fold that they are then tested "
            "on: the test values are optimistic."
        )
    elif protocols:
        said.append(
            "A validation part is held out of the training folds: the test fold is "
            "read once, at the end. The paper chose weights on the fold it reports."
        )
    smallest = min(runs.values(), key=lambda pair: image_count(pair[1]), default=None)
    if smallest and len(runs) > 1:
        said.append(
            f"{smallest[0]} is the smallest target, with "
            f"{wording.count(image_count(smallest[1]))} images."
        )
    return said
