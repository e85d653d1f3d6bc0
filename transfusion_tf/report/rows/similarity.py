"""Rows of how alike representations are: between runs, stages, layers; and in time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.evaluation import seed_interval
from transfusion_tf.report import wording
from transfusion_tf.report.long_table import Rows, measured
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.rows import pairs
from transfusion_tf.report.rows.learning import paired
from transfusion_tf.studies.measurements.similarity import (
    join_start_and_end,
    regress_end_on_start,
)

TRANSFER, RANDOM, MIXED = (
    "transfer – transfer",
    "random – random",
    "random – transfer",
)
DONOR = "transfer"
HIGHER = "higher stages"
FEWEST = 3  # pairs that a line is drawn through
_MEASURE = "cca"
_TOP_STAGES = 2
# Analysis -> quantity, and what its map and the axes of it (down, across) show.
_MAPS = {
    "layer_cka": (
        "cka_before_after",
        "before and after",
        "layers before",
        "layers after",
    ),
    "layer_cka_pairs": (
        "cka_statistics_weights",
        "ST and WT",
        "layers from ST",
        "layers from WT",
    ),
}


def by_start_rows(material: Material) -> Rows:
    """CCA between models of one start, stage by stage, and what starts differ by."""
    scores = pairs.scores(material.analysis("population_best"))
    rows: Rows = []
    if scores.empty:
        return rows
    for (dataset, model), part in scores.groupby(["dataset", "model"], sort=False):
        same, _ = pairs.kinds(part)
        for stage, own in part.groupby("stage", sort=False):
            keys = {"dataset": dataset, "model": model, "stage": stage}
            found = _pair_rows(keys, own, same, TRANSFER, RANDOM, material)
            rows += found + _floor_rows(keys, found)
    return rows


def of_starts_rows(material: Material) -> Rows:
    """CCA at the top stages of mixed pairs and of pairs of two random starts.

    Options: `top_stages`, how many from the output down are averaged.
    """
    top = int(material.chapter.options.get("top_stages", _TOP_STAGES))
    scores = pairs.scores(material.analysis("population_best"))
    rows: Rows = []
    if scores.empty:
        return rows
    for (dataset, model), part in scores.groupby(["dataset", "model"], sort=False):
        stages = list(dict.fromkeys(part["stage"]))[-top:]
        own = (
            part[part["stage"].isin(stages)]
            .groupby(["run_a", "run_b", "pair"], sort=False)[["value", "noise_floor"]]
            .mean()
            .reset_index()
        )
        keys = {"dataset": dataset, "model": model, "stage": " + ".join(stages)}
        own = own[own["pair"].isin([RANDOM, MIXED])]
        found = _pair_rows(keys, own, (RANDOM, MIXED), RANDOM, MIXED, material)
        rows += found + _floor_rows(keys, found)
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    where = stages[0] if len(stages) == 1 else "the top stages"
    return [{**row, "at": where} for row in rows]


def _pair_rows(
    keys: Mapping[str, Any],
    table: pd.DataFrame,
    kinds: Sequence[str],
    left: str,
    right: str,
    material: Material,
) -> Rows:
    """CCA and noise floor of each kind of pairs; and of one kind minus another."""
    starts = {name: run.config.initialization for name, run in material.runs.items()}
    rows: Rows = []
    for pair in kinds:
        chosen = table[table["pair"] == pair]
        found = pairs.over_runs(chosen, pairs.mean_of(pair), starts)
        if found is None:
            continue
        spread = {"std": chosen["value"].std(ddof=1)}
        named = {**keys, "pair": pair}
        rows.append({**named, "quantity": "cca", **measured(found), **spread})
        floor = {"value": chosen["noise_floor"].mean()}
        rows.append({**named, "quantity": "noise_floor", **floor})
    if {left, right} <= set(table["pair"]):
        found = pairs.over_runs(table, pairs.difference_of(left, right), starts)
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
    scores = pairs.scores(material.analysis("before_after"))
    if scores.empty:
        return []
    models = [model for results in material.results for model in results.models]
    parts = [
        part for _, part in scores.groupby(["dataset", "model", "stage"], sort=False)
    ]
    parts.sort(key=lambda part: models.index(part["model"].iloc[0]))
    rows: Rows = []
    depths: dict[tuple[str, str], int] = {}
    for part in parts:
        task = (part["dataset"].iloc[0], part["model"].iloc[0])
        depths[task] = depths.get(task, 0) + 1
        rows += [{**row, "depth": float(depths[task])} for row in _moved_rows(part)]
    highest = max(row["value"] for row in rows if row["quantity"] == "noise_floor")
    floor = {"hidden": True, "quantity": "floor", "value": highest}
    return rows + [
        {**floor, "initialization": start, "depth": float(depth)}
        for start in (BASELINE, DONOR)
        for depth in range(1, max(depths.values()) + 1)
    ]


def _moved_rows(part: pd.DataFrame) -> Rows:
    first = part.iloc[0]
    keys = {name: first[name] for name in ("dataset", "model", "stage")}
    rows = []
    by_start = {}
    for start, own in part.groupby("initialization", sort=False):
        by_start[start] = dict(zip(own["seed"], own["value"], strict=True))
        found = measured(seed_interval(list(by_start[start].values())))
        named = {**keys, "initialization": start}
        rows.append({**named, "quantity": "cca", **found})
        floor = {"value": own["noise_floor"].mean()}
        rows.append({**named, "quantity": "noise_floor", **floor})
    mean = float(np.mean([r["value"] for r in rows if r["quantity"] == "noise_floor"]))
    rows.append({**keys, "hidden": True, "quantity": "mean_floor", "value": mean})
    if {DONOR, BASELINE} <= set(by_start):
        gap = paired(by_start[DONOR], by_start[BASELINE])
        if gap is not None:
            named = {**keys, "initialization": DONOR}
            name = "difference_to_random"
            rows.append({**named, "quantity": name, **measured(gap)})
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


def layer_rows(material: Material) -> Rows:
    """CKA of all layers with all, means over seeds; early and late layers' own."""
    by_task: dict[tuple[str, str], Rows] = {}
    for kind, (quantity, name, down, across) in _MAPS.items():
        table = material.analysis(kind)
        if table.empty:
            continue
        runs = "run" if "run" in table else "run_b"
        for (dataset, model), part in table.groupby(["dataset", "model"], sort=False):
            keys = {
                "dataset": dataset,
                "model": model,
                "seeds": int(part[runs].nunique()),
                "shown": name,
                "down": down,
                "across": across,
                "task": f"{model}\n{dataset}",
            }
            square = _square(part)
            rows: Rows = [
                {**keys, "stage": a, "pair": b, "quantity": quantity}
                | {"value": square.iloc[i, j], "diagonal": a == b}
                for i, a in enumerate(square.index)
                for j, b in enumerate(square.columns)
            ]
            diagonal = [row["value"] for row in rows if row["diagonal"]]
            rows += _half_rows({**keys, "hidden": True, "pair": quantity}, diagonal)
            by_task.setdefault((dataset, model), []).extend(rows)
    return [row for rows in by_task.values() for row in rows]


def _half_rows(keys: Mapping[str, Any], diagonal: Sequence[float]) -> Rows:
    known = [float(value) for value in diagonal if np.isfinite(value)]
    if len(known) < 2:
        return []
    half = len(known) // 2
    return [
        {**keys, "quantity": "early_layers", "value": float(np.mean(known[:half]))},
        {**keys, "quantity": "late_layers", "value": float(np.mean(known[-half:]))},
    ]


def _square(part: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds: [layers of one, layers of the other], in network order."""
    square = part.pivot_table(index="position_a", columns="position_b", values="cka")
    for side, axis in (("a", "index"), ("b", "columns")):
        names = part.drop_duplicates(f"position_{side}").set_index(f"position_{side}")
        labels = names[f"layer_{side}"].reindex(getattr(square, axis))
        setattr(square, axis, list(labels))
    return square
