"""The card of an exported model: what it does, on what, how well, and how to run it.

Its sections are those of Mitchell et al. (2019), "Model Cards for Model Reporting".
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from transfusion_tf.evaluation import (
    METRICS,
    Interval,
    Reliability,
    chance_level,
    class_auc,
    forecasts,
    labels_and_probabilities,
    metric_replicates,
    patient_weights,
    percentile_interval,
    reliability,
)
from transfusion_tf.evaluation.estimates import LEAST_PATIENTS
from transfusion_tf.evaluation.operating_points import rates_above
from transfusion_tf.report import page, wording
from transfusion_tf.report.class_patients import class_patients, too_few_for_metric
from transfusion_tf.report.rendering import render
from transfusion_tf.report.rows.decision_rows import (
    POINTS,
    TARGET,
    patients_of_sides,
    questions,
)
from transfusion_tf.studies.donor_quality import DonorQuality
from transfusion_tf.studies.measurements.run_labels import donor_name
from transfusion_tf.studies.said_donors import known_quality
from transfusion_tf.studies.study_folder import Run
from transfusion_tf.training.config import recipe_fields

# Bins that hold as many forecasts each.
_BINS = 5
_AUC = "auc/"


@dataclasses.dataclass(frozen=True)
class Export:
    """What the card says of the file.

    Attributes:
      title: of its format.
      file: its name.
      loading: lines of Python from `pixels` to `probabilities`.
      checked: what it was compared with, and how well they agree: a sentence.
      created: the day, ISO 8601.
    """

    title: str
    file: str
    loading: str
    checked: str
    created: str


def model_card(run: Run, export: Export) -> str:
    """The card in Markdown.

    Args:
      run: a finished one.
      export: the file that its best weights were exported to.
    """
    metrics = _metric_rows(run)
    points = list(_operating_points(run))
    root = run.directory.path.absolute().parent.parent
    quality = known_quality(run.config, root)
    return render(
        "model_card.md",
        {
            "run": run,
            "config": run.config,
            "dataset": run.dataset,
            "status": run.status,
            "export": export,
            "wording": wording,
            "size": int(run.config.image_size or run.dataset["image_size"]),
            "title": run.dataset.get("title") or run.dataset["name"],
            "predicts": _predicts(run.dataset),
            "donor": _donor(run, quality),
            "recipe": {
                name.replace("_", " "): getattr(run.config, name)
                for name in recipe_fields([run.config])
            },
            "splits": page.class_splits(run),
            "data_notes": page.data_notes(run.dataset),
            "metrics": metrics,
            "points": points,
            "target": TARGET,
            "calibration": _calibration(run),
            "chance": chance_level(run.metric, _class_counts(run)),
            "limits": list(_limits(run, metrics, points, quality)),
            "least_patients": LEAST_PATIENTS,
        },
    )


def _predicts(dataset: Mapping[str, Any]) -> str:
    classes = wording.listed(dataset["classes"])
    kinds = {
        "grade": f"One grade an image, rising: {classes}.",
        "class": f"One class an image: {classes}.",
        "findings": f"Whether each finding is there, any number an image: {classes}.",
    }
    return kinds[dataset["kind"]]


def _donor(run: Run, quality: DonorQuality | None) -> str:
    """The donor by name, and what was measured of it; empty without one."""
    name = donor_name(run.config)
    if name is None or quality is None:
        return name or ""
    return f"{name} ({'; '.join(quality.facts())})"


def _class_counts(run: Run) -> list[int]:
    """Test images of each class; those of training where there are no test images."""
    counts = run.dataset["counts"]
    found = list(counts.get("test", {}).get("classes", {}).values())
    return found if any(found) else list(counts["train"]["classes"].values())


def _metric_rows(run: Run) -> list[dict[str, Any]]:
    """On test: the main metric first, then the others, then each class's AUC."""
    table = run.directory.predictions("test")
    if table.empty:
        return []
    classes = run.dataset["classes"]
    labels, outputs = labels_and_probabilities(table, classes)
    # As `score_run` names them, so that draws are the same.
    first = table.groupby("patient_id")["example_id"].transform("min").to_numpy(str)
    counted = class_patients([run])
    found = run.test_metrics
    names = [name for name in found if name in METRICS]
    names.sort(key=lambda name: name != run.metric)
    rows = []
    for name in names:
        drawn = metric_replicates(
            name, first, labels, outputs, run.dataset.get("referable_from")
        )
        rows.append(_metric_row(wording.metric_title(name), found[name], drawn))
    drawn = np.concatenate(
        [class_auc(labels, outputs, weights) for weights in patient_weights(first)]
    )
    for column, name in enumerate(classes):
        value = found.get(_AUC + name, np.nan)
        row = _metric_row(f"AUC of {name}", value, drawn[:, column])
        rows.append(row | {"patients": counted[name]})
    return rows


