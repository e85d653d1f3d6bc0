"""How far each weight travelled between two states of one architecture.

Feature reuse, section 2, "Resilience of the transfer", figure 4 and appendix D. The
paper gives no formula; its published code divides the ℓ2 norm of a tensor's change by
the number of its weights, leaves normalizations out and averages over the tensors of
a layer. (It then reports one number of the whole network for every layer; here each
layer has its own.) That number falls as tensors grow: n weights that each move by δ
have δ / √n. The root mean square change, δ, stands beside it.
"""

from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.representations.parts import (
    KINDS,
    model_parts,
    paired_parts,
    part_tensors,
)
from transfusion_tf.representations.snapshots import Model, Snapshot

_RUN_COLUMNS = ("run", "model", "initialization")
_MEASURES = ("distance", "rms", "relative")


def weight_distance(initial: Any, trained: Any) -> float:
    """ℓ2 norm of a tensor's change, divided by the number of its weights.

    Args:
      initial: Any array.
      trained: Another of the same shape.

    Raises:
      UserError: If the shapes differ, or there are no weights.
    """
    initial, trained = np.float64(initial), np.float64(trained)
    if initial.shape != trained.shape or not initial.size:
        raise UserError(
            f"weights of shapes {initial.shape} and {trained.shape} have no distance: "
            "give the same tensor before and after training"
        )
    return float(np.linalg.norm(trained - initial)) / initial.size


def model_travel(initial: Model, trained: Model) -> pd.DataFrame:
    """Distance travelled by each tensor between two states of one architecture.

    Args:
      initial: The model before training.
      trained: The same architecture after it.

    Returns:
      One row a tensor, from the input up: `layer`, `unit`, `branch` (missing where the
      tensor is in none), `stage`, `tensor` (`conv1/kernel`), `size` (its number of
      weights), `normalization` (whether it belongs to one), `l2` (norm of the change),
      `distance` (`l2` / size, the paper's), `rms` (`l2` / √size), `relative` (`l2`
      over the norm of the initial tensor; missing where that is 0).

    Raises:
      UserError: If the architectures differ, or the stages are not known.
    """
    start, end = Snapshot.of(initial), Snapshot.of(trained)
    branch_of = {
        id(variable): part.name
        for part in model_parts(start.model, "branch")
        for variable in part.weights
    }
    rows = []
    for before, after in paired_parts(start.model, end.model, "unit"):
        tensors = zip(part_tensors(before), part_tensors(after), strict=True)
        for first, second in tensors:
            rows.append(
                {
                    "layer": first.layer.name,
                    "unit": before.name,
                    "branch": branch_of.get(id(first.variable)),
                    "stage": before.stage,
                    "tensor": first.path,
                    "size": int(np.prod(first.shape)),
                    "normalization": first.is_normalization,
                    **_distances(
                        start.value(first.variable), end.value(second.variable)
                    ),
                }
            )
    return pd.DataFrame(rows)


def average_travel(
    table: pd.DataFrame, by: str = "unit", *, normalization: bool = False
) -> pd.DataFrame:
    """Means over the tensors of each layer, unit or stage: figure 4's curves.

    Args:
      table: From `model_travel`, or several of them, concatenated, each with the
        columns that tell its run: `run`, `model`, `initialization`.
      by: `layer`, `unit`, `branch` (the paper's) or `stage`.
      normalization: Whether batch and layer norms count; in the paper's code they
        do not. A part that holds nothing else is then missing.

    Returns:
      One row a run and part, from the input up: the run's columns where there are
      such, `kind`, `part`, `stage`, `position` (from 0 at the input), `distance`,
      `rms`, `relative` (means over tensors), `tensors`, `size` (weights in all).

    Raises:
      UserError: If there is no such kind of part.
    """
    if by not in KINDS:
        raise one_of("kind of part", by, KINDS)
    runs = [name for name in _RUN_COLUMNS if name in table.columns]
    kept = table if normalization else table[~table["normalization"].astype(bool)]
    kept = kept.assign(kind=by, part=kept[by])
    groups = kept.groupby([*runs, "kind", "part", "stage"], sort=False)
    measures = {name: (name, "mean") for name in _MEASURES}
    means = groups.agg(
        **measures, tensors=("tensor", "size"), size=("size", "sum")
    ).reset_index()
    position = means.groupby(runs).cumcount() if runs else range(len(means))
    means.insert(len(runs) + 3, "position", position)
    return means


def _distances(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    initial, trained = np.float64(first), np.float64(second)
    change, length = np.linalg.norm(trained - initial), np.linalg.norm(initial)
    return {
        "l2": float(change),
        "distance": weight_distance(initial, trained),
        "rms": float(change) / np.sqrt(initial.size),
        "relative": float(change / length) if length else np.nan,
    }
