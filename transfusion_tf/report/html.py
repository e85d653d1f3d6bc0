"""Writes a study's report: one self-contained page, figures, tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from transfusion_tf import files
from transfusion_tf.report import gallery, images, page, style, tables, wording
from transfusion_tf.report.cases import MARGIN
from transfusion_tf.report.freshness import is_current, mark_current
from transfusion_tf.report.paper_page import write_paper_page
from transfusion_tf.report.rendering import render
from transfusion_tf.report.results import Results, collect
from transfusion_tf.report.verdict import reach_verdict
from transfusion_tf.studies.measurements.collect import measure_study
from transfusion_tf.studies.study_folder import StudyRecord, read_study


def write_report(study_dir: str | Path, *, show_images: bool = True) -> Path:
    """Writes `report.html`, `figures/` and `tables/` into the study's folder.

    A study with chapters, after a paper, gets a page of those: see `paper_page`.
    Everything comes from `study.json` and the run directories that it names; runs
    that have no result are named with what stopped them, and the rest is reported.
    The page needs no network and no script. Where the report that is there was made
    of the same, and is whole, nothing is written.

    Args:
      study_dir: `<root>/studies/<name>`.
      show_images: whether images of the data set are put into the page. Turn it off
        where images of patients must not leave their place.

    Returns:
      Path of `report.html`.

    Raises:
      UserError: there is no study, or the folder cannot be written to.
    """
    folder = Path(study_dir)
    target = folder / "report.html"
    if is_current(folder, show_images=show_images):
        return target
    record = read_study(folder)
    if record.chapters:
        write_paper_page(record, folder)
    else:
        results = collect(record, measure_study(folder))
        context = _context(record, results, folder, show_images)
        files.write_text(target, render("report.html", context))
    mark_current(folder, show_images=show_images)
    return target


def _context(
    record: StudyRecord, results: Results, folder: Path, show_images: bool
) -> dict[str, Any]:
    """All that the template is given."""
    context: dict[str, Any] = {
        "record": record,
        "results": results,
        "verdict": reach_verdict(results),
        "wording": wording,
        "marks": style.marks(results.initializations),
    }
    frames = _frames(results)
    for name, frame in frames.items():
        tables.write_table(frame, folder / "tables", name)
    if not record.runs:
        return context
    figures = folder / "figures"
    run = record.runs[0]
    rows = page.accuracy_rows(results)
    return context | {
        "dataset": run.dataset,
        "facts": page.data_facts(results),
        "data_notes": page.data_notes(run.dataset),
        "unit": wording.metric_unit(results.metric),
        "matrix": page.verdict_matrix(results),
        "rows": rows,
        "table1": any(row.parameters_table1 != wording.MISSING for row in rows),
        "classes": _class_rows(frames["classes"]),
        "pictures": gallery.draw(results, figures),
        "filters": gallery.draw_filters(results, figures),
        "samples": gallery.draw_samples(results, figures) if show_images else {},
        "show_images": show_images,
        "class_counts": images.class_counts(results),
        "initialization": page.initialization_summary(frames["initialization"]),
        "donors": page.donor_sentences(results),
        "reproduction": page.reproduction(results),
        "margin": MARGIN,
        "runs": frames["runs"].fillna("").to_dict("records"),
    }


def _frames(results: Results) -> Mapping[str, pd.DataFrame]:
    return {
        "results": tables.results_table(results),
        "comparisons": tables.comparison_table(results),
        "convergence": tables.convergence_table(results),
        "models": tables.model_table(results),
        "classes": tables.class_table(results),
        "initialization": tables.initialization_table(results),
        "runs": tables.run_table(results),
    }


def _class_rows(frame: pd.DataFrame) -> dict[str, Any]:
    """Test metrics by cell as text, with their column names."""
    names = [
        name
        for name in frame.columns
        if name not in ("model", "train_examples", "initialization", "seeds")
    ]
    rows = [
        {
            "model": row["model"],
            "size": wording.count(row["train_examples"]),
            "initialization": row["initialization"],
            "values": [wording.number(row[name]) for name in names],
        }
        for row in frame.to_dict("records")
    ]
    return {"names": names, "rows": rows}