def _metric_row(title: str, value: float, drawn: np.ndarray) -> dict[str, Any]:
    interval = percentile_interval(value, drawn)
    return {"title": title, "interval": interval, "patients": None}


def _operating_points(run: Run) -> Iterator[dict[str, Any]]:
    """By question: thresholds of validation, and the rates above them on test."""
    classes = len(run.dataset["classes"])
    chosen_on = questions(run, "validation", classes)
    for name, scores in questions(run, "test", classes).items():
        chosen = chosen_on.get(name)
        on = 0 if chosen is None else min(patients_of_sides(chosen))
        fewest = min(patients_of_sides(scores))
        if chosen is None or not on or fewest < LEAST_PATIENTS:
            split, few = ("test", fewest) if on else ("validation", on)
            yield {"question": name, "few": f"too few {split} patients ({few})"}
            continue
        for point, threshold_at in POINTS.items():
            threshold = threshold_at(chosen, TARGET)
            sensitivity, specificity = rates_above([scores], [threshold])
            yield {
                "question": name,
                "few": "",
                "chosen_on": on,
                "point": point,
                "threshold": threshold,
                "sensitivity": sensitivity,
                "specificity": specificity,
            }


def _calibration(run: Run) -> Reliability | None:
    """The test forecasts in bins of about as many each; None without any."""
    table = run.directory.predictions("test")
    labels, outputs = labels_and_probabilities(table, run.dataset["classes"])
    happened, forecast = forecasts(labels, outputs, run.dataset["kind"])
    if not len(forecast):
        return None
    return reliability(happened, forecast, _BINS, "equal_mass")


def _limits(
    run: Run,
    metrics: list[dict[str, Any]],
    points: list[dict[str, Any]],
    quality: DonorQuality | None,
) -> Iterator[str]:
    config, status = run.config, run.status
    if not metrics:
        yield "It was never tested: the data set has no test images."
    else:
        main: Interval = metrics[0]["interval"]
        chance = chance_level(run.metric, _class_counts(run))
        if not main.low > chance:
            yield (
                f"It may have learned nothing: the interval of its main metric reaches "
                f"{wording.number(chance, 2)}, which is chance."
            )
    if not status["best_step"]:
        yield "Training made it no better: these are the weights that it began with."
    if too_few := too_few_for_metric([run]):
        yield f"Its main metric says little: {too_few}."
    yield from _few_patients(run, points)
    if quality is not None and quality.weaknesses:
        yield quality.verdict()
    elif quality is None and donor_name(run.config) is not None:
        yield "What the features of its donor are worth was not measured."
    yield "It is one training with one seed; another seed gives other outputs."
    if config.fold is not None:
        yield (
            f"It is fold {config.fold} of {config.folds} of a cross-validation, and "
            "saw only its part of the data."
        )
        if config.fold_protocol == "paper":
            yield "Its weights were chosen on the test split, which flatters them."
    if config.train_examples:
        yield (
            f"It was trained on {wording.count(run.train_examples)} of "
            f"{wording.count(run.dataset['counts']['train']['images'])} images."
        )
    if config.mixed_precision:
        yield (
            "It was trained in 16 bits and computes in 32 here: the numbers above are "
            "of outputs that differ, by how much is said where it was checked."
        )
    counts = run.dataset["counts"].values()
    if all(split["images"] == split["patients"] for split in counts):
        yield (
            "Each image counts as a patient: if the data name none, one patient's "
            "images may be in several splits, and intervals are too narrow."
        )


def _few_patients(run: Run, points: list[dict[str, Any]]) -> Iterator[str]:
    """What is said of, or was chosen on, too few."""
    tested = class_patients([run])
    chosen_on = {p["question"]: p["chosen_on"] for p in points if not p["few"]}
    tested_few, chosen_few = (
        wording.listed([f"{n} ({c})" for n, c in counts.items() if c < LEAST_PATIENTS])
        for counts in (tested, chosen_on)
    )
    if tested_few:
        yield (
            f"The test set has fewer than {LEAST_PATIENTS} patients with {tested_few}: "
            "what it says of them hangs on a patient or two."
        )
    if chosen_few:
        yield (
            f"Thresholds were chosen on fewer than {LEAST_PATIENTS} validation "
            f"patients with or without {chosen_few}: other patients would give others."
        )
