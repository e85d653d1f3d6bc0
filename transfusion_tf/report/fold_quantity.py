"""Numbers that every fold of a cross-validation has one of."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Mapping, Sequence

from transfusion_tf.evaluation import Difference, estimate_over_folds


@dataclasses.dataclass(frozen=True)
class FoldQuantity:
    """As `transfusion_tf.evaluation.Quantity`, over folds.

    Every fold is tested on other patients, so there are no bootstrap samples to carry;
    folds share training images, which the interval counts.

    Attributes:
      values: fold -> number.
      test_to_train: test images over training images of a fold.
    """

    values: Mapping[int, float]
    test_to_train: float

    def __add__(self, other: FoldQuantity) -> FoldQuantity:
        folds = sorted(set(self.values) & set(other.values))
        return FoldQuantity(
            {fold: self.values[fold] + other.values[fold] for fold in folds},
            (self.test_to_train + other.test_to_train) / 2,
        )

    def __mul__(self, factor: float) -> FoldQuantity:
        values = {fold: factor * value for fold, value in self.values.items()}
        return dataclasses.replace(self, values=values)

    def interval(self, level: float = 0.95) -> Difference:
        """The mean over folds with its interval.

        Raises:
          ValueError: there is no fold.
        """
        values = [self.values[fold] for fold in sorted(self.values)]
        return estimate_over_folds(values, self.test_to_train, level)


def mean_over_targets(quantities: Sequence[FoldQuantity]) -> FoldQuantity:
    """Their mean, fold by fold: folds of two targets have nothing to do with one
    another, so the spread of the mean is what it is of several targets.
    """
    return functools.reduce(operator.add, quantities) * (1 / len(quantities))
