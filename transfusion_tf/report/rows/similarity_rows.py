"""Rows of how alike representations are: between runs, stages, layers; and in time."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.evaluation.units import unit
from transfusion_tf.report import wording
from transfusion_tf.report.long_table import Rows, measured
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE
from transfusion_tf.studies.contrasts import Average, PairAverage
from transfusion_tf.studies.measurements.run_labels import start_names
from transfusion_tf.studies.measurements.stage_similarity import (
    join_start_and_end,
    regress_end_on_start,
)
from transfusion_tf.studies.run_groups import RunGroup, RunKey, run_key
from transfusion_tf.studies.study_folder import Run

TRANSFER, RANDOM, MIXED = (
    "transfer – transfer",
    "random – random",
    "random – transfer",
)
DONOR = "transfer"
HIGHER = "higher stages"
FEWEST = 3  # pairs that a line is drawn through
_MEASURE, _CCA = "cca", unit("CCA")
_TOP_STAGES = 2


@dataclasses.dataclass(frozen=True, eq=False)
class _Population:
    """Runs of one model on one data set, by their start.

    Attributes:
      keys: dataset and model.
      starts: runs from each start.
      stages: their names, from the input up.
    """

    keys: Mapping[str, Any]
    starts: Mapping[str, RunGroup]
    stages: Sequence[str]

    def among(
        self, pair: str, stages: tuple[int, ...], quantity: str = "cca"
    ) -> PairAverage | None:
        """A similarity of pairs, such as `random – transfer`; None without such runs.

        Pairs of two starts have different seeds: runs of one seed have the order of
        their data in common.
        """
        left, right = pair.split(" – ")
        if not {left, right} <= self.starts.keys():
            return None
        ours, theirs = self.starts[left].ids, self.starts[right].ids
        others = () if left == right else theirs
        return PairAverage(quantity, ours, others, stages=stages)


def _populations(material: Material, *, itself: bool = False) -> list[_Population]:
    """The chapter's runs whose similarity was measured.

    Args:
      material: of the chapter.
      itself: to their own start, and not to one another.
    """
    runs = list(material.runs.values())
    starts = start_names([run.config for run in runs])
    groups: dict[tuple[str, str], dict[str, dict[RunKey, Run]]] = {}
    for run, start in zip(runs, starts, strict=True):
        by_start = groups.setdefault((run.dataset["name"], run.config.model), {})
        by_start.setdefault(start, {})[run_key(run)] = run
    found = []
    for (dataset, model), by_start in groups.items():
        own = {
            start: RunGroup(by_start[start], material.measurements)
            for start in sorted(by_start)
        }
        ids = [run for group in own.values() for run in group.ids]
        rows = material.measurements.of(
            "cca", run=ids, run_b=ids, weights="initial" if itself else "best"
        )
        rows = rows[(rows["run"] == rows["run_b"]) == itself]
        places = rows.drop_duplicates("position").sort_values("position")
        if len(places):
            keys = {"dataset": dataset, "model": model}
            found.append(_Population(keys, own, list(places["stage"])))
    return found


def by_start_rows(material: Material) -> Rows:
    """CCA between models of one start, stage by stage, and what starts differ by."""
    rows: Rows = []
    for population in _populations(material):
        same = [f"{start} – {start}" for start in population.starts]
        for place, stage in enumerate(population.stages):
            keys = {**population.keys, "stage": stage}
            found = _pair_rows(keys, population, (place,), same, TRANSFER, RANDOM)
            rows += found + _floor_rows(keys, found)
    return rows


def of_starts_rows(material: Material) -> Rows:
    """CCA at the top stages of mixed pairs and of pairs of two random starts.

    Options: `top_stages`, how many from the output down are averaged.
    """
    top = int(material.chapter.options.get("top_stages", _TOP_STAGES))
    rows: Rows = []
    for population in _populations(material):
        stages = population.stages[-top:]
        keys = {**population.keys, "stage": " + ".join(stages)}
        places = tuple(range(-len(stages), 0))
        kinds = (RANDOM, MIXED)
        found = _pair_rows(keys, population, places, kinds, RANDOM, MIXED)
        rows += found + _floor_rows(keys, found)
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    where = stages[0] if len(stages) == 1 else "the top stages"
    return [{**row, "at": where} for row in rows]


def _pair_rows(
    keys: Mapping[str, Any],
    population: _Population,
    stages: tuple[int, ...],
    kinds: Sequence[str],
    left: str,
    right: str,
) -> Rows:
    """CCA and noise floor of each kind of pairs; and of one kind minus another."""
    group = next(iter(population.starts.values()))
    contrasts: dict[str, PairAverage] = {}
    rows: Rows = []
    for pair in kinds:
        contrast = population.among(pair, stages)
        found = None if contrast is None else group.effect(contrast, _CCA.limits)
        if contrast is None or found is None:
            continue
        contrasts[pair] = contrast
        values = contrast.by_pair(group.measurements).values()
        spread = float(np.std([*values], ddof=1)) if len(values) > 1 else np.nan
        named = {**keys, "pair": pair}
        rows.append({**named, "quantity": "cca", **measured(found), "std": spread})
        floor = population.among(pair, stages, "cca_noise_floor")
        level = None if floor is None else group.effect(floor)
        value = np.nan if level is None else level.estimate
        rows.append({**named, "quantity": "noise_floor", "value": value})
    if {left, right} <= contrasts.keys():
        found = group.effect(contrasts[left] - contrasts[right])
        named = {**keys, "pair": f"{left} minus {right}", "quantity": "cca_difference"}
        rows.append({**named, **measured(found)})
    return rows


def _floor_rows(keys: Mapping[str, Any], rows: Rows) -> Rows:
    """The mean of their noise floors."""
    floors = [row["value"] for row in rows if row["quantity"] == "noise_floor"]
    if not floors:
        return []
    mean = {"quantity": "floor", "value": float(np.mean(floors))}
    return [{**keys, **mean, "hidden": True}]


def before_and_after_rows(material: Material) -> Rows:
    """CCA of models with their own start, stage by stage."""
    models = [model for results in material.results for model in results.models]
    populations = _populations(material, itself=True)
    populations.sort(key=lambda population: models.index(population.keys["model"]))
    rows: Rows = []
    for population in populations:
        for place, stage in enumerate(population.stages):
            keys = {**population.keys, "stage": stage, "depth": place + 1.0}
            rows += [{**keys, **row} for row in _moved_rows(population, place)]
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
    rows: Rows = []
    floors = []
    for start, group in population.starts.items():
        found = group.average("cca", _CCA.limits, stages=(place,))
        floor = group.average("cca_noise_floor", stages=(place,))
        if found is None or floor is None:
            continue
        rows.append({"initialization": start, "quantity": "cca", **measured(found)})
        level = {"quantity": "noise_floor", "value": floor.estimate}
        rows.append({"initialization": start, **level})
        floors.append(floor.estimate)
    if floors:
        mean = float(np.mean(floors))
        rows.append({"hidden": True, "quantity": "mean_floor", "value": mean})
    if {DONOR, BASELINE} <= population.starts.keys():
        ours, theirs = (
            Average("cca", population.starts[start].ids, stages=(place,))
            for start in (DONOR, BASELINE)
        )
        gap = population.starts[DONOR].effect(ours - theirs)
        if gap is not None:
            name = {"initialization": DONOR, "quantity": "difference_to_random"}
            rows.append({**name, **measured(gap)})
    return rows


def start_and_end_rows(material: Material) -> Rows:
    """CCA of pairs at initialization and after training, and lines through them."""
    points = _points(material)
    if points.empty:
        return []
    lines = regress_end_on_start(points)
    dataset = {"dataset": points["dataset"].iloc[0]}
    rows: Rows = []
    for line in lines.to_dict("records"):
        keys = {name: line[name] for name in ("model", "stage", "pair")}
        rows += [
            {**dataset, **keys, "quantity": name, "value": line[name]}
            | {"count": line["pairs"]}
            for name in ("r_squared", "slope", "intercept", "pairs")
        ]
    by_pair = {
        (line["model"], line["stage"], line["pair"]): line
        for line in lines.to_dict("records")
    }
    for (model, stage), own in points.groupby(["model", "stage"], sort=False):
        fitted = []
        keys = {**dataset, "model": model, "stage": stage}
        found: Rows = []
        for pair, part in own.groupby("pair", sort=False):
            # Of one donor: all start alike, so there is nothing to see.
            varies = bool(np.ptp(part["value_at_start"]) >= 1e-9)
            found += _point_rows({**keys, "pair": pair, "varies": varies}, part)
            if varies:
                line = by_pair[(model, stage, pair)]
                found += _fit_rows({**keys, "pair": pair, "hidden": True}, part, line)
                fitted.append(wording.number(line["r_squared"], 2))
        title = f"{stage}\nR² {' | '.join(fitted)}" if fitted else stage
        rows += [{**row, "title": title} for row in found]
    return rows


def _points(material: Material) -> pd.DataFrame:
    """A row per pair at the lowest stage, and one at the mean of the others."""
    initial = material.analysis("population_initial")
    best = material.analysis("population_best")
    if initial.empty or best.empty:
        return pd.DataFrame()
    joined = join_start_and_end(*(t[t["measure"] == _MEASURE] for t in (initial, best)))
    if joined.empty:
        return joined
    keys = ["run_a", "run_b", "model", "pair", "measure"]
    values = ["value_at_start", "value_at_end"]
    lowest = joined.groupby("model", sort=False)["stage"].transform("first")
    higher = joined[joined["stage"] != lowest]
    means = higher.groupby(keys, sort=False)[values].mean().reset_index()
    means["stage"] = HIGHER
    columns = [*keys, "stage", *values]
    return pd.concat(
        [joined.loc[joined["stage"] == lowest, columns], means[columns]],
        ignore_index=True,
    ).assign(dataset=best["dataset"].iloc[0])


def _point_rows(keys: Mapping[str, Any], points: pd.DataFrame) -> Rows:
    return [
        {
            **keys,
            "run_a": point["run_a"],
            "run_b": point["run_b"],
            "quantity": f"cca_{when}",
            "value": point[f"value_{when}"],
        }
        for point in points.to_dict("records")
        for when in ("at_start", "at_end")
    ]


def _fit_rows(
    keys: Mapping[str, Any], points: pd.DataFrame, line: Mapping[Any, Any]
) -> Rows:
    if not np.isfinite(line["slope"]):
        return []
    starts = points["value_at_start"]
    return [
        {**keys, "quantity": "fit", "place": place}
        | {"value": line["intercept"] + line["slope"] * place}
        for place in (starts.min(), starts.max())
    ]
