"""Folds of a cross-validation in the report's cells, tables and page."""

import pytest

from transfusion_tf.report import collect, write_report
from transfusion_tf.report.result_tables import comparison_table, run_table
from transfusion_tf.studies import read_study


@pytest.fixture(scope="module")
def folded(planted_study, tmp_path_factory):
    """Two starts, five folds each."""
    study = planted_study(tmp_path_factory.mktemp("root"), patients=40)
    return study.add_folds({"random": 1.0, "transfer": 2.0}).write()


@pytest.fixture(scope="module")
def results(folded):
    return collect(read_study(folded))


def test_the_folds_of_a_start_are_one_cell_by_seed_and_fold(results):
    (panel,) = results.model_results
    assert sorted(panel.starts["random"].runs) == [(0, fold) for fold in range(5)]
    assert panel.starts["random"].folded


def test_levels_and_differences_are_over_folds(results):
    (panel,) = results.model_results
    found = panel.test_difference("transfer", "random")
    assert (found.over, found.seeds) == ("fold", 5)
    assert panel.starts["random"].test.over == "fold"
    assert panel.speed("transfer").over == "fold"


def test_folds_of_another_protocol_and_plain_runs_are_not_pooled(study, plant):
    study.patients = 40
    study.add("cbr_tiny", "random", 0, plant())
    study.add("cbr_tiny", "random", 0, plant(), fold=0)
    study.add("cbr_tiny", "random", 0, plant(), fold=0, fold_protocol="paper")
    models = {panel.model for panel in collect(read_study(study.write())).model_results}
    assert models == {
        "cbr_tiny (fold_protocol=separate)",
        "cbr_tiny (fold_protocol=separate, cross-validated)",
        "cbr_tiny (fold_protocol=paper, cross-validated)",
    }


def test_the_report_speaks_of_folds(folded, results):
    assert run_table(results.record)["fold"].value_counts().to_dict() == {
        fold: 2 for fold in range(5)
    }
    assert set(comparison_table(results, ())["seeds"]) == {5}
    page = write_report(folded).read_text()
    assert "5 folds" in page
    assert "the variance between folds" in page
