"""Who learns faster: curves of several starts, their steps and their areas."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from transfusion_tf.evaluation import (
    Difference,
    chance_level,
    learning_curve_area,
    seed_interval,
    steps_to_threshold,
    threshold_between,
)
from transfusion_tf.models import parse_model_name
from transfusion_tf.report import wording
from transfusion_tf.report.material import Material
from transfusion_tf.report.repetitions import RunKey
from transfusion_tf.report.results import BASELINE, Panel, Results
from transfusion_tf.report.views.parts import dataset_title, measured
from transfusion_tf.report.views.plots import Curve
from transfusion_tf.studies.study_folder import Run


@dataclasses.dataclass(frozen=True)
class Runner:
    """Runs that differ in their seed alone.

    Attributes:
      label: in legends; says the model too where several share the axes.
      model: its name.
      initialization: the spec.
      runs: one a seed.
    """

    label: str
    model: str
    initialization: str
    runs: Mapping[RunKey, Run]


@dataclasses.dataclass(frozen=True)
class Race:
    """Starts that are raced to one threshold of one validation metric.

    Attributes:
      name: what tells it from the others of the chapter.
      dataset: the card's name.
      train_examples: how many training images.
      runners: by label.
      metric: of validation: the main one, or `auc/<class>`.
      threshold: counts as having learnt.
      threshold_from: who set it; empty where the study did.
      horizon: the step up to which areas are taken, see `Panel.horizon`.
    """

    name: str
    dataset: str
    train_examples: int
    runners: Mapping[str, Runner]
    metric: str
    threshold: float
    threshold_from: str
    horizon: float

    @property
    def baseline(self) -> Runner | None:
        """The runs from random weights."""
        return self.runners.get(BASELINE)

    @property
    def longest(self) -> int:
        """Training steps of the longest run."""
        return max(
            run.config.steps
            for each in self.runners.values()
            for run in each.runs.values()
        )

    def curve(self, runner: Runner) -> tuple[np.ndarray, np.ndarray]:
        """Steps [evaluations] and the metric [seeds, evaluations]."""
        found = []
        for _, run in sorted(runner.runs.items()):
            steps, values = run.curve(self.metric)
            known = ~np.isnan(values)
            if known.any():
                found.append((steps[known], values[known]))
        if not found:
            return np.zeros(0), np.zeros((0, 0))
        union = np.unique(np.concatenate([steps for steps, _ in found]))
        return union, np.array([np.interp(union, *curve) for curve in found])

    def steps(self, runner: Runner) -> dict[RunKey, float | None]:
        """Steps to the threshold, one a seed; None is never."""
        return {
            seed: steps_to_threshold(*run.curve(self.metric), self.threshold)
            for seed, run in sorted(runner.runs.items())
        }

    def areas(self, runner: Runner) -> dict[RunKey, float]:
        """Mean metric up to the horizon, one a seed."""
        return {
            seed: learning_curve_area(*run.curve(self.metric), until=self.horizon)
            for seed, run in sorted(runner.runs.items())
        }

    def lead(self, runner: Runner, other: Runner | None) -> Difference | None:
        """How much higher the mean metric up to the horizon is than another's."""
        if other is None or other is runner:
            return None
        return paired(self.areas(runner), self.areas(other))


def races(
    results: Results, *, together: bool = False, threshold: float | None = None
) -> list[Race]:
    """One race a panel, or with `together` one an architecture.

    Args:
      results: of one data set.
      together: whether slimmed models run against the whole one.
      threshold: in place of the panels' own.
    """
    groups: dict[tuple[str, int], list[Panel]] = {}
    for panel in results.panels:
        name = _architecture(panel) if together else panel.model
        groups.setdefault((name, panel.train_examples), []).append(panel)
    several_sizes = len(results.sizes) > 1
    found = []
    for (name, size), panels in groups.items():
        # The panel that random weights set the threshold in; the whole model first.
        lead = min(panels, key=lambda p: (p.baseline is None, p.model != name))
        own = threshold is None
        found.append(
            Race(
                name=f"{name} on {wording.count(size)} images"
                if several_sizes
                else name,
                dataset=lead_dataset(lead),
                train_examples=size,
                runners=_runners(panels, name),
                metric=results.metric,
                threshold=lead.threshold if threshold is None else threshold,
                threshold_from=lead.threshold_from if own else "",
                horizon=lead.horizon,
            )
        )
    return found


