"""One table of all that was measured, from planted runs and comparisons."""

import itertools

import numpy as np
import pandas as pd
import pytest
from planted_study import Plant, PlantedStudy

from transfusion_tf.studies import read_study
from transfusion_tf.studies.measurements.collect import collect, measure_study
from transfusion_tf.studies.measurements.table import (
    BOOTSTRAP,
    COLUMNS,
    TABLE,
    as_rows,
    read_measurements,
)

PATIENTS = 30
STAGES = ("pool1", "pool2", "pool3", "pool4")
# Quantity -> its unit: what runs leave ...
OF_RUNS = {
    "score": "AUC",
    "referable_auc": "AUC",
    "mean_auc": "AUC",
    "auc": "AUC",
    "accuracy": "accuracy",
    "quadratic_kappa": "kappa",
    "expected_calibration_error": "",
    "loss": "",
    "best_validation": "AUC",
    "chance": "AUC",
    "best_step": "steps",
    "step": "steps",
    "steps": "steps",
    "parameters": "",
    "parameters_table1": "",
    "train_seconds": "s",
    "evaluation_seconds": "s",
    "images_per_second": "",
    "peak_memory_mib": "MiB",
}
# ... and what is found by comparing models, or what is put into them.
OF_COMPARISONS = {
    "cca": "CCA",
    "cca_noise_floor": "CCA",
    "layer_cka": "CKA",
    "travel_distance": "",
    "travel_rms": "",
    "travel_relative": "",
    "robustness_drop": "of the metric",
    "knn_score": "of the metric",
    "attended_distance": "px",
    "class_token_share": "",
    "prediction_similarity": "share of the images",
    "prediction_similarity_excess": "share of the images",
    "frechet_distance": "Fréchet distance",
    "frechet_distance_low": "Fréchet distance",
    "frechet_distance_high": "Fréchet distance",
}


class Planted:
    """Two starts of two seeds each, a donor, and a comparison of every kind."""

    def __init__(self, root):
        self.study = PlantedStudy(root, patients=PATIENTS, steps=60)
        self.study.add_donor()
        self.runs = {
            (start, seed): self.study.add("cbr_tiny", start, seed, Plant(signal))
            for start, signal in (("random", 0.5), ("transfer", 2.0))
            for seed in (0, 1)
        }
        self.folder = root / "analyses"
        self.folder.mkdir()
        self.analyses = {
            kind: [self._write(kind, rows)] for kind, rows in self._tables().items()
        }

    def name(self, start, seed):
        return self.runs[start, seed].path.name

    def write(self):
        """Writes the study; returns its folder."""
        chapter = {"name": "all", "view": "accuracy", "analyses": self.analyses}
        return self.study.write(chapters=[chapter])

    def _write(self, kind, rows):
        pd.DataFrame(rows).to_csv(self.folder / f"{kind}.csv", index=False)
        return f"analyses/{kind}.csv"

    def _tables(self):
        names = [self.name(*key) for key in self.runs]
        ends = {"run_a": names[0], "run_b": names[1], "model": "cbr_tiny"}
        own = {"run": names[0]}
        layers = [
            {"layer_a": a, "stage_a": a, "position_a": i}
            | {"layer_b": b, "stage_b": b, "position_b": j, "cka": 0.9 - 0.1 * (j - i)}
            for (i, a), (j, b) in itertools.product(enumerate(STAGES), repeat=2)
        ]
        parts = [
            {"part": stage, "stage": stage, "position": place, "value": 0.1 * place}
            for place, stage in enumerate(STAGES)
        ]
        return {
            # Some are not of the study, and are left out.
            "population_trained": [
                {**pair, **score}
                for pair in (ends, {**ends, "run_b": "of-another-study"})
                for score in _scores()
            ],
            "population_initial": [{**ends, **score} for score in _scores()],
            "before_after": [{**own, **score} for score in _scores()],
            "layer_cka": [{**own, **row} for row in layers],
            "layer_cka_pairs": [{**ends, **row} for row in layers],
            "travel": [_travelled(names[0], place) for place in range(4)],
            "robustness": [{**own, **row, "drop": row["value"]} for row in parts],
            "knn": [
                {**own, **row, "tokens": tokens}
                for tokens in ("class", "spatial")
                for row in parts
            ],
            "attention": [
                {**own, "block": "block1", "position": 0, "head": head}
                | {"distance": 10.0 * head, "class_token_share": 0.1}
                for head in range(3)
            ],
            "agreement": [
                {"run": names[0], "run_b": names[1], "similarity": 0.8, "excess": 0.1}
            ],
            "frechet": [
                {"dataset": "phantom_retina_64", "value": 60.0, "corrected": 50.0}
                | {"low": 45.0, "high": 55.0}
            ],
        }


