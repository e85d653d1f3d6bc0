"""Contrasts of lines through pairs of models."""

import dataclasses
from collections.abc import Collection
from typing import Any

import numpy as np

from transfusion_tf.evaluation.regression import regression_line
from transfusion_tf.studies.contrasts.leaves import PairAverage, Stages
from transfusion_tf.studies.contrasts.tree import Contrast
from transfusion_tf.studies.measurements.table import Measurements

_FEWEST = 3  # pairs


@dataclasses.dataclass(frozen=True)
class StartEndRSquared(Contrast):
    """R² of the similarity of pairs after training on that at initialization.

    Of n pairs that have nothing to do with their start it is 1 / (n - 1) on average,
    not 0: compare the R² of as many pairs.

    Attributes:
      quantity: such as `cca`.
      runs, others, stages: as `PairAverage`.
    """

    quantity: str
    runs: tuple[Any, ...]
    others: tuple[Any, ...] = ()
    stages: Stages = None

    def value(self, measurements: Measurements, selected: Collection[str]) -> float:
        start, end = (self._pairs(measurements, w) for w in ("initial", "trained"))
        pairs = [pair for pair in start if pair in end and set(pair) <= set(selected)]
        if len(pairs) < _FEWEST:
            return np.nan
        x, y = (np.array([side[pair] for pair in pairs]) for side in (start, end))
        line = regression_line(x, y)
        return np.nan if line is None else float(line.r_squared)

    def _pairs(
        self, measurements: Measurements, weights: str
    ) -> dict[tuple[str, str], float]:
        sides = PairAverage(
            self.quantity,
            self.runs,
            self.others,
            weights=weights,
            stages=self.stages,
        )
        return measurements.once(("pairs", sides), lambda: sides.by_pair(measurements))
