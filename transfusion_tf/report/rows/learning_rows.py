"""Rows of who learns faster: curves of several starts, their steps and their areas."""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from transfusion_tf.evaluation import Estimate
from transfusion_tf.models import parse_model_name
from transfusion_tf.report import wording
from transfusion_tf.report.long_table import Rows, measured
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE, ModelResults, Results
from transfusion_tf.report.rows.network_order import in_order, stage_order, through
from transfusion_tf.report.rows.transfer_runs import (
    TransferRuns,
    start_name,
    transfer_runs,
)
from transfusion_tf.studies.contrasts import (
    MissingMeasurementError,
    Ratio,
    StepsToThreshold,
    WhileLearning,
)
from transfusion_tf.studies.run_groups import RunGroup, RunKey
from transfusion_tf.studies.study_folder import Run

LEAD = "area_difference_to_random"


@dataclasses.dataclass(frozen=True, eq=False)
class Start(RunGroup):
    """Runs that differ in their seed alone.

    Attributes:
      label: in legends; says the model too where several share the axes.
      keys: the columns that say which runs a row is of.
    """

    label: str
    keys: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class LearningCurves:
    """Starts that are compared by their steps to one threshold of one metric.

    Attributes:
      name: what tells it from the others of the chapter.
      starts: by label.
      lead: the start that sets threshold and horizon: random weights where there are
        any.
      of_class: the class whose AUC is the metric; empty for the main one.
      set_threshold: counts as having learnt, where the study says so.
    """

    name: str
    starts: Mapping[str, Start]
    lead: Start
    of_class: str = ""
    set_threshold: float | None = None

    @property
    def threshold(self) -> float:
        """What counts as having learnt."""
        if self.set_threshold is not None:
            return self.set_threshold
        return self.learning(self.lead).race(self.lead.measurements)[0]

    @property
    def baseline(self) -> Start | None:
        """The runs from random weights."""
        return self.starts.get(BASELINE)

    @property
    def runs(self) -> list[Run]:
        """All of them."""
        return [run for start in self.starts.values() for run in start.runs.values()]

    @property
    def longest(self) -> int:
        """Training steps of the longest run."""
        return max(run.config.steps for run in self.runs)

    def keys(self, start: Start) -> dict[str, Any]:
        """The columns that say which runs a row is of, and how it is shown."""
        main = self.lead.first.metric
        return {
            **start.keys,
            "curves": self.name,
            "label": start.label,
            "unit": wording.metric_unit("mean_auc" if self.of_class else main),
            "shown": self.of_class or "mean",
            "threshold": wording.number(self.threshold),
        }

    def learning(self, start: Start) -> WhileLearning:
        """The metric of a start while random weights learn."""
        return WhileLearning(start.ids, self.lead.ids, self.of_class)

    def to_threshold(self, start: Start) -> StepsToThreshold:
        """Steps of a start to the threshold."""
        return StepsToThreshold(
            start.ids, self.lead.ids, self.of_class, self.set_threshold
        )

    def steps(self, start: Start) -> dict[RunKey, float | None]:
        """Steps to the threshold, one per run; None is never."""
        return start.by_key(self.to_threshold(start).by_run(start.measurements))

    def ahead(self, start: Start, other: Start | None) -> Estimate | None:
        """How much higher the mean metric up to the horizon is than another's."""
        if other is None or other is start:
            return None
        return start.effect(self.learning(start) - self.learning(other))


def convergence_rows(material: Material) -> Rows:
    """Steps and areas of every start, with `by_class` of each class as well.

    Options: `together` (models of one architecture are compared with one another),
    `threshold` (in place of each panel's own).
    """
    options = material.chapter.options
    rows = []
    for curves in all_curves(material, together=bool(options.get("together"))):
        rows += learning_rows(curves) + drawn_rows(curves)
        if options.get("by_class"):
            for part in by_class(curves):
                rows += learning_rows(part, f"/auc/{part.of_class}") + drawn_rows(part)
    return rows


def stage_rows(material: Material) -> Rows:
    """Steps and areas of every start, and what each stage of the donor adds."""
    rows = []
    for curves in all_curves(material):
        labels = stage_labels(curves)
        rows += learning_rows(curves) + _gain_rows(curves, labels)
        rows += [
            {**row, "tick": stage_name(row["label"])} if "label" in row else row
            for row in drawn_rows(curves, labels)
        ]
    return rows


