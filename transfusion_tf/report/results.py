"""Runs grouped into groups and panels, with every comparison the report makes.

A *group* is the runs that differ in their seed alone, and in their fold where they are
a cross-validation. A *panel* is the groups of one model at one training size, which
differ in the initialization.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transfusion_tf.evaluation import Estimate
from transfusion_tf.evaluation.units import metric_unit, unit
from transfusion_tf.report import wording
from transfusion_tf.report.class_patients import too_few_for_metric
from transfusion_tf.report.shown_runs import ShownRuns
from transfusion_tf.report.style import start_rank
from transfusion_tf.studies.contrasts import Doublings, RestrictedSteps
from transfusion_tf.studies.learned import NotLearned, why_nothing_learned
from transfusion_tf.studies.measurements.collect import collect as collect_measurements
from transfusion_tf.studies.measurements.table import NOTHING, Measurements
from transfusion_tf.studies.run_groups import (
    RunGroup,
    RunKey,
    grouped,
    training_sizes,
)
from transfusion_tf.studies.study_folder import Run, StudyRecord

BASELINE = "random"

# Fields that are the grid's own axes, or follow from what the others name.
_NOT_SETTINGS = {"model", "initialization", "train_examples", "seed", "data"} | {
    *("donor", "donor_steps", "donor_weights", "freeze", "metric", "dataset", "fold"),
    *("pixel_statistics", "pixel_units"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class StartRuns(ShownRuns):
    """The runs of one model, initialization and training size.

    Attributes:
      baseline: ids of the runs that set the panel's threshold and last step.
    """

    baseline: tuple[str, ...]

    @property
    def race(self) -> RestrictedSteps:
        """Their mean steps to the panel's threshold, up to the last step."""
        return RestrictedSteps(self.ids, self.baseline)

    @functools.cached_property
    def steps(self) -> dict[RunKey, float | None]:
        """Steps to the panel's threshold, one per run; None is never."""
        return self.by_key(self.race.by_run(self.measurements))

    @property
    def scheme(self) -> str:
        """The spec's first word: `random`, `transfer`, `mean_var`, ..."""
        return scheme(self.initialization)

    @functools.cached_property
    def not_learned(self) -> NotLearned | None:
        """Why they count as having learned nothing; None where they have learned."""
        return why_nothing_learned(self.measurements, self.ids)

    @property
    def unsettled(self) -> bool:
        """Whether all that is wrong with them is an interval that reaches chance."""
        return self.not_learned is not None and self.not_learned.kind == "unsettled"

    @functools.cached_property
    def few_patients(self) -> str:
        """Which side of the metric the test set has too few patients of, if any."""
        return too_few_for_metric(list(self.runs.values()))

    @property
    def fault(self) -> str:
        """Why nothing is answered about them; empty where they are fit for it."""
        return self.not_learned.text if self.not_learned else self.few_patients

    @property
    def fault_kind(self) -> str:
        """That of `NotLearned`, or `few_patients`; empty where they are fit for it."""
        if self.not_learned:
            return self.not_learned.kind
        return "few_patients" if self.few_patients else ""

    @property
    def best_validation(self) -> list[float]:
        """The validation metric of the kept weights, one per run."""
        return [self.runs[key].best_validation() for key in sorted(self.runs)]

    def mean_status(self, key: str) -> float | None:
        """Mean over the runs of a number of their status; None where none has it."""
        found = list(self.values(key).values())
        return float(np.mean(found)) if found else None

    def mean_steps(self) -> float | None:
        """Mean steps to the threshold; None unless every run reached it."""
        known = [value for value in self.steps.values() if value is not None]
        return (
            float(np.mean(known)) if known and len(known) == len(self.steps) else None
        )

    def speed_over(self, other: StartRuns) -> Doublings:
        """Doublings of the speed of others of the panel."""
        return Doublings(other.race, self.race)


@dataclasses.dataclass(frozen=True, eq=False)
class ModelResults:
    """The initializations of one model at one training size.

    Attributes:
      columns: what rows about them have, see `ShownRuns`.
      starts: runs by initialization, in the report's order.
      threshold: of the validation metric, for the race.
      threshold_from: the initialization that the threshold was set by.
    """

    columns: Mapping[str, Any]
    starts: Mapping[str, StartRuns]
    threshold: float
    threshold_from: str

    @property
    def model(self) -> str:
        """Its name."""
        return self.columns["model"]

    @property
    def train_examples(self) -> int:
        """How many training images."""
        return self.columns["train_examples"]

    @property
    def baseline(self) -> StartRuns | None:
        """The group from random weights."""
        return self.starts.get(BASELINE)

    @functools.cached_property
    def evaluations(self) -> int:
        """Points of the shortest learning curve."""
        runs = [run for group in self.starts.values() for run in group.runs.values()]
        return min(len(run.metrics) for run in runs)

    @property
    def parameters(self) -> float | None:
        """Trainable and other parameters of the model."""
        return next(iter(self.starts.values())).mean_status("parameters")

    def test_difference(self, left: str, right: str) -> Estimate | None:
        """Left minus right on test; None when there is nothing to compare."""
        return test_difference(self.starts.get(left), self.starts.get(right))

    def speed(self, start: str) -> Estimate | None:
        """Doublings of speed over random weights; None where it was not measured."""
        if start not in self.starts or self.baseline is None:
            return None
        ours = self.starts[start]
        return ours.effect(ours.speed_over(self.baseline))


