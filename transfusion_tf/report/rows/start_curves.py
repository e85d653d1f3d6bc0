"""Starts whose learning curves are compared with one another."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from transfusion_tf.evaluation import Estimate
from transfusion_tf.models import parse_model_name
from transfusion_tf.report import wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE, ModelResults
from transfusion_tf.report.rows.network_order import in_order, stage_order, through
from transfusion_tf.report.rows.transfer_runs import TransferRuns, transfer_runs
from transfusion_tf.report.shown_runs import ShownRuns
from transfusion_tf.studies.contrasts import (
    Doublings,
    MissingMeasurementError,
    RestrictedSteps,
    StepsToThreshold,
    WhileLearning,
)
from transfusion_tf.studies.run_groups import RunKey
from transfusion_tf.studies.study_folder import Run


@dataclasses.dataclass(frozen=True, eq=False)
class StartCurves:
    """Starts that are compared by their steps to one threshold of one metric.

    Attributes:
      name: what tells it from the others of the chapter.
      starts: by label, which says the model too where several share the axes.
      lead: the start that sets threshold and horizon: random weights where there are
        any.
      of_class: the class whose AUC is the metric; empty for the main one.
      set_threshold: counts as having learnt, where the study says so.
      at_evaluations: whether steps are those of evaluations, not between them.
    """

    name: str
    starts: Mapping[str, ShownRuns]
    lead: ShownRuns
    of_class: str = ""
    set_threshold: float | None = None
    at_evaluations: bool = False

    @property
    def threshold(self) -> float:
        """What counts as having learnt."""
        if self.set_threshold is not None:
            return self.set_threshold
        return self.learning(self.lead).race(self.lead.measurements)[0]

    @property
    def runs(self) -> list[Run]:
        """All of them."""
        return [run for start in self.starts.values() for run in start.runs.values()]

    def keys(self, start: ShownRuns) -> dict[str, Any]:
        """The columns that say which runs a row is of, and how it is shown."""
        main = self.lead.first.metric
        return {
            **start.columns,
            "curves": self.name,
            "unit": wording.metric_unit("mean_auc" if self.of_class else main),
            "curve_of": self.curve_of,
            "shown": self.of_class or "mean",
            "threshold": wording.number(self.threshold),
        }

    @property
    def curve_of(self) -> str:
        """The split whose metric is drawn over training."""
        split = self.learning(self.lead).split(self.lead.measurements)
        return split.removesuffix("_curve")

    def learning(self, start: ShownRuns) -> WhileLearning:
        """The metric of a start while random weights learn."""
        return WhileLearning(start.ids, self.lead.ids, self.of_class)

    def to_threshold(self, start: ShownRuns) -> StepsToThreshold:
        """Steps of a start to the threshold; missing where a run never gets there."""
        return StepsToThreshold(
            start.ids,
            self.lead.ids,
            self.of_class,
            self.set_threshold,
            self.at_evaluations,
        )

    def race(self, start: ShownRuns) -> RestrictedSteps:
        """The same, where a run that never gets there counts with the last step."""
        return RestrictedSteps(**vars(self.to_threshold(start)))

    def steps(self, start: ShownRuns) -> dict[RunKey, float | None]:
        """Steps to the threshold, one per run; None is never."""
        return start.by_key(self.to_threshold(start).by_run(start.measurements))

    def times_as_fast(
        self, start: ShownRuns, other: ShownRuns | None
    ) -> Estimate | None:
        """Steps to the threshold of another over those of a start.

        The interval is that of the logarithm.
        """
        if other is None or other is start:
            return None
        found = start.effect(Doublings(self.race(other), self.race(start)))
        if found is None:
            return None
        estimate, low, high = np.exp2([found.estimate, found.low, found.high]).tolist()
        return dataclasses.replace(
            found, estimate=estimate, low=low, high=high, values=(), p_value=np.nan
        )

    def steps_saved(self, start: ShownRuns, other: ShownRuns) -> Estimate | None:
        """How many steps to the threshold a start saves over another."""
        return start.effect(self.race(other) - self.race(start))

    def ahead(self, start: ShownRuns, other: ShownRuns | None) -> Estimate | None:
        """How much higher the mean metric up to the horizon is than another's."""
        if other is None or other is start:
            return None
        return start.effect(self.learning(start) - self.learning(other))


