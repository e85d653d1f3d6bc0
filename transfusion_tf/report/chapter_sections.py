"""The sections of a report's page: a chapter each, with what it lacks."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from transfusion_tf.report import paper_values, result_tables, wording
from transfusion_tf.report.chapters import KINDS, draw_chapter
from transfusion_tf.report.material import Material, read_material
from transfusion_tf.report.verdict_cases import LEAST_EVALUATIONS
from transfusion_tf.studies.measurements.table import Measurements
from transfusion_tf.studies.study_folder import StudyRecord

# Longer tables are folded away.
_MOST_ROWS = 16


def draw_sections(
    record: StudyRecord,
    folder: Path,
    measurements: Measurements,
    *,
    show_images: bool = True,
) -> list[dict[str, Any]]:
    """Draws every chapter into `figures/`, and writes its numbers into `tables/`.

    Returns:
      Of each, its `record`; `label` (`Table 1`, of a paper's); `view`, None where there
      is nothing to draw from; `missing`, a sentence each of what is not there; what the
      `paper`'s values are called, and the `leftover` ones, which stand beside none of
      ours; whether its table is `shown` open.

    Raises:
      UserError: the folder cannot be written to.
    """
    return [
        _section(
            record,
            read_material(record, chapter, measurements, show_images=show_images),
            folder,
        )
        for chapter in record.chapters
    ]


def _section(record: StudyRecord, material: Material, folder: Path) -> dict[str, Any]:
    chapter = material.chapter
    view, sheet, missing = None, None, list(material.missing)
    if chapter.view not in KINDS:
        missing.append(f"This version has no view called {chapter.view}.")
    elif chapter.runs and not material.results:
        missing.append("There is nothing to draw yet.")
    elif chapter.view == "convergence" and not record.after_paper and _short(material):
        missing.append(
            f"A curve of fewer than {LEAST_EVALUATIONS} evaluations says nothing of "
            "speed: a smaller --eval_every gives more."
        )
    else:
        view = draw_chapter(material, folder / "figures")
        sheet = view.sheet
        result_tables.write_table(view.table, folder / "tables", chapter.name)
        if not (view.pictures or view.images or view.sentences):
            missing.append("There is nothing to draw yet.")
    ours = view.table if view is not None else pd.DataFrame(columns=["quantity"])
    unmatched = paper_values.unmatched(ours, chapter.published)
    return {
        "record": chapter,
        "label": _label(chapter.name) if record.after_paper else "",
        "view": view,
        "missing": missing,
        "paper": paper_values.label(chapter.published, _datasets(material)),
        "leftover": [_leftover(row) for row in unmatched],
        "shown": sheet is not None and len(sheet.rows) <= _MOST_ROWS,
    }


def _short(material: Material) -> bool:
    """Whether a learning curve has too few points to tell speed by."""
    return any(
        panel.evaluations < LEAST_EVALUATIONS
        for results in material.results
        for panel in results.model_results
    )


def _label(name: str) -> str:
    """`Table 1` of `table1`."""
    return re.sub(r"(?<=[a-z])(?=\d)", " ", name).replace("_", " ").capitalize()


def _datasets(material: Material) -> list[str]:
    return [each.record.runs[0].dataset["name"] for each in material.results]


LEFTOVER_HEADS = (
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
