"""Reliability diagrams show what the tables say."""

import numpy as np
import pytest

from transfusion_tf.evaluation import reliability
from transfusion_tf.report import collect
from transfusion_tf.report.reliability_diagram import (
    calibration,
    pooled_reliability,
    reliability_diagram,
)
from transfusion_tf.report.result_tables import class_table
from transfusion_tf.report.style import marks
from transfusion_tf.studies import read_study


@pytest.fixture
def results(study, plant):
    study.grid(["cbr_tiny"], {"random": plant(1.0), "transfer": plant(2.0)})
    return collect(read_study(study.write()))


def figure(results):
    (panel,) = results.model_results
    return calibration(panel, "cbr_tiny", marks(results.initializations))


def test_the_seeds_forecasts_are_drawn_together(results):
    (panel,) = results.model_results
    found = pooled_reliability(panel.starts["transfer"])
    # Three seeds, two images of each of 150 test patients.
    assert found.counts.sum() == 3 * 300
    accuracy = np.average(
        np.nan_to_num(found.frequency), weights=np.maximum(found.counts, 0)
    )
    table = class_table(results).set_index("initialization")
    assert accuracy == pytest.approx(table.loc["transfer", "accuracy"])


def test_the_legend_has_each_starts_error_as_the_table_has_it(results):
    upper, _ = figure(results).axes
    texts = [text.get_text() for text in upper.get_legend().get_texts()]
    errors = class_table(results)["expected_calibration_error"]
    assert texts == [
        f"random, ECE {errors[0]:.3f}",
        f"transfer, ECE {errors[1]:.3f}",
        "calibrated",
    ]


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


def test_without_test_predictions_there_is_no_figure(study, plant):
    run = study.add("cbr_tiny", "random", 0, plant())
    table = run.predictions("validation")
    run.write_table("predictions.parquet", table)
    assert figure(collect(read_study(study.write()))) is None
