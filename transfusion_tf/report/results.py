"""Runs grouped into cells and panels, with every comparison the report makes.

A *cell* is the runs that differ in their seed alone. A *panel* is the cells of one
model at one training size, which differ in the initialization.
"""

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from transfusion_tf.evaluation import (
    Difference,
    RunScore,
    cell_interval,
    chance_level,
    difference,
    learning_curve_area,
    seed_interval,
    steps_to_threshold,
    threshold_between,
)
from transfusion_tf.report.records import Run, StudyRecord

BASELINE = "random"

# The order in which initializations are listed, drawn and coloured.
_ORDER = ("random", "gabor", "mean_var", "sampled", "shuffled", "transfer:", "transfer")

# Fields that are the grid's own axes, or follow from what the others name.
_NOT_SETTINGS = {"model", "initialization", "train_examples", "seed", "data"} | {
    *("donor", "donor_steps", "donor_weights", "freeze", "metric", "dataset")
}


@dataclasses.dataclass(frozen=True)
class Cell:
    """The runs of one model, initialization and training size.

    Attributes:
      model: its name, with the setting where runs of one model differ in one.
      initialization: the spec, with donor and freezing where they differ.
      train_examples: how many training images.
      runs: one a seed.
      test: mean of the test metric over seeds with its interval, or None.
      areas: mean of the validation metric up to the panel's horizon, one a seed.
      steps: steps to the panel's threshold, one a seed; None is never.
    """

    model: str
    initialization: str
    train_examples: int
    runs: Mapping[int, Run]
    test: Difference | None
    areas: Mapping[int, float]
    steps: Mapping[int, float | None]

    @property
    def scores(self) -> dict[int, RunScore]:
        """Test scores, one a seed."""
        return _scores(self.runs)

    @property
    def scheme(self) -> str:
        """The spec's first word: `random`, `transfer`, `mean_var`, ..."""
        return scheme(self.initialization)

    @property
    def best_validation(self) -> list[float]:
        """The validation metric of the kept weights, one a seed."""
        return [self.runs[seed].best_validation() for seed in sorted(self.runs)]

    def mean_status(self, key: str) -> float | None:
        """Mean over the runs of a number of their status; None where none has it."""
        values = [run.status.get(key) for run in self.runs.values()]
        known = [float(value) for value in values if value is not None]
        return float(np.mean(known)) if known else None

    def mean_steps(self) -> float | None:
        """Mean steps to the threshold; None unless every seed reached it."""
        known = [value for value in self.steps.values() if value is not None]
        return (
            float(np.mean(known)) if known and len(known) == len(self.steps) else None
        )


@dataclasses.dataclass(frozen=True)
class Panel:
    """The initializations of one model at one training size.

    Attributes:
      model: its name.
      train_examples: how many training images.
      cells: by initialization, in the report's order.
      threshold: of the validation metric, for the race.
      threshold_from: the initialization that the threshold was set by.
      horizon: the step at which its slowest seed reaches the threshold, or the
        last step where one never does. What lies beyond is no longer learning, and
        would make any lead look small in a long training.
    """

    model: str
    train_examples: int
    cells: Mapping[str, Cell]
    threshold: float
    threshold_from: str
    horizon: float

    @property
    def baseline(self) -> Cell | None:
        """The cell from random weights."""
        return self.cells.get(BASELINE)

    @property
    def parameters(self) -> float | None:
        """Trainable and other parameters of the model."""
        return next(iter(self.cells.values())).mean_status("parameters")

    def test_difference(self, left: str, right: str) -> Difference | None:
        """Left minus right on test; None when there is nothing to compare."""
        return test_difference(self.cells.get(left), self.cells.get(right))

    def area_difference(self, left: str, right: str) -> Difference | None:
        """Left minus right of the mean validation metric up to the horizon."""
        if left not in self.cells or right not in self.cells:
            return None
        ours, theirs = self.cells[left].areas, self.cells[right].areas
        pairs = [
            ours[seed] - theirs[seed]
            for seed in sorted(set(ours) & set(theirs))
            if np.isfinite([ours[seed], theirs[seed]]).all()
        ]
        return seed_interval(pairs) if pairs else None


