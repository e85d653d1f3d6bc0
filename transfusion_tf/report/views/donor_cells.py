"""Runs of a cross-validation by target, donor and way of fine-tuning."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from transfusion_tf.evaluation import Difference
from transfusion_tf.report import style
from transfusion_tf.report.material import Material
from transfusion_tf.report.donors import donor_facts
from transfusion_tf.report.repetitions import RunKey, mean_over_runs, run_key
from transfusion_tf.report.results import BASELINE
from transfusion_tf.report.style import Mark
from transfusion_tf.studies.study_folder import Run

HEAD_FIRST = "head first"

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b08a00")


@dataclasses.dataclass(frozen=True, eq=False)
class DonorCell:
    """The runs of one target, donor and way of fine-tuning: one a fold or seed.

    Attributes:
      dataset: name of the target.
      donor: its name; `random` where there is none.
      head_first: whether the head was trained alone first, on frozen weights.
      runs: by seed, or seed and fold.
    """

    dataset: str
    donor: str
    head_first: bool
    runs: Mapping[RunKey, Run]

    @property
    def label(self) -> str:
        """`photographs`, or `photographs, head first`."""
        return f"{self.donor}, {HEAD_FIRST}" if self.head_first else self.donor

    @property
    def first(self) -> Run:
        """The run of the lowest seed and fold."""
        return next(iter(self.runs.values()))

    def values(self, measure: Callable[[Run], float | None]) -> dict[RunKey, float]:
        """A number of every run that has it."""
        found = {key: measure(run) for key, run in self.runs.items()}
        return {
            key: float(value)
            for key, value in found.items()
            if value is not None and np.isfinite(value)
        }


def donor_cells(material: Material) -> list[DonorCell]:
    """The chapter's cells: target by target, random weights first, then each donor."""
    runs: dict[tuple[str, str, bool], dict[RunKey, Run]] = {}
    for results in material.results:
        for run in results.record.runs:
            facts = donor_facts(results.record, run)
            donor = BASELINE if facts is None else facts.name
            key = (run.dataset["name"], donor, run.config.head_steps > 0)
            runs.setdefault(key, {})[run_key(run)] = run
    targets = list(dict.fromkeys(key[0] for key in runs))
    donors = [BASELINE, *dict.fromkeys(key[1] for key in runs if key[1] != BASELINE)]
    order = sorted(
        runs,
        key=lambda key: (targets.index(key[0]), donors.index(key[1]), key[2]),
    )
    return [DonorCell(*key, dict(sorted(runs[key].items()))) for key in order]


def by_target(cells: list[DonorCell]) -> dict[str, list[DonorCell]]:
    """The cells of every target."""
    found: dict[str, list[DonorCell]] = {}
    for cell in cells:
        found.setdefault(cell.dataset, []).append(cell)
    return found


def over_repetitions(
    values: Mapping[RunKey, float], cell: DonorCell
) -> Difference | None:
    """Mean and interval over the cell's folds or seeds; None without values."""
    return mean_over_runs(values, cell.runs) if values else None


def once_note(cells: list[DonorCell]) -> list[str]:
    """What a chapter says that has one fold, or one seed, alone."""
    if not cells or max(len(cell.runs) for cell in cells) > 1:
        return []
    over = "seed" if cells[0].first.config.fold is None else "fold"
    return [f"One {over} each: nothing here says how much another would change."]


def main_metric(run: Run) -> float | None:
    """The test metric that the study reports."""
    return run.score.value if run.score is not None else None


def cell_marks(cells: list[DonorCell]) -> dict[str, Mark]:
    """A colour a donor, a marker a way of fine-tuning; random weights are grey."""
    names = list(dict.fromkeys(c.donor for c in cells if c.donor != BASELINE))
    colours = dict(zip(names, _COLOURS, strict=False))
    colours[BASELINE] = style.marks([BASELINE])[BASELINE].colour
    return {
        cell.label: Mark(
            colours.get(cell.donor, style.MUTED),
            "o" if cell.donor == BASELINE else "D" if cell.head_first else "s",
        )
        for cell in cells
    }


def target_title(cell: DonorCell) -> str:
    """The target's title, without what follows its first comma or colon."""
    title = str(cell.first.dataset.get("title") or cell.dataset)
    return title.partition(":")[0].partition(",")[0]
