"""Repetitions of one setting, as tables and figures show them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from transfusion_tf.evaluation import Estimate
from transfusion_tf.report.long_table import Rows, effect_rows, measured
from transfusion_tf.studies.run_groups import RunGroup


@dataclasses.dataclass(frozen=True, eq=False)
class ShownRuns(RunGroup):
    """Runs of one setting.

    Attributes:
      columns: what every row about them has: which runs they are (`dataset`, `model`,
        `initialization`, ...), and what they are called (`label`, `panel`, `unit`).
    """

    columns: Mapping[str, Any]

    @property
    def dataset(self) -> str:
        """Name of the card."""
        return self.columns["dataset"]

    @property
    def model(self) -> str:
        """Its name, with the setting where runs of one model differ in one."""
        return self.columns["model"]

    @property
    def initialization(self) -> str:
        """The spec, with donor and freezing where they differ."""
        return self.columns["initialization"]

    @property
    def train_examples(self) -> int:
        """How many training images."""
        return self.columns["train_examples"]

    def row(
        self, quantity: str, found: Estimate | None, **columns: Any
    ) -> dict[str, Any]:
        """The row of an estimate; without a number where there is none."""
        return {**self.columns, **columns, "quantity": quantity, **measured(found)}

    def rows(self, quantity: str, found: Estimate | None, **columns: Any) -> Rows:
        """The row of an estimate, if there is one."""
        return effect_rows(quantity, found, **{**self.columns, **columns})

    def test_rows(self, baseline: RunGroup | None, **columns: Any) -> Rows:
        """The test metric, and its difference to that of random weights."""
        gap = None if self is baseline else self.test_minus(baseline)
        return [
            self.row("test", self.test, shown="mean", **columns),
            *self.rows("difference_to_random", gap, **columns),
        ]
