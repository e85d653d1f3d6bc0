"""What a page says of the donors that were trained for its study."""

from transfusion_tf.report import wording
from transfusion_tf.report.donor_facts import donor_notes
from transfusion_tf.report.rows.accuracy_rows import donor_metric
from transfusion_tf.studies.donor_quality import donor_qualities
from transfusion_tf.studies.measurements import training_results
from transfusion_tf.studies.measurements.run_labels import donor_name
from transfusion_tf.studies.measurements.table import Measurements
from transfusion_tf.studies.study_folder import Run, StudyRecord


def donor_sentences(record: StudyRecord) -> list[str]:
    """What each donor was trained on and how well it did there."""
    sentences = []
    for run in record.donors:
        title = run.dataset.get("title") or run.dataset["name"]
        counts = run.dataset["counts"]["train"]
        sentences.append(
            f"{run.config.model}, trained from {run.config.initialization} weights on "
            f"{title} ({wording.count(counts['images'])} training images of "
            f"{wording.plural(len(run.dataset['classes']), 'class', 'classes')}) for "
            f"{wording.count(run.config.steps)} steps. Validation "
            f"{wording.metric_title(run.metric)}: "
            f"{wording.number(run.best_validation())}{_donor_accuracy(run)}"
            f"{_expected_top5(record, run)}."
        )
    return sentences + donor_notes(record)


def _donor_accuracy(run: Run) -> str:
    column = "validation/accuracy"
    if run.metric == "accuracy" or column not in run.metrics:
        return ""
    return f", accuracy {wording.number(float(run.metrics[column].max()))}"


def _expected_top5(record: StudyRecord, run: Run) -> str:
    """What a donor gets on ImageNet, beside the paper's of that architecture."""
    rows = (row for chapter in record.chapters for row in chapter.published)
    expected = [
        row["value"]
        for row in rows
        if row["quantity"] == "donor/top5_accuracy" and row["model"] == run.config.model
    ]
    found = donor_metric(run, "top5_accuracy")
    if not expected or found is None or run.dataset["name"] != "imagenet2012":
        return ""
    return (
        f"; top-5 accuracy {wording.number(found)}, where the paper’s donor has "
        f"{wording.number(expected[0])}"
    )


def donor_lines(record: StudyRecord, measurements: Measurements) -> list[str]:
    """What each donor is worth, in a line of the first screen."""
    trained = {run.run_id: run for run in record.donors}
    lines = []
    for donor in donor_qualities(measurements):
        where = donor.donor
        # The chapter has the others.
        facts = donor.facts()[:2]
        run = trained.pop(donor.donor_run, None)
        if run is not None:
            where = run.dataset.get("title") or where
            facts.append(_training(run))
        lines.append(f"{donor.model} on {where}: {'; '.join(facts)}")
    lines += [_unmeasured(run) for run in trained.values()]
    named = {donor.donor for donor in donor_qualities(measurements)}
    named |= {run.dataset["name"] for run in record.donors}
    used = dict.fromkeys(donor_name(run.config) for run in record.runs)
    return lines + [
        f"{name}: what its features are worth was not measured"
        for name in used
        if name is not None and name not in named
    ]


def weak_donors(measurements: Measurements) -> str:
    """Which donors have little to give, and what follows; empty where none is weak."""
    weak = [donor for donor in donor_qualities(measurements) if donor.weaknesses]
    if not weak:
        return ""
    them = "it" if len(weak) == 1 else "them"
    return (
        f"{' '.join(donor.verdict() for donor in weak)} If transfer gains nothing from "
        f"{them}, that says little about transfer."
    )


def _unmeasured(run: Run) -> str:
    """How well a donor does on its own data alone."""
    rows = training_results.result_rows(run)
    chance = float(rows.loc[rows["quantity"] == "chance", "value"].iloc[0])
    level = run.best_validation() if run.score is None else run.score.value
    title = run.dataset.get("title") or run.dataset["name"]
    return (
        f"{run.config.model} on {title}: {wording.metric_title(run.metric)} "
        f"{wording.number(level)}, where chance is {wording.number(chance, 2)}; what "
        f"its features are worth was not measured; {_training(run)}"
    )


def _training(run: Run) -> str:
    steps = wording.count(run.config.steps)
    return f"{steps} steps, {wording.duration(run.seconds)}"
