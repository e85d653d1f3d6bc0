"""What the page says, section by section, as plain values for the template."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.report import wording
from transfusion_tf.report.donor_facts import same_donor
from transfusion_tf.report.judged_differences import (
    STATISTICS,
    Case,
    brackets,
    transfers,
)
from transfusion_tf.report.results import (
    BASELINE,
    Results,
    StartRuns,
    scheme,
)
from transfusion_tf.representations.measure_names import (
    MEASURE_MEANINGS,
    MEASURE_NAMES,
)
from transfusion_tf.studies.measurements.comparison_options import similarity_measure
from transfusion_tf.studies.study_folder import Run, StudyRecord
from transfusion_tf.training.config import recipe_fields

SYMBOLS = {
    "higher": ("▲", "higher"),
    "lower": ("▼", "lower"),
    "alike": ("≈", "alike, within the margin"),
    "open": ("○", "undecided"),
    "few_seeds": ("○", "too few seeds: undecided"),
    "unfit": ("○", "no answer"),
}

_MOST_COLUMNS = 6

_SPLITS = {"train": "training"}


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the accuracy table, ready to print."""

    model: str
    size: str
    initialization: str
    seeds: int
    test: str
    std: str
    interval: str
    bar: tuple[float, float, float] | None
    validation: str
    parameters: str
    time: str
    speed: str
    first: bool


def data_header(record: StudyRecord) -> list[dict[str, Any]]:
    """What is said at the top about every data set."""
    first = {run.dataset["name"]: run for run in reversed(record.runs)}
    names = dict.fromkeys(run.dataset["name"] for run in record.runs)
    return [
        {
            "name": name,
            "title": first[name].dataset.get("title") or name,
            "facts": data_facts(first[name]),
            "note": first[name].dataset.get("source_note") or "",
            "notes": data_notes(first[name].dataset),
        }
        for name in names
    ]


def data_facts(run: Run) -> list[tuple[str, str]]:
    """The line about a run's data: value and what it counts."""
    counts = run.dataset["counts"]
    patients = sum(split["patients"] for split in counts.values())
    size = run.config.image_size or run.dataset["image_size"]
    word = {"grade": "grades", "findings": "findings"}.get(
        run.dataset["kind"], "classes"
    )
    facts = [(wording.count(patients), "patients")]
    facts += [
        (wording.count(split["images"]), f"{_SPLITS.get(name, name)} images")
        for name, split in counts.items()
    ]
    facts += [(str(len(run.dataset["classes"])), word), (f"{size} × {size}", "pixels")]
    return facts


def class_splits(run: Run) -> dict[str, Any]:
    """Images of each class in each split, and patients where they were counted."""
    counts = run.dataset["counts"]
    rows = []
    for name in run.dataset["classes"]:
        cells = []
        for split in counts.values():
            text = wording.count(split.get("classes", {}).get(name, 0))
            patients = split.get("class_patients", {}).get(name)
            cells.append(
                text if patients is None else f"{text} of {wording.count(patients)}"
            )
        rows.append((name, cells))
    return {"splits": [_SPLITS.get(name, name) for name in counts], "rows": rows}


def accuracy_rows(results: Results) -> list[Row]:
    """The accuracy table; `bar` holds low, estimate and high on a scale of 0 to 100."""
    tests = [
        group.test for panel in results.model_results for group in panel.starts.values()
    ]
    ends = [value for test in tests if test for value in (test.low, test.high)]
    ends = [value for value in ends if np.isfinite(value)]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    span = max(high - low, 1e-9)
    rows = []
    for panel in results.model_results:
        for index, group in enumerate(panel.starts.values()):
            bar = None
            if group.test and np.isfinite([group.test.low, group.test.high]).all():
                points = (group.test.low, group.test.estimate, group.test.high)
                start, middle, end = (
                    round(4 + 92 * (point - low) / span, 2) for point in points
                )
                bar = (start, middle, end)
            rows.append(_row(group, bar, index == 0))
    return rows


def _row(group: StartRuns, bar: tuple[float, float, float] | None, first: bool) -> Row:
    test, best = group.test, group.best_validation
    spread = float(np.std(best, ddof=1)) if len(best) > 1 else float("nan")
    validation = wording.number(float(np.mean(best)))
    return Row(
        model=group.model,
        size=wording.count(group.train_examples),
        initialization=group.initialization,
        seeds=len(group.runs),
        test=wording.number(test.estimate if test else None),
        std=wording.number(test.std if test else None),
        interval=f"{wording.number(test.low)} – {wording.number(test.high)}"
        if test
        else wording.MISSING,
        bar=bar,
        validation=f"{validation} ± {wording.number(spread)}"
        if len(best) > 1
        else validation,
        parameters=wording.amount(group.mean_status("parameters")),
        time=wording.duration(group.mean_status("train_seconds")),
        speed=wording.count(group.mean_status("images_per_second")),
        first=first,
    )


