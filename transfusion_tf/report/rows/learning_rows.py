"""Rows of who learns faster: curves of several starts, their steps and their means."""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping

import numpy as np

from transfusion_tf.evaluation.units import unit
from transfusion_tf.report.long_table import Rows, effect_rows, measured
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.rows.network_order import through
from transfusion_tf.report.rows.start_curves import (
    StartCurves,
    all_curves,
    by_class,
    stage_labels,
    transfer_curves,
)
from transfusion_tf.report.shown_runs import ShownRuns
from transfusion_tf.studies.contrasts import Ratio

LEAD = "lead_over_random"
TIMES = "times_as_fast"
SAVED = "steps_saved_over_previous"


def convergence_rows(material: Material) -> Rows:
    """Steps and means of every start, with `by_class` of each class as well.

    Options: `together` (models of one architecture are compared with one another),
    `threshold` (in place of each panel's own), `class_of` (data set -> the one class
    whose AUC is drawn there, where it has that class).
    """
    options = material.chapter.options
    rows = []
    for curves in all_curves(material, together=bool(options.get("together"))):
        curves = _of_one_class(curves, options.get("class_of") or {})
        rows += learning_rows(curves) + drawn_rows(curves)
        if options.get("by_class"):
            for part in by_class(curves):
                rows += learning_rows(part, f"/auc/{part.of_class}") + drawn_rows(part)
    return rows


def _of_one_class(curves: StartCurves, classes: Mapping[str, str]) -> StartCurves:
    """The curves of the class that is asked for on their data set, if it is there."""
    wanted = classes.get(curves.lead.columns["dataset"])
    found = (part for part in by_class(curves) if part.of_class == wanted)
    part = next(found, None) if wanted else None
    if part is None:
        return curves
    return dataclasses.replace(part, name=f"{curves.name}, {wanted}")


def stage_rows(material: Material) -> Rows:
    """Steps and means of every start, and what each stage of the donor adds."""
    rows = []
    for curves in all_curves(material):
        labels = stage_labels(curves)
        rows += learning_rows(curves) + _gain_rows(curves, labels)
        rows += [
            {**row, "tick": _stage_name(row["label"])} if "label" in row else row
            for row in drawn_rows(curves, labels)
        ]
    return rows


def speed_up_rows(material: Material) -> Rows:
    """Steps, means, and how much sooner than from statistics a start learns."""
    rows = []
    for curves, own in transfer_curves(material):
        statistics = next((group for group in own if group.fraction == 0), None)
        for group in own:
            rows += _steps_and_means(curves, group)
            if statistics is not None and group.fraction is not None:
                theirs, ours = map(curves.to_threshold, (statistics, group))
                speed = group.effect(Ratio(theirs, ours))
                rows.append(group.row("speed_up", speed, **curves.keys(group)))
        rows += drawn_rows(curves)
    return rows


def learning_rows(curves: StartCurves, suffix: str = "") -> Rows:
    """Steps, how many reached, and mean, of every start and against random weights."""
    rows = []
    for start in curves.starts.values():
        baseline = curves.starts.get(BASELINE)
        times = curves.times_as_fast(start, baseline)
        lead = curves.ahead(start, baseline)
        rows += _steps_and_means(curves, start, suffix)
        rows += effect_rows(TIMES + suffix, times, **curves.keys(start))
        rows += effect_rows(LEAD + suffix, lead, **curves.keys(start))
    return rows


def _steps_and_means(curves: StartCurves, start: ShownRuns, suffix: str = "") -> Rows:
    keys = curves.keys(start)
    steps = {k: v for k, v in curves.steps(start).items() if v is not None}
    count = {"value": len(steps), "seeds": len(start.runs)}
    mean = start.effect(curves.learning(start), unit(keys["unit"]).limits)
    in_steps = start.mean_of(steps)
    if in_steps is not None:
        in_steps = in_steps.of_a_level(unit("steps").limits)
    return [
        {**keys, "quantity": "steps" + suffix, **measured(in_steps)},
        {**keys, "quantity": "reached" + suffix, **count},
        *effect_rows("mean_while_learning" + suffix, mean, **keys),
    ]


def drawn_rows(curves: StartCurves, labels: Iterable[str] = ()) -> Rows:
    """What is drawn and not published: curves, thresholds, single runs.

    Args:
      curves: to be drawn.
      labels: of its starts, in another order than its own.
    """
    rows: Rows = []
    for label in labels or curves.starts:
        start = curves.starts[label]
        keys = {**curves.keys(start), "hidden": True}
        rows += [
            {**keys, "quantity": "curve", **point} for point in _curve(curves, start)
        ]
        means = curves.learning(start).by_run(start.measurements)
        for quantity, values in (
            ("steps_of_run", curves.steps(start)),
            ("mean_of_run", start.by_key(means)),
        ):
            rows += [
                {**keys, "quantity": quantity, "value": value}
                for value in values.values()
            ]
    source = "" if curves.set_threshold is not None else curves.lead.columns["label"]
    keys = {"hidden": True, "curves": curves.name, "from": source}
    longest = max(run.config.steps for run in curves.runs)
    return [
        *rows,
        {**keys, "quantity": "threshold", "value": curves.threshold},
        {**keys, "quantity": "longest", "value": longest},
    ]


def _curve(curves: StartCurves, start: ShownRuns) -> Rows:
    """Mean over seeds and its range, at all steps at which one was evaluated."""
    by_run = curves.learning(start).curves(start.measurements)
    found = list(start.by_key(by_run).values())
    union = np.unique(np.concatenate([steps for steps, _ in found]))
    values = np.array([np.interp(union, *curve) for curve in found])
    columns = {"place": union, "value": values.mean(axis=0)}
    if len(values) > 1:
        columns |= {"low": values.min(axis=0), "high": values.max(axis=0)}
    return [
        dict(zip(columns, map(float, point), strict=True))
        for point in zip(*columns.values(), strict=True)
    ]


def _gain_rows(curves: StartCurves, labels: list[str]) -> Rows:
    """What each stage saves in steps, and adds to the mean metric while learning."""
    rows = []
    for before, label in itertools.pairwise(labels):
        previous, start = curves.starts[before], curves.starts[label]
        keys = {**curves.keys(start), "stage": _stage_name(label)}
        gain = curves.ahead(start, previous)
        saved = curves.steps_saved(start, previous)
        rows += effect_rows("lead_over_previous", gain, **keys)
        rows += effect_rows(SAVED, saved, **keys)
    return rows


def _stage_name(label: str) -> str:
    """`none`, `block2` or `all`: up to where the donor's weights are taken."""
    if label == BASELINE:
        return "none"
    return through(label) or ("all" if label == "transfer" else label)
