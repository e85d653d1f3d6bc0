"""Measurements of a few runs, written by hand."""

import pandas as pd

from transfusion_tf.studies.measurements.table import Measurements, as_rows


def run_name(start, seed):
    return f"{start}-{seed}"


def names(start, seeds=(0, 1, 2)):
    return tuple(run_name(start, seed) for seed in seeds)


def table(*rows, seeds=(0, 1, 2), **more):
    """Measurements of runs from two starts."""
    described = []
    for row in rows:
        for side in ("run", "run_b"):
            if side in row:
                start, seed = row[side].rsplit("-", 1)
                suffix = side.removeprefix("run")
                row = row | {
                    f"initialization{suffix}": start,
                    f"seed{suffix}": int(seed),
                }
        described.append({"model": "cbr_tiny", "dataset": "retina", **row})
    return Measurements(as_rows([pd.DataFrame(described)]), **more)


def scores(start, values):
    return [
        {
            "quantity": "score",
            "split": "test",
            "run": run_name(start, seed),
            "value": value,
        }
        for seed, value in enumerate(values)
    ]
