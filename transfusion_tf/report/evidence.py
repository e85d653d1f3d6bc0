"""What a study measured, asked for by the runs that a question is about."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from transfusion_tf.errors import UserError
from transfusion_tf.evaluation import (
    Quantity,
    jackknife,
    learning_curve_area,
)
from transfusion_tf.report.results import race
from transfusion_tf.studies.study_folder import Run, StudyRecord
from transfusion_tf.training import RunConfig


class MissingEvidenceError(UserError):
    """Runs or analyses that a question needs have no result."""


class Evidence:
    """The finished runs and the analyses of a study.

    Runs are asked for by the configs that the study was made of; each question takes
    the runs of one cell, which differ in their seed alone.
    """

    def __init__(
        self,
        record: StudyRecord,
        run_ids: Mapping[RunConfig, str],
        analyses: Iterable[str],
    ):
        """Args:
        record: the study.
        run_ids: of all configs that the study was made of.
        analyses: paths of the tables that chapters had computed, below the root.
        """
        self._runs = {run.run_id: run for run in record.runs}
        self._ids = dict(run_ids)
        self._tables = _read_tables(record.root, analyses)

    def runs(self, cell: Sequence[RunConfig]) -> dict[int, Run]:
        """The finished runs of a cell, by seed."""
        return self._cell(cell)

    def table(self, name: str) -> pd.DataFrame:
        """All rows of one kind of analysis."""
        return self._table(name)

    def test(self, cell: Sequence[RunConfig]) -> Quantity:
        """The main metric on test."""
        scores = {seed: run.score for seed, run in self._cell(cell).items()}
        known = {seed: score for seed, score in scores.items() if score is not None}
        if not known:
            raise MissingEvidenceError("the data have no test split")
        return Quantity.of_scores(known)

    def while_learning(
        self, cell: Sequence[RunConfig], baseline: Sequence[RunConfig]
    ) -> Quantity:
        """Mean of the validation metric until the baseline has learnt.

        Args:
          cell: whose curve is averaged.
          baseline: the runs from random weights that set the horizon, as in `Panel`.
        """
        runs, start = self._cell(cell), self._cell(baseline)
        last = max(run.config.steps for run in (*runs.values(), *start.values()))
        _, horizon = race(start.values(), last)
        return Quantity(
            {
                seed: learning_curve_area(*run.curve(), until=horizon)
                for seed, run in runs.items()
            }
        )

    def unmoved(self, cell: Sequence[RunConfig], stages: Sequence[int]) -> Quantity:
        """CCA of a model before and after training, mean over stages.

        Args:
          cell: the runs.
          stages: positions from the input; -1 is the last stage.
        """
        table = self._table("before_after")
        return Quantity(
            {
                seed: self._mean_of_stages(
                    table[table["run"] == run.run_id], stages, run.run_id
                )
                for seed, run in self._cell(cell).items()
            }
        )

    def alike_within(
        self, cell: Sequence[RunConfig], stages: Sequence[int]
    ) -> Quantity:
        """CCA between the trained runs of one cell, as jackknife pseudo-values."""
        runs = self._cell(cell)

        def statistic(seeds: Sequence[int]) -> float:
            pairs = [
                self._similarity(runs[a], runs[b], stages)
                for a, b in itertools.combinations(seeds, 2)
            ]
            return float(np.mean(pairs)) if pairs else np.nan

        return jackknife(_seeds(runs), statistic)

    def alike_across(
        self,
        left: Sequence[RunConfig],
        right: Sequence[RunConfig],
        stages: Sequence[int],
    ) -> Quantity:
        """CCA between trained runs of two cells, seeds differing, as pseudo-values."""
        ours, theirs = self._cell(left), self._cell(right)

        def statistic(seeds: Sequence[int]) -> float:
            pairs = [
                self._similarity(ours[a], theirs[b], stages)
                for a, b in itertools.permutations(seeds, 2)
            ]
            return float(np.mean(pairs)) if pairs else np.nan

        return jackknife(sorted(set(ours) & set(theirs)), statistic)

    def _cell(self, configs: Sequence[RunConfig]) -> dict[int, Run]:
        """Finished runs by seed."""
        unknown = [config for config in configs if config not in self._ids]
        if unknown or not configs:
            raise MissingEvidenceError("this study has no such runs")
        found = {
            config.seed: self._runs[self._ids[config]]
            for config in configs
            if self._ids[config] in self._runs
        }
        if not found:
            name = f"{configs[0].model} from {configs[0].initialization}"
            raise MissingEvidenceError(f"no run of {name} has a result")
        return found

    def _similarity(self, a: Run, b: Run, stages: Sequence[int]) -> float:
        table = self._table("population_best")
        sides = {a.run_id, b.run_id}
        rows = table[table["run_a"].isin(sides) & table["run_b"].isin(sides)]
        return self._mean_of_stages(rows, stages, f"{a.run_id} and {b.run_id}")

    def _table(self, name: str) -> pd.DataFrame:
        if name not in self._tables:
            raise MissingEvidenceError(f"this study has no analysis {name}")
        return self._tables[name]

    @staticmethod
    def _mean_of_stages(rows: pd.DataFrame, stages: Sequence[int], what: str) -> float:
        """Mean over repeats, then over stages, which stand in network order."""
        means = rows.groupby("stage", sort=False)["value"].mean()
        if means.empty:
            raise MissingEvidenceError(f"{what} were not compared")
        return float(np.mean([means.iloc[position] for position in stages]))


def _seeds(runs: Mapping[int, Run]) -> list[int]:
    return sorted(runs)


def _read_tables(root: Path, paths: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Analyses by name: files are called `<name>-<hash>.csv`."""
    parts: dict[str, list[pd.DataFrame]] = {}
    for path in dict.fromkeys(paths):
        if (root / path).exists():
            name = Path(path).stem.rpartition("-")[0]
            parts.setdefault(name, []).append(pd.read_csv(root / path))
    return {name: pd.concat(tables) for name, tables in parts.items()}
