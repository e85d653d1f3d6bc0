"""Rows of what outputs decide: ROC curves, operating points, confusion matrices."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from transfusion_tf.evaluation import (
    Reliability,
    forecasts,
    labels_and_probabilities,
    referable_score,
    reliability,
)
from transfusion_tf.evaluation.estimates import LEAST_PATIENTS
from transfusion_tf.evaluation.operating_points import (
    BinaryScores,
    rates_above,
    roc_band,
    threshold_at_sensitivity,
    threshold_at_specificity,
)
from transfusion_tf.report import wording
from transfusion_tf.report.long_table import Rows
from transfusion_tf.report.material import Material
from transfusion_tf.report.results import StartRuns
from transfusion_tf.report.rows.accuracy_rows import model_results
from transfusion_tf.studies.run_groups import RunGroup
from transfusion_tf.studies.study_folder import Run

TARGET = 0.9
POINTS = {
    "90 % specificity": threshold_at_specificity,
    "90 % sensitivity": threshold_at_sensitivity,
}
_OWN_COLUMNS = ("question", "point", "true_class", "predicted_class")
# More curves, or a larger matrix, are not read.
_MOST_QUESTIONS, _MOST_CLASSES = 6, 12
# Fewer than the error is computed with: intervals must stay apart.
_BINS = 10

_Scores = dict[str, BinaryScores]


def decision_rows(material: Material) -> Rows:
    """By model and start: curve and operating points of each question that the outputs
    answer, and the confusion matrix.
    """
    rows: Rows = []
    for _, panel in model_results(material):
        own_columns = dict.fromkeys(_OWN_COLUMNS)
        starts = list(panel.starts.values())
        rows += _left_out({**panel.columns, **own_columns}, starts)
        for start in starts:
            keys = {**start.columns, **own_columns}
            chosen_on = _asked(start, "validation")
            for question, runs in _asked(start, "test").items():
                keyed = keys | {"question": question}
                rows += _of_question(keyed, runs, chosen_on.get(question, ()))
            rows += _confusion_rows(keys, list(start.runs.values()))
    return rows


def _left_out(keys: Mapping[str, Any], starts: Sequence[StartRuns]) -> Rows:
    """A remark on the questions that have too few test patients for a curve."""
    remark = {**keys, "quantity": "remark", "hidden": True}
    runs = [run for start in starts for run in start.runs.values()]
    tested = [run for run in runs if len(run.directory.predictions("test"))]
    if not tested:
        said = f"{keys['panel']}: the data set has no test images that are labelled."
        return [{**remark, "said": said}]
    fewest: dict[str, int] = {}
    for run in tested:
        for question, scores in questions(run, "test").items():
            count = min(patients_of_sides(scores))
            fewest[question] = min(count, fewest.get(question, count))
    few = {name: count for name, count in fewest.items() if count < LEAST_PATIENTS}
    if not few:
        return []
    sides = wording.listed([f"{name} ({count})" for name, count in few.items()])
    said = (
        f"{keys['panel']}: no curve and no rates where the test set has fewer than "
        f"{LEAST_PATIENTS} patients with a class, or without it: {sides}."
    )
    return [{**remark, "said": said}]


def reliabilities(
    starts: Mapping[str, RunGroup],
) -> tuple[dict[str, Reliability], dict[str, float]]:
    """All runs' forecasts together by start; and errors: means of the runs' own."""
    curves, errors = {}, {}
    for label, start in starts.items():
        kind = start.first.dataset["kind"]
        found = [
            forecasts(*_outputs(run, "test")[:2], kind) for run in start.runs.values()
        ]
        happened, forecast = (np.concatenate(side) for side in zip(*found, strict=True))
        if len(forecast):
            curves[label] = reliability(happened, forecast, _BINS)
            own = start.values("expected_calibration_error", split="test").values()
            errors[label] = float(np.mean(list(own))) if own else np.nan
    return curves, errors


def _of_question(
    keys: Mapping[str, Any],
    runs: Sequence[BinaryScores],
    chosen_on: Sequence[BinaryScores],
) -> Iterator[dict[str, Any]]:
    """Of the test scores; `chosen_on` are those of validation, for the thresholds."""
    band = roc_band(runs)
    columns = (band.false_positive_rate, band.sensitivity, band.low, band.high)
    for place, value, low, high in zip(*columns, strict=True):
        yield {
            **keys,
            "quantity": "roc",
            "hidden": True,
            "place": place,
            "value": value,
            "low": low,
            "high": high,
        }
    if len(chosen_on) != len(runs):
        return
    for point, threshold_at in POINTS.items():
        thresholds = [threshold_at(run, TARGET) for run in chosen_on]
        for name, rate in zip(
            ("sensitivity", "specificity"), rates_above(runs, thresholds), strict=True
        ):
            own = {"value": rate.estimate, "low": rate.low, "high": rate.high}
            yield {**keys, "point": point, "quantity": name, **own}


def _confusion_rows(
    keys: Mapping[str, Any], runs: Sequence[Run]
) -> Iterator[dict[str, Any]]:
    """The share of each true class that is predicted as each, by the largest output."""
    classes = runs[0].dataset["classes"]
    exclusive = runs[0].dataset["kind"] != "findings"
    if not exclusive or not 2 <= len(classes) <= _MOST_CLASSES:
        return
    counts = np.zeros((len(classes), len(classes)))
    for run in runs:
        labels, outputs, _ = _outputs(run, "test")
        known = ~np.isnan(labels).any(axis=1)
        truth, chosen = labels[known].argmax(axis=1), outputs[known].argmax(axis=1)
        np.add.at(counts, (truth, chosen), 1)
    if not counts.any():
        return
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for (row, column), share in np.ndenumerate(shares):
        yield {
            **keys,
            "quantity": "confusion",
            "true_class": classes[row],
            "predicted_class": classes[column],
            "value": share,
        }


def _asked(start: StartRuns, split: str) -> dict[str, list[BinaryScores]]:
    """Question -> scores, one per run; those with enough patients of both sides."""
    by_run = [questions(run, split) for run in start.runs.values()]
    least = LEAST_PATIENTS if split == "test" else 1
    return {
        question: [run[question] for run in by_run]
        for question in by_run[0]
        if all(question in run and _enough(run[question], least) for run in by_run)
    }


def _enough(scores: BinaryScores, least: int) -> bool:
    return min(patients_of_sides(scores)) >= least


def patients_of_sides(scores: BinaryScores) -> tuple[int, int]:
    """How many patients have images with the finding, and without."""
    with_it, without = (
        len(np.unique(scores.patients[side]))
        for side in (scores.positive, ~scores.positive)
    )
    return with_it, without


def questions(run: Run, split: str, most: int = _MOST_QUESTIONS) -> _Scores:
    """Whether a grade is referable; else each class against the rest, so many of them.

    A question is called after the class; `moderate and up` is scored by
    `referable_score`, a class by its output.
    """
    labels, outputs, patients = _outputs(run, split)
    classes, first = run.dataset["classes"], run.dataset.get("referable_from")
    if run.dataset["kind"] == "grade" and first:
        positive = labels[:, first:].max(axis=1) == 1
        scores = referable_score(outputs, first)
        return {f"{classes[first]} and up": BinaryScores(positive, scores, patients)}
    two_sides = len(classes) == 2 and run.dataset["kind"] != "findings"
    found = {}
    for index in [1] if two_sides else range(min(len(classes), most)):
        known = ~np.isnan(labels[:, index])
        found[classes[index]] = BinaryScores(
            labels[known, index] == 1, outputs[known, index], patients[known]
        )
    return found


def _outputs(run: Run, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and probabilities [n, classes], and patients [n]."""
    table = run.directory.predictions(split)
    labels, outputs = labels_and_probabilities(table, run.dataset["classes"])
    return labels, outputs, table["patient_id"].to_numpy(str)
