"""What published tables say, worked out anew from `measurements.parquet` alone."""

import numpy as np
import pandas as pd
import pytest

from transfusion_tf.studies.contrasts import StepsToThreshold, WhileLearning
from transfusion_tf.studies.measurements.table import Measurements

# Quantity of a published table -> what it is the mean of.
LEVELS = {
    "test": {"quantity": "score", "split": "test"},
    "cca": {"quantity": "cca"},
    "noise_floor": {"quantity": "cca_noise_floor"},
    "cca_at_start": {"quantity": "cca", "weights_b": "initial"},
    "cca_at_end": {"quantity": "cca", "weights": "trained"},
    "cka_before_after": {"quantity": "layer_cka", "weights": "initial"},
    "cka_statistics_weights": {"quantity": "layer_cka", "weights": "trained"},
    "drop": {"quantity": "robustness_drop"},
    "knn": {"quantity": "knn_score"},
    "distance": {"quantity": "travel_distance"},
    "frechet_distance": {"quantity": "frechet_distance"},
}
LEVELS |= {
    name: {"quantity": name, "split": "test"}
    for name in (
        *("referable_auc", "mean_auc", "accuracy", "balanced_accuracy"),
        *("quadratic_kappa", "prior_weighted_auc", "expected_calibration_error"),
    )
}
LEVELS |= {
    name: {"quantity": name}
    for name in (
        *("parameters", "parameters_table1", "best_validation", "train_seconds"),
        *("images_per_second", "peak_memory_mib"),
    )
}
LEARNING = {"mean_while_learning": WhileLearning, "steps": StepsToThreshold}
WHEN = {"before": "initial", "after": "trained"}


def check_levels(chapter, table, rows):
    """Compares levels of a published table, some of each quantity.

    Args:
      chapter: its record.
      table: long, as published.
      rows: all of `measurements.parquet`.

    Returns:
      The quantities that were compared.
    """
    rows = rows[rows["run"].isin(chapter.runs) | (rows["run"] == "")]
    curves = None if chapter.options.get("together") else Measurements(rows)
    rows = {name: part for name, part in rows.groupby("quantity")}
    seen = set()
    some = table.groupby("quantity")["value"].transform(_is_looked_at)
    for row in table[some].to_dict("records"):
        expected = _expected(row, rows, curves)
        if expected is not None:
            assert row["value"] == pytest.approx(expected, nan_ok=True), row
            seen.add(row["quantity"])
    return seen


def _is_looked_at(values):
    """At most ten, evenly spread."""
    return np.arange(len(values)) % (1 + len(values) // 10) == 0


def _expected(row, rows, curves):
    quantity = row["quantity"]
    name, _, of_class = quantity.partition("/auc/")
    if name in LEARNING:
        # Together, all have the random weights of the whole model.
        return curves and _while_learning(name, of_class, row, curves)
    if quantity.startswith("auc/"):
        what = {"quantity": "auc", "split": "test", "class": quantity[4:]}
    elif quantity in LEVELS:
        what = LEVELS[quantity]
    else:
        return None
    rows = _of_stages(row, _where(rows[what["quantity"]], **what))
    if known(row, "run_a"):
        other = row["run_b"] if known(row, "run_b") else row["run_a"]
        rows = _where(rows, run=row["run_a"], run_b=other)
    elif known(row, "pair"):
        rows = _of_pair(row["pair"], _of_runs(row, rows))
    else:
        rows = _of_runs(row, rows)
        rows = rows[(rows["run_b"] == rows["run"]) | (rows["run_b"] == "")]
    assert len(rows), row
    means = rows.groupby(["run", "run_b", "position"], dropna=False)["value"].mean()
    return means.groupby(["run", "run_b"]).mean().mean()


def known(row, name):
    return not pd.isna(row.get(name))


def _where(rows, **wanted):
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    return rows


def _of_runs(row, rows):
    """Those of the row's data set, model, size and start."""
    for name in ("dataset", "model", "train_examples", "frozen"):
        if known(row, name):
            rows = rows[rows[name] == row[name]]
    start = row["initialization"]
    if not known(row, "initialization"):
        return rows
    if start in set(rows["initialization"]):
        return rows[rows["initialization"] == start]
    # Where donors are compared, a start is a donor and a way of fine-tuning.
    donor, _, first = start.partition(", ")
    return _where(rows, donor=donor, head_first=bool(first))


def _of_stages(row, rows):
    if not known(row, "stage"):
        return rows
    if " to " in row["stage"]:
        return rows[rows["position"] > 0]
    layers = rows[rows["item"].str.partition(", ")[0] == row["stage"]]
    return (
        layers if len(layers) else rows[rows["stage"].isin(row["stage"].split(" + "))]
    )


def _of_pair(pair, rows):
    """Rows about pairs of starts, donors, stages, or about one kind of tokens."""
    tokens = rows["item"].str.partition(", ")[2]
    if pair in set(tokens):
        return rows[tokens == pair]
    if pair in set(rows["stage_b"]):
        return rows[rows["stage_b"] == pair]
    own, _, when = pair.rpartition(", ")
    if when == "before – after":
        return _where(rows[rows["run"] == rows["run_b"]], donor=own)
    rows = rows[rows["run"] != rows["run_b"]]
    if when in WHEN:
        left, _, right = own.partition(" – ")
        return _where(rows, donor=left, donor_b=right, weights=WHEN[when])
    left, _, right = pair.partition(" – ")
    sides = zip(rows["initialization"], rows["initialization_b"], strict=True)
    rows = rows[[{*both} == {left, right} for both in sides]]
    if "trained" in set(rows["weights"]):
        rows = rows[rows["weights"] == "trained"]
    return rows if left == right else rows[rows["seed"] != rows["seed_b"]]


def _while_learning(name, of_class, row, measurements):
    """Mean of a contrast of curves, against random weights of the same model."""
    runs = measurements.runs.reset_index()
    own = tuple(_of_runs(row, runs)["run"])
    random = tuple(_of_runs(row | {"initialization": "random"}, runs)["run"])
    found = LEARNING[name](own, random, of_class).by_run(measurements)
    values = [value for value in found.values() if value is not None]
    return np.mean(values) if values else np.nan
