"""What a page says of the donors that were trained for its study."""

from transfusion_tf.report import wording
from transfusion_tf.report.donor_facts import donor_notes
from transfusion_tf.report.rows.accuracy_rows import donor_metric
from transfusion_tf.studies.measurements import training_results
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


def donor_quality(record: StudyRecord) -> list[str]:
    """How well each donor does on its own data, beside what outputs get by chance."""
    lines = []
    for run in record.donors:
        rows = training_results.result_rows(run)
        chance = float(rows.loc[rows["quantity"] == "chance", "value"].iloc[0])
        level = run.best_validation() if run.score is None else run.score.value
        title = run.dataset.get("title") or run.dataset["name"]
        lines.append(
            f"{run.config.model} on {title}: {wording.metric_title(run.metric)} "
            f"{wording.number(level)}, where chance is {wording.number(chance, 2)}; "
            f"{wording.count(run.config.steps)} steps, "
            f"{wording.duration(run.seconds)}"
        )
    return lines
