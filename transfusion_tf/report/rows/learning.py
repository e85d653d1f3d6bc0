"""Rows of who learns faster: curves of several starts, their steps and their areas."""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from transfusion_tf.evaluation import (
    Difference,
    chance_level,
    convergence_speedup,
    learning_curve_area,
    seed_interval,
    steps_to_threshold,
    threshold_between,
)
from transfusion_tf.models import parse_model_name
from transfusion_tf.report import wording
from transfusion_tf.report.long_table import Rows, measured, with_ends
from transfusion_tf.report.material import Material
from transfusion_tf.report.repetitions import RunKey
from transfusion_tf.report.results import BASELINE, Panel, Results, race
from transfusion_tf.report.rows.cells import Cell, cells, start_name
from transfusion_tf.report.rows.network_order import in_order, stage_order, through
from transfusion_tf.studies.study_folder import Run

LEAD = "area_difference_to_random"


@dataclasses.dataclass(frozen=True)
class Start:
    """Runs that differ in their seed alone.

    Attributes:
      label: in legends; says the model too where several share the axes.
      keys: the columns that say which runs a row is of.
      runs: one per seed.
    """

    label: str
    keys: Mapping[str, Any]
    runs: Mapping[RunKey, Run]


@dataclasses.dataclass(frozen=True)
class LearningCurves:
    """Starts that are compared by their steps to one threshold of one metric.

    Attributes:
      name: what tells it from the others of the chapter.
      starts: by label.
      metric: of validation: the main one, or `auc/<class>`.
      threshold: counts as having learnt.
      threshold_from: who set it; empty where the study did.
      horizon: the step up to which areas are taken, see `Panel.horizon`.
    """

    name: str
    starts: Mapping[str, Start]
    metric: str
    threshold: float
    threshold_from: str
    horizon: float

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
        return {
            **start.keys,
            "curves": self.name,
            "label": start.label,
            "unit": wording.metric_unit(self.metric),
            "shown": self.metric.removeprefix("auc/")
            if self.metric.startswith("auc/")
            else "mean",
            "threshold": wording.number(self.threshold),
        }

    def steps(self, start: Start) -> dict[RunKey, float | None]:
        """Steps to the threshold, one per seed; None is never."""
        return {
            seed: steps_to_threshold(*run.curve(self.metric), self.threshold)
            for seed, run in sorted(start.runs.items())
        }

    def areas(self, start: Start) -> dict[RunKey, float]:
        """Mean metric up to the horizon, one per seed."""
        return {
            seed: learning_curve_area(*run.curve(self.metric), until=self.horizon)
            for seed, run in sorted(start.runs.items())
        }

    def lead(self, start: Start, other: Start | None) -> Difference | None:
        """How much higher the mean metric up to the horizon is than another's."""
        if other is None or other is start:
            return None
        return paired(self.areas(start), self.areas(other))


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
                rows += learning_rows(part, f"/{part.metric}") + drawn_rows(part)
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
    for curves, own in _curves_of_cells(cells(material)):
        statistics = next((cell for cell in own if cell.fraction == 0), None)
        of_statistics = statistics and curves.starts[start_name(statistics)]
        for start, cell in zip(curves.starts.values(), own, strict=True):
            rows += _steps_and_areas(curves, start)
            if of_statistics and cell.fraction is not None:
                steps = [list(curves.steps(s).values()) for s in (start, of_statistics)]
                speed = {
                    **with_ends(convergence_speedup(*steps)),
                    "seeds": len(steps[0]),
                }
                rows.append({**curves.keys(start), "quantity": "speed_up", **speed})
        rows += drawn_rows(curves)
    return rows


def learning_rows(curves: LearningCurves, suffix: str = "") -> Rows:
    """Steps, how many reached, area, and lead over random weights, of every start."""
    rows = []
    for start in curves.starts.values():
        rows += _steps_and_areas(curves, start, suffix)
        lead = curves.lead(start, curves.baseline)
        if lead is not None:
            keys = curves.keys(start)
            rows.append({**keys, "quantity": LEAD + suffix, **measured(lead)})
    return rows


def _steps_and_areas(curves: LearningCurves, start: Start, suffix: str = "") -> Rows:
    keys = curves.keys(start)
    steps = [value for value in curves.steps(start).values() if value is not None]
    reached = measured(seed_interval(steps)) if steps else {"value": np.nan}
    areas = [area for area in curves.areas(start).values() if np.isfinite(area)]
    count = {"value": len(steps), "seeds": len(start.runs)}
    rows = [
        {**keys, "quantity": "steps" + suffix, **reached},
        {**keys, "quantity": "reached" + suffix, **count},
    ]
    if areas:
        found = measured(seed_interval(areas))
        rows.append({**keys, "quantity": "area" + suffix, **found})
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
        for quantity, values in (
            ("steps_of_run", curves.steps(start)),
            ("area_of_run", curves.areas(start)),
        ):
            rows += [
                {**keys, "quantity": quantity, "value": v} for v in values.values()
            ]
    keys = {"hidden": True, "curves": curves.name, "from": curves.threshold_from}
    return [
        *rows,
        {**keys, "quantity": "threshold", "value": curves.threshold},
        {**keys, "quantity": "longest", "value": curves.longest},
    ]


