"""What outputs decide, and what they cost: against scikit-learn on planted runs."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, recall_score

from transfusion_tf.evaluation import labels_and_probabilities, referable_score
from transfusion_tf.report import wording
from transfusion_tf.report.chapters import draw_chapter
from transfusion_tf.report.material import read_material
from transfusion_tf.studies import read_study
from transfusion_tf.studies.study_folder import ChapterRecord

QUESTION = "moderate and up"


@pytest.fixture(scope="module")
def record(planted_study, plant, tmp_path_factory):
    study = planted_study(tmp_path_factory.mktemp("root"), patients=100)
    study.add_donor()
    donor = str(study.root / "runs" / study.donors[0])
    study.grid(["cbr_tiny"], {"random": plant(1.0)}, seeds=(0, 1))
    study.grid(["cbr_tiny"], {"transfer": plant(2.0)}, seeds=(0, 1), donor=donor)
    return read_study(study.write())


def drawn(record, view, folder):
    runs = tuple(run.run_id for run in record.runs)
    chapter = ChapterRecord(view, "", "", view, runs=runs)
    return draw_chapter(read_material(record, chapter), folder)


def rows_of(view, **wanted):
    table = view.table
    for name, value in wanted.items():
        table = table[table[name] == value]
    return table


@pytest.fixture(scope="module")
def decisions(record, tmp_path_factory):
    return drawn(record, "decisions", tmp_path_factory.mktemp("figures"))


def outputs(run, split):
    table = run.directory.predictions(split)
    return labels_and_probabilities(table, run.dataset["classes"])


def transferred(record):
    return [run for run in record.runs if run.config.initialization == "transfer"]


def test_thresholds_of_the_validation_set_are_judged_on_the_test_set(record, decisions):
    expected = []
    for run in transferred(record):
        labels, probabilities = outputs(run, "validation")
        score, positive = referable_score(probabilities), labels[:, 2:].max(axis=1)
        negative = np.sort(score[positive == 0])
        threshold = negative[int(np.ceil(0.9 * len(negative))) - 1]
        labels, probabilities = outputs(run, "test")
        right = referable_score(probabilities) > threshold
        expected.append(recall_score(labels[:, 2:].max(axis=1), right))
    (row,) = rows_of(
        decisions,
        initialization="transfer",
        question=QUESTION,
        point="90 % specificity",
        quantity="sensitivity",
    ).to_dict("records")
    assert row["value"] == pytest.approx(np.mean(expected))
    assert row["low"] < row["value"] < row["high"]
    assert f"{100 * row['value']:.0f} % from transfer" in decisions.sentences[0]


def test_confusion_is_in_shares_of_each_true_class(record, decisions):
    truth, chosen = [], []
    for run in transferred(record):
        labels, probabilities = outputs(run, "test")
        truth += list(labels.argmax(axis=1))
        chosen += list(probabilities.argmax(axis=1))
    expected = confusion_matrix(truth, chosen, normalize="true")
    found = rows_of(decisions, initialization="transfer", quantity="confusion")
    assert found["value"].to_numpy().reshape(5, 5) == pytest.approx(expected)
    assert list(found["predicted_class"][:2]) == ["none", "mild"]


def test_a_model_has_its_curves_its_confusion_and_its_reliability(decisions):
    assert [picture.name for picture in decisions.pictures] == [
        "decisions-roc-cbr_tiny",
        "decisions-confusion-cbr_tiny",
        "decisions-reliability-cbr_tiny",
    ]
    assert decisions.sheet.heads[-2:] == ("Sensitivity", "Specificity")


def test_sides_of_few_patients_have_no_curve(record, tmp_path):
    first = record.runs[0]
    few = dataclasses.replace(first, dataset={**first.dataset, "referable_from": 4})
    view = drawn(dataclasses.replace(record, runs=(few,)), "decisions", tmp_path)
    assert not len(rows_of(view, quantity="sensitivity"))
    assert len(rows_of(view, quantity="confusion"))
    labels, _ = outputs(first, "test")
    patients = first.directory.predictions("test")["patient_id"]
    count = patients[labels[:, 4] == 1].nunique()
    assert 0 < count < 10
    assert view.sentences == (
        "cbr_tiny: no curve and no rates where the test set has fewer than 10 patients "
        f"with a class, or without it: proliferative and up ({count}).",
    )


def test_findings_of_few_patients_have_no_picture(planted_study, plant, tmp_path):
    study = planted_study(tmp_path / "root", patients=20)
    study.add("cbr_tiny", "random", 0, plant())
    record = read_study(study.write())
    (run,) = record.runs
    run = dataclasses.replace(run, dataset={**run.dataset, "kind": "findings"})
    view = drawn(dataclasses.replace(record, runs=(run,)), "decisions", tmp_path)
    assert view.pictures == ()
    assert "fewer than 10 patients" in view.sentences[0]


def test_runs_without_test_predictions_decide_nothing(study, plant, tmp_path):
    run = study.add("cbr_tiny", "random", 0, plant())
    run.write_table("predictions.parquet", run.predictions("validation"))
    view = drawn(read_study(study.write()), "decisions", tmp_path)
    assert view.pictures == ()
    assert not len(view.table)
    assert view.sentences == (
        "cbr_tiny: the data set has no test images that are labelled.",
    )


def test_costs_count_the_donors_training(record, tmp_path):
    view = drawn(record, "costs", tmp_path)
    seconds = rows_of(view, quantity="seconds").set_index("initialization")["value"]
    assert seconds["random"] == pytest.approx(np.mean([48.2, 49.2]) + 4)
    donors = rows_of(view, quantity="donor_seconds").set_index("initialization")
    assert dict(donors["value"]) == {"transfer": 48.2 + 99 + 4}
    assert view.sheet.rows[1][-1] == wording.duration(48.2 + 99 + 4)
