"""Runs side by side come to what they come to alone, whatever happens to processes."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from binaries import start

from transfusion_tf.errors import UserError
from transfusion_tf.studies import Execution, Study, grid, run_study
from transfusion_tf.studies.data_sets import DataSets
from transfusion_tf.studies.donors import pretraining_run
from transfusion_tf.studies.engines import execution as engines
from transfusion_tf.training import Options, RunConfig, RunDirectory
from transfusion_tf.training.run_lock import LOCK_FILE

STEPS, EVAL_EVERY, BATCH = 24, 2, 4


@pytest.fixture(scope="module")
def options(prepared, data_root):
    return Options(data_root=data_root, threads=1, save_every_steps=1, progress=False)


@pytest.fixture(scope="module")
def study(prepared):
    """Two runs that last some seconds, then a donor with a run on top of it."""
    card = str(prepared.card.path)
    base = RunConfig(
        dataset=card,
        model="cbr_tiny",
        batch_size=BATCH,
        steps=STEPS,
        eval_every=EVAL_EVERY,
    )
    long = grid(base, models=["cbr_tiny"], initializations=["random"], seeds=range(2))
    short = base.replace(
        donor=card, donor_steps=2, initialization="transfer", steps=2, seed=2
    )
    return Study("side", "Side by side", (*long, short))


@pytest.fixture(scope="module")
def alone(study, options, tmp_path_factory):
    """The study with one run after the other, in this process; its root."""
    root = tmp_path_factory.mktemp("alone")
    assert not run_study(study, root, options=options).failed
    return root


def run_directories(root):
    return {path.name: RunDirectory(path) for path in (root / "runs").glob("*")}


def assert_same_results(ours, theirs):
    """Metrics, predictions and last weights, to the last bit."""
    assert ours.path.name == theirs.path.name
    for name in ("metrics.jsonl", "initialization.csv"):
        assert (ours.path / name).read_bytes() == (theirs.path / name).read_bytes()
    for split in ("validation", "test"):
        assert ours.predictions(split).equals(theirs.predictions(split))
    assert ours.status()["test"] == theirs.status()["test"]


def assert_equals(root, reference):
    ours, theirs = run_directories(root), run_directories(reference)
    assert ours.keys() == theirs.keys()
    for name, run in ours.items():
        assert_same_results(run, theirs[name])


def both_have_begun(root):
    """Whether two runs are under way that have saved a state after some steps."""
    begun = [
        run
        for run in run_directories(root).values()
        if (run.path / LOCK_FILE).exists() and run.status().get("step", 0) > 1
    ]
    return len(begun) == 2


def workers_of(process):
    """Process ids of a process's loky workers."""
    found = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(process)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [
        int(line.split()[0])
        for line in found.stdout.splitlines()
        if "popen_loky" in line
    ]


def once(condition, action):
    """An `on_step` that acts once, when the condition holds."""
    acted = []

    def on_step(count):
        if not acted and condition():
            acted.append(True)
            action()

    return on_step


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks ps for children")
def test_two_jobs_one_of_them_killed_come_to_what_one_job_comes_to(
    study, options, alone, tmp_path, capsys
):
    killed = []

    def kill():
        killed.append(workers_of(os.getpid())[0])
        os.kill(killed[0], signal.SIGKILL)

    on_step = once(lambda: both_have_begun(tmp_path), kill)
    watched = Options(**(vars(options) | {"on_step": on_step}))
    result = run_study(study, tmp_path, options=watched, execution=Execution(jobs=2))
    assert killed
    assert not result.failed
    said = capsys.readouterr().out
    assert len(re.findall(r"its process was killed \(SIGKILL\)", said)) == 1
    (step,) = re.findall(r"goes on from step (\d+) in another process", said)
    assert int(step) > 0
    assert_equals(tmp_path, alone)
    # None of them outlives the study.
    assert not workers_of(os.getpid())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks ps for children")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143)])
def test_a_study_that_is_asked_to_end_saves_all_runs_and_goes_on(
    study, options, alone, tmp_path, number, code
):
    arguments = {
        "dataset": study.runs[0].dataset,
        "models": "cbr_tiny",
        "initializations": "random",
        "seeds": 2,
        "batch_size": BATCH,
        "steps": STEPS,
        "eval_every": EVAL_EVERY,
        "data_root": options.data_root,
        "root": tmp_path,
        "jobs": 2,
    }
    process = start(
        "study", *(f"--{name}={value}" for name, value in arguments.items())
    )
    end = time.monotonic() + 300
    while not both_have_begun(tmp_path) and time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    workers = workers_of(process.pid)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == code, said
    assert said.splitlines()[-1] == "stopped; the same command goes on from here"
    assert len(workers) == 2
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]
    stopped = run_directories(tmp_path)
    assert {run.status()["state"] for run in stopped.values()} == {"stopped"}
    assert all(run.status()["step"] for run in stopped.values())
    long = Study("side", "Side by side", study.runs[:2])
    assert not run_study(long, tmp_path, options=options).failed
    for name, run in stopped.items():
        assert_same_results(run, run_directories(alone)[name])


@pytest.mark.slow
def test_on_two_ray_nodes_one_of_which_is_lost_it_comes_to_the_same(
    study, options, alone, tmp_path, capsys
):
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=small)
    try:
        node = cluster.add_node(**small)
        on_step = once(
            lambda: both_have_begun(tmp_path),
            lambda: cluster.remove_node(node, allow_graceful=False),
        )
        result = run_study(
            study,
            tmp_path,
            options=Options(**(vars(options) | {"on_step": on_step})),
            execution=Execution("ray", jobs=None, ray_address=cluster.address),
        )
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert not result.failed
    said = capsys.readouterr().out
    (step,) = re.findall(r"goes on from step (\d+) in another process", said)
    assert int(step) > 0
    assert_equals(tmp_path, alone)


@pytest.mark.slow
def test_a_donor_that_fails_takes_along_only_what_stands_on_it(
    study, options, tmp_path
):
    transfer = study.runs[2]
    donor = DataSets(options).resolve(pretraining_run(transfer))
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / donor.run_id).write_text("No folder can be made here.")
    random = transfer.replace(initialization="random")
    mixed = Study("mixed", "A donor fails", (transfer, random))
    result = run_study(mixed, tmp_path, options=options)
    assert [run.config().initialization for run in result.runs] == ["random"]
    (message,) = result.failed.values()
    assert message.startswith(f"its donor {donor.run_id} failed: cannot write")
    alone = Study("alone", "All stand on it", (transfer,))
    with pytest.raises(UserError, match="donor could not be pretrained: cannot write"):
        run_study(alone, tmp_path, options=options)


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
        RunConfig(dataset="d", model="cbr_tiny", image_size=64, seed=seed)
        for seed in range(8)
    ]
    options = Options(threads=1)
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


@pytest.mark.parametrize("address", ["localhost:1", "nowhere", "localhost:x"])
def test_no_cluster_at_the_address_is_one_message_and_nothing_is_written(
    study, options, tmp_path, address
):
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with pytest.raises(UserError, match=f"ray_address.*{address}"):
        run_study(
            study,
            tmp_path,
            options=options,
            execution=Execution("ray", ray_address=address),
        )
    assert not list(tmp_path.iterdir())
