"""The report's tables as frames, and each frame as CSV, Markdown and LaTeX.

Frames hold plain numbers; rounding is for Markdown and LaTeX only.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from transfusion_tf import files
from transfusion_tf.evaluation import Estimate
from transfusion_tf.report.judged_differences import (
    Case,
    size_differences,
    size_name,
)
from transfusion_tf.report.results import ModelResults, Results, StartRuns
from transfusion_tf.studies.study_folder import StudyRecord


def results_table(results: Results) -> pd.DataFrame:
    """A row a group: test metric, interval, best validation, size, time and speed."""
    return pd.DataFrame([_group_row(group) for group in _groups(results)])


def comparison_table(results: Results, cases: Iterable[Case]) -> pd.DataFrame:
    """One row per pair of initializations of a model: their difference on test.

    Args:
      results: of the study.
      cases: the verdict's, so that table and page call one thing alike. What it does
        not compare has no adjusted p value, and is decided by its own interval.
    """
    called = {case.pair: case for case in cases if case.pair}
    rows = []
    for panel in results.model_results:
        labels = list(panel.starts)
        for index, right in enumerate(labels):
            for left in labels[index + 1 :]:
                found = panel.test_difference(left, right)
                if found is not None:
                    sides = {"left": left, "right": right}
                    name = results.panel_name(panel)
                    case = called.get(
                        (name, left, right), called.get((name, right, left))
                    )
                    difference = _difference_row(found, case)
                    rows.append(_panel_row(panel) | sides | difference)
    return pd.DataFrame(rows)


def model_table(results: Results, cases: Iterable[Case]) -> pd.DataFrame:
    """One row per smaller model and initialization: its difference to the largest.

    Args:
      results: of the study.
      cases: as of `comparison_table`.
    """
    called = {case.name: case for case in cases if not case.pair}
    return pd.DataFrame(
        [
            {
                **_panel_row(panel),
                "largest": results.models[-1],
                "initialization": label,
                **_difference_row(found, called.get(size_name(results, panel, label))),
            }
            for panel, label, found in size_differences(results)
        ]
    )


def class_table(results: Results) -> pd.DataFrame:
    """A row a group: every metric that applies on test, mean over seeds."""
    rows = []
    for group in _groups(results):
        values = [run.test_metrics for run in group.runs.values() if run.test_metrics]
        means: dict = pd.DataFrame(values).mean().to_dict()
        rows.append({**_group_names(group), "seeds": len(group.runs), **means})
    return pd.DataFrame(rows)


def run_table(record: StudyRecord) -> pd.DataFrame:
    """One row per run: what it is, the chapters that use it, and how it ended."""
    chapters: dict[str, list[str]] = {}
    for chapter in record.chapters:
        for run_id in chapter.runs:
            chapters.setdefault(run_id, []).append(chapter.name)
    rows = [
        {
            "run": run.run_id,
            "state": "finished",
            "dataset": run.dataset["name"],
            "model": run.config.model,
            "initialization": run.config.initialization,
            "frozen": run.config.freeze,
            "train_examples": run.train_examples,
            "seed": run.config.seed,
            **({} if run.config.fold is None else {"fold": run.config.fold}),
            "best_step": run.status.get("best_step"),
            "best_validation": run.best_validation(),
            "test": run.score.value if run.score else np.nan,
            "train_seconds": run.status.get("train_seconds"),
            "machine": run.status.get("machine"),
            "chapters": " ".join(chapters.get(run.run_id, ())),
        }
        for run in record.runs
    ]
    rows += [
        {
            "run": run.run_id,
            "state": run.state,
            "chapters": " ".join(chapters.get(run.run_id, ())),
            "message": run.message,
        }
        for run in record.unfinished
    ]
    return pd.DataFrame(rows)


def initialization_table(results: Results) -> pd.DataFrame:
    """What was done to the tensors, by model and initialization: one run's account."""
    tables = []
    seen = set()
    for group in _groups(results):
        names = (group.model, group.initialization)
        run = group.runs[min(group.runs)]
        if names in seen or not (run.directory.path / "initialization.csv").exists():
            continue
        seen.add(names)
        table = run.directory.initialization()
        table.insert(0, "initialization", group.initialization)
        table.insert(0, "model", group.model)
        tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def write_table(frame: pd.DataFrame, folder: Path, name: str) -> None:
    """Writes `<name>.csv`, `<name>.md` and `<name>.tex` from one frame."""
    files.write_text(folder / f"{name}.csv", frame.to_csv(index=False))
    rounded = frame.map(_rounded) if len(frame) else frame
    files.write_text(folder / f"{name}.md", _markdown(rounded))
    text = rounded.to_latex(index=False, escape=True) if len(frame) else ""
    files.write_text(folder / f"{name}.tex", text)


def _groups(results: Results) -> Iterable[StartRuns]:
    return (group for panel in results.model_results for group in panel.starts.values())


def _panel_row(panel: ModelResults) -> dict[str, object]:
    return {"model": panel.model, "train_examples": panel.train_examples}


def _group_names(group: StartRuns) -> dict[str, object]:
    return {
        "model": group.model,
        "train_examples": group.train_examples,
        "initialization": group.initialization,
    }


def _group_row(group: StartRuns) -> dict[str, object]:
    test, best = group.test, group.best_validation
    return {
        **_group_names(group),
        "seeds": len(group.runs),
        "test": test.estimate if test else np.nan,
        "test_std": test.std if test else np.nan,
        "test_low": test.low if test else np.nan,
        "test_high": test.high if test else np.nan,
        "best_validation": float(np.mean(best)),
        "best_validation_std": _std(best),
        "parameters": group.mean_status("parameters"),
        "parameters_table1": group.mean_status("parameters_table1"),
        "train_seconds": group.mean_status("train_seconds"),
        "images_per_second": group.mean_status("images_per_second"),
        "peak_memory_mib": group.mean_status("peak_memory_mib"),
    }


def _difference_row(found: Estimate, case: Case | None) -> dict[str, object]:
    """A difference, as the verdict calls it where it has it."""
    if case is not None:  # The same difference, of either sign.
        adjusted = case.difference.adjusted_p_value
        found = dataclasses.replace(found, adjusted_p_value=adjusted)
    decided = found.decided_among_all if found.seeds > 1 else f"one {found.over}"
    if case is not None and case.fault:
        decided = f"no answer: {case.fault}"
    return {
        "difference": found.estimate,
        "low": found.low,
        "high": found.high,
        "seeds": found.seeds,
        "seed_variance": found.seed_variance,
        "patient_variance": found.patient_variance,
        "degrees_of_freedom": found.degrees_of_freedom,
        "p_value": found.p_value,
        "adjusted_p_value": found.adjusted_p_value,
        "decided": decided,
    }


def _std(values: list[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def _rounded(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float):
        if value.is_integer() and abs(value) >= 10:
            return str(int(value))
        return f"{value:.4g}" if abs(value) >= 1 else f"{value:z.4f}"
    return str(value)


def _markdown(frame: pd.DataFrame) -> str:
    if frame.empty:
        return ""
    lines = [list(frame.columns), ["---"] * len(frame.columns), *frame.values.tolist()]
    return "".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |\n"
        for line in lines
    )
