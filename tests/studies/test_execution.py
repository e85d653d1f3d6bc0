"""How many runs at once, on what: what was asked for, or what there is."""

import sys

import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.studies import Execution
from transfusion_tf.studies.engines import execution as engines
from transfusion_tf.training import RunConfig, RunOptions


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"jobs": 0}, "--jobs should be at least 1, got 0"),
        ({"gpus": -1}, "--gpus should be at least 0"),
        ({"engine": "slurm"}, "unknown --engine 'slurm'; valid: local, ray"),
        ({"ray_address": "auto"}, "--ray_address is for --engine=ray"),
    ],
)
def test_what_cannot_be_is_said_at_once(values, message):
    with pytest.raises(UserError, match=message):
        Execution(**values)


def test_more_jobs_than_memory_allows_is_said_with_what_one_takes_and_how_many_fit(
    monkeypatch,
):
    runs = [
        RunConfig(dataset="d", model="cbr_tiny", image_size=64, seed=seed, steps=500)
        for seed in range(8)
    ]
    options = RunOptions(threads=1)
    one = engines.bytes_of_run(runs[0])
    monkeypatch.setattr(engines, "bytes_available", lambda: int(2.5 * one))
    with pytest.raises(
        UserError, match=rf"--jobs=3 .* takes some {one / 1e9:.1f} GB .* so 2 fit"
    ):
        engines.number_of_jobs(Execution(jobs=3), runs, options, 0)
    assert engines.number_of_jobs(Execution(jobs=2), runs, options, 0) == 2
    # As many as fit, where no number was asked for; never more than there are runs.
    monkeypatch.setattr(engines.joblib, "cpu_count", lambda: 16)
    assert engines.number_of_jobs(Execution(jobs=None), runs, options, 0) == 2
    assert engines.number_of_jobs(Execution(jobs=9), runs[:1], options, 0) == 1


@pytest.mark.parametrize(
    ("changes", "gpus", "jobs"),
    [
        ({"steps": 1000}, 0, 4),  # One per core.
        ({"steps": 100}, 0, 2),  # Fewer, as processes have to start too.
        ({"steps": 4}, 0, 1),
        ({"steps": 4}, 3, 3),  # One per GPU.
    ],
)
def test_as_many_jobs_as_cores_or_gpus_where_there_is_enough_to_do(
    monkeypatch, changes, gpus, jobs
):
    monkeypatch.setattr(engines.joblib, "cpu_count", lambda: 4)
    monkeypatch.setattr(engines, "bytes_available", lambda: None)
    runs = [
        RunConfig(dataset="d", model="cbr_tiny", seed=n, **changes) for n in range(6)
    ]
    options = RunOptions(threads=1)
    assert engines.number_of_jobs(Execution(jobs=None), runs, options, gpus) == jobs


def test_a_larger_run_is_said_to_take_more_memory():
    small = RunConfig(dataset="d", model="cbr_tiny", image_size=64, batch_size=4)
    sizes = [
        engines.bytes_of_run(small.replace(**changes))
        for changes in ({}, {"batch_size": 64}, {"model": "cbr_large_t"})
    ]
    assert sizes[0] < sizes[1]
    assert sizes[0] < sizes[2]


def test_ray_that_is_not_there_is_one_message(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        UserError, match=r"needs Ray.*pip install 'transfusion_tf\[ray\]'"
    ):
        Execution("ray")
