"""A run's metric with each part set back to its initial weights."""

import numpy as np
import pytest

from transfusion_tf.studies.measurements.robustness import reinitialization_robustness
from transfusion_tf.training import RunDirectory


@pytest.mark.slow
def test_a_runs_scan_has_its_metric_its_record_and_its_images(
    trained_root, data_root, prepared
):
    run = sorted((trained_root / "runs").iterdir())[0]
    table = reinitialization_robustness(run, data_root, kind="stage")
    assert table["part"].tolist() == ["pool1", "pool2", "pool3", "pool4", "head"]
    directory = RunDirectory(run)
    metric = directory.config().metric
    assert set(table["metric"]) == {metric}
    assert set(table["unchanged"]) == {directory.status()["test"][metric]}
    assert set(table["images"]) == {len(prepared.examples("test"))}
    # The record is what an evaluation here would give.
    recorded = directory.status()["test"]
    directory.update_status(test={})
    try:
        again = reinitialization_robustness(run, data_root, kind="stage")
    finally:
        directory.update_status(test=recorded)
    np.testing.assert_allclose(again["unchanged"], table["unchanged"], atol=1e-6)
    np.testing.assert_allclose(again["value"], table["value"], atol=1e-12)
