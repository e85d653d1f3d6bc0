"""Cells of the feature-reuse studies: runs of one model, start, data set and size.

Starts are ordered by the share of a network's stages that have the donor's weights:
random initialization (RI), statistics alone (ST), the donor up to a stage (WT-ST), all
of it (WT).
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np

from transfusion_tf.evaluation import Difference, RunScore, cell_interval
from transfusion_tf.report import style, wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE, scheme
from transfusion_tf.report.style import Mark
from transfusion_tf.report.views.network_order import stage_order, through
from transfusion_tf.report.views.parts import measured
from transfusion_tf.studies.study_folder import Run

STATISTICS = "mean_var"
# Of WT-ST, by the share of stages transferred.
LEVELS = matplotlib.colors.ListedColormap(
    matplotlib.colormaps["plasma"](np.linspace(0.84, 0.08, 256))
)


@dataclasses.dataclass(frozen=True, eq=False)
class Cell:
    """Runs that differ in their seed alone.

    Attributes:
      dataset: the card's name.
      train_examples: how many training images.
      model: its name.
      initialization: the spec.
      runs: one a seed.
      fraction: share of the stages that have the donor's weights: 0 is ST, 1 is WT;
        None is RI.
    """

    dataset: str
    train_examples: int
    model: str
    initialization: str
    runs: Mapping[int, Run]
    fraction: float | None

    @property
    def keys(self) -> dict[str, Any]:
        """The columns that say which cell a row is of."""
        return {
            "dataset": self.dataset,
            "train_examples": self.train_examples,
            "model": self.model,
            "initialization": self.initialization,
        }

    @property
    def scores(self) -> dict[int, RunScore]:
        """Test scores, one a seed."""
        return {s: run.score for s, run in self.runs.items() if run.score is not None}

    @property
    def values(self) -> list[float]:
        """The test metric, one a seed."""
        return [score.value for score in self.scores.values()]

    @property
    def test(self) -> Difference | None:
        """Mean of the test metric with its interval; None without a test split."""
        scores = self.scores
        return cell_interval(scores) if scores else None

    @property
    def any_run(self) -> Run:
        """One of them."""
        return next(iter(self.runs.values()))


def cells(material: Material) -> list[Cell]:
    """All cells of a chapter, in the order of its runs.

    The learning rate from random weights is another than from others (feature reuse,
    section 2): here cells are told apart by model and start alone.
    """
    grouped: dict[tuple, dict[int, Run]] = {}
    for name in material.chapter.runs:
        run = material.runs.get(name)
        if run is not None:
            key = (
                run.dataset["name"],
                run.train_examples,
                run.config.model,
                run.config.initialization,
            )
            grouped.setdefault(key, {})[run.config.seed] = run
    orders = {
        model: stage_order(run for run in material.runs.values() if _is(run, model))
        for model in dict.fromkeys(model for _, _, model, _ in grouped)
    }
    found = [
        Cell(dataset, size, model, start, runs, fraction(start, orders[model]))
        for (dataset, size, model, start), runs in grouped.items()
    ]
    places = {pair: index for index, pair in enumerate(data_of(found))}
    models = list(dict.fromkeys(cell.model for cell in found))
    return sorted(
        found,
        key=lambda cell: (
            places[(cell.dataset, cell.train_examples)],
            models.index(cell.model),
            -1.0 if cell.fraction is None else cell.fraction,
        ),
    )


def fraction(initialization: str, order: Sequence[str]) -> float | None:
    """Share of the stages that have the donor's weights; None of another start.

    Args:
      initialization: a spec.
      order: the model's stages from the input up.
    """
    if scheme(initialization) == STATISTICS:
        return 0.0
    if initialization == "transfer":
        return 1.0
    stage = through(initialization)
    if stage is None or stage not in order:
        return None
    return (order.index(stage) + 1) / len(order)


def find_cell(found: Iterable[Cell], **wanted: Any) -> Cell | None:
    """The first cell with these attributes."""
    for cell in found:
        if all(getattr(cell, name) == value for name, value in wanted.items()):
            return cell
    return None


def data_of(found: Iterable[Cell]) -> list[tuple[str, int]]:
    """Data set and number of training images, each pair once."""
    return list(dict.fromkeys((cell.dataset, cell.train_examples) for cell in found))


def data_name(pair: tuple[str, int], found: Iterable[Cell]) -> str:
    """The data set; with its number of images where it comes in several sizes."""
    dataset, images = pair
    sizes = {size for name, size in data_of(found) if name == dataset}
    return f"{dataset}, {wording.count(images)}" if len(sizes) > 1 else dataset


def models_of(found: Iterable[Cell]) -> list[str]:
    """Their models, in the chapter's order."""
    return list(dict.fromkeys(cell.model for cell in found))


def start_name(cell: Cell) -> str:
    """`RI`, `ST`, `WT`, or `WT up to block2`."""
    if cell.fraction is None:
        return "RI" if cell.initialization == BASELINE else cell.initialization
    stage = through(cell.initialization)
    return f"WT-ST {stage}" if stage else ("ST", "WT")[round(cell.fraction)]


def start_marks(found: Sequence[Cell]) -> dict[str, Mark]:
    """Initialization -> mark.

    The three starts look as everywhere in the report; among WT-ST levels, ST and WT are
    the ends of the levels' own ramp, light to dark.
    """
    named = style.marks([BASELINE, STATISTICS, "transfer"])
    swept = any(has_levels([cell]) for cell in found)
    marks = {}
    for cell in found:
        mark = named.get(scheme(cell.initialization), named[BASELINE])
        if swept and cell.fraction is not None:
            mark = Mark(level_colour(cell.fraction), mark.marker)
        marks[cell.initialization] = mark
    return marks


def has_levels(found: Iterable[Cell]) -> bool:
    """Whether some are between ST and WT."""
    return any(through(cell.initialization) is not None for cell in found)


def level_colour(fraction: float) -> str:
    """Of a share of stages transferred, from light (none) to dark (all)."""
    return matplotlib.colors.to_hex(LEVELS(fraction))


def rows_of_cells(found: Iterable[Cell]) -> list[dict[str, Any]]:
    """Rows of a long table: the test metric of each."""
    return [{**cell.keys, "quantity": "test", **measured(cell.test)} for cell in found]


def seeds_of(found: Iterable[Cell]) -> list[float]:
    """How many runs each has."""
    return [float(len(cell.runs)) for cell in found]


def mean_value(cell: Cell | None) -> float:
    """Mean test metric; NaN of no cell."""
    return float(np.mean(cell.values)) if cell is not None and cell.values else np.nan


def _is(run: Run, model: str) -> bool:
    return run.config.model == model
