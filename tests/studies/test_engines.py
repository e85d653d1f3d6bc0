"""Runs side by side come to what they come to alone, whatever happens to processes."""

import contextlib
import json
import os
import re
import shutil
import signal
import time

import psutil
import pytest
from binaries import start

from transfusion_tf.errors import UserError
from transfusion_tf.studies import Execution, Study, grid, read_study, run_study
from transfusion_tf.studies.data_sets import DataSets
from transfusion_tf.studies.donor_runs import pretraining_run
from transfusion_tf.training import RunConfig, RunDirectory, RunOptions
from transfusion_tf.training.run_lock import LOCK_FILE

STEPS, EVAL_EVERY, BATCH, DONOR_STEPS = 30, 10, 4, 2


@pytest.fixture(scope="module")
def options(prepared, data_root):
    return RunOptions(
        data_root=data_root, threads=1, save_every_steps=1, progress=False
    )


@pytest.fixture(scope="module")
def study(prepared):
    """Two runs that last some seconds, one of them on top of a donor."""
    card = str(prepared.card.path)
    base = RunConfig(
        dataset=card,
        model="cbr_tiny",
        donor=card,
        donor_steps=DONOR_STEPS,
        batch_size=BATCH,
        steps=STEPS,
        eval_every=EVAL_EVERY,
    )
    runs = grid(base, models=["cbr_tiny"], initializations=["random", "transfer"])
    return Study("side", "Side by side", runs)


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


def under_way(root, steps=STEPS, before=None):
    """Processes that train the long runs and have saved later states than before."""
    processes = set()
    for name, run in run_directories(root).items():
        # Gone, or being written: a lock is written in place.
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            holder = json.loads((run.path / LOCK_FILE).read_text())
            begun = run.status().get("step", 0) > (before or {}).get(name, 1)
            if begun and run.config().steps == steps:
                processes.add(holder["process"])
    return processes


def children_of(process, name=""):
    """Ids of a process's children whose command has the name in it."""
    children = []
    for child in psutil.Process(process).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if name in " ".join(child.cmdline()):
                children.append(child.pid)
    return children


def workers_of(process):
    """Ids of the processes that train for a study."""
    return children_of(process, "popen_loky")


def lose(node):
    """Ends a Ray node as a power failure does, all of its processes at once."""
    (raylet,) = node.all_processes["raylet"]
    for process in (raylet.process.pid, *children_of(raylet.process.pid)):
        os.kill(process, signal.SIGKILL)


def with_both_under_way(root, action):
    """An `on_step` that acts once; the run that begins first waits for the other."""
    waiting, acted = set(), []

    def on_step(count):
        processes = set() if acted else under_way(root)
        if len(processes) == 2:
            acted.append(True)
            for process in waiting:
                os.kill(process, signal.SIGCONT)
            action()
        else:
            for process in processes - waiting:
                os.kill(process, signal.SIGSTOP)
                waiting.add(process)

    return on_step


@pytest.mark.slow
def test_two_jobs_one_of_them_killed_come_to_what_one_job_comes_to(
    study, options, alone, tmp_path, capsys
):
    # Of what was prepared before in this process.
    others = set(workers_of(os.getpid()))
    killed = []

    def kill():
        killed.append(min(under_way(tmp_path)))
        os.kill(killed[0], signal.SIGKILL)

    on_step = with_both_under_way(tmp_path, kill)
    watched = RunOptions(**(vars(options) | {"on_step": on_step}))
    result = run_study(study, tmp_path, options=watched, execution=Execution(jobs=2))
    assert killed
    assert not result.failed
    said = capsys.readouterr().out
    assert len(re.findall(r"its process was killed \(SIGKILL\)", said)) == 1
    (step,) = re.findall(r"goes on from step (\d+) in another process", said)
    assert int(step) > 0
    assert_equals(tmp_path, alone)
    # None of them outlives the study.
    assert set(workers_of(os.getpid())) <= others


@pytest.mark.exhaustive  # `test_signals` asks a run, and the two jobs above one worker.
def test_a_study_that_is_asked_to_end_saves_all_runs_and_goes_on(
    study, options, tmp_path
):
    # So many that neither run comes to its end before the other has begun.
    steps = 100_000
    arguments = {
        "dataset": study.runs[0].dataset,
        "models": "cbr_tiny",
        "initializations": "random,transfer",
        "donor": study.runs[0].dataset,
        "donor_steps": DONOR_STEPS,
        "seeds": 1,
        "batch_size": BATCH,
        "steps": steps,
        "eval_every": steps,
        "save_every_steps": 1,
        "data_root": options.data_root,
        "root": tmp_path,
        "jobs": 2,
    }
    flags = [f"--{name}={value}" for name, value in arguments.items()]
    saved = end_when_begun(flags, tmp_path, steps)
    assert min(saved.values()) > 0
    again = end_when_begun(flags, tmp_path, steps)
    assert all(again[run] > saved[run] for run in saved)


def end_when_begun(flags, root, steps):
    """Ends the command once both runs are under way; the steps that they saved."""
    before = {name: run.status()["step"] for name, run in run_directories(root).items()}
    process = start("study", *flags)
    end = time.monotonic() + 300
    while len(under_way(root, steps, before)) < 2 and time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    workers = workers_of(process.pid)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 143, said
    assert said.splitlines()[-1] == "stopped; the same command goes on from here"
    assert len(workers) == 2
    assert not [worker for worker in workers if psutil.pid_exists(worker)]
    runs = {
        name: run
        for name, run in run_directories(root).items()
        if run.config().steps == steps
    }
    assert [run.status()["state"] for run in runs.values()] == ["stopped"] * 2
    return {name: run.status()["step"] for name, run in runs.items()}


@pytest.mark.slow
def test_on_two_ray_nodes_one_of_which_is_lost_it_comes_to_the_same(
    study, options, alone, tmp_path, capsys
):
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 100 << 20}
    small["include_log_monitor"] = False
    # The donor is there: what is lost and found again are the runs.
    donor = alone / "runs" / read_study(alone / "studies" / study.name).donors[0].run_id
    shutil.copytree(donor, tmp_path / "runs" / donor.name)
    head = {**small, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        node = cluster.add_node(**small)
        on_step = with_both_under_way(tmp_path, lambda: lose(node))
        result = run_study(
            study,
            tmp_path,
            options=RunOptions(**(vars(options) | {"on_step": on_step})),
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
    transfer = study.runs[1]
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
