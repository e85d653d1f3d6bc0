import dataclasses

import numpy as np
import pytest
import textbook

from transfusion_tf.errors import UserError
from transfusion_tf.report import collect
from transfusion_tf.report.page import accuracy_rows, data_facts, verdict_matrix
from transfusion_tf.report.result_tables import (
    class_table,
    comparison_table,
    initialization_table,
    model_table,
    results_table,
    run_table,
    write_table,
)
from transfusion_tf.report.verdict import reach_verdict
from transfusion_tf.studies import read_study


@pytest.fixture(scope="module")
def results(planted_study, plant, tmp_path_factory):
    study = planted_study(tmp_path_factory.mktemp("root"))
    plants = {"transfer": plant(2.0, 30), "random": plant(1.0, 90)}
    study.grid(["cbr_small", "cbr_tiny"], plants)
    study.add_failed("cbr_tiny", "random", 7, "loss is NaN at step 120")
    return collect(read_study(study.write()))


def test_cells_hold_the_seeds_and_panels_the_initializations(results):
    assert [panel.model for panel in results.model_results] == ["cbr_tiny", "cbr_small"]
    assert list(results.model_results[0].starts) == ["random", "transfer"]
    assert sorted(results.model_results[0].starts["random"].runs) == [0, 1, 2]


def test_levels_and_differences_are_over_seeds_and_patients(results):
    panel = results.model_results[0]
    ours, draws = scores_of(panel.starts["transfer"])
    theirs, their_draws = scores_of(panel.starts["random"])
    labels = panel.starts["transfer"].first.test_labels
    upper = labels[["label/moderate", "label/severe", "label/proliferative"]].any(
        axis=1
    )
    sides = [labels[upper == side]["patient_id"].nunique() for side in (True, False)]
    patients = min(sides)
    assert patients < 150
    assert ends(panel.starts["transfer"].test) == pytest.approx(
        textbook.seeds_and_patients(ours, draws, patients)
    )
    assert ends(panel.test_difference("transfer", "random")) == pytest.approx(
        textbook.seeds_and_patients(ours - theirs, draws - their_draws, patients)
    )


def scores_of(cell):
    scores = [cell.runs[seed].score for seed in (0, 1, 2)]
    values = np.array([score.value for score in scores])
    return values, np.array([score.replicates for score in scores])


def ends(found):
    return found.estimate, found.low, found.high


def test_the_threshold_comes_from_the_validation_of_random_weights(results):
    panel = results.model_results[0]
    best = np.mean(panel.starts["random"].best_validation)
    assert panel.threshold == pytest.approx(0.5 + 0.9 * (best - 0.5))
    assert panel.threshold_from == "random"


def test_a_failed_run_is_named_with_its_message_and_left_out(results):
    (failed,) = results.record.unfinished
    assert (failed.state, failed.message) == ("failed", "loss is NaN at step 120")
    assert len(results.record.runs) == 12


def test_a_run_that_was_never_started_is_named(study, plant):
    study.add("cbr_tiny", "random", 0, plant())
    study.runs.append("cbr_tiny-transfer-0-abc")
    (missing,) = read_study(study.write()).unfinished
    assert (missing.run_id, missing.state) == ("cbr_tiny-transfer-0-abc", "missing")


def test_a_running_run_tells_its_step(study, plant):
    run = study.add("cbr_tiny", "random", 0, plant())
    run.update_status(state="running", step=140)
    (running,) = read_study(study.write()).unfinished
    assert (running.state, running.message) == (
        "running",
        "stopped at step 140 of 300",
    )


def test_a_run_whose_files_are_damaged_does_not_stop_the_report(study, plant):
    study.add("cbr_tiny", "random", 0, plant())
    broken = study.add("cbr_tiny", "random", 1, plant())
    (broken.path / "predictions.parquet").write_bytes(b"PAR1")
    record = read_study(study.write())
    assert [run.state for run in record.unfinished] == ["unreadable"]
    assert len(record.runs) == 1


def test_a_folder_without_a_study_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match=r"no study\.json"):
        read_study(tmp_path)


def test_two_donors_are_two_initializations(study, plant):
    study.add("cbr_tiny", "random", 0, plant())
    for donor in ("photographs", "imagenet"):
        config = study.config("cbr_tiny", "transfer", 0).replace(donor=donor)
        study.config = lambda *_, config=config, **__: config.replace(
            donor_weights=config.donor
        )
        study.add("cbr_tiny", "transfer", 0, plant())
    (panel,) = collect(read_study(study.write())).model_results
    assert list(panel.starts) == [
        "random",
        "transfer from imagenet",
        "transfer from photographs",
    ]


