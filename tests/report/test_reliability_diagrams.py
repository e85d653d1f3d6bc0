"""Reliability diagrams show what the tables say."""

import numpy as np
import pytest

from transfusion_tf.evaluation import reliability
from transfusion_tf.report.material import read_material
from transfusion_tf.report.reliability_diagram import reliability_diagram
from transfusion_tf.report.rows.decision_rows import reliabilities
from transfusion_tf.report.rows.donors_rows import donor_runs
from transfusion_tf.report.style import encode, marks
from transfusion_tf.studies import read_study
from transfusion_tf.studies.study_folder import ChapterRecord


def groups(study):
    record = read_study(study.write())
    chapter = ChapterRecord("t", "T", "", "donor_accuracy", runs=tuple(study.runs))
    return {group.label: group for group in donor_runs(read_material(record, chapter))}


def test_the_seeds_forecasts_are_drawn_together_and_errors_are_means(study, plant):
    study.grid(["cbr_tiny"], {"random": plant(1.0), "transfer": plant(2.0)})
    found = groups(study)
    curves, errors = reliabilities(found)
    for name, group in found.items():
        # Three seeds, two images of each of 150 test patients.
        assert curves[name].counts.sum() == 3 * 300
        accuracy = np.average(
            np.nan_to_num(curves[name].frequency), weights=curves[name].counts
        )
        tests = [run.test_metrics for run in group.runs.values()]
        assert accuracy == pytest.approx(np.mean([test["accuracy"] for test in tests]))
        own = [test["expected_calibration_error"] for test in tests]
        assert errors[name] == pytest.approx(np.mean(own))


def test_a_mark_stands_at_confidence_and_frequency():
    happened = np.array([1, 1, 0, 1, 0, 0, 0, 0], dtype=bool)
    forecast = np.array([0.95, 0.93, 0.91, 0.99, 0.12, 0.14, 0.16, 0.18])
    drawn = reliability_diagram(
        {"transfer": reliability(happened, forecast, 10)},
        {"transfer": 0.2},
        marks(["transfer"]),
        "findings",
    )
    line = drawn.axes[0].get_lines()[0]
    np.testing.assert_allclose(line.get_xdata(), [0.15, 0.945])
    np.testing.assert_allclose(line.get_ydata(), [0, 0.75])
    assert drawn.axes[0].get_ylabel() == "share with the finding"
    texts = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert texts == ["transfer, ECE 0.200", "calibrated"]


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_dollar_in_a_name_is_no_mathematics(kind):
    name = r"$\frac{$"
    curve = reliability(np.array([True, False]), np.array([0.9, 0.2]), 10)
    drawn = reliability_diagram(
        {name: curve}, {name: 0.2}, marks([name]), "findings", title=name
    )
    assert encode(drawn, kind)


def test_without_test_predictions_there_is_no_curve(study, plant):
    run = study.add("cbr_tiny", "random", 0, plant())
    run.write_table("predictions.parquet", run.predictions("validation"))
    assert reliabilities(groups(study)) == ({}, {})
