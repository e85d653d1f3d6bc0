"""Gathers a study's measurements: what its runs left, and what was compared."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from transfusion_tf.errors import UserError
from transfusion_tf.studies.measurements.comparisons import COMPARISONS
from transfusion_tf.studies.measurements.model_states import ModelStates
from transfusion_tf.studies.measurements.table import (
    RUN_COLUMNS,
    Measurements,
    PatientDraws,
    as_rows,
    read_measurements,
)
from transfusion_tf.studies.measurements.training_results import (
    describe,
    patient_draws,
    result_rows,
    test_to_train,
)
from transfusion_tf.studies.study_folder import (
    ChapterRecord,
    Run,
    StudyRecord,
    read_study,
)

# Of the format: a change of columns or of a definition.
_VERSION = 6
_OF_THE_OTHER_RUN = ("initialization", "donor", "seed")


def measure_study(
    study_dir: str | Path, record: StudyRecord | None = None
) -> Measurements:
    """The measurements of a study; written anew where something was added since.

    Args:
      study_dir: `<root>/studies/<name>`.
      record: of the study, where it has been read already.

    Raises:
      UserError: there is no study, or its folder cannot be written to.
    """
    folder = Path(study_dir)
    record = record or read_study(folder)
    content = _content(record)
    found = read_measurements(folder, content)
    if found is None:
        found = collect(record)
        found.write(folder, content)
    return found


def collect(record: StudyRecord) -> Measurements:
    """All rows of a study, from its runs' folders and its tables of comparisons.

    Comparisons of runs that are not in the study, and tables that cannot be read, are
    left out.
    """
    runs = {run.run_id: run for run in (*record.runs, *record.donors)}
    known = pd.DataFrame([describe(run) for run in record.runs], dtype=object)
    parts = [result_rows(run) for run in runs.values()]
    for chapter, kind, path in _comparisons(record):
        try:
            rows = _of_known_runs(read_comparison(record, kind, path), known)
        except UserError:
            continue
        parts.append(_with_steps(rows, runs, ModelStates.of(chapter.options).trained))
    table = as_rows(parts)
    keys = [name for name in table.columns if name != "value"]
    ratios = {name: test_to_train(run) for name, run in runs.items()}
    return Measurements(
        # Chapters may share a comparison.
        rows=table.drop_duplicates(keys, ignore_index=True),
        patient_draws=_draws(runs, "test"),
        validation_draws=_draws(runs, "validation"),
        test_to_train={name: own for name, own in ratios.items() if own is not None},
    )


def _draws(runs: Mapping[str, Run], split: str) -> dict[str, PatientDraws]:
    found = {name: patient_draws(run, split) for name, run in runs.items()}
    return {name: own for name, own in found.items() if own is not None}


def read_comparison(record: StudyRecord, kind: str, path: str) -> pd.DataFrame:
    """A table of comparisons as rows, without the columns that describe runs.

    Args:
      record: of the study.
      kind: one of `COMPARISONS`.
      path: of the table, relative to the study's root.

    Raises:
      UserError: it is not there, or cannot be read.
    """
    table = comparison_table(record, path)
    try:
        return COMPARISONS[kind].rows(table)
    except (ValueError, KeyError) as error:
        raise UserError(f"The comparison {path} cannot be read: {error}") from error


def comparison_table(record: StudyRecord, path: str) -> pd.DataFrame:
    """A table of comparisons as it was computed; arguments and errors as above."""
    try:
        # Classes may be called None, NA or 1.
        return pd.read_csv(
            record.root / path,
            keep_default_na=False,
            na_values=[""],
            dtype={"class": str, "predicted": str},
        )
    except FileNotFoundError:
        raise UserError(f"The comparison {path} has not been made yet") from None
    except (OSError, ValueError) as error:
        # Of a table cut short, pandas raises a ValueError.
        raise UserError(f"The comparison {path} cannot be read: {error}") from error


def _with_steps(
    rows: pd.DataFrame, runs: Mapping[str, Run], trained: str
) -> pd.DataFrame:
    """The rows of a run before and after training, with the step of the weights after.

    Args:
      rows: of one comparison.
      runs: by id.
      trained: `final` or `best`.
    """
    if "weights_b" not in rows or not len(rows):
        return rows
    status = "best_step" if trained == "best" else "step"
    steps = {name: run.status.get(status) for name, run in runs.items()}
    own = (rows["run"] == rows["run_b"]) & (rows["weights_b"] == "trained")
    return rows.assign(step=rows["run"].map(steps).where(own))


def _of_known_runs(rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """The rows about the study's runs, with what those runs are."""
    if "run" not in rows:
        return rows
    both = rows["run"].isin(known["run"])
    if "run_b" in rows:
        both &= rows["run_b"].isin(known["run"])
    rows = rows[both].merge(known, on="run", how="left")
    if "run_b" in rows:
        other = known[["run", *_OF_THE_OTHER_RUN]].add_suffix("_b")
        rows = rows.merge(other, on="run_b", how="left")
    return rows


def _comparisons(
    record: StudyRecord,
) -> Iterable[tuple[ChapterRecord, str, str]]:
    seen = set()
    for chapter in record.chapters:
        for kind, paths in chapter.analyses.items():
            for path in paths:
                if (kind, path) not in seen and (record.root / path).exists():
                    seen.add((kind, path))
                    yield chapter, kind, path


def _content(record: StudyRecord) -> str:
    """What tells one state of a study from another: results are never changed."""
    states = {
        "version": _VERSION,
        "columns": RUN_COLUMNS,
        "runs": [_state(run) for run in (*record.runs, *record.donors)],
        "comparisons": [(kind, path) for _, kind, path in _comparisons(record)],
    }
    return hashlib.sha256(json.dumps(states).encode()).hexdigest()


def _state(run: Run) -> list[str]:
    path = run.directory.path / "status.json"
    try:
        return [run.run_id, hashlib.sha256(path.read_bytes()).hexdigest()]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