def _curve(curves: LearningCurves, start: Start) -> Rows:
    """Mean over seeds and its range, at all steps at which one was evaluated."""
    found = []
    for _, run in sorted(start.runs.items()):
        steps, values = run.curve(curves.metric)
        known = ~np.isnan(values)
        if known.any():
            found.append((steps[known], values[known]))
    if not found:
        return []
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
    groups: dict[tuple[str, int], list[Panel]] = {}
    for panel in results.panels:
        name = _architecture(panel) if together else panel.model
        groups.setdefault((name, panel.train_examples), []).append(panel)
    found = []
    for (name, size), panels in groups.items():
        # The panel that random weights set the threshold in; the whole model first.
        lead = min(panels, key=lambda p: (p.baseline is None, p.model != name))
        on_images = (
            f" on {wording.count(size)} images" if len(results.sizes) > 1 else ""
        )
        found.append(
            LearningCurves(
                name=name + on_images,
                starts=_starts(results, panels, name),
                metric=results.metric,
                threshold=lead.threshold if threshold is None else threshold,
                threshold_from=lead.threshold_from if threshold is None else "",
                horizon=lead.horizon,
            )
        )
    return found


def _starts(results: Results, panels: Sequence[Panel], whole: str) -> dict[str, Start]:
    found = {}
    # The whole model's starts first, then those of what was cut from it.
    for panel in sorted(panels, key=lambda panel: panel.model != whole):
        for label, cell in panel.cells.items():
            options = panel.model.removeprefix(whole).strip()
            name = label if panel.model == whole else f"{label} {options}"
            keys = {
                "dataset": results.record.runs[0].dataset["name"],
                "model": panel.model,
                "initialization": label,
                "train_examples": panel.train_examples,
            }
            found[name] = Start(name, keys, cell.runs)
    return found


def _curves_of_cells(
    found: list[Cell],
) -> Iterable[tuple[LearningCurves, list[Cell]]]:
    """One for each model and data set, with its cells: random weights first, then by
    share transferred.
    """
    groups: dict[tuple[str, int, str], list[Cell]] = {}
    for cell in found:
        groups.setdefault(cell.task, []).append(cell)
    several = len({task[:2] for task in groups}) > 1
    for (_, _, model), own in groups.items():
        # Without random weights the start that ends lowest sets the mark.
        lowest = min(own, key=_best_validation)
        baseline = next((cell for cell in own if cell.fraction is None), lowest)
        last = max(r.config.steps for cell in own for r in cell.runs.values())
        threshold, horizon = race(baseline.runs.values(), last)
        yield (
            LearningCurves(
                name=f"{model} on {own[0].data}" if several else model,
                starts={
                    start_name(cell): Start(start_name(cell), cell.keys, cell.runs)
                    for cell in own
                },
                metric=own[0].any_run.metric,
                threshold=threshold,
                threshold_from=start_name(baseline),
                horizon=horizon,
            ),
            own,
        )


def _best_validation(cell: Cell) -> float:
    return float(np.mean([run.best_validation() for run in cell.runs.values()]))


def by_class(curves: LearningCurves) -> list[LearningCurves]:
    """The same once for every class, each to a threshold of its own."""
    classes = curves.runs[0].dataset["classes"]
    parts = [_of_class(curves, f"auc/{name}") for name in classes]
    return [part for part in parts if part is not None]


def _of_class(curves: LearningCurves, metric: str) -> LearningCurves | None:
    best = {label: _best(start, metric) for label, start in curves.starts.items()}
    known = {label: value for label, value in best.items() if np.isfinite(value)}
    if not known:
        return None
    start = BASELINE if BASELINE in known else min(known, key=lambda k: known[k])
    threshold = threshold_between([known[start]], chance_level("mean_auc", 2))
    part = dataclasses.replace(
        curves, metric=metric, threshold=threshold, threshold_from=start
    )
    last = float(curves.longest)
    steps = part.steps(curves.starts[start]).values()
    horizon = max(last if step is None else step for step in steps) or last
    return dataclasses.replace(part, horizon=horizon)


def _best(start: Start, metric: str) -> float:
    values = [run.curve(metric)[1] for run in start.runs.values()]
    tops = [np.nanmax(each) for each in values if np.isfinite(each).any()]
    return float(np.mean(tops)) if tops else np.nan


def paired(
    ours: Mapping[RunKey, float | None], theirs: Mapping[RunKey, float | None]
) -> Difference | None:
    """Ours minus theirs over the seeds that have both; None where none has."""
    pairs = [
        mine - other
        for seed in sorted(set(ours) & set(theirs))
        if (mine := ours[seed]) is not None
        and (other := theirs[seed]) is not None
        and np.isfinite([mine, other]).all()
    ]
    return seed_interval(pairs) if pairs else None


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
            ("area_gain_over_previous", curves.lead(start, previous)),
            (
                "steps_saved_over_previous",
                paired(curves.steps(previous), curves.steps(start)),
            ),
        ):
            if found is not None:
                rows.append({**keys, "quantity": quantity, **measured(found)})
    return rows


def _architecture(panel: Panel) -> str:
    cell = next(iter(panel.cells.values()))
    run = next(iter(cell.runs.values()))
    return parse_model_name(run.config.model).architecture
