"""Runs compared over the folds of a cross-validation.

Folds are tested on different patients but trained on much the same ones, so what they
measure is correlated and their plain variance too small. The variance of the mean over
J folds is taken as

    SE^2 = (1 / J + n_test / n_train) * var(d_k)

(Nadeau and Bengio, 2003, section 5), with d_k the metric on fold k or the difference
of two runs there, var the sample variance, and Student's distribution with J - 1
degrees of freedom; repeated cross-validation counts every fold of every repeat
(Bouckaert and Frank, 2004). There is no separate part for the patients, as every fold
draws others.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from transfusion_tf.evaluation.estimates import Estimate, student
from transfusion_tf.evaluation.scores import RunScore


def estimate_over_folds(
    values: Sequence[float], test_to_train: float, level: float = 0.95
) -> Estimate:
    """The mean over folds, with the interval that this module describes.

    Args:
      values: one a fold: a metric, a similarity, or a difference.
      test_to_train: test examples over training examples, 0.25 for five folds that
        train on all of the other four.
      level: intended coverage.

    Returns:
      `over` is `fold`; the interval is NaN with one fold.

    Raises:
      ValueError: no values, or a ratio that is not above 0.
    """
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        raise ValueError("no values to average")
    if not test_to_train > 0:
        raise ValueError(f"test_to_train must be above 0, got {test_to_train}")
    folds, estimate = len(array), float(array.mean())
    variance = None
    freedom = low = high = p_value = np.nan
    if folds > 1:
        variance = float(array.var(ddof=1)) * (1 / folds + test_to_train)
        freedom = float(folds - 1)
        low, high, p_value = student(estimate, variance, freedom, level)
    return Estimate(
        estimate=estimate,
        low=low,
        high=high,
        level=level,
        seeds=folds,
        seed_variance=variance,
        patient_variance=None,
        degrees_of_freedom=freedom,
        values=tuple(array.tolist()),
        p_value=p_value,
        over="fold",
    )


def fold_difference(
    left: Mapping[Any, RunScore],
    right: Mapping[Any, RunScore],
    test_to_train: float,
    level: float = 0.95,
) -> Estimate | None:
    """Left minus right, over the folds that both have; None when there is none.

    Args:
      left: one score a fold, by the fold's number, or by (seed, fold) where the
        cross-validation was repeated.
      right: the same; scores of one key are of the same test patients.
      test_to_train: see `estimate_over_folds`.
      level: intended coverage.

    Raises:
      ValueError: a fold's two scores are not of the same test examples and patients.
    """
    keys = sorted(set(left) & set(right))
    if not keys:
        return None
    for key in keys:
        if left[key].test_set != right[key].test_set:
            raise ValueError(
                f"fold {key}: runs were scored on different test examples or patients: "
                "only runs on the same test set compare"
            )
    return estimate_over_folds(
        [left[key].value - right[key].value for key in keys], test_to_train, level
    )
