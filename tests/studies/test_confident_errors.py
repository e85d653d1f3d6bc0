"""What the best run misses most confidently, from its folder and its images."""

import numpy as np
import pytest
from planted_study import Plant, PlantedStudy

from transfusion_tf.studies.measurements.confident_errors import (
    best_run,
    decoded,
    error_rows,
    run_confident_errors,
)
from transfusion_tf.studies.measurements.run_images import run_split
from transfusion_tf.training import RunDirectory


def runs_of(study):
    return [RunDirectory(study.root / "runs" / name) for name in study.runs]


@pytest.fixture
def study(tmp_path):
    return PlantedStudy(tmp_path, patients=40)


def test_the_run_is_the_best_of_the_start_that_is_best_on_average(study):
    study.grid(["cbr_tiny"], {"random": Plant(), "transfer": Plant()}, seeds=(0, 1))
    values = dict(zip(study.runs, (0.95, 0.6, 0.8, 0.85), strict=True))
    for run in runs_of(study):
        run.update_status(best_validation=values[run.path.name])
    assert best_run(runs_of(study)).path.name == study.runs[3]


def test_runs_without_a_value_or_without_test_images_are_not_looked_at(study):
    study.grid(["cbr_tiny"], {"random": Plant()}, seeds=(0, 1))
    first, second = runs_of(study)
    first.update_status(best_validation=None)
    predictions = second.predictions("validation")
    second.write_table("predictions.parquet", predictions)
    assert best_run([first, second]) is None


def test_a_run_without_errors_needs_no_images_and_classes_without_images_no_row(study):
    run = study.add("cbr_tiny", "random", 0, Plant())
    table = run.predictions("test")
    table = table[table["label/severe"] == 0]
    for name in run.dataset()["classes"]:
        table[f"probability/{name}"] = 0.1 + 0.8 * table[f"label/{name}"]
    run.write_table("predictions.parquet", table)
    found = run_confident_errors(run.path, study.root / "there are no data")
    assert found["class"].tolist() == ["none", "mild", "moderate", "proliferative"]
    assert found["missed"].tolist() == [0, 0, 0, 0]
    assert found["place"].isna().all()
    assert set(error_rows(found)["quantity"]) == {"test_images", "missed_images"}


@pytest.mark.slow
def test_each_error_has_its_image_and_the_map_of_its_pixels(trained_root, data_root):
    run = RunDirectory(sorted((trained_root / "runs").iterdir())[0])
    table = run_confident_errors(run.path, data_root, most=2)
    predictions = run.predictions("test").set_index("example_id")
    images = run_split(run.path, data_root, "test")
    shown = table.dropna(subset="place")
    assert len(shown)
    present = predictions.filter(like="label/").max() == 1
    assert set(table["class"]) == set(present.index[present].str.removeprefix("label/"))
    for line in shown.to_dict("records"):
        own = predictions.loc[line["example_id"]]
        assert own[f"label/{line['class']}"] == 1
        outputs = own.filter(like="probability/")
        assert line["probability"] == pytest.approx(outputs.max())
        assert outputs.idxmax() == f"probability/{line['predicted']}"
        differences = np.abs(decoded(line["image"]).astype(float) - images[:])
        nearest = predictions.index[differences.mean(axis=(1, 2, 3)).argmin()]
        assert nearest == line["example_id"]
        assert abs(line["gap"]) <= max(0.05, 0.05 * abs(line["change"]))
        saliency = decoded(line["saliency"]).astype(int)
        assert saliency.shape == images.shape[1:3]
        assert np.abs(saliency - 128).max() == 127
    counted = error_rows(table).pivot_table("value", "class", "quantity", observed=True)
    assert counted["test_images"].sum() == len(predictions)
    assert (counted["missed_images"] <= counted["test_images"]).all()
