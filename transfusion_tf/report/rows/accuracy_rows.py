"""Rows of what is measured on test: by start, by class, and of the donor."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from transfusion_tf.evaluation.units import unit
from transfusion_tf.report.long_table import Rows, mean_rows
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE, ModelResults, Results, StartRuns
from transfusion_tf.report.shown_runs import ShownRuns
from transfusion_tf.studies.contrasts import Average
from transfusion_tf.studies.study_folder import Run

# What a donor's accuracy is called, best first: the papers print the first.
DONOR_METRICS = ("top5_accuracy", "accuracy")


def model_results(material: Material) -> Iterator[tuple[Results, ModelResults]]:
    """Every model and size of every data set."""
    for results in material.results:
        for panel in results.model_results:
            yield results, panel


def all_starts(material: Material) -> Iterator[tuple[ModelResults, StartRuns]]:
    """Every start of every model and size of every data set."""
    for _, panel in model_results(material):
        for start in panel.starts.values():
            yield panel, start


def accuracy_rows(material: Material) -> Rows:
    """The test metric by model and start; with `by_class`, class by class as well."""
    rows = []
    for results, panel in model_results(material):
        keys = panel.columns
        for start in panel.starts.values():
            rows += start.test_rows(panel.baseline)
            if material.chapter.options.get("by_class"):
                rows += class_rows(start, panel.baseline)
        first = next(iter(panel.starts.values()))
        for name in ("parameters", "parameters_table1"):
            value = first.mean_status(name)
            if value is not None:
                rows.append({**keys, "quantity": name, "value": value})
        donor = donor_of(results, panel)
        if donor is not None:
            rows += [
                {**keys, "quantity": f"donor/{name}", "value": value}
                for name in DONOR_METRICS
                if (value := donor_metric(donor, name)) is not None
            ]
    gains = [row for row in rows if "gain_of" in row]
    return rows + mean_rows(gains, "gain_of", "mean_gain_of_class")


def size_rows(material: Material) -> Rows:
    """The test metric of every model, size and start."""
    return [
        row
        for panel, start in all_starts(material)
        for row in start.test_rows(panel.baseline)
    ]


def difference_rows(material: Material) -> Rows:
    """As `size_rows`, with the `margin` within which a difference does not matter."""
    return [row | {"margin": unit(row["unit"]).margin} for row in size_rows(material)]


def class_rows(group: ShownRuns, baseline: ShownRuns | None, **columns: Any) -> Rows:
    """AUC of every class, and its difference to random."""
    rows: Rows = []
    for name in group.first.dataset["classes"]:
        ours = Average("auc", group.ids, split="test", of_class=name)
        found, quantity = group.effect(ours, unit("AUC").limits), f"auc/{name}"
        rows += group.rows(quantity, found, **columns, shown=name)
        if found is None or baseline is None or group is baseline:
            continue
        gap = group.effect(ours - dataclasses.replace(ours, runs=baseline.ids))
        quantity = f"difference_to_random/{quantity}"
        rows += group.rows(quantity, gap, **columns, gain_of=name)
    return rows


def donor_of(results: Results, panel: ModelResults) -> Run | None:
    """The run that pretrained the panel's donor, where it was made here."""
    named = {
        Path(str(run.config.donor)).name
        for group in panel.starts.values()
        for run in group.runs.values()
        if group.initialization != BASELINE
    }
    return next((run for run in results.record.donors if run.run_id in named), None)


def donor_metric(donor: Run, name: str) -> float | None:
    """A donor's accuracy on test, or where it has no test split on validation."""
    if name in donor.test_metrics:
        return donor.test_metrics[name]
    _, values = donor.curve(name)
    return float(np.nanmax(values)) if np.isfinite(values).any() else None
