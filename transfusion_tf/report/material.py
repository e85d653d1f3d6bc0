"""What a chapter is drawn from: its runs by data set, its analyses, what is missing."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from transfusion_tf.report import wording
from transfusion_tf.report.results import Results, collect
from transfusion_tf.studies.measurements.collect import collect as collect_measurements
from transfusion_tf.studies.measurements.run_labels import start_names
from transfusion_tf.studies.measurements.table import NOTHING, Measurements
from transfusion_tf.studies.study_folder import ChapterRecord, Run, StudyRecord

# What tells one measurement of an analysis from another.
_POPULATION_KEYS = ["run_a", "run_b", "stage", "measure", "repeat"]
_BEFORE_AFTER_KEYS = ["run", "stage", "measure", "repeat"]
_KEYS = {
    "population_initial": _POPULATION_KEYS,
    "population_best": _POPULATION_KEYS,
    "before_after": _BEFORE_AFTER_KEYS,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Material:
    """All that a view is given.

    Attributes:
      chapter: what the study says about it.
      results: the finished runs, a data set each.
      analyses: kind -> the rows that are about the chapter's runs, with `dataset`
        beside them (and `model`, `initialization`, `seed` for `before_after`).
      missing: what is not there yet, a sentence each.
      measurements: of the whole study.
    """

    chapter: ChapterRecord
    results: tuple[Results, ...]
    analyses: Mapping[str, pd.DataFrame]
    missing: tuple[str, ...]
    measurements: Measurements = NOTHING

    @property
    def runs(self) -> dict[str, Run]:
        """The finished runs by id."""
        return {
            run.run_id: run for results in self.results for run in results.record.runs
        }

    def analysis(self, kind: str) -> pd.DataFrame:
        """The rows of one kind of analysis; empty where there is none."""
        return self.analyses.get(kind, pd.DataFrame())


def read_material(
    record: StudyRecord,
    chapter: ChapterRecord,
    measurements: Measurements | None = None,
) -> Material:
    """Gathers a chapter's runs and analyses; what is missing is said, and no error.

    Args:
      record: of the whole study.
      chapter: one of its chapters.
      measurements: of the study; None collects them.
    """
    if measurements is None:
        measurements = collect_measurements(record)
    wanted = set(chapter.runs)
    runs = [run for run in record.runs if run.run_id in wanted]
    by_dataset: dict[str, list[Run]] = {}
    for run in runs:
        by_dataset.setdefault(run.dataset["name"], []).append(run)
    analyses, missing = _read_analyses(
        record.root, chapter, {run.run_id: run for run in runs}
    )
    return Material(
        chapter=chapter,
        results=tuple(
            _collect(record, part, measurements) for part in by_dataset.values()
        ),
        analyses=analyses,
        missing=(*_missing_runs(record, chapter, len(runs)), *missing),
        measurements=measurements,
    )


def _collect(
    record: StudyRecord, runs: Sequence[Run], measurements: Measurements
) -> Results:
    """Results of one data set.

    Collected a model at a time: what only sets one model apart from another, such as
    its batch norm's momentum, is no setting of the chapter, and belongs in no label.
    """
    by_model: dict[str, list[Run]] = {}
    for run in runs:
        by_model.setdefault(run.config.model, []).append(run)
    parts = [
        collect(dataclasses.replace(record, runs=tuple(part)), measurements)
        for part in by_model.values()
    ]
    panels = [panel for part in parts for panel in part.model_results]
    panels.sort(key=lambda p: (p.parameters or 0, p.model, p.train_examples))
    return Results(
        dataclasses.replace(record, runs=tuple(runs)),
        runs[0].metric,
        tuple(panels),
        measurements,
    )


def _missing_runs(
    record: StudyRecord, chapter: ChapterRecord, finished: int
) -> list[str]:
    total = len(dict.fromkeys(chapter.runs))
    if finished == total:
        return []
    states = [run.state for run in record.unfinished if run.run_id in chapter.runs]
    kinds = ", ".join(
        f"{states.count(state)} {state}" for state in dict.fromkeys(states)
    )
    verb = "has" if total - finished == 1 else "have"
    said = f" ({kinds})" if kinds else ""
    of = f"{wording.count(total - finished)} of {wording.plural(total, 'run')}"
    return [f"{of} {verb} no result yet{said}."]


def _read_analyses(
    root: Path, chapter: ChapterRecord, runs: Mapping[str, Run]
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    found, missing = {}, []
    for kind, paths in chapter.analyses.items():
        tables = []
        for path in paths:
            try:
                tables.append(_own_rows(pd.read_csv(root / path), kind, runs))
            except FileNotFoundError:
                missing.append(f"The comparison {path} has not been made yet.")
            except (OSError, ValueError, KeyError) as error:
                # Of a table cut short, pandas raises a ValueError.
                missing.append(f"The comparison {path} cannot be read: {error}.")
        if tables:
            together = pd.concat(tables, ignore_index=True)
            # Chapters may share pairs, so two files may hold the same one.
            found[kind] = together.drop_duplicates(_KEYS.get(kind), ignore_index=True)
    return found, missing


def _own_rows(table: pd.DataFrame, kind: str, runs: Mapping[str, Run]) -> pd.DataFrame:
    """The rows about the chapter's runs, with what those runs are."""
    if kind == "before_after" or "run" in table:
        own = table[table["run"].isin(list(runs))].copy()
        configs = [runs[name].config for name in own["run"]]
        own["model"] = [config.model for config in configs]
        starts = start_names([run.config for run in runs.values()])
        by_run = dict(zip(runs, starts, strict=True))
        own["initialization"] = [by_run[name] for name in own["run"]]
        own["seed"] = [config.seed for config in configs]
        own["dataset"] = [runs[name].dataset["name"] for name in own["run"]]
        return own
    if "run_a" not in table:
        return table
    names = list(runs)
    own = table[table["run_a"].isin(names) & table["run_b"].isin(names)].copy()
    # Two architectures have no stages to compare one with the other. Runs of one fold
    # are of one, though donors may scale its input otherwise.
    if not kind.startswith("fold_"):
        own = own[own["model"].isin({run.config.model for run in runs.values()})]
    own["dataset"] = [runs[name].dataset["name"] for name in own["run_a"]]
    return own
