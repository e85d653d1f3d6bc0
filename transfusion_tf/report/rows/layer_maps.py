"""Rows of maps of layers: every layer of one model against every layer of another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.report.long_table import Rows
from transfusion_tf.report.material import Material

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
    square = part.pivot_table(index="position_a", columns="position_b", values="cka")
    for side, axis in (("a", "index"), ("b", "columns")):
        names = part.drop_duplicates(f"position_{side}").set_index(f"position_{side}")
        labels = names[f"layer_{side}"].reindex(getattr(square, axis))
        setattr(square, axis, list(labels))
    return square
