"""Rows of how alike representations are: of runs with one another, and in time."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from transfusion_tf.evaluation.units import unit
from transfusion_tf.report.long_table import Rows, effect_rows
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE
from transfusion_tf.studies.contrasts import Average, PairAverage, effect_or_none
from transfusion_tf.studies.measurements.run_labels import start_names
from transfusion_tf.studies.measurements.table import Measurements
from transfusion_tf.studies.run_groups import RunGroup, grouped
from transfusion_tf.studies.study_folder import Run

TRANSFER, RANDOM, MIXED = (
    "transfer – transfer",
    "random – random",
    "random – transfer",
)
DONOR = "transfer"
_TOP_STAGES = 2


def cca_rows(
    contrast: Average | PairAverage,
    measurements: Measurements,
    places: tuple[int, ...],
    **columns: Any,
) -> Rows:
    """CCA at some stages together, and its noise floor; none where not measured.

    Args:
      contrast: of `cca`, whatever its stages.
      measurements: of the study.
      places: of the stages, 0 at the input.
      **columns: of the rows.
    """
    at = dataclasses.replace(contrast, stages=places)
    found = effect_or_none(at, measurements, unit("CCA").limits)
    floor = effect_or_none(
        dataclasses.replace(at, quantity="cca_noise_floor"), measurements
    )
    if found is None or floor is None:
        return []
    level = {"quantity": "noise_floor", "value": floor.estimate}
    return [*effect_rows("cca", found, **columns), {**columns, **level}]


def mean_floor(rows: Rows, quantity: str, **columns: Any) -> Rows:
    """A hidden row with the mean of the noise floors among the rows."""
    floors = [row["value"] for row in rows if row["quantity"] == "noise_floor"]
    if not floors:
        return []
    mean = {"hidden": True, "quantity": quantity, "value": float(np.mean(floors))}
    return [{**columns, **mean}]


@dataclasses.dataclass(frozen=True, eq=False)
class _Population:
    """Runs of one model on one data set, by their start.

    Attributes:
      keys: dataset and model.
      starts: runs from each start.
      stages: their names, from the input up.
      measurements: of the study.
    """

    keys: Mapping[str, Any]
    starts: Mapping[str, RunGroup]
    stages: Sequence[str]
    measurements: Measurements

    def pair_rows(
        self,
        stage: str,
        places: tuple[int, ...],
        kinds: Sequence[str],
        left: str,
        right: str,
    ) -> Rows:
        """CCA and noise floor of each kind of pairs, such as `random – transfer`; one
        kind minus another; and their mean floor.

        Pairs of two starts have different seeds: runs of one seed have the order of
        their data in common.
        """
        keys = {**self.keys, "stage": stage}
        contrasts: dict[str, PairAverage] = {}
        rows: Rows = []
        for pair in kinds:
            first, second = pair.split(" – ")
            if not {first, second} <= self.starts.keys():
                continue
            others = () if first == second else self.starts[second].ids
            contrast = PairAverage("cca", self.starts[first].ids, others, stages=places)
            own = cca_rows(contrast, self.measurements, places, **keys, pair=pair)
            if own:
                values = [*contrast.by_pair(self.measurements).values()]
                spread = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
                own[0]["std"] = spread
                contrasts[pair] = contrast
                rows += own
        difference: Rows = []
        if {left, right} <= contrasts.keys():
            found = effect_or_none(
                contrasts[left] - contrasts[right], self.measurements
            )
            keys_of_both = {**keys, "pair": f"{left} minus {right}"}
            difference = effect_rows("cca_difference", found, **keys_of_both)
        return [*rows, *difference, *mean_floor(rows, "floor", **keys)]


def _populations(material: Material, *, itself: bool = False) -> list[_Population]:
    """The chapter's runs whose similarity was measured.

    Args:
      material: of the chapter.
      itself: to their own start, and not to one another.
    """
    starts = {run.run_id: start for run, start in started(material)}
    measurements = material.measurements
    groups: dict[tuple[str, str], dict[str, RunGroup]] = {}
    for (dataset, model, start), runs in grouped(
        material.runs.values(),
        lambda run: (run.dataset["name"], run.config.model, starts[run.run_id]),
    ).items():
        group = RunGroup(runs, measurements)
        groups.setdefault((dataset, model), {})[start] = group
    found = []
    for (dataset, model), by_start in groups.items():
        own = dict(sorted(by_start.items()))
        ids = [run for group in own.values() for run in group.ids]
        weights = "initial" if itself else "trained"
        rows = measurements.of("cca", run=ids, run_b=ids, weights=weights)
        rows = rows[(rows["run"] == rows["run_b"]) == itself]
        places = rows.drop_duplicates("position").sort_values("position")
        if len(places):
            keys = {"dataset": dataset, "model": model}
            found.append(_Population(keys, own, list(places["stage"]), measurements))
    return found


def started(material: Material) -> list[tuple[Run, str]]:
    """Every run, and what it started from."""
    runs = list(material.runs.values())
    return list(zip(runs, start_names([run.config for run in runs]), strict=True))


def by_start_rows(material: Material) -> Rows:
    """CCA between models of one start, stage by stage, and what starts differ by."""
    rows: Rows = []
    for population in _populations(material):
        same = [f"{start} – {start}" for start in population.starts]
        for place, stage in enumerate(population.stages):
            rows += population.pair_rows(stage, (place,), same, TRANSFER, RANDOM)
    return rows


def of_starts_rows(material: Material) -> Rows:
    """CCA at the top stages of mixed pairs and of pairs of two random starts.

    Options: `top_stages`, how many from the output down are averaged.
    """
    top = int(material.chapter.options.get("top_stages", _TOP_STAGES))
    rows: Rows = []
    for population in _populations(material):
        stages = population.stages[-top:]
        places = tuple(range(-len(stages), 0))
        kinds = (RANDOM, MIXED)
        rows += population.pair_rows(" + ".join(stages), places, kinds, *kinds)
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    where = stages[0] if len(stages) == 1 else "the top stages"
    return [{**row, "at": where} for row in rows]


def before_and_after_rows(material: Material) -> Rows:
    """CCA of models with their own start, stage by stage."""
    models = [model for results in material.results for model in results.models]
    populations = _populations(material, itself=True)
    populations.sort(key=lambda population: models.index(population.keys["model"]))
    rows = [
        {**population.keys, "stage": stage, "depth": place + 1.0, **row}
        for population in populations
        for place, stage in enumerate(population.stages)
        for row in _moved_rows(population, place)
    ]
    floors = [row["value"] for row in rows if row["quantity"] == "noise_floor"]
    if not floors:
        return rows
    floor = {"hidden": True, "quantity": "floor", "value": max(floors)}
    deepest = max(len(population.stages) for population in populations)
    return rows + [
        {**floor, "initialization": start, "depth": float(depth)}
        for start in (BASELINE, DONOR)
        for depth in range(1, deepest + 1)
    ]


def _moved_rows(population: _Population, place: int) -> Rows:
    contrasts = {
        start: Average("cca", group.ids, stages=(place,))
        for start, group in population.starts.items()
    }
    rows: Rows = []
    for start, contrast in contrasts.items():
        columns = {"initialization": start}
        rows += cca_rows(contrast, population.measurements, (place,), **columns)
    rows += mean_floor(rows, "mean_floor")
    if {DONOR, BASELINE} <= contrasts.keys():
        found = effect_or_none(
            contrasts[DONOR] - contrasts[BASELINE], population.measurements
        )
        rows += effect_rows("difference_to_random", found, initialization=DONOR)
    return rows
