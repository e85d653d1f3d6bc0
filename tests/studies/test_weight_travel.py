"""Distance that a run's weights travelled."""

import pandas as pd
import pytest

from transfusion_tf.representations import average_travel
from transfusion_tf.studies.measurements.weight_travel import run_travel


@pytest.mark.slow
def test_a_run_travels_from_its_initial_weights(trained_root):
    runs = sorted((trained_root / "runs").iterdir())[:2]
    tables = [run_travel(run) for run in runs]
    kernels = tables[0].query("tensor == 'conv1/kernel'")
    assert kernels["run"].item() == runs[0].name
    # Two steps of Adam at 0.001 move a weight by 0.002 at most.
    assert 0 < kernels["rms"].item() < 0.0021
    means = average_travel(pd.concat(tables), "stage")
    assert len(means) == 2 * 5
    assert means.groupby("run")["position"].max().tolist() == [4, 4]
