"""A run's metric on the test patients, and what it would be on others like them."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from transfusion_tf.evaluation.intervals import metric_replicates
from transfusion_tf.evaluation.metrics import metric
from transfusion_tf.evaluation.predictions import labels_and_probabilities

# Metrics that every patient counts in alike.
_OF_ALL_PATIENTS = ("accuracy", "top5_accuracy", "quadratic_kappa")


@dataclasses.dataclass(frozen=True)
class RunScore:
    """One run's metric on the test set, with what a comparison needs.

    Attributes:
      value: the metric; NaN where undefined.
      replicates: float64 [samples], the metric in every bootstrap sample.
      patients: how many there are.
      rarer: how many are on the rarer side of the metric, see `rarer_patients`.
      test_set: fingerprint of examples and patients; only equal ones compare.
    """

    value: float
    replicates: np.ndarray = dataclasses.field(repr=False, compare=False)
    patients: int
    rarer: int
    test_set: int


def score_run(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    metric_name: str,
    referable_from: int | None = None,
    samples: int = 1000,
    seed: int = 0,
) -> RunScore:
    """A run's metric on one split, and in every bootstrap sample of its patients.

    Args:
      predictions: rows of one split, see `prediction_table`.
      classes: names, in the card's order.
      metric_name: one of `METRICS`.
      referable_from: the first referable grade, for `referable_auc`.
      samples: bootstrap samples.
      seed: of the draws: runs to be compared need the same. Runs on one test set are
        drawn alike, and runs on two independently.
    """
    table = predictions.sort_values("example_id", kind="stable")
    labels, probabilities = labels_and_probabilities(table, classes)
    # Named by their first example: two data sets may both have a patient p00001.
    first = table.groupby("patient_id")["example_id"].transform("min")
    patients = first.to_numpy(dtype=str)
    value = metric(metric_name)(labels, probabilities, referable_from=referable_from)
    replicates = metric_replicates(
        metric_name, patients, labels, probabilities, referable_from, samples, seed
    )
    identity = pd.util.hash_pandas_object(
        table[["example_id", "patient_id"]].astype(str), index=False
    )
    return RunScore(
        value,
        replicates,
        len(np.unique(patients)),
        rarer_patients(metric_name, labels, patients, referable_from),
        hash((seed, tuple(identity.tolist()))),
    )


def rarer_patients(
    metric_name: str,
    labels: np.ndarray,
    patients: np.ndarray,
    referable_from: int | None = None,
) -> int:
    """How many patients the variance of a metric hangs on.

    Of an AUC, those of the rarer of its two sides. Of a mean over classes, what has the
    degrees of freedom of the classes' variances together (Satterthwaite, 1946), each
    taken to fall with its rarer side. Of an accuracy or kappa, all.

    Args:
      metric_name: one of `METRICS`.
      labels: float [n, classes], NaN where unlabelled.
      patients: [n].
      referable_from: the first referable grade, for `referable_auc`.
    """
    if metric_name in _OF_ALL_PATIENTS:
        return len(np.unique(patients))
    if metric_name == "referable_auc" and referable_from is not None:
        unknown = np.isnan(labels).any(axis=1)
        upper = labels[:, referable_from:].sum(axis=1) > 0
        labels = np.where(unknown, np.nan, upper)[:, None]
    if labels.shape[1] == 2 and (np.nansum(labels, axis=1) <= 1).all():
        labels = labels[:, :1]
    sides = [
        min(len(np.unique(patients[own == side])) for side in (0, 1))
        for own in labels.T
    ]
    known = np.array([count for count in sides if count])
    if not known.size:
        return 0
    weights = np.ones(len(sides))
    if metric_name == "prior_weighted_auc":
        weights = np.nanmean(labels, axis=0)
    parts = weights[np.array(sides) > 0] ** 2 / known
    freedom = parts.sum() ** 2 / (parts**2 / np.maximum(known - 1, 0.5)).sum()
    return int(freedom) + 1
