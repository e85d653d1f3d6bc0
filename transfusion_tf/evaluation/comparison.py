r"""Two groups of trainings compared over seeds on the same test patients.

Two things make a difference uncertain: another seed would have trained other
models, and other patients would have made another test set. Both are counted:

    D    = mean over seeds of d_s,  d_s = metric(left, seed s) - metric(right, seed s)
    SE^2 = var(d_s) / S  +  var_b(D_b)

with S seeds, var the sample variance, and D_b the difference D on bootstrap sample b
of the patients, the models held fixed and both sides given the same draw. The
interval is D +- t * SE, t the quantile of Student's distribution with

    df = SE^4 / ((var(d_s) / S)^2 / (S - 1) + var_b(D_b)^2 / (P - 1))

degrees of freedom for P patients (Welch and Satterthwaite). The interval of one
group alone is the same with d_s the metric itself.

What it carries: the spread between seeds and between patients like these. The
part of the spread that belongs to one seed on one patient is in both terms, so
the interval is a little wide rather than narrow. What it does not carry: another
hospital or camera, another draw of the training and validation patients, other
hyperparameters, and the choice among many comparisons: each interval is on its own
at its level, and so is the p value that goes with it. `adjusted_differences`
(`transfusion_tf.evaluation.multiplicity`) adds one that holds among them all. With one
seed the first term is missing, and `caveat` says so.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from transfusion_tf.evaluation.estimates import Estimate, student
from transfusion_tf.evaluation.scores import RunScore


def cell_interval(scores: Mapping[Any, RunScore], level: float = 0.95) -> Estimate:
    """Mean of the metric over the seeds of one cell, with its interval.

    The ends are cut to [0, 1], where all metrics live.

    Args:
      scores: one a seed.
      level: intended coverage.
    """
    _check(scores)
    ordered = [scores[seed] for seed in sorted(scores)]
    cell = estimate_over_seeds(
        np.array([score.value for score in ordered]),
        np.array([score.replicates for score in ordered]),
        ordered[0].patients,
        level,
    )
    low, high = np.clip([cell.low, cell.high], 0.0, 1.0)
    return dataclasses.replace(cell, low=float(low), high=float(high), p_value=np.nan)


def difference(
    left: Mapping[Any, RunScore], right: Mapping[Any, RunScore], level: float = 0.95
) -> Estimate | None:
    """Left minus right, over the seeds that both have; None when there is none.

    Args:
      left: one score a seed.
      right: one score a seed, on the same test set.
      level: intended coverage.

    Raises:
      ValueError: the scores are not of the same test examples and patients.
    """
    seeds = sorted(set(left) & set(right))
    if not seeds:
        return None
    _check(
        {
            **{("left", s): left[s] for s in seeds},
            **{("right", s): right[s] for s in seeds},
        }
    )
    return estimate_over_seeds(
        np.array([left[s].value - right[s].value for s in seeds]),
        np.array([left[s].replicates - right[s].replicates for s in seeds]),
        left[seeds[0]].patients,
        level,
    )


def seed_interval(values: Sequence[float], level: float = 0.95) -> Estimate:
    """Student's interval of a mean over seeds, without a part for patients.

    For what has no test patients in it: steps, areas under learning curves, and
    their paired differences.
    """
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        raise ValueError("no values to average")
    return estimate_over_seeds(array, None, 0, level)


def estimate_over_seeds(
    values: np.ndarray,
    replicates: np.ndarray | None,
    patients: int,
    level: float = 0.95,
) -> Estimate:
    """The mean over seeds, with the interval that this module describes.

    Args:
      values: [seeds].
      replicates: [seeds, samples], the same in every bootstrap sample of the test
        patients; None where no test patients are behind the values.
      patients: of the test set.
      level: intended coverage.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    seeds = len(values)
    parts: list[tuple[float, int]] = []
    seed_variance = patient_variance = None
    if seeds > 1:
        seed_variance = float(values.var(ddof=1) / seeds)
        parts.append((seed_variance, seeds - 1))
    if replicates is not None:
        means = replicates.mean(axis=0)
        means = means[np.isfinite(means)]
        patient_variance = float(means.var(ddof=1)) if len(means) > 1 else np.nan
        parts.append((patient_variance, max(1, patients - 1)))
    estimate = float(values.mean())
    variance = sum(part for part, _ in parts)
    spread = sum(part**2 / freedom for part, freedom in parts)
    freedom = low = high = p_value = np.nan
    if parts:
        freedom = variance**2 / spread if spread > 0 else float(parts[-1][1])
        low, high, p_value = student(estimate, variance, freedom, level)
    return Estimate(
        estimate=estimate,
        low=low,
        high=high,
        level=level,
        seeds=seeds,
        seed_variance=seed_variance,
        patient_variance=patient_variance,
        degrees_of_freedom=float(freedom),
        values=tuple(float(value) for value in values),
        p_value=p_value,
    )


def _check(scores: Mapping) -> None:
    if not scores:
        raise ValueError("no runs to average")
    if len({(score.test_set, len(score.replicates)) for score in scores.values()}) > 1:
        raise ValueError(
            "runs were scored on different test examples or patients: only runs on "
            "the same test set compare"
        )
