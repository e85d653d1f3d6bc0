"""An estimate with its interval, and what may be concluded from it."""

import dataclasses
from collections.abc import Collection

import numpy as np
import numpy.typing as npt
from scipy import special

ONE_SEED = "one seed: the interval lacks the spread between seeds"
ONE_FOLD = "one fold: there is no interval"
TOO_FEW = "too few for an interval"
NO_SPREAD = "too few to say: neither seeds nor patients set the two sides apart"

# On either side of a metric: with fewer, one patient is a tenth of a sensitivity.
LEAST_PATIENTS = 10


# See `freedom_of_sum`.
_SHARE_OF_FEWEST = 0.6

# A spread below, of an estimate or at all, is float64's own.
_ROUNDING = 1e-12


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
      patients: on the rarer side of the metric; None where no patients are behind it.
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
    patients: int | None = None

    @property
    def few_patients(self) -> bool:
        """Whether the metric has too few test patients for anything to be said."""
        return self.patients is not None and self.patients < LEAST_PATIENTS

    @property
    def spread(self) -> bool:
        """Whether there is anything to judge by, where there are seeds enough."""
        return self.seeds < 3 or not np.isnan(self.low)

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

    def of_a_level(self, limits: tuple[float, float]) -> "Estimate":
        """The interval cut to what a level can be; no p value of its being zero."""
        low, high = np.clip([self.low, self.high], *limits)
        return dataclasses.replace(
            self, low=float(low), high=float(high), p_value=np.nan
        )

    def opened(self, ends: Collection[str]) -> "Estimate":
        """The interval without an end, as of a number that may be `higher` or `lower`.

        So is a speed where some run has not learnt by its last step.
        """
        if np.isnan(self.low):
            return self
        return dataclasses.replace(
            self,
            low=-np.inf if "lower" in ends else self.low,
            high=np.inf if "higher" in ends else self.high,
        )

    @property
    def caveat(self) -> str | None:
        """What the interval lacks, or None."""
        if self.seeds == 2:
            return f"two {self.over}s: {TOO_FEW}"
        if not self.spread:
            return NO_SPREAD
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


def freedom_of_sum(variances: npt.ArrayLike, freedoms: npt.ArrayLike) -> np.ndarray:
    """Degrees of freedom of a sum of variances that are estimated apart.

    Satterthwaite's (1946), 1 / sum of w^2 / f over the shares w of the variances, are
    too many where the variance of few seeds is small by chance: of 95 % meant, 92 to
    93 % of the intervals hold the truth where three seeds have 80 to 98 % of the
    variance. So the share of the variance with the fewest counts as w^0.6, and the
    others fill up the rest, where that gives fewer: 94 to 96 % (simulated, two to nine
    degrees of freedom with as many up to 49, all shares; 97 % where both have two).

    Args:
      variances: [parts, ...], not all of them 0.
      freedoms: of each, above 0, of that shape or one that fits it.
    """
    own, freedom = np.broadcast_arrays(np.asarray(variances, float), freedoms)
    shares = own / own.sum(axis=0)
    fewest = np.arange(len(own)).reshape(-1, *[1] * (own.ndim - 1)) == np.argmin(
        freedom, axis=0
    )
    of_fewest = (shares * fewest).sum(axis=0)
    raised = of_fewest**_SHARE_OF_FEWEST
    rest = (1 - raised) / np.where(of_fewest < 1, 1 - of_fewest, 1.0)
    weights = np.where(fewest, raised, shares * rest)
    sums = [(each**2 / freedom).sum(axis=0) for each in (shares, weights)]
    return np.asarray(1 / np.maximum(*sums))


def student(
    estimate: float, variance: float, freedom: float, level: float = 0.95
) -> tuple[float, float, float]:
    """Student's interval of an estimate, and the p value of its being zero.

    Args:
      estimate: a mean.
      variance: of the estimate.
      freedom: degrees of freedom of the variance.
      level: intended coverage.

    Returns:
      Low end, high end, two-sided p value; NaN where there is no variance but what
      rounding makes, for nothing says how far off the estimate is.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    error = float(np.sqrt(variance))
    if not error > _ROUNDING * max(abs(estimate), 0.1):
        return np.nan, np.nan, np.nan
    half = float(special.stdtrit(freedom, (1 + level) / 2)) * error
    p_value = float(2 * special.stdtr(freedom, -abs(estimate) / error))
    return estimate - half, estimate + half, p_value
