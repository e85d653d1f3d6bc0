"""Folds are compared over folds, seeds over seeds."""

import pytest
from support import assert_same

from transfusion_tf.evaluation import cell_interval, fold_difference
from transfusion_tf.report import collect, write_report
from transfusion_tf.report.tables import comparison_table, run_table
from transfusion_tf.studies import read_study


@pytest.fixture
def folded(study, plant):
    """Two starts, five folds each, every fold with test patients of its own."""
    study.dataset["counts"]["train"]["images"] = 4 * 2 * study.patients
    predictions = study._predictions
    for fold in range(5):

        def of_fold(split, signal, generator, fold=fold):
            table = predictions(split, signal, generator)
            for name in ("example_id", "patient_id"):
                table[name] = f"fold{fold}-" + table[name]
            return table

        study._predictions = of_fold
        for name, signal in (("random", 1.0), ("transfer", 2.0)):
            # The planted noise hangs on the seed.
            study.add("cbr_tiny", name, 0, plant(signal + 0.1 * fold), fold=fold)
    return study


def test_the_folds_of_a_start_are_one_cell_by_seed_and_fold(folded):
    (panel,) = collect(read_study(folded.write())).panels
    assert sorted(panel.cells["random"].runs) == [(0, fold) for fold in range(5)]
    assert panel.cells["random"].folded


def test_a_difference_is_over_folds_with_the_share_of_the_test_images(folded):
    (panel,) = collect(read_study(folded.write())).panels
    cells = panel.cells
    expected = fold_difference(cells["transfer"].scores, cells["random"].scores, 0.25)
    found = panel.test_difference("transfer", "random")
    assert (found.estimate, found.low, found.high) == (
        expected.estimate,
        expected.low,
        expected.high,
    )
    assert (found.over, found.seeds) == ("fold", 5)
    assert cells["random"].test.over == "fold"
    assert panel.area_difference("transfer", "random").over == "fold"


def test_several_seeds_of_one_fold_are_compared_over_seeds(study, plant):
    for seed in range(3):
        study.add("cbr_tiny", "random", seed, plant(), fold=2)
    (panel,) = collect(read_study(study.write())).panels
    cell = panel.cells["random"]
    assert not cell.folded
    assert_same(cell.test, cell_interval(cell.scores))


def test_folds_of_another_protocol_and_plain_runs_are_not_pooled(study, plant):
    study.add("cbr_tiny", "random", 0, plant())
    study.add("cbr_tiny", "random", 0, plant(), fold=0)
    study.add("cbr_tiny", "random", 0, plant(), fold=0, fold_protocol="paper")
    models = {panel.model for panel in collect(read_study(study.write())).panels}
    assert models == {
        "cbr_tiny (fold_protocol=separate)",
        "cbr_tiny (fold_protocol=separate, cross-validated)",
        "cbr_tiny (fold_protocol=paper, cross-validated)",
    }


def test_folds_whose_sizes_differ_by_a_few_images_are_one_panel(folded):
    for number, run_id in enumerate(folded.runs):
        run = folded.root / "runs" / run_id / "dataset.json"
        run.write_text(run.read_text().replace("1200", str(1200 + number // 2)))
    (panel,) = collect(read_study(folded.write())).panels
    assert panel.train_examples == 1202


def test_the_report_speaks_of_folds(folded):
    folder = folded.write()
    results = collect(read_study(folder))
    assert list(run_table(results)["fold"]) == [*range(5), *range(5)]
    assert set(comparison_table(results)["seeds"]) == {5}
    page = write_report(folder).read_text()
    assert "5 folds" in page
    assert "the variance between folds" in page