@dataclasses.dataclass(frozen=True)
class Results:
    """All of a study that has a number.

    Attributes:
      record: what it was read from.
      metric: the main metric.
      model_results: models by size, each from the smallest training size up.
      measurements: of the study that they belong to.
    """

    record: StudyRecord
    metric: str
    model_results: tuple[ModelResults, ...]
    measurements: Measurements = NOTHING

    @functools.cached_property
    def initializations(self) -> tuple[str, ...]:
        """All labels, in the report's order."""
        labels = {label for panel in self.model_results for label in panel.starts}
        return tuple(sorted(labels, key=start_rank))

    @property
    def models(self) -> tuple[str, ...]:
        """All models, from the smallest up."""
        return tuple(dict.fromkeys(panel.model for panel in self.model_results))

    @property
    def sizes(self) -> tuple[int, ...]:
        """All training sizes, rising."""
        return tuple(sorted({panel.train_examples for panel in self.model_results}))

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds that a finished run has."""
        return tuple(sorted({run.config.seed for run in self.record.runs}))

    @property
    def margin(self) -> float:
        """A difference of the metric that would not change a choice."""
        return unit(metric_unit(self.metric)).margin

    @property
    def folded(self) -> bool:
        """Whether any start was cross-validated."""
        return any(
            group.folded for p in self.model_results for group in p.starts.values()
        )

    def panel_name(self, panel: ModelResults) -> str:
        """As short as it can be told apart: the model, or the model and the size."""
        return str(panel.columns["panel"])


def scheme(initialization: str) -> str:
    """The first word of a spec: `mean_var` of `mean_var[bn=transfer]`."""
    match = re.match(r"\w+", initialization)
    return match.group() if match else initialization


def test_difference(left: StartRuns | None, right: StartRuns | None) -> Estimate | None:
    """Left minus right on test, over seeds or folds of both; None if not comparable."""
    return None if left is None else left.test_minus(right)


def collect(
    record: StudyRecord,
    measurements: Measurements | None = None,
) -> Results:
    """Groups the finished runs of one data set.

    What only sets one model apart from another, such as its batch norm's momentum, is
    in no label.

    Args:
      record: of a study, or some runs of it.
      measurements: of the whole study; None collects those of the record.
    """
    if measurements is None:
        measurements = collect_measurements(record)
    runs = record.runs
    labels: dict[str, tuple[str, str]] = {}
    sizes: dict[str, int] = {}
    for name in dict.fromkeys(run.config.model for run in runs):
        alike = [run for run in runs if run.config.model == name]
        labels |= _labels(alike, record.donors)
        sizes |= training_sizes(alike)
    starts: dict[tuple[str, int], dict[str, Mapping[RunKey, Run]]] = {}
    for (model, start, size), repetitions in grouped(
        runs, lambda run: (*labels[run.run_id], sizes[run.run_id])
    ).items():
        starts.setdefault((model, size), {})[start] = repetitions
    metric = runs[0].metric if runs else "referable_auc"
    several = len(set(sizes.values())) > 1
    panels = [
        _panel(
            {
                "dataset": runs[0].dataset["name"],
                "model": model,
                "train_examples": size,
                "images": wording.count(size),
                "panel": f"{model} on {wording.count(size)} images"
                if several
                else model,
                "unit": wording.metric_unit(metric),
            },
            repetitions,
            measurements,
        )
        for (model, size), repetitions in starts.items()
    ]
    panels.sort(
        key=lambda panel: (panel.parameters or 0, panel.model, panel.train_examples)
    )
    return Results(record, metric, tuple(panels), measurements)


def _panel(
    columns: Mapping[str, Any],
    grouped: Mapping[str, Mapping[RunKey, Run]],
    measurements: Measurements,
) -> ModelResults:
    best = {
        label: float(np.nanmean([run.best_validation() for run in runs.values()]))
        for label, runs in grouped.items()
    }
    # Without the baseline, the initialization that ends lowest sets the mark.
    start = BASELINE if BASELINE in grouped else min(best, key=lambda k: best[k])
    baseline = RunGroup(grouped[start], measurements).ids
    groups = {
        label: StartRuns(
            grouped[label],
            measurements,
            {**columns, "initialization": label},
            baseline,
        )
        for label in sorted(grouped, key=start_rank)
    }
    threshold, _ = groups[start].race.race(measurements)
    return ModelResults(columns, groups, threshold, start)


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
    folding_varies = _vary(run.config.fold is None for run in runs)
    labels = {}
    for run in runs:
        values = [f"{name}={getattr(run.config, name)}" for name in settings]
        if folding_varies and run.config.fold is not None:
            values.append("cross-validated")
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
