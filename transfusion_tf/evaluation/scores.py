"""A run's metric on the test patients, and what it would be on others like them."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from transfusion_tf.evaluation.intervals import metric_replicates
from transfusion_tf.evaluation.metrics import metric
from transfusion_tf.evaluation.predictions import labels_and_probabilities


@dataclasses.dataclass(frozen=True)
class RunScore:
    """One run's metric on the test set, with what a comparison needs.

    Attributes:
      value: the metric; NaN where undefined.
      replicates: float64 [samples], the metric in every bootstrap sample.
      patients: how many there are.
      test_set: fingerprint of examples and patients; only equal ones compare.
    """

    value: float
    replicates: np.ndarray = dataclasses.field(repr=False, compare=False)
    patients: int
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
        hash((seed, tuple(identity.tolist()))),
    )
