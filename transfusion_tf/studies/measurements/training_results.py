"""What a finished run says of itself, as rows: curves, test metrics, time, weights."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from transfusion_tf.evaluation import chance_level
from transfusion_tf.evaluation.units import metric_unit
from transfusion_tf.studies.measurements.run_labels import donor_name
from transfusion_tf.studies.measurements.table import PatientDraws
from transfusion_tf.studies.study_folder import Run
from transfusion_tf.training.config import RunConfig
from transfusion_tf.training.run_directory import RunDirectory

# The metric that a study reports, under one name for all data sets.
SCORE = "score"
# The test split over training, of runs with `test_curve`; `test` is its result alone.
TEST_CURVE = "test_curve"
# Numbers of `status.json`, and their units.
_STATUS = {
    "best_validation": None,
    "best_step": "steps",
    "step": "steps",
    "parameters": "",
    "parameters_table1": "",
    "train_seconds": "s",
    "evaluation_seconds": "s",
    "images_per_second": "",
    "peak_memory_mib": "MiB",
}


def describe(run: Run) -> dict[str, Any]:
    """The columns that say which run a row is of."""
    config = run.config
    donor = _donor_run(config)
    return {
        "run": run.run_id,
        "dataset": run.dataset["name"],
        "model": config.model,
        "initialization": config.initialization,
        "donor": donor_name(config) or "",
        "donor_run": "" if donor is None else donor.path.name,
        "frozen": config.freeze or "",
        "head_first": config.head_steps > 0,
        "train_examples": run.train_examples,
        "seed": config.seed,
        "fold": config.fold,
        "donor_seed": None if donor is None else donor.config().seed,
    }


def result_rows(run: Run) -> pd.DataFrame:
    """Curves by step, metrics on test by class, and numbers of the training."""
    rows = [*_curve_rows(run), *_test_rows(run), *_status_rows(run)]
    return pd.DataFrame(rows).assign(**describe(run))


def patient_draws(run: Run, split: str = "test") -> PatientDraws | None:
    """The run's main metric in every bootstrap sample; None without such a split."""
    score = run.score if split == "test" else run.split_score(split)
    if score is None:
        return None
    return PatientDraws(
        score.replicates, score.patients, f"{score.test_set:x}", score.rarer
    )


def test_to_train(run: Run) -> float | None:
    """Test images over training images of a fold; None of a run that is none.

    Of what the fold could train on, for it is the share that two folds' training sets
    have in common that ties their results together: a subset of it shares as much.
    """
    if run.config.fold is None:
        return None
    counts = run.dataset["counts"]
    return int(counts["test"]["images"]) / max(int(counts["train"]["images"]), 1)


def _curve_rows(run: Run) -> Iterable[dict[str, Any]]:
    for column in run.metrics.columns:
        split, _, metric = column.partition("/")
        if split not in ("train", "validation", "test") or not metric:
            continue
        split = TEST_CURVE if split == "test" else split
        for step, value in zip(run.metrics["step"], run.metrics[column], strict=True):
            where = {"split": split, "step": step}
            yield from _metric_rows(run, metric, value, where)


def _test_rows(run: Run) -> Iterable[dict[str, Any]]:
    for metric, value in run.test_metrics.items():
        yield from _metric_rows(run, metric, value, {"split": "test"}, score=False)
    if run.score is not None:
        yield {**_metric(SCORE, run.score.value, run.metric), "split": "test"}


def _metric_rows(
    run: Run,
    metric: str,
    value: float,
    where: Mapping[str, Any],
    *,
    score: bool = True,
) -> Iterable[dict[str, Any]]:
    name, _, class_name = metric.partition("/")
    yield {**_metric(name, value, metric), "class": class_name, **where}
    if score and metric == run.metric:
        yield {**_metric(SCORE, value, metric), **where}


def _metric(quantity: str, value: float, metric: str) -> dict[str, Any]:
    return {"quantity": quantity, "value": value, "unit": metric_unit(metric)}


def _status_rows(run: Run) -> Iterable[dict[str, Any]]:
    for name, unit in _STATUS.items():
        value = run.status.get(name)
        if value is not None:
            own_unit = metric_unit(run.metric) if unit is None else unit
            yield {"quantity": name, "value": float(value), "unit": own_unit}
    steps = float(run.config.steps)
    yield {"quantity": "steps", "value": steps, "unit": "steps"}
    chance = chance_level(run.metric, _class_counts(run))
    yield _metric("chance", chance, run.metric)


def _class_counts(run: Run) -> list[int]:
    """Images by class, of the test split if there is one."""
    counts = run.dataset["counts"]
    for split in ("test", "train"):
        found = list(counts.get(split, {}).get("classes", {}).values())
        if any(found):
            return found
    return [1] * len(run.dataset["classes"])


def _donor_run(config: RunConfig) -> RunDirectory | None:
    """The donor, where it was pretrained here and is used."""
    if donor_name(config) is None:
        return None
    directory = RunDirectory(Path(str(config.donor)))
    return directory if directory.exists() else None