def _scores():
    return [
        {"stage": stage, "measure": "cca", "repeat": repeat, "noise_floor": 0.1}
        | {"value": 0.9 - 0.1 * place + 0.01 * repeat}
        for place, stage in enumerate(STAGES)
        for repeat in range(2)
    ]


def _travelled(run, place):
    stage = STAGES[place]
    return {
        "run": run,
        "layer": stage,
        "unit": stage,
        "stage": stage,
        "tensor": f"{stage}/kernel",
        "size": 100,
        "l2": 1.0,
        "distance": 0.1 * place,
        "rms": 0.2,
        "relative": 0.3,
        "normalization": False,
    }


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return Planted(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def measurements(planted):
    return collect(read_study(planted.write()))


def test_every_quantity_is_there_with_its_unit(measurements):
    rows = measurements.rows
    assert list(rows.columns) == list(COLUMNS)
    units = rows.groupby("quantity")["unit"].agg(set)
    for quantity, unit in (OF_RUNS | OF_COMPARISONS).items():
        assert units[quantity] == {unit}, quantity


def test_a_row_says_of_which_run_it_is(measurements, planted):
    name = planted.name("transfer", 1)
    (row,) = measurements.of("score", run=name, split="test").to_dict("records")
    assert row["dataset"] == "phantom_retina_64"
    assert (row["model"], row["initialization"]) == ("cbr_tiny", "transfer")
    assert (row["donor"], row["seed"], row["train_examples"]) == (
        "photographs",
        1,
        1200,
    )
    assert pd.isna(row["fold"])
    score = planted.runs["transfer", 1].predictions("test")
    assert len(score) == 2 * PATIENTS
    assert measurements.of("auc", run=name, split="test", class_="mild").shape[0] == 1


def test_curves_have_a_row_per_evaluation(measurements, planted):
    name = planted.name("random", 0)
    rows = measurements.of("score", run=name, split="validation")
    assert list(rows["step"]) == [0, 20, 40, 60]
    metrics = planted.runs["random", 0].metrics()
    assert list(rows["value"]) == list(metrics["validation/referable_auc"])
    assert len(measurements.of("loss", run=name, split="train")) == 4


def test_donors_have_rows_too(measurements, planted):
    (donor,) = planted.study.donors
    assert len(measurements.of("score", run=donor, split="test")) == 1


def test_comparisons_are_rows_in_network_order(measurements, planted):
    left, right = planted.name("random", 0), planted.name("random", 1)
    rows = measurements.of("cca", run=left, run_b=right, weights="trained", repeat=1)
    assert list(rows["stage"]) == list(STAGES)
    assert list(rows["position"]) == [0, 1, 2, 3]
    assert rows["value"].to_numpy() == pytest.approx([0.91, 0.81, 0.71, 0.61])
    assert set(rows["initialization_b"]) == {"random"}
    assert set(rows["seed_b"]) == {1}
    initial = measurements.of("cca", run_b=right, weights="initial")
    assert set(initial["weights_b"]) == {"initial"}


def test_a_run_compared_with_its_own_start_is_both_sides(measurements, planted):
    name = planted.name("random", 0)
    rows = measurements.of("cca", run=name, run_b=name)
    assert set(rows["weights"]) == {"initial"}
    assert set(rows["weights_b"]) == {"trained"}
    rows = measurements.of("travel_distance", run=name)
    assert rows["value"].to_numpy() == pytest.approx([0, 0.1, 0.2, 0.3])
    assert list(rows["position"]) == [0, 1, 2, 3]


def test_parts_are_told_apart_by_item_and_position(measurements, planted):
    rows = measurements.of("knn_score", item=[f"{stage}, spatial" for stage in STAGES])
    assert list(rows["position"]) == [0, 1, 2, 3]
    heads = measurements.of("attended_distance")
    assert list(heads["item"]) == ["0", "1", "2"]
    maps = measurements.of("layer_cka", weights="initial")
    square = maps.pivot_table(index="position", columns="position_b", values="value")
    assert square.shape == (4, 4)
    assert square.loc[0, 3] == pytest.approx(0.6)


def test_distances_of_images_are_of_data_sets_and_of_no_run(measurements):
    (row,) = measurements.of("frechet_distance").to_dict("records")
    assert (row["dataset"], row["run"], row["value"]) == ("phantom_retina_64", "", 50.0)


def test_comparisons_with_runs_of_other_studies_are_left_out(measurements):
    assert "of-another-study" not in set(measurements.rows["run_b"])


def test_runs_on_one_test_set_are_drawn_alike(measurements, planted):
    draws = {key: _draws(measurements, planted.name(*key)) for key in planted.runs}
    assert len({own.fingerprint for own in draws.values()}) == 1
    assert {own.patients for own in draws.values()} == {PATIENTS}
    # Of the same patients: where they are hard for one, they are hard for the other.
    left, right = draws["transfer", 0].draws, draws["transfer", 1].draws
    assert np.corrcoef(left, right)[0, 1] > 0.9
    (donor,) = planted.study.donors
    assert _draws(measurements, donor).draws.mean() > 0.9


def _draws(measurements, name):
    return measurements.patient_draws[name]


def test_what_is_written_is_read_again(measurements, tmp_path):
    measurements.write(tmp_path, "as made")
    found = read_measurements(tmp_path, "as made")
    pd.testing.assert_frame_equal(found.rows, measurements.rows)
    assert found.test_to_train == measurements.test_to_train
    assert found.patient_draws.keys() == measurements.patient_draws.keys()
    for name, own in measurements.patient_draws.items():
        np.testing.assert_array_equal(found.patient_draws[name].draws, own.draws)
        assert found.patient_draws[name].fingerprint == own.fingerprint
    assert read_measurements(tmp_path, "of something else") is None
    assert read_measurements(tmp_path) is not None


def test_a_second_call_reads_the_file_and_a_new_run_extends_it(tmp_path):
    study = PlantedStudy(tmp_path, patients=PATIENTS, steps=60)
    study.add("cbr_tiny", "random", 0, Plant())
    folder = study.write()
    first = measure_study(folder)
    assert (folder / TABLE).exists()
    assert (folder / BOOTSTRAP).exists()
    written = (folder / TABLE).stat().st_mtime_ns
    again = measure_study(folder)
    assert (folder / TABLE).stat().st_mtime_ns == written
    pd.testing.assert_frame_equal(again.rows, first.rows)

    study.add("cbr_tiny", "random", 1, Plant())
    more = measure_study(study.write())
    assert (folder / TABLE).stat().st_mtime_ns != written
    assert set(more.rows["run"]) == set(study.runs)
    kept = more.rows[more.rows["run"] == study.runs[0]]
    pd.testing.assert_frame_equal(kept.reset_index(drop=True), first.rows)


def test_folds_have_their_share_of_test_images(tmp_path):
    study = PlantedStudy(tmp_path, patients=PATIENTS, steps=60)
    study.add_folds({"random": 1.0}, folds=2)
    found = collect(read_study(study.write()))
    assert found.test_to_train == dict.fromkeys(study.runs, 0.25)
    sets = [own.fingerprint for own in found.patient_draws.values()]
    assert len(set(sets)) == 2


def test_a_table_that_cannot_be_read_is_left_out(tmp_path):
    planted = Planted(tmp_path)
    (planted.folder / "knn.csv").write_text("")
    found = collect(read_study(planted.write()))
    assert found.of("knn_score").empty
    assert len(found.of("robustness_drop")) == len(STAGES)


def test_columns_that_the_table_does_not_have_are_refused():
    with pytest.raises(ValueError, match="not a column of measurements: colour"):
        as_rows([pd.DataFrame({"quantity": ["a"], "colour": ["red"]})])
