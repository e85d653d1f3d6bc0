"""Whose mistakes are compared: of two starts, and of one start with itself."""

import pytest
from planted_study import Plant, PlantedStudy

from transfusion_tf.studies.measurements.comparisons import COMPARISONS
from transfusion_tf.training import RunDirectory


@pytest.fixture
def runs(tmp_path):
    study = PlantedStudy(tmp_path, patients=12, steps=20)
    study.grid(["cbr_tiny"], {"random": Plant(), "transfer": Plant()}, seeds=(0, 1))
    return [RunDirectory(tmp_path / "runs" / run) for run in study.runs]


def test_runs_differ_in_their_start_or_in_nothing_but_their_seed(runs, tmp_path):
    parts = COMPARISONS["agreement"].parts(runs, tmp_path, {})
    names = {
        run.path.name: (run.config().initialization, run.config().seed) for run in runs
    }
    pairs = {frozenset(names[run] for run in content["runs"]) for content, _ in parts}
    assert pairs == {
        frozenset({("random", 0), ("transfer", 0)}),
        frozenset({("random", 1), ("transfer", 1)}),
        frozenset({("random", 0), ("random", 1)}),
        frozenset({("transfer", 0), ("transfer", 1)}),
    }
