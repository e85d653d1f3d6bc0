"""CKA of all layers of runs, before and after training and with each other."""

import pytest

from transfusion_tf.representations import LayerSettings
from transfusion_tf.studies.measurements.layer_similarity import (
    layer_cka_before_and_after,
    layer_cka_of_runs,
)

SETTINGS = LayerSettings(kind="unit", batch_size=13, progress=False)


@pytest.mark.slow
def test_runs_are_compared_before_and_after_and_with_each_other(
    trained_root, data_root
):
    runs = sorted((trained_root / "runs").iterdir())
    table = layer_cka_before_and_after(runs[0], data_root, settings=SETTINGS)
    assert set(table["run"]) == {runs[0].name}
    across = table.query("model_a == 'initial' and model_b == 'trained'")
    across = across.query("position_a == position_b")["cka"]
    # Two steps change each layer a little.
    assert (across > 0.5).all()
    assert (across < 1).all()
    table = layer_cka_of_runs(runs[:2], data_root, settings=SETTINGS)
    assert set(table["model_a"]) == {run.name for run in runs[:2]}
    assert set(table["images"]) == {20}