def verdict_matrix(results: Results, cases: Iterable[Case]) -> dict[str, Any] | None:
    """Every model against every comparison, as symbols; None with one panel.

    Args:
      results: of the study.
      cases: the verdict's, so that a symbol and a sentence call one thing alike.
    """
    if len(results.model_results) < 2 or not any(
        transfers(panel) for panel in results.model_results
    ):
        return None
    donors = list(
        dict.fromkeys(label for p in results.model_results for label in transfers(p))
    )
    others = [
        label
        for label in results.initializations
        if scheme(label) in (*STATISTICS, "gabor")
    ]
    pairs = [(donor, BASELINE) for donor in donors]
    pairs += [(other, BASELINE) for other in others]
    pairs += [
        next((donor, other) for donor in donors if same_donor(donor, other))
        for other in others
    ]
    pairs = pairs[:_MOST_COLUMNS]
    called = {case.pair: case for case in cases}
    names = [results.panel_name(panel) for panel in results.model_results]
    rows = [
        (name, [_symbol(called.get((name, *pair))) for pair in pairs]) for name in names
    ]
    return {"pairs": pairs, "rows": rows}


def _symbol(case: Case | None) -> dict[str, str]:
    if case is None:
        return {
            "symbol": "",
            "text": wording.MISSING,
            "title": "not run",
            "tone": "none",
        }
    symbol, words = SYMBOLS[case.judgement]
    words = f"{words}: {case.fault}" if case.fault else words
    return {
        "symbol": symbol,
        "text": wording.signed(case.difference.estimate),
        "title": f"{words} {brackets(case.difference)}",
        "tone": case.judgement,
    }


def initialization_summary(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """What each stage got, by model: rows of stages, columns of initializations."""
    summary: dict[str, dict[str, Any]] = {}
    if not {"stage", "scheme"} <= set(table.columns):
        return summary
    for model, part in table.groupby("model", sort=False):
        labels = list(dict.fromkeys(part["initialization"]))
        rows = []
        for stage in dict.fromkeys(part["stage"]):
            schemes = []
            for label in labels:
                chosen = part[
                    (part["stage"] == stage) & (part["initialization"] == label)
                ]
                counts = chosen["scheme"].value_counts(sort=False)
                schemes.append(", ".join(f"{name} × {n}" for name, n in counts.items()))
            rows.append((stage, schemes))
        summary[str(model)] = {"labels": labels, "rows": rows}
    return summary


def reproduction(record: StudyRecord) -> dict[str, Any]:
    """What is needed to make the same numbers again."""
    configs = [run.config for run in record.runs]

    def values(name: str) -> str:
        found = dict.fromkeys(str(getattr(config, name)) for config in configs)
        return ", ".join(found)

    recipe = {name.replace("_", " "): values(name) for name in recipe_fields(configs)}
    machines = dict.fromkeys(
        str(run.status["machine"]) for run in record.runs if run.status.get("machine")
    )
    commits = dict.fromkeys(
        str(run.status["commit"]) for run in record.runs if run.status.get("commit")
    )
    return {
        "commit": record.commit or ", ".join(commits) or "unknown",
        "versions": dict(record.versions)
        or dict(record.runs[0].status.get("versions", {})),
        "seeds": ", ".join(map(str, sorted({config.seed for config in configs}))),
        "machine": "; ".join(machines),
        "recipe": recipe,
        "total": _costs(record),
    }


def similarity_measure_of(record: StudyRecord) -> dict[str, str]:
    """By what the study compares representations: its name and what it means."""
    chosen = (chapter.options for chapter in record.chapters)
    measures = dict.fromkeys(similarity_measure(options) for options in chosen)
    # One flag sets it for all chapters that compare any.
    measure = next((name for name in measures if name != "cca"), "cca")
    meaning = MEASURE_MEANINGS[measure]
    meaning = meaning[0].upper() + meaning[1:]
    return {"name": MEASURE_NAMES[measure], "meaning": meaning}


def _costs(record: StudyRecord) -> str:
    """What the runs took, and their donors."""
    text = f"{_total_time(record.runs)} for "
    text += wording.plural(len(record.runs), "run")
    if record.donors:
        text += f", and {_total_time(record.donors)} for "
        text += wording.plural(len(record.donors), "donor")
    return text


def _total_time(runs: Sequence[Run]) -> str:
    return wording.duration(sum(run.seconds for run in runs))


def data_notes(dataset: Mapping[str, Any]) -> list[str]:
    """What the card chose, and what of the data was not used, a sentence each."""
    notes = list(dataset.get("choices", ()))
    for reason, count in dataset.get("excluded", {}).items():
        notes.append(f"{count} rows left out by the card: {reason}")
    for reason, count in dataset.get("left_out", {}).items():
        notes.append(f"{count} rows could not be used: {wording.without_names(reason)}")
    remarks = Counter(
        wording.without_names(wording.without_place(remark))
        for remark in dataset.get("remarks", ())
    )
    return notes + [
        f"{remark} ({times} times)" if times > 1 else remark
        for remark, times in remarks.items()
    ]
