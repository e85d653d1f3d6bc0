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
from scipy import stats

from transfusion_tf.evaluation.scores import RunScore

ONE_SEED = "one seed: the interval lacks the spread between seeds"
ONE_FOLD = "one fold: there is no interval"


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
      p_value: two-sided, of a difference of zero: below 1 - level just where the
        interval leaves zero out. NaN without an interval, or for an estimate that is
        no difference.
      adjusted_p_value: the p value after a correction for all the comparisons that
        were made along with this one; None where none was made.
      over: what there is one value of each: `seed`, or `fold` of a cross-validation
        (`transfusion_tf.evaluation.folds`), which then stands for seed above.
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
    p_value: float = np.nan
    adjusted_p_value: float | None = None
    over: str = "seed"

    @property
    def decided(self) -> str:
        """`higher`, `lower`, or `undecided` where the interval holds zero."""
        if self.low > 0:
            return "higher"
        return "lower" if self.high < 0 else "undecided"

    @property
    def decided_among_all(self) -> str:
        """As `decided`, but `undecided` too where the adjusted p value is not small.

        Without an adjusted p value it is `decided`.
        """
        if self.adjusted_p_value is None or self.adjusted_p_value < 1 - self.level:
            return self.decided
        return "undecided"

    @property
    def caveat(self) -> str | None:
        """What the interval lacks, or None."""
        if self.seeds > 1:
            return None
        return ONE_FOLD if self.over == "fold" else ONE_SEED

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


def cell_interval(scores: Mapping[Any, RunScore], level: float = 0.95) -> Difference:
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
    freedom = low = high = p_value = np.nan
    if parts:
        freedom = variance**2 / spread if spread > 0 else float(parts[-1][1])
        low, high, p_value = student(estimate, variance, freedom, level)
    return Difference(
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


def student(
    estimate: float, variance: float, freedom: float, level: float = 0.95
) -> tuple[float, float, float]:
    """Student's interval of an estimate, and the p value of its being zero.

    Args:
      estimate: a mean.
      variance: of the estimate. Where it is 0 the p value is 0, or 1 of a zero.
      freedom: degrees of freedom of the variance.
      level: intended coverage.

    Returns:
      Low end, high end, two-sided p value.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    error = float(np.sqrt(variance))
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
    if error > 0:
        p_value = float(2 * stats.t.sf(abs(estimate) / error, freedom))
    else:
        p_value = np.nan if np.isnan(error) else float(estimate == 0)
    return estimate - half, estimate + half, p_value


def _check(scores: Mapping) -> None:
    if not scores:
        raise ValueError("no runs to average")
    if len({(score.test_set, len(score.replicates)) for score in scores.values()}) > 1:
        raise ValueError(
            "runs were scored on different test examples or patients: only runs on "
            "the same test set compare"
        )
