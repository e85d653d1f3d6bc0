"""An estimate with its interval, and what may be concluded from it."""

import dataclasses

import numpy as np
from scipy import special

ONE_SEED = "one seed: the interval lacks the spread between seeds"
ONE_FOLD = "one fold: there is no interval"
TOO_FEW = "too few for an interval"


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over repeated runs, or any other effect, with its interval.

    Attributes:
      estimate: the effect of all runs together.
      low: lower end of the interval; NaN when nothing supports one.
      high: upper end.
      level: intended coverage, 0.95 for a 95 % interval.
      seeds: how many seeds it is from.
      seed_variance: variance that the choice of seeds, and of donors, adds; None with
        one of each.
      patient_variance: variance that the choice of patients adds; None when the
        quantity has no patient part (a number of steps).
      degrees_of_freedom: of the Student quantile used.
      values: one per seed, in the order of the seeds.
      p_value: two-sided, of a difference of zero: below 1 - level just where the
        interval leaves zero out. NaN without an interval, or for an estimate that is
        no difference.
      adjusted_p_value: the p value after a correction for all the comparisons that
        were made along with this one; None where none was made.
      over: what there is one value of each: `seed`, or `fold` of a cross-validation,
        which then stands for seed above.
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
        if self.seeds == 2:
            return f"two {self.over}s: {TOO_FEW}"
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
        return f"{self.estimate:+z.3f} [{self.low:+z.3f}, {self.high:+z.3f}]"


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
    half = float(special.stdtrit(freedom, (1 + level) / 2)) * error
    if error > 0:
        p_value = float(2 * special.stdtr(freedom, -abs(estimate) / error))
    else:
        p_value = np.nan if np.isnan(error) else float(estimate == 0)
    return estimate - half, estimate + half, p_value