def speed_up_rows(material: Material) -> Rows:
    """Steps, areas, and how much sooner than from statistics a start learns."""
    rows = []
    for curves, own in _curves_of_groups(transfer_runs(material)):
        statistics = next((group for group in own if group.fraction == 0), None)
        of_statistics = statistics and curves.starts[start_name(statistics)]
        for start, group in zip(curves.starts.values(), own, strict=True):
            rows += _steps_and_areas(curves, start)
            if of_statistics and group.fraction is not None:
                theirs, ours = map(curves.to_threshold, (of_statistics, start))
                speed = start.effect(Ratio(theirs, ours))
                keys = {**curves.keys(start), "quantity": "speed_up"}
                rows.append({**keys, **measured(speed)})
        rows += drawn_rows(curves)
    return rows


def learning_rows(curves: LearningCurves, suffix: str = "") -> Rows:
    """Steps, how many reached, area, and lead over random weights, of every start."""
    rows = []
    for start in curves.starts.values():
        rows += _steps_and_areas(curves, start, suffix)
        lead = curves.ahead(start, curves.baseline)
        if lead is not None:
            keys = curves.keys(start)
            rows.append({**keys, "quantity": LEAD + suffix, **measured(lead)})
    return rows


def _steps_and_areas(curves: LearningCurves, start: Start, suffix: str = "") -> Rows:
    keys = curves.keys(start)
    steps = {k: v for k, v in curves.steps(start).items() if v is not None}
    count = {"value": len(steps), "seeds": len(start.runs)}
    rows = [
        {**keys, "quantity": "steps" + suffix, **measured(start.mean_of(steps))},
        {**keys, "quantity": "reached" + suffix, **count},
    ]
    area = start.effect(curves.learning(start))
    if area is not None:
        rows.append({**keys, "quantity": "area" + suffix, **measured(area)})
    return rows


def drawn_rows(curves: LearningCurves, labels: Iterable[str] = ()) -> Rows:
    """What is drawn and not published: curves, thresholds, single runs.

    Args:
      curves: to be drawn.
      labels: of its starts, in another order than its own.
    """
    rows: Rows = []
    for label in labels or curves.starts:
        start = curves.starts[label]
        keys = {**curves.keys(start), "hidden": True}
        rows += [
            {**keys, "quantity": "curve", **point} for point in _curve(curves, start)
        ]
        areas = curves.learning(start).by_run(start.measurements)
        for quantity, values in (
            ("steps_of_run", list(curves.steps(start).values())),
            ("area_of_run", list(start.by_key(areas).values())),
        ):
            rows += [{**keys, "quantity": quantity, "value": v} for v in values]
    source = "" if curves.set_threshold is not None else curves.lead.label
    keys = {"hidden": True, "curves": curves.name, "from": source}
    return [
        *rows,
        {**keys, "quantity": "threshold", "value": curves.threshold},
        {**keys, "quantity": "longest", "value": curves.longest},
    ]


def _curve(curves: LearningCurves, start: Start) -> Rows:
    """Mean over seeds and its range, at all steps at which one was evaluated."""
    by_run = curves.learning(start).curves(start.measurements)
    found = list(start.by_key(by_run).values())
    union = np.unique(np.concatenate([steps for steps, _ in found]))
    values = np.array([np.interp(union, *curve) for curve in found])
    columns = {"place": union, "value": values.mean(axis=0)}
    if len(values) > 1:
        columns |= {"low": values.min(axis=0), "high": values.max(axis=0)}
    return [
        dict(zip(columns, map(float, point), strict=True))
        for point in zip(*columns.values(), strict=True)
    ]


def all_curves(material: Material, *, together: bool = False) -> list[LearningCurves]:
    """One for each panel; where there are several data sets, names say which.

    Args:
      material: whose chapter may set a `threshold`.
      together: whether slimmed models are compared with the whole one: one for each
        architecture.
    """
    several = len(material.results) > 1
    found = []
    for results in material.results:
        dataset = f"{results.record.runs[0].dataset['name']}: " if several else ""
        for curves in _curves_of(
            results, together, material.chapter.options.get("threshold")
        ):
            found.append(dataclasses.replace(curves, name=dataset + curves.name))
    return found


def _curves_of(
    results: Results, together: bool, threshold: float | None
) -> list[LearningCurves]:
    groups: dict[tuple[str, int], list[ModelResults]] = {}
    for panel in results.model_results:
        name = _architecture(panel) if together else panel.model
        groups.setdefault((name, panel.train_examples), []).append(panel)
    found = []
    for (name, size), panels in groups.items():
        on_images = (
            f" on {wording.count(size)} images" if len(results.sizes) > 1 else ""
        )
        # The panel that random weights set the threshold in; the whole model first.
        first = min(panels, key=lambda p: (p.baseline is None, p.model != name))
        starts = _starts(results, panels, name)
        lead = next(
            start
            for start in starts.values()
            if start.ids == first.starts[first.threshold_from].ids
        )
        found.append(
            LearningCurves(name + on_images, starts, lead, set_threshold=threshold)
        )
    return found