def test_runs_that_differ_in_a_setting_are_not_pooled(study, plant):
    for rate in (0.001, 0.01):
        study.add("cbr_tiny", "random", 0, plant(), learning_rate=rate)
    models = [panel.model for panel in collect(read_study(study.write())).model_results]
    assert models == ["cbr_tiny (learning_rate=0.001)", "cbr_tiny (learning_rate=0.01)"]


def test_training_sizes_are_panels_and_all_means_what_the_data_has(study, plant):
    for size in (100, None):
        study.add("cbr_tiny", "random", 0, plant(), train_examples=size)
    results = collect(read_study(study.write()))
    assert results.sizes == (100, 1200)
    assert results.panel_name(results.model_results[0]) == "cbr_tiny on 100 images"


def test_the_data_line_counts_patients_and_images(results):
    facts = dict((what, value) for value, what in data_facts(results.record.runs[0]))
    assert facts["patients"] == "850"
    assert facts["training images"] == "1\u202f200"
    assert facts["grades"] == "5"


def test_the_results_table_has_a_row_a_cell_with_its_interval(results):
    table = results_table(results)
    assert len(table) == 4
    assert (table["test_low"] < table["test"]).all()
    assert (table["test"] < table["test_high"]).all()
    assert table["parameters"].tolist() == [1_081_000] * 2 + [2_114_000] * 2


def test_the_comparison_table_pairs_all_initializations(results):
    table = comparison_table(results, ())
    assert (
        list(zip(table["left"], table["right"], strict=True))
        == [("transfer", "random")] * 2
    )
    assert table["decided"].tolist() == ["higher", "higher"]


def test_the_comparison_tables_call_a_case_as_the_verdict_does(results):
    cases = reach_verdict(results).cases
    plain = comparison_table(results, ())
    table = comparison_table(results, cases)
    assert (table["adjusted_p_value"] > plain["p_value"]).all()
    assert table["low"].tolist() == plain["low"].tolist()
    # As if many more had been compared.
    among_many = [
        dataclasses.replace(
            case, difference=dataclasses.replace(case.difference, adjusted_p_value=0.2)
        )
        for case in cases
    ]
    undecided = ["undecided"] * len(table)
    assert comparison_table(results, among_many)["decided"].tolist() == undecided
    assert set(model_table(results, among_many)["decided"]) == {"undecided"}
    at_fault = [dataclasses.replace(case, fault="at chance") for case in cases]
    assert set(comparison_table(results, at_fault)["decided"]) == {
        "no answer: at chance"
    }


def test_the_class_table_has_every_metric_that_applies(results):
    columns = list(class_table(results))
    assert columns[4:11] == [
        "referable_auc",
        "mean_auc",
        "accuracy",
        "balanced_accuracy",
        "quadratic_kappa",
        "prior_weighted_auc",
        "expected_calibration_error",
    ]
    assert columns[11:] == [
        f"auc/{c}" for c in results.record.runs[0].dataset["classes"]
    ]


def test_the_run_table_lists_failed_runs_too(results):
    assert run_table(results.record)["state"].tolist() == ["finished"] * 12 + ["failed"]


def test_the_initialization_table_holds_one_account_a_model_and_scheme(results):
    table = initialization_table(results)
    assert len(table) == 4 * 15
    assert set(table["scheme"]) == {"random", "transfer"}


def test_a_table_is_the_same_in_three_formats(results, tmp_path):
    table = results_table(results)
    write_table(table, tmp_path, "results")
    markdown = (tmp_path / "results.md").read_text().splitlines()
    latex = (tmp_path / "results.tex").read_text()
    csv = (tmp_path / "results.csv").read_text().splitlines()
    assert len(csv) == len(table) + 1
    assert len(markdown) == len(table) + 2
    assert r"cbr\_tiny" in latex
    value = f"{table['test'][0]:.4f}"
    assert value in markdown[2]
    assert value in latex
    assert value[:5] in csv[1]


def test_bars_of_the_accuracy_table_share_one_scale(results):
    rows = accuracy_rows(results_table(results))
    tests = [c.test for panel in results.model_results for c in panel.starts.values()]
    order = np.argsort([test.estimate for test in tests])
    assert order.tolist() == np.argsort([row["bar"][1] for row in rows]).tolist()
    assert min(row["bar"][0] for row in rows) >= 0
    assert max(row["bar"][2] for row in rows) <= 100


def test_the_matrix_marks_every_case_as_the_verdict_calls_it(results):
    first, *others = reach_verdict(results).cases
    called = [dataclasses.replace(first, judgement="open"), *others]
    matrix = verdict_matrix(results, called)
    assert matrix["pairs"] == [("transfer", "random")]
    assert [cells[0]["symbol"] for _, cells in matrix["rows"]] == ["○", "▲"]
