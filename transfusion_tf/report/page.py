"""What the page says, section by section, as plain values for the template."""

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
from transfusion_tf.report.long_table import lines
from transfusion_tf.report.results import (
    BASELINE,
    Results,
    scheme,
)
from transfusion_tf.representations.measure_names import (
    MEASURE_MEANINGS,
    MEASURE_NAMES,
)
from transfusion_tf.studies.measurements.comparison_options import similarity_measure
from transfusion_tf.studies.study_folder import Run, StudyRecord
from transfusion_tf.training.config import RunConfig, recipe_fields

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
_INTERVAL = "{test_low:.3f} – {test_high:.3f}"
_VALIDATION = "{best_validation:.3f}[ ± {best_validation_std:.3f}]"


def data_header(record: StudyRecord) -> list[dict[str, Any]]:
    """What is said at the top about every data set."""
    first = {run.dataset["name"]: run for run in reversed(record.runs)}
    names = dict.fromkeys(run.dataset["name"] for run in record.runs)
    return [
        {
            "name": name,
            "title": first[name].dataset.get("title") or name,
            "facts": data_facts(first[name], _trained_on(record, name)),
            "note": first[name].dataset.get("source_note") or "",
            "notes": data_notes(first[name].dataset),
        }
        for name in names
    ]


def _trained_on(record: StudyRecord, name: str) -> int | None:
    """How many training images all runs on a data set took, where not all there are."""
    runs = [run for run in record.runs if run.dataset["name"] == name]
    sizes = {run.config.train_examples for run in runs}
    return sizes.pop() if len(sizes) == 1 else None


def data_facts(run: Run, trained_on: int | None = None) -> list[tuple[str, str]]:
    """The line about a run's data: value and what it counts."""
    counts = run.dataset["counts"]
    patients = sum(split["patients"] for split in counts.values())
    size = run.config.image_size or run.dataset["image_size"]
    word = {"grade": "grades", "findings": "findings"}.get(
        run.dataset["kind"], "classes"
    )
    facts = [(wording.count(patients), "patients")]
    for name, split in counts.items():
        value = wording.count(split["images"])
        if name == "train" and trained_on is not None:
            value = f"{wording.count(trained_on)} of {value}"
        facts.append((value, f"{_SPLITS.get(name, name)} images"))
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


def accuracy_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The accuracy table, ready to print.

    Args:
      table: of `results_table`.

    Returns:
      Rows whose `bar` holds low, estimate and high on a scale of 0 to 100, if known.
    """
    ends = table[["test_low", "test_high"]].to_numpy(float)
    ends = ends[np.isfinite(ends)]
    low, high = (ends.min(), ends.max()) if ends.size else (0.0, 1.0)
    span = max(high - low, 1e-9)
    rows = []
    above: tuple[str, int] | None = None
    for row in lines(table):
        points = [row["test_low"], row["test"], row["test_high"]]
        places = [round(float(4 + 92 * (point - low) / span), 2) for point in points]
        panel = row["model"], row["train_examples"]
        rows.append(
            {
                "model": row["model"],
                "size": wording.count(row["train_examples"]),
                "initialization": row["initialization"],
                "seeds": row["seeds"],
                "test": wording.number(row["test"]),
                "std": wording.number(row["test_std"]),
                "interval": wording.fill(_INTERVAL, row)
                if np.isfinite(row["test"])
                else wording.MISSING,
                "bar": places if np.isfinite(places).all() else None,
                "validation": wording.fill(_VALIDATION, row),
                "parameters": wording.amount(row["parameters"]),
                "time": wording.duration(row["train_seconds"]),
                "speed": wording.count(row["images_per_second"]),
                "first": panel != above,
            }
        )
        above = panel
    return rows


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


def _values(configs: Sequence[RunConfig], name: str) -> str:
    """What runs have for a setting; whose it is, where each model has its own."""
    models: dict[str, list[str]] = {}
    pairs = dict.fromkeys((str(getattr(c, name)), c.model) for c in configs)
    for value, model in pairs:
        models.setdefault(value, []).append(model)
    if len(models) == 1 or len(pairs) > len({model for _, model in pairs}):
        return ", ".join(models)
    return "; ".join(f"{value} ({', '.join(of)})" for value, of in models.items())


def reproduction(record: StudyRecord) -> dict[str, Any]:
    """What is needed to make the same numbers again."""
    configs = [run.config for run in record.runs]
    recipe = {
        name.replace("_", " "): _values(configs, name)
        for name in recipe_fields(configs)
    }
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
