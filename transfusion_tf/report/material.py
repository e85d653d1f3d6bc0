"""What a chapter is drawn from: its runs by data set, the study's measurements."""

import dataclasses
from typing import Any

import pandas as pd

from transfusion_tf.errors import UserError
from transfusion_tf.report import wording
from transfusion_tf.report.results import Results, collect
from transfusion_tf.studies.measurements.collect import collect as collect_measurements
from transfusion_tf.studies.measurements.collect import read_comparison
from transfusion_tf.studies.measurements.table import NOTHING, Measurements
from transfusion_tf.studies.study_folder import ChapterRecord, Run, StudyRecord


@dataclasses.dataclass(frozen=True, eq=False)
class Material:
    """All that a view is given.

    Attributes:
      chapter: what the study says about it.
      results: the finished runs, a data set each.
      missing: what is not there yet, a sentence each.
      measurements: of the whole study.
      show_images: whether images of the data set may be shown.
    """

    chapter: ChapterRecord
    results: tuple[Results, ...]
    missing: tuple[str, ...]
    measurements: Measurements = NOTHING
    show_images: bool = True

    @property
    def runs(self) -> dict[str, Run]:
        """The finished runs by id."""
        return {
            run.run_id: run for results in self.results for run in results.record.runs
        }

    def of(self, quantity: str, **wanted: Any) -> pd.DataFrame:
        """The measurements of one quantity that are about the chapter's runs alone."""
        ids = list(self.runs)
        return self.measurements.of(quantity, run=ids, run_b=[*ids, ""], **wanted)


def read_material(
    record: StudyRecord,
    chapter: ChapterRecord,
    measurements: Measurements | None = None,
    *,
    show_images: bool = True,
) -> Material:
    """Gathers a chapter's runs, and measurements if not given; says what is missing."""
    if measurements is None:
        measurements = collect_measurements(record)
    wanted = set(chapter.runs)
    runs = [run for run in record.runs if run.run_id in wanted]
    by_dataset: dict[str, list[Run]] = {}
    for run in runs:
        by_dataset.setdefault(run.dataset["name"], []).append(run)
    return Material(
        chapter=chapter,
        results=tuple(
            collect(dataclasses.replace(record, runs=tuple(part)), measurements)
            for part in by_dataset.values()
        ),
        missing=(
            *_missing_runs(record, chapter, len(runs)),
            *_missing_comparisons(record, chapter),
        ),
        measurements=measurements,
        show_images=show_images,
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


def _missing_comparisons(record: StudyRecord, chapter: ChapterRecord) -> list[str]:
    missing = []
    for kind, paths in chapter.analyses.items():
        for path in paths:
            try:
                read_comparison(record, kind, path)
            except UserError as error:
                missing.append(f"{error}.")
    return missing