def _starts(
    results: Results, panels: Sequence[ModelResults], whole: str
) -> dict[str, Start]:
    found = {}
    # The whole model's starts first, then those of what was cut from it.
    for panel in sorted(panels, key=lambda panel: panel.model != whole):
        for label, group in panel.starts.items():
            options = panel.model.removeprefix(whole).strip()
            name = label if panel.model == whole else f"{label} {options}"
            keys = {
                "dataset": results.record.runs[0].dataset["name"],
                "model": panel.model,
                "initialization": label,
                "train_examples": panel.train_examples,
            }
            found[name] = Start(group.runs, group.measurements, name, keys)
    return found


def _curves_of_groups(
    found: list[TransferRuns],
) -> Iterable[tuple[LearningCurves, list[TransferRuns]]]:
    """One for each model and data set, with its groups: random weights first, then by
    share transferred.
    """
    groups: dict[tuple[str, int, str], list[TransferRuns]] = {}
    for group in found:
        groups.setdefault(group.task, []).append(group)
    several = len({task[:2] for task in groups}) > 1
    for (_, _, model), own in groups.items():
        starts = {
            start_name(group): Start(
                group.runs, group.measurements, start_name(group), group.keys
            )
            for group in own
        }
        # Without random weights the start that ends lowest sets the mark.
        lowest = min(own, key=_best_validation)
        baseline = next((group for group in own if group.fraction is None), lowest)
        name = f"{model} on {own[0].data}" if several else model
        yield LearningCurves(name, starts, starts[start_name(baseline)]), own


def _best_validation(group: TransferRuns) -> float:
    return float(np.mean([run.best_validation() for run in group.runs.values()]))


def by_class(curves: LearningCurves) -> list[LearningCurves]:
    """The same once for every class that has curves, each to a threshold of its own."""
    parts = []
    for name in curves.lead.first.dataset["classes"]:
        found = {label: _best(start, name) for label, start in curves.starts.items()}
        best = {label: value for label, value in found.items() if value is not None}
        if best:
            lead = BASELINE if BASELINE in best else min(best, key=lambda k: best[k])
            starts = {label: curves.starts[label] for label in best}
            parts.append(
                LearningCurves(curves.name, starts, starts[lead], of_class=name)
            )
    return parts


def _best(start: Start, name: str) -> float | None:
    """The best AUC of a class on validation, mean over runs; None without a curve."""
    curves = WhileLearning(start.ids, start.ids, name)
    try:
        found = curves.curves(start.measurements)
    except MissingMeasurementError:
        return None
    return float(np.mean([np.nanmax(values) for _, values in found.values()]))


def stage_labels(curves: LearningCurves) -> list[str]:
    """Random weights, then the donor up to each stage, then all of it."""
    stages = {
        stage: label for label in curves.starts if (stage := through(label)) is not None
    }
    partial = [stages[name] for name in in_order(stages, stage_order(curves.runs))]
    ends = [label for label in curves.starts if label not in partial]
    first = [label for label in ends if label == BASELINE]
    return [*first, *partial, *(label for label in ends if label != BASELINE)]


def stage_name(label: str) -> str:
    """`none`, `block2` or `all`: up to where the donor's weights are taken."""
    if label == BASELINE:
        return "none"
    return through(label) or ("all" if label == "transfer" else label)


def _gain_rows(curves: LearningCurves, labels: list[str]) -> Rows:
    """What each stage adds to the mean metric while learning, and saves in steps."""
    rows = []
    for before, label in itertools.pairwise(labels):
        previous, start = curves.starts[before], curves.starts[label]
        keys = {**curves.keys(start), "stage": stage_name(label)}
        for quantity, found in (
            ("area_gain_over_previous", curves.ahead(start, previous)),
            ("steps_saved_over_previous", _saved(curves, previous, start)),
        ):
            if found is not None:
                rows.append({**keys, "quantity": quantity, **measured(found)})
    return rows


def _saved(curves: LearningCurves, previous: Start, start: Start) -> Estimate | None:
    """Steps that a start saves, over the seeds that get there from both."""
    before, after = curves.steps(previous), curves.steps(start)
    return start.mean_of(
        {
            key: theirs - ours
            for key, ours in after.items()
            if ours is not None and (theirs := before.get(key)) is not None
        }
    )


def _architecture(panel: ModelResults) -> str:
    group = next(iter(panel.starts.values()))
    run = next(iter(group.runs.values()))
    return parse_model_name(run.config.model).architecture
