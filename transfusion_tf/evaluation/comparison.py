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
at its level. With one seed the first term is missing, and `caveat` says so.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from transfusion_tf.evaluation.intervals import metric_replicates
from transfusion_tf.evaluation.metrics import metric
from transfusion_tf.evaluation.predictions import labels_and_probabilities

ONE_SEED = "one seed: the interval lacks the spread between seeds"


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


@dataclasses.dataclass(frozen=True)
class Difference:
    """An estimate over seeds, or a difference of two, with its interval.

    Attributes:
      estimate: mean over seeds, or mean difference.
      low: lower end of the interval; NaN when nothing supports one.
      high: upper end.
      level: intended coverage, 0.95 for a 95 % interval.
      seeds: how many seeds it is the mean of.
      seed_variance: variance that the choice of seeds adds; None with one seed.
      patient_variance: variance that the choice of patients adds; None when the
        quantity has no patient part (a number of steps).
      degrees_of_freedom: of the Student quantile used.
      values: one a seed, in the order of the seeds.
    """

    estimate: float
    low: float
    high: float
    level: float
    seeds: int
    seed_variance: float | None
    patient_variance: float | None
    degrees_of_freedom: float
    values: tuple[float, ...] = ()

    @property
    def decided(self) -> str:
        """`higher`, `lower`, or `undecided` where the interval holds zero."""
        if self.low > 0:
            return "higher"
        return "lower" if self.high < 0 else "undecided"

    @property
    def caveat(self) -> str | None:
        """What the interval lacks, or None."""
        return ONE_SEED if self.seeds == 1 else None

    @property
    def std(self) -> float:
        """Sample standard deviation over seeds; NaN with one seed."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else np.nan

    def within_margin(self, margin: float) -> str:
        """Whether the left side is as good as the right, up to a margin.

        Returns:
          `within` when the whole interval lies above minus the margin, `worse`
          when it lies below zero and does not, `undecided` otherwise.
        """
        if self.low > -margin:
            return "within"
        return "worse" if self.high < 0 else "undecided"

    def __str__(self) -> str:
        return f"{self.estimate:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


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
      seed: of the draws: runs to be compared need the same.
    """
    table = predictions.sort_values("example_id", kind="stable")
    labels, probabilities = labels_and_probabilities(table, classes)
    patients = table["patient_id"].to_numpy(dtype=str)
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


def cell_interval(scores: Mapping[int, RunScore], level: float = 0.95) -> Difference:
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
    return dataclasses.replace(cell, low=float(low), high=float(high))


def difference(
    left: Mapping[int, RunScore], right: Mapping[int, RunScore], level: float = 0.95
) -> Difference | None:
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


def seed_interval(values: Sequence[float], level: float = 0.95) -> Difference:
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
) -> Difference:
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
    freedom, half = np.nan, np.nan
    if parts:
        freedom = variance**2 / spread if spread > 0 else float(parts[-1][1])
        half = float(stats.t.ppf((1 + level) / 2, freedom)) * np.sqrt(variance)
    return Difference(
        estimate=estimate,
        low=float(estimate - half),
        high=float(estimate + half),
        level=level,
        seeds=seeds,
        seed_variance=seed_variance,
        patient_variance=patient_variance,
        degrees_of_freedom=float(freedom),
        values=tuple(float(value) for value in values),
    )


def _check(scores: Mapping) -> None:
    if not scores:
        raise ValueError("no runs to average")
    if len({(score.test_set, len(score.replicates)) for score in scores.values()}) > 1:
        raise ValueError(
            "runs were scored on different test examples or patients: only runs on "
            "the same test set compare"
        )
