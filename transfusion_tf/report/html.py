"""Writes a study's report: one self-contained page, figures, tables."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from transfusion_tf import files
from transfusion_tf.report import page, result_tables, sample_images, style, wording
from transfusion_tf.report.chapter_sections import LEFTOVER_HEADS, draw_sections
from transfusion_tf.report.claims_section import claims_section
from transfusion_tf.report.donor_sentences import (
    donor_lines,
    donor_sentences,
    weak_donors,
)
from transfusion_tf.report.freshness import is_current, mark_current
from transfusion_tf.report.gains_picture import WIDTH, gains_picture
from transfusion_tf.report.judged_differences import Case
from transfusion_tf.report.next_steps import shown_command
from transfusion_tf.report.rendering import render
from transfusion_tf.report.results import Results, collect
from transfusion_tf.report.verdict import reach_verdict
from transfusion_tf.report.verdict_warnings import rare_classes
from transfusion_tf.studies.measurements.collect import measure_study
from transfusion_tf.studies.study_events import write_study_events
from transfusion_tf.studies.study_folder import StudyRecord, read_study


def write_report(study_dir: str | Path, *, show_images: bool = True) -> Path:
    """Writes `report.html`, `figures/`, `tables/` and `events/` into a study's folder.

    Every study has its chapters; at the top stand the paper's claims where it is after
    one, and else whether transfer pays.
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
    measurements = measure_study(folder, record)
    runs = result_tables.run_table(record)
    result_tables.write_table(runs, folder / "tables", "runs")
    context: dict[str, Any] = {
        "record": record,
        "wording": wording,
        "data": page.data_header(record),
        "sections": draw_sections(
            record, folder, measurements, show_images=show_images
        ),
        "leftover_heads": LEFTOVER_HEADS,
        "donors": donor_sentences(record),
        "donor_lines": donor_lines(record, measurements),
        "weak_donors": weak_donors(measurements),
        "reproduction": page.reproduction(record) if record.runs else None,
        "runs": runs.fillna("").to_dict("records"),
        "command": shown_command(record.command),
        "gains": None,
        "similarity": page.similarity_measure_of(record),
    }
    if record.after_paper:
        claims = context["claims"] = claims_section(record, folder, measurements)
        headline = claims["summary"] if claims else ""
    else:
        results = collect(record, measurements)
        verdict = context["verdict"] = reach_verdict(results)
        headline = verdict.headline
        if record.runs:
            context |= _whether_it_pays(
                record, results, verdict.cases, folder, show_images
            )
            context["matrix"] = page.verdict_matrix(results, verdict.cases)
    write_study_events(record.runs, folder / "events")
    files.write_text(target, render("report.html", context))
    mark_current(folder, show_images=show_images, headline=headline)
    return target


def _whether_it_pays(
    record: StudyRecord,
    results: Results,
    cases: Sequence[Case],
    folder: Path,
    show_images: bool,
) -> dict[str, Any]:
    """What the template is given of a study that is not after a paper."""
    frames = {
        "results": result_tables.results_table(results),
        "comparisons": result_tables.comparison_table(results, cases),
        "models": result_tables.model_table(results, cases),
        "classes": result_tables.class_table(results),
        "initialization": result_tables.initialization_table(results),
    }
    for name, frame in frames.items():
        result_tables.write_table(frame, folder / "tables", name)
    samples = (
        sample_images.draw_samples(results, folder / "figures") if show_images else {}
    )
    return {
        "results": results,
        "dataset": record.runs[0].dataset,
        "marks": style.marks(results.initializations),
        "unit": wording.metric_unit(results.metric),
        "rows": page.accuracy_rows(frames["results"]),
        "classes": _class_rows(frames["classes"], rare_classes(results)),
        "gains": gains_picture(results),
        "gains_width": WIDTH,
        "samples": samples,
        "show_images": show_images,
        "class_splits": page.class_splits(record.runs[0]),
        "class_counts": sample_images.class_counts(results),
        "initialization": page.initialization_summary(frames["initialization"]),
        "margin": results.margin,
    }


def _class_rows(frame: pd.DataFrame, rare: Collection[str]) -> Mapping[str, Any]:
    """Test metrics by cell as text, with their column names; none of rare classes."""
    few = {f"auc/{name}" for name in rare}
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
            "values": [
                "too few" if name in few else wording.number(row[name])
                for name in names
            ],
        }
        for row in frame.to_dict("records")
    ]
    return {"names": names, "rows": rows}
