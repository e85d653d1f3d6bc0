"""Rows of maps of layers: every layer of one model against every layer of another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.report.long_table import Rows
from transfusion_tf.report.material import Material

# Weights of the two models -> quantity, and what its map and the axes of it (down,
# across) show.
_MAPS = {
    ("initial", "trained"): (
        "cka_before_after",
        "before and after",
        "layers before",
        "layers after",
    ),
    ("trained", "trained"): (
        "cka_statistics_weights",
        "ST and WT",
        "layers from ST",
        "layers from WT",
    ),
    ("initial", "initial"): (
        "cka_statistics_weights_before",
        "ST and WT, untrained",
        "layers of ST",
        "layers of WT",
    ),
}


def layer_rows(material: Material) -> Rows:
    """CKA of all layers with all, means over seeds; early and late layers' own."""
    by_task: dict[tuple[str, str], Rows] = {}
    for (weights, weights_b), (quantity, name, down, across) in _MAPS.items():
        maps = material.of("layer_cka", weights=weights, weights_b=weights_b)
        for (dataset, model), part in maps.groupby(["dataset", "model"], sort=False):
            keys = {
                "dataset": dataset,
                "model": model,
                "seeds": part["run_b"].nunique(),
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
            by_task.setdefault((str(dataset), str(model)), []).extend(rows)
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
    names = part["item"].str.split(" – ", expand=True)
    square = part.pivot_table(index="position", columns="position_b", values="value")
    for side, column, axis in (
        (0, "position", "index"),
        (1, "position_b", "columns"),
    ):
        by_place = dict(zip(part[column], names[side], strict=True))
        setattr(square, axis, [by_place[place] for place in getattr(square, axis)])
    return square
