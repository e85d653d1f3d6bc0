"""Rows of where transfer pays: gains, feature reuse and distances from the source."""

import itertools
from typing import Any

import numpy as np

from transfusion_tf.report import wording
from transfusion_tf.report.long_table import Row, Rows, measured
from transfusion_tf.report.material import Material
from transfusion_tf.report.rows.cells import Cell, cells, models_of, same_task
from transfusion_tf.studies.contrasts import Ratio, on_test


def gain_rows(material: Material) -> Rows:
    """WT / RI and (WT - ST) / WT of every model and data set, and the distances."""
    found = cells(material)
    distances = _distances(material)
    gains = [row for cell in found for row in _gains(cell, found)]
    shades = _shades(gains)
    places = _places(found, distances)
    shown = [
        {**row, **places[row["data"]], "has_gains": True}
        | {"shade": shades.get((row["data"], row["model"]), np.nan)}
        for row in gains
    ]
    return [*shown, *_distance_rows(distances), *_task_rows(found, places, bool(gains))]


def _gains(cell: Cell, found: list[Cell]) -> Rows:
    """Both, where the cell is one of transferred weights."""
    if cell.initialization != "transfer":
        return []
    rows: Rows = []
    random, statistics = (same_task(cell, found, fraction=f) for f in (None, 0.0))
    if random is not None:
        gain = measured(cell.test_over(random))
        rows.append({**cell.keys, "quantity": "relative_gain", **gain})
    if statistics is not None:
        weights = on_test(cell.ids)
        share = Ratio(weights - on_test(statistics.ids), weights)
        reuse = measured(cell.effect(share))
        rows.append({**cell.keys, "quantity": "feature_reuse_share", **reuse})
    return rows


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
    """Data set -> its row of the Fréchet distance."""
    table = material.analysis("frechet")
    if table.empty:
        return {}
    rows = table.drop_duplicates("dataset").to_dict("records")
    return {row["dataset"]: {str(k): v for k, v in row.items()} for row in rows}


def _distance(row: Row) -> float:
    corrected = float(row["corrected"])
    return corrected if np.isfinite(corrected) else float(row["value"])


def _distance_rows(distances: dict[str, Row]) -> Rows:
    return [
        {"dataset": name, "quantity": "frechet_distance", "value": _distance(row)}
        | {"low": row["low"], "high": row["high"]}
        for name, row in distances.items()
    ]


def _places(found: list[Cell], distances: dict[str, Row]) -> dict[str, dict[str, Any]]:
    """Where data stand: at their distance, or at their number where there is none."""
    datasets = {cell.data: cell.dataset for cell in found}
    known = all(name in distances for name in datasets.values())
    places = {}
    for index, (data, name) in enumerate(datasets.items()):
        place = _distance(distances[name]) if known else float(index)
        tick = f"{name} ({wording.number(place, 1)})" if name in distances else name
        places[data] = {"place": place, "tick": tick}
    return places


def _task_rows(
    found: list[Cell], places: dict[str, dict[str, Any]], has_gains: bool
) -> Rows:
    """What is drawn and printed of all models and data; and how many runs there are."""
    data = {cell.data: cell for cell in found}
    rows: Rows = [
        {**cell.keys, **places[name], "model": model, "has_gains": has_gains}
        | {"images": wording.count(cell.train_examples), "quantity": "task"}
        for (name, cell), model in itertools.product(data.items(), models_of(found))
    ]
    rows += [{"quantity": "runs", "seeds": len(cell.runs)} for cell in found]
    return [{**row, "hidden": True} for row in rows]
