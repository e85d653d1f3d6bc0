"""Rows of how alike representations are: between runs, stages, layers; and in time."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.evaluation.regression import RegressionLine, regression_line
from transfusion_tf.evaluation.units import unit
from transfusion_tf.report import wording
from transfusion_tf.report.long_table import Rows, measured
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE
from transfusion_tf.studies.contrasts import Average, PairAverage
from transfusion_tf.studies.measurements.run_labels import start_names
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
_CCA = unit("CCA")
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
    """CCA of pairs at initialization and after training, and lines through them.

    At the lowest stage, and at the mean of the others. Pairs that share a run are not
    independent: R² describes, and tests nothing.
    """
    points = _points(material)
    rows: Rows = []
    fitted: dict[tuple[Any, ...], Rows] = {}
    for (model, pair, stage), own in points.groupby(
        ["model", "pair", "stage"], sort=False
    ):
        keys = {"model": model, "stage": stage, "pair": pair}
        keys["dataset"] = own["dataset"].iloc[0]
        line = regression_line(own["at_start"], own["at_end"])
        for quantity in ("r_squared", "slope", "intercept"):
            value = np.nan if line is None else getattr(line, quantity)
            row = {"quantity": quantity, "value": value, "count": len(own)}
            rows.append({**keys, **row, "fitted": _in_words(line, len(own))})
        count = {"quantity": "pairs", "value": len(own), "count": len(own)}
        rows.append({**keys, **count})
        fitted.setdefault((model, stage), []).extend(_point_rows(keys, own, line))
    return rows + [row for own in fitted.values() for row in _titled(own)]


def _points(material: Material) -> pd.DataFrame:
    """A row per pair at the lowest stage, and one at the mean of the others."""
    found = material.of("cca")
    found = found[found["run"] != found["run_b"]]
    found = found.assign(stage=found["stage"].where(found["position"] == 0, HIGHER))
    keys = ["dataset", "model", "run", "run_b", "stage"]
    sides = {}
    for weights, column in (("initial", "at_start"), ("best", "at_end")):
        own = found[(found[["weights", "weights_b"]] == weights).all(axis=1)]
        stages = own.groupby([*keys, "position"], sort=False)["value"].mean()
        sides[column] = stages.groupby(keys, sort=False).mean()
    points = (
        sides["at_start"]
        .to_frame("at_start")
        .join(sides["at_end"].rename("at_end"), how="inner")
    )
    points = points.dropna().reset_index()
    runs = material.runs
    names = dict(zip(runs, start_names([r.config for r in runs.values()]), strict=True))
    points["pair"] = [
        " – ".join(sorted(names[run] for run in pair))
        for pair in zip(points["run"], points["run_b"], strict=True)
    ]
    lowest = points["stage"] != HIGHER
    return pd.concat([points[lowest], points[~lowest]], ignore_index=True)


def _point_rows(
    keys: Mapping[str, Any], points: pd.DataFrame, line: RegressionLine | None
) -> Rows:
    """The pairs, and the ends of the line through them."""
    starts = points["at_start"]
    # Of one donor: all start alike, so there is nothing to see.
    keys = {**keys, "varies": bool(np.ptp(starts) >= 1e-9)}
    rows: Rows = [
        {**keys, "run_a": point["run"], "run_b": point["run_b"]}
        | {"quantity": f"cca_{when}", "value": point[when]}
        for point in points.to_dict("records")
        for when in ("at_start", "at_end")
    ]
    ends = [] if line is None else [starts.min(), starts.max()]
    fit = {**keys, "hidden": True, "quantity": "fit"}
    return rows + [
        {**fit, "place": place, "value": float(line.at(place)), "of": line.r_squared}
        for place in ends
        if line is not None
    ]


def _in_words(line: RegressionLine | None, pairs: int) -> str:
    if line is None:
        return "too few pairs" if pairs < FEWEST else "all start alike"
    return wording.number(line.r_squared, 2)


def _titled(rows: Rows) -> Rows:
    """The rows of one stage, with its name and the R² of its lines."""
    known = {row["pair"]: row["of"] for row in rows if row["quantity"] == "fit"}
    varying = dict.fromkeys(row["pair"] for row in rows if row["varies"])
    shown = [wording.number(known.get(pair), 2) for pair in varying]
    title = rows[0]["stage"] + (f"\nR² {' | '.join(shown)}" if shown else "")
    return [{**row, "title": title} for row in rows]
