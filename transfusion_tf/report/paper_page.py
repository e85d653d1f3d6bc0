"""Writes the report of a study after a paper: its claims, and a chapter for each
table and figure.
"""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf import files
from transfusion_tf.report import page, paper_values, tables, wording
from transfusion_tf.report.chapters import KINDS, View, draw_chapter
from transfusion_tf.report.claims_section import claims_section
from transfusion_tf.report.material import Material, read_material
from transfusion_tf.report.rendering import render
from transfusion_tf.report.results import Results
from transfusion_tf.studies.measurements.collect import measure_study
from transfusion_tf.studies.measurements.table import Measurements
from transfusion_tf.studies.study_folder import ChapterRecord, StudyRecord

# Longer tables are folded away.
_MOST_ROWS = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Chapter:
    """A chapter as the page shows it.

    Attributes:
      record: what the study says about it.
      label: `Table 1`.
      view: its pictures and numbers; None where there is nothing to draw from.
      missing: what is not there, a sentence each.
      paper: what the paper's values are called.
      leftover: the paper's rows that stand beside none of ours.
      shown: whether its table is open.
    """

    record: ChapterRecord
    label: str
    view: View | None
    missing: tuple[str, ...]
    paper: str
    leftover: tuple[Mapping[str, Any], ...]
    shown: bool


def write_paper_page(record: StudyRecord, folder: str | Path) -> Path:
    """Writes `report.html`, `figures/` and `tables/` of a study with chapters.

    What a chapter lacks is named in it; the page needs no network and no script.

    Args:
      record: from `read_study`.
      folder: the study's.

    Returns:
      Path of `report.html`.

    Raises:
      UserError: the folder cannot be written to.
    """
    folder = Path(folder)
    measurements = measure_study(folder)
    chapters = [
        _chapter(record, chapter, folder, measurements) for chapter in record.chapters
    ]
    everything = Results(record, record.runs[0].metric if record.runs else "", ())
    tables.write_table(_runs(record), folder / "tables", "runs")
    context = {
        "record": record,
        "wording": wording,
        "data": _data(record),
        "claims": claims_section(record, folder),
        "chapters": chapters,
        "leftover_heads": _LEFTOVER_HEADS,
        "donors": page.donor_sentences(everything),
        "reproduction": page.reproduction(everything) if record.runs else None,
    }
    target = folder / "report.html"
    files.write_text(target, render("paper.html", context))
    return target


def _chapter(
    record: StudyRecord,
    chapter: ChapterRecord,
    folder: Path,
    measurements: Measurements,
) -> Chapter:
    material = read_material(record, chapter, measurements)
    view, missing = None, list(material.missing)
    if chapter.view not in KINDS:
        missing.append(f"This version has no view called {chapter.view}.")
    elif chapter.runs and not material.results:
        missing.append("There is nothing to draw yet.")
    else:
        view = draw_chapter(material, folder / "figures")
        tables.write_table(view.table, folder / "tables", chapter.name)
        if not view.pictures:
            missing.append("There is nothing to draw yet.")
    ours = view.table if view is not None else pd.DataFrame(columns=["quantity"])
    return Chapter(
        record=chapter,
        label=chapter_label(chapter.name),
        view=view,
        missing=tuple(missing),
        paper=paper_values.label(chapter.published, _datasets(material)),
        leftover=tuple(
            _leftover(row) for row in paper_values.unmatched(ours, chapter.published)
        ),
        shown=view is not None
        and view.sheet is not None
        and len(view.sheet.rows) <= _MOST_ROWS,
    )


def chapter_label(name: str) -> str:
    """`Table 1` of `table1`."""
    return re.sub(r"(?<=[a-z])(?=\d)", " ", name).replace("_", " ").capitalize()


def _datasets(material: Material) -> list[str]:
    return [each.record.runs[0].dataset["name"] for each in material.results]


_LEFTOVER_HEADS = (
    *("Target", "Model", "Start", "Images", "Stage", "Pair", "Quantity", "Value"),
)


def _leftover(row: Mapping[str, Any]) -> dict[str, str]:
    """A row of the paper in words, by the heads of their table."""
    images = row.get("paper_train_examples", row.get("train_examples"))
    value, spread = row["value"], row.get("spread")
    large = abs(value) >= 1000
    text = wording.count(value) if large else wording.number(value)
    if spread is not None:
        text += f" ± {wording.number(spread, 4)}"
    return {
        "Target": row.get("target", ""),
        "Model": row.get("model", ""),
        "Start": row.get("initialization", ""),
        "Images": "" if images is None else wording.count(images),
        "Stage": row.get("stage", ""),
        "Pair": row.get("pair", ""),
        "Quantity": row.get("quantity", "").replace("_", " "),
        "Value": text,
    }


def _data(record: StudyRecord) -> list[dict[str, Any]]:
    """What is said at the top about every data set."""
    by_name: dict[str, list] = {}
    for run in record.runs:
        by_name.setdefault(run.dataset["name"], []).append(run)
    shown = []
    for name, runs in by_name.items():
        dataset = runs[0].dataset
        own = Results(dataclasses.replace(record, runs=tuple(runs)), runs[0].metric, ())
        title = dataset.get("title") or name
        shown.append(
            {
                "name": name,
                "title": title,
                "facts": page.data_facts(own),
                "note": dataset.get("source_note") or "",
                "notes": page.data_notes(dataset),
            }
        )
    return shown


def _runs(record: StudyRecord) -> pd.DataFrame:
    """A row a run: what it is, its chapters, and how it ended."""
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
            "best_validation": run.best_validation(),
            "test": run.score.value if run.score else np.nan,
            "train_seconds": run.status.get("train_seconds"),
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