def all_races(material: Material, *, together: bool = False) -> list[Race]:
    """The races of all data sets; where there are several, names say which.

    Args:
      material: whose chapter may set a `threshold`.
      together: as `races`.
    """
    threshold = material.chapter.options.get("threshold")
    return [
        dataclasses.replace(
            race, name=dataset_title(material, race.dataset) + race.name
        )
        for results in material.results
        for race in races(results, together=together, threshold=threshold)
    ]


def by_class(race: Race) -> list[Race]:
    """The race once for every class, each to a threshold of its own."""
    first = next(iter(race.runners.values()))
    classes = next(iter(first.runs.values())).dataset["classes"]
    return [
        found
        for name in classes
        if (found := _of_class(race, f"auc/{name}")) is not None
    ]


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


def race_rows(race: Race, suffix: str = "") -> list[dict[str, Any]]:
    """Rows of a long table: steps, how many reached, area, lead over random weights."""
    rows = []
    for runner in race.runners.values():
        keys = runner_keys(race, runner)
        steps = [value for value in race.steps(runner).values() if value is not None]
        reached = measured(seed_interval(steps)) if steps else {"value": np.nan}
        areas = [area for area in race.areas(runner).values() if np.isfinite(area)]
        rows += [
            {**keys, "quantity": "steps" + suffix, **reached},
            {
                **{**keys, "quantity": "reached" + suffix, "value": len(steps)},
                "seeds": len(runner.runs),
            },
        ]
        if areas:
            found = measured(seed_interval(areas))
            rows.append({**keys, "quantity": "area" + suffix, **found})
        lead = race.lead(runner, race.baseline)
        if lead is not None:
            name = "area_difference_to_random" + suffix
            rows.append({**keys, "quantity": name, **measured(lead)})
    return rows


def runner_keys(race: Race, runner: Runner) -> dict[str, Any]:
    """The columns that say which runs a row is of."""
    return {
        "dataset": race.dataset,
        "model": runner.model,
        "initialization": runner.initialization,
        "train_examples": race.train_examples,
    }


def race_curves(race: Race, marks, dashed: Sequence[str] = ()) -> list[Curve]:
    """The curves of a race that has evaluations."""
    curves = []
    for label, runner in race.runners.items():
        steps, values = race.curve(runner)
        if len(steps):
            curves.append(Curve(label, steps, values, marks[label], label in dashed))
    return curves


def lead_dataset(panel: Panel) -> str:
    """The name of the card that a panel's runs are on."""
    cell = next(iter(panel.cells.values()))
    return next(iter(cell.runs.values())).dataset["name"]


def _runners(panels: Sequence[Panel], whole: str) -> dict[str, Runner]:
    found = {}
    # The whole model's starts first, then those of what was cut from it.
    for panel in sorted(panels, key=lambda panel: panel.model != whole):
        for label, cell in panel.cells.items():
            options = panel.model.removeprefix(whole).strip()
            name = label if panel.model == whole else f"{label} {options}"
            found[name] = Runner(name, panel.model, label, cell.runs)
    return found


def _of_class(race: Race, metric: str) -> Race | None:
    runs = [run for each in race.runners.values() for run in each.runs.values()]
    if not any(len(run.curve(metric)[0]) for run in runs):
        return None
    best = {label: _best(each, metric) for label, each in race.runners.items()}
    known = {label: value for label, value in best.items() if np.isfinite(value)}
    if not known:
        return None
    start = BASELINE if BASELINE in known else min(known, key=lambda k: known[k])
    threshold = threshold_between([known[start]], chance_level("mean_auc", 2))
    steps = [
        steps_to_threshold(*run.curve(metric), threshold)
        for run in race.runners[start].runs.values()
    ]
    last = float(race.longest)
    horizon = max(last if step is None else step for step in steps) or last
    return dataclasses.replace(
        race, metric=metric, threshold=threshold, threshold_from=start, horizon=horizon
    )


def _best(runner: Runner, metric: str) -> float:
    values = [run.curve(metric)[1] for run in runner.runs.values()]
    tops = [np.nanmax(each) for each in values if np.isfinite(each).any()]
    return float(np.mean(tops)) if tops else np.nan


def _architecture(panel: Panel) -> str:
    cell = next(iter(panel.cells.values()))
    run = next(iter(cell.runs.values()))
    return parse_model_name(run.config.model).architecture
