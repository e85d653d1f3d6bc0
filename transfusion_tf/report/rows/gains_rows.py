"""Rows of where transfer pays: gains, feature reuse and distances from the source."""

import itertools
from typing import Any

import numpy as np

from transfusion_tf.report import wording
from transfusion_tf.report.long_table import Row, Rows
from transfusion_tf.report.material import Material
from transfusion_tf.report.rows.transfer_runs import (
    TransferRuns,
    models_of,
    same_task,
    transfer_runs,
)
from transfusion_tf.studies.contrasts import Ratio, Skill, on_test


def gain_rows(material: Material) -> Rows:
    """WT / RI and (WT - ST) / WT of every model and data set, and the distances."""
    found = transfer_runs(material)
    distances = _distances(material)
    gains = [row for group in found for row in _gains(group, found)]
    shades = _shades(gains)
    places = _places(found, distances)
    shown = [
        {**row, **places[row["data"]], "has_gains": True}
        | {"shade": shades.get((row["data"], row["model"]), np.nan)}
        for row in gains
    ]
    return [*shown, *_distance_rows(distances), *_task_rows(found, places, bool(gains))]


def _gains(group: TransferRuns, found: list[TransferRuns]) -> Rows:
    """Both, where the group is one of transferred weights."""
    if group.initialization != "transfer":
        return []
    rows: Rows = []
    random, statistics = (same_task(group, found, fraction=f) for f in (None, 0.0))
    if random is not None:
        rows.append(group.row("relative_gain", group.test_over(random)))
        rows.append(_in_skill(group, random, "skill_over_random"))
    if statistics is not None:
        weights = on_test(group.ids)
        share = Ratio(weights - on_test(statistics.ids), weights)
        rows.append(group.row("feature_reuse_share", group.effect(share)))
        rows.append(_in_skill(group, statistics, "skill_over_statistics"))
    return rows


def _in_skill(
    group: TransferRuns, other: TransferRuns, quantity: str
) -> dict[str, Any]:
    """How much more skill it has, the way from chance (0) to perfect (1).

    Ratios of metrics weigh AUC, whose chance is 0.5, half as much as kappa.
    """
    more = group.effect(Skill(tuple(group.ids)) - Skill(tuple(other.ids)))
    return group.row(quantity, more, unit="skill")


def _shades(gains: Rows) -> dict[tuple[str, str], float]:
    """Data and model -> place of its share of reuse between the extremes."""
    shares = [row for row in gains if row["quantity"] == "feature_reuse_share"]
    values = np.array([row["value"] for row in shares], dtype=np.float64)
    levels = _between_extremes(values)
    return {
        (row["data"], row["model"]): float(level)
        for row, level in zip(shares, levels, strict=True)
    }


def _between_extremes(values: np.ndarray) -> np.ndarray:
    """Laid linearly onto [0, 1], NaN kept; all 0.5 where they are all equal."""
    known = values[~np.isnan(values)]
    if not known.size or known.min() == known.max():
        return np.where(np.isnan(values), np.nan, 0.5)
    return (values - known.min()) / (known.max() - known.min())


def _distances(material: Material) -> dict[str, Row]:
    """Data set -> its Fréchet distance, with the ends of its interval."""
    columns = {
        name: material.measurements.of(quantity).set_index("dataset")["value"]
        for name, quantity in (
            ("value", "frechet_distance"),
            ("low", "frechet_distance_low"),
            ("high", "frechet_distance_high"),
        )
    }
    return {
        dataset: {name: values[dataset] for name, values in columns.items()}
        for dataset in columns["value"].index
    }


def _distance_rows(distances: dict[str, Row]) -> Rows:
    return [
        {"dataset": name, "quantity": "frechet_distance", **row}
        for name, row in distances.items()
    ]


def _places(
    found: list[TransferRuns], distances: dict[str, Row]
) -> dict[str, dict[str, Any]]:
    """Where data stand: at their distance, or at their number where there is none."""
    datasets = {group.data: group.dataset for group in found}
    known = all(name in distances for name in datasets.values())
    places = {}
    for index, (data, name) in enumerate(datasets.items()):
        place = distances[name]["value"] if known else float(index)
        tick = f"{name} ({wording.number(place, 1)})" if name in distances else name
        places[data] = {"place": place, "tick": tick}
    return places


def _task_rows(
    found: list[TransferRuns], places: dict[str, dict[str, Any]], has_gains: bool
) -> Rows:
    """What is drawn and printed of all models and data; and how many runs there are."""
    data = {group.data: group for group in found}
    rows: Rows = [
        {**group.columns, **places[name], "model": model, "has_gains": has_gains}
        | {"images": wording.count(group.train_examples), "quantity": "task"}
        for (name, group), model in itertools.product(data.items(), models_of(found))
    ]
    rows += [{"quantity": "runs", "seeds": len(group.runs)} for group in found]
    return [{**row, "hidden": True} for row in rows]
