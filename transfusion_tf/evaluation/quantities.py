"""Numbers that every seed has one of, added and subtracted before an interval is made.

A claim such as "transfer gains more when data are scarce" is a sum of measurements:
(transfer - random) with few images, minus (transfer - random) with all. A seed's runs
share what the seed decides, and all runs on a test set share its patients, so the sum
is made seed by seed, and bootstrap sample by bootstrap sample; the interval comes last.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from transfusion_tf.errors import UserError
from transfusion_tf.evaluation.comparison import Difference, estimate_over_seeds
from transfusion_tf.evaluation.scores import RunScore


class NoSeedError(UserError):
    """No seed has all the runs that a number is made of."""


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A number for every seed.

    Attributes:
      values: seed -> number.
      replicates: seed -> float64 [samples], the number in every bootstrap sample of
        the test patients; None where no test patients are behind it.
      patients: of the test set.
      test_set: fingerprint of its examples and patients, and of the draws.
    """

    values: Mapping[int, float]
    replicates: Mapping[int, np.ndarray] | None = None
    patients: int = 0
    test_set: int | None = None

    @classmethod
    def of_scores(cls, scores: Mapping[int, RunScore]) -> Quantity:
        """The test metric of one run a seed.

        Raises:
          ValueError: no runs, or not all on the same test set.
        """
        test_sets = {score.test_set for score in scores.values()}
        if len(test_sets) != 1:
            raise ValueError(f"expected runs on one test set, got {len(test_sets)}")
        return cls(
            {seed: score.value for seed, score in scores.items()},
            {seed: score.replicates for seed, score in scores.items()},
            next(iter(scores.values())).patients,
            test_sets.pop(),
        )

    def __add__(self, other: Quantity) -> Quantity:
        return self._combined(other, operator.add)

    def __sub__(self, other: Quantity) -> Quantity:
        return self._combined(other, operator.sub)

    def __mul__(self, factor: float) -> Quantity:
        replicates = self.replicates
        if replicates is not None:
            replicates = {seed: factor * draws for seed, draws in replicates.items()}
        values = {seed: factor * value for seed, value in self.values.items()}
        return dataclasses.replace(self, values=values, replicates=replicates)

    def interval(self, level: float = 0.95) -> Difference:
        """The mean over seeds, with an interval over seeds and patients.

        Raises:
          NoSeedError: there is no seed.
        """
        if not self.values:
            raise NoSeedError("no seed has all of the runs")
        seeds = sorted(self.values)
        replicates = None
        if self.replicates is not None:
            replicates = np.array([self.replicates[seed] for seed in seeds])
        values = np.array([self.values[seed] for seed in seeds])
        return estimate_over_seeds(values, replicates, self.patients, level)

    def _combined(
        self, other: Quantity, combine: Callable[..., np.ndarray]
    ) -> Quantity:
        if self.test_set != other.test_set:
            raise ValueError("only numbers of the same test set can be combined")
        seeds = sorted(set(self.values) & set(other.values))
        replicates = None
        if self.replicates is not None and other.replicates is not None:
            replicates = {
                seed: combine(self.replicates[seed], other.replicates[seed])
                for seed in seeds
            }
        return dataclasses.replace(
            self,
            values={
                seed: float(combine(self.values[seed], other.values[seed]))
                for seed in seeds
            },
            replicates=replicates,
        )


def mean_quantity(quantities: Sequence[Quantity]) -> Quantity:
    """Their mean, seed by seed, over the seeds that all of them have."""
    return functools.reduce(operator.add, quantities) * (1 / len(quantities))


def jackknife(
    seeds: Sequence[int], statistic: Callable[[Sequence[int]], float]
) -> Quantity:
    """A statistic of all seeds together, as one pseudo-value a seed.

    For means over pairs of runs, where pairs that share a run are not independent:
    with n seeds, seed i's pseudo-value is n times the statistic of all seeds, minus
    n - 1 times that of the seeds without i (Tukey's jackknife). Their mean is the
    statistic, and Student's interval of them counts the sharing.

    Args:
      seeds: two or more; with two, nothing is left out and there is one value.
      statistic: takes seeds; NaN where they are too few.
    """
    together = statistic(seeds)
    count = len(seeds)
    values = {
        left_out: count * together
        - (count - 1) * statistic([seed for seed in seeds if seed != left_out])
        for left_out in seeds
    }
    if not np.isfinite(list(values.values())).all():
        return Quantity({seeds[0]: together})
    return Quantity(values)