def all_curves(material: Material, *, together: bool = False) -> list[StartCurves]:
    """One for each panel; where there are several data sets, names say which.

    Args:
      material: whose chapter may set a `threshold`.
      together: whether slimmed models are compared with the whole one: one for each
        architecture.
    """
    found = []
    for results in material.results:
        groups: dict[tuple[str, int], list[ModelResults]] = {}
        for panel in results.model_results:
            name = _architecture(panel) if together else panel.model
            groups.setdefault((name, panel.train_examples), []).append(panel)
        for (whole, size), panels in groups.items():
            name = whole
            if len(results.sizes) > 1:
                name += f" on {wording.count(size)} images"
            if len(material.results) > 1:
                name = f"{results.record.runs[0].dataset['name']}: {name}"
            threshold = material.chapter.options.get("threshold")
            # The whole model's starts first, then those of what was cut from it.
            panels.sort(key=lambda panel: panel.model != whole)
            starts = {
                label: ShownRuns(
                    start.runs, start.measurements, {**start.columns, "label": label}
                )
                for panel in panels
                for start in panel.starts.values()
                for label in [_label(panel, start.initialization, whole)]
            }
            first = min(panels, key=lambda panel: panel.baseline is None)
            lead = starts[_label(first, first.threshold_from, whole)]
            at = bool(material.chapter.options.get("at_evaluations"))
            found.append(
                StartCurves(
                    name, starts, lead, set_threshold=threshold, at_evaluations=at
                )
            )
    return found


def _label(panel: ModelResults, start: str, whole: str) -> str:
    """A start, with what sets its model apart from the whole one."""
    if panel.model == whole:
        return start
    return f"{start} {panel.model.removeprefix(whole).strip()}"


def transfer_curves(
    material: Material,
) -> Iterable[tuple[StartCurves, list[TransferRuns]]]:
    """One for each model and data set, with its groups: random weights first, then by
    share transferred.
    """
    groups: dict[tuple[str, str], list[TransferRuns]] = {}
    for group in transfer_runs(material):
        groups.setdefault(group.task, []).append(group)
    several = len({data for data, _ in groups}) > 1
    for (_, model), own in groups.items():
        starts = {group.label: group for group in own}
        # Without random weights the start that ends lowest sets the mark.
        lowest = min(own, key=_best_validation)
        baseline = next((group for group in own if group.fraction is None), lowest)
        name = f"{model} on {own[0].data}" if several else model
        yield StartCurves(name, starts, baseline), own


def _best_validation(group: TransferRuns) -> float:
    return float(np.mean([run.best_validation() for run in group.runs.values()]))


def by_class(curves: StartCurves) -> list[StartCurves]:
    """The same once for every class that has curves, each to a threshold of its own."""
    parts = []
    for name in curves.lead.first.dataset["classes"]:
        found = {label: _best(start, name) for label, start in curves.starts.items()}
        best = {label: value for label, value in found.items() if value is not None}
        if best:
            lead = BASELINE if BASELINE in best else min(best, key=lambda k: best[k])
            starts = {label: curves.starts[label] for label in best}
            parts.append(StartCurves(curves.name, starts, starts[lead], of_class=name))
    return parts


def _best(start: ShownRuns, name: str) -> float | None:
    """The best AUC of a class on validation, mean over runs; None without a curve."""
    curves = WhileLearning(start.ids, start.ids, name)
    try:
        found = curves.curves(start.measurements)
    except MissingMeasurementError:
        return None
    return float(np.mean([np.nanmax(values) for _, values in found.values()]))


def stage_labels(curves: StartCurves) -> list[str]:
    """Random weights, then the donor up to each stage, then all of it."""
    stages = {
        stage: label for label in curves.starts if (stage := through(label)) is not None
    }
    partial = [stages[name] for name in in_order(stages, stage_order(curves.runs))]
    ends = [label for label in curves.starts if label not in partial]
    first = [label for label in ends if label == BASELINE]
    return [*first, *partial, *(label for label in ends if label != BASELINE)]


def _architecture(panel: ModelResults) -> str:
    run = next(iter(panel.starts.values())).first
    return parse_model_name(run.config.model).architecture