@dataclasses.dataclass(frozen=True)
class Results:
    """All of a study that has a number.

    Attributes:
      record: what it was read from.
      metric: the main metric.
      panels: models by size, each from the smallest training size up.
    """

    record: StudyRecord
    metric: str
    panels: tuple[Panel, ...]

    @functools.cached_property
    def initializations(self) -> tuple[str, ...]:
        """All labels, in the report's order."""
        labels = {label for panel in self.panels for label in panel.cells}
        return tuple(sorted(labels, key=_rank))

    @property
    def models(self) -> tuple[str, ...]:
        """All models, from the smallest up."""
        return tuple(dict.fromkeys(panel.model for panel in self.panels))

    @property
    def sizes(self) -> tuple[int, ...]:
        """All training sizes, rising."""
        return tuple(sorted({panel.train_examples for panel in self.panels}))

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds that a finished run has."""
        return tuple(sorted({run.config.seed for run in self.record.runs}))

    def panel_name(self, panel: Panel) -> str:
        """As short as it can be told apart: the model, the size, or both."""
        size = f"{panel.train_examples:,} images".replace(",", "\u202f")
        if len(self.sizes) == 1:
            return panel.model
        return f"{panel.model} on {size}"


def scheme(initialization: str) -> str:
    """The first word of a spec: `mean_var` of `mean_var[bn=transfer]`."""
    match = re.match(r"\w+", initialization)
    return match.group() if match else initialization


def test_difference(left: Cell | None, right: Cell | None) -> Difference | None:
    """Left minus right on test, over the seeds of both; None when not comparable."""
    if left is None or right is None:
        return None
    ours, theirs = left.scores, right.scores
    seeds = set(ours) & set(theirs)
    test_sets = {side[seed].test_set for side in (ours, theirs) for seed in seeds}
    return difference(ours, theirs) if len(test_sets) == 1 else None


def collect(record: StudyRecord) -> Results:
    """Groups the finished runs and computes what the report compares."""
    labels = _labels(record.runs, record.donors)
    grouped: dict[tuple[str, int], dict[str, dict[int, Run]]] = {}
    for run in record.runs:
        model, initialization = labels[run.run_id]
        panel = grouped.setdefault((model, run.train_examples), {})
        panel.setdefault(initialization, {})[run.config.seed] = run
    metric = record.runs[0].metric if record.runs else "referable_auc"
    panels = [_panel(model, size, cells) for (model, size), cells in grouped.items()]
    panels.sort(
        key=lambda panel: (panel.parameters or 0, panel.model, panel.train_examples)
    )
    return Results(record, metric, tuple(panels))


def _panel(model: str, size: int, grouped: Mapping[str, Mapping[int, Run]]) -> Panel:
    best = {
        label: float(np.nanmean([run.best_validation() for run in runs.values()]))
        for label, runs in grouped.items()
    }
    # Without the baseline, the initialization that ends lowest sets the mark.
    start = BASELINE if BASELINE in grouped else min(best, key=lambda k: best[k])
    last = max(run.config.steps for runs in grouped.values() for run in runs.values())
    threshold, horizon = race(grouped[start].values(), last)
    cells = {
        label: _cell(model, label, size, grouped[label], threshold, horizon)
        for label in sorted(grouped, key=_rank)
    }
    return Panel(model, size, cells, threshold, start, horizon)


def race(baseline: Iterable[Run], last: float) -> tuple[float, float]:
    """What a race is run to, set by the runs that the others are compared with.

    Args:
      baseline: runs from random weights, one a seed.
      last: step at which the longest run of all ends.

    Returns:
      Threshold of the validation metric; and the horizon: the step at which the
      slowest seed reaches it, or `last` where one never does.
    """
    runs = list(baseline)
    best = float(np.nanmean([run.best_validation() for run in runs]))
    classes = len(runs[0].dataset["classes"])
    threshold = threshold_between([best], chance_level(runs[0].metric, classes))
    steps = [steps_to_threshold(*run.curve(), threshold) for run in runs]
    return threshold, max(last if step is None else step for step in steps) or last


def _cell(
    model: str,
    label: str,
    size: int,
    runs: Mapping[int, Run],
    threshold: float,
    horizon: float,
) -> Cell:
    scores = _scores(runs)
    same_test = len({score.test_set for score in scores.values()}) == 1
    return Cell(
        model=model,
        initialization=label,
        train_examples=size,
        runs=runs,
        test=cell_interval(scores) if same_test else None,
        areas={
            seed: learning_curve_area(*run.curve(), until=horizon)
            for seed, run in runs.items()
        },
        steps={
            seed: steps_to_threshold(*run.curve(), threshold)
            for seed, run in runs.items()
        },
    )


def _scores(runs: Mapping[int, Run]) -> dict[int, RunScore]:
    return {seed: run.score for seed, run in runs.items() if run.score is not None}


def _labels(runs: Sequence[Run], donors: Sequence[Run]) -> dict[str, tuple[str, str]]:
    """Model and initialization of every run, told apart wherever configs differ."""
    if not runs:
        return {}
    fields = runs[0].config.to_dict()
    settings = [
        name
        for name in fields
        if name not in _NOT_SETTINGS
        and _vary(getattr(run.config, name) for run in runs)
    ]
    with_donor = [run for run in runs if run.config.donor and _uses_donor(run)]
    # A donor that was pretrained on a data set is called after it: each model has
    # one of its own, and they are the same answer to the question where from.
    pretrained = {donor.run_id: donor.dataset["name"] for donor in donors}
    sources = {}
    for run in with_donor:
        name = Path(str(run.config.donor)).name
        sources[run.run_id] = pretrained.get(name, name)
    donors_vary = _vary(sources.values())
    freezing_varies = _vary(run.config.freeze for run in runs)
    labels = {}
    for run in runs:
        values = [f"{name}={getattr(run.config, name)}" for name in settings]
        model = run.config.model + (f" ({', '.join(values)})" if values else "")
        label = run.config.initialization
        if donors_vary and run.run_id in sources:
            label += f" from {sources[run.run_id]}"
        if freezing_varies and run.config.freeze:
            label += f", {run.config.freeze} frozen"
        labels[run.run_id] = (model, label)
    return labels


def _uses_donor(run: Run) -> bool:
    return scheme(run.config.initialization) != BASELINE


def _vary(values: Iterable[object]) -> bool:
    return len({repr(value) for value in values}) > 1


def _rank(label: str) -> tuple[int, str]:
    matching = [i for i, start in enumerate(_ORDER) if label.startswith(start)]
    return (matching[0] if matching else len(_ORDER), label)
