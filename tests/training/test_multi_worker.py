"""One device, two mirrored ones and two worker processes: the same training.

SGD, because Adam divides by tiny gradients at first and so magnifies rounding; a small
rate, because max pooling turns a rounding difference into another winner sooner or
later.
"""

import json
import os
import re
import signal
import socket
import time

import binaries
import keras
import numpy as np
import pytest

from transfusion_tf.training import RunConfig, RunDirectory, RunOptions, train
from transfusion_tf.training.run_lock import LOCK_FILE

pytestmark = pytest.mark.slow

# More than are compared, so that there is time to stop and to kill.
STEPS, COMPARED = 11, 8
# With all that changes a step, and what decides about it by validation.
FIELDS = {
    "model": "cbr_tiny",
    "batch_size": 8,
    "steps": STEPS,
    "eval_every": 1,
    "optimizer": "sgd",
    "learning_rate": 1e-4,
    "weight_decay": 0.5,
    "gradient_clipping": 0.1,
    "schedule": "plateau",
    "warmup_steps": 3,
    "plateau_patience": 1,
    "minimum_learning_rate": 1e-12,
    "early_stopping_metric": "loss",
    "head_steps": 4,
    "head_learning_rate": 1e-3,
    "fold": 1,
}
# Of what is compared, from which step on there is a value.
FIRST = {"train/loss": 1, "validation/loss": 0, "train/learning_rate": 0}
# Far longer than anything takes: the machine may be busy.
PATIENCE = 900


def start(dataset, data_root, root, *flags, **environment):
    """`transfusion-train` of the run."""
    return binaries.start(
        "train",
        *(f"--dataset={dataset}", f"--data_root={data_root}", f"--root={root}"),
        *(f"--{name}={value}" for name, value in FIELDS.items()),
        f"--start_timeout={PATIENCE}",
        *flags,
        env=os.environ | environment,
    )


def free_addresses():
    ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    addresses = [f"127.0.0.1:{port.getsockname()[1]}" for port in ports]
    for port in ports:
        port.close()
    return addresses


def start_workers(*arguments, others=()):
    """The chief and another worker, which alone is given the others' flags."""
    workers = f"--workers={','.join(free_addresses())}"
    return [
        start(*arguments, workers, "--worker=0"),
        start(*arguments, workers, "--worker=1", *others),
    ]


def start_workers_by_environment(*arguments):
    """As Kubeflow does it; `--strategy` is left at auto."""
    cluster = {"worker": free_addresses()}
    return [
        start(
            *arguments,
            TF_CONFIG=json.dumps(
                {"cluster": cluster, "task": {"type": "worker", "index": index}}
            ),
        )
        for index in range(2)
    ]


def ends(processes, codes):
    """What they said, once all have ended with these exit codes."""
    try:
        said = [process.communicate(timeout=PATIENCE) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == codes, said
    return said


def run_of(root):
    found = list((root / "runs").glob("*/status.json"))
    return RunDirectory(found[0].parent) if found else None


def wait_for_step(step, root, processes):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        run = run_of(root)
        if run and run.status().get("step", 0) >= step:
            return
        if any(process.poll() is not None for process in processes):
            break
        time.sleep(0.01)
    raise AssertionError(f"no step {step}: {ends(processes, None)}")


@pytest.fixture(scope="module")
def one(clinic_root, prepared, data_root, tmp_path_factory):
    config = RunConfig(dataset=str(clinic_root), **FIELDS)
    options = RunOptions(data_root=data_root, strategy="one", progress=False)
    return train(config, tmp_path_factory.mktemp("one") / "run", options).directory


@pytest.fixture(scope="module")
def two_workers(clinic_root, prepared, data_root, tmp_path_factory):
    root = tmp_path_factory.mktemp("workers")
    pair = start_workers_by_environment(clinic_root, data_root, root)
    said = ends(pair, [0, 0])
    assert re.search(
        r"^cbr_tiny: \S+ images/s, \d+ % of the time waiting for input, "
        r"peak memory \d+\.\d GB$",
        said[0][0],
        re.MULTILINE,
    )
    assert said[1][0] == ""
    return run_of(root)


def assert_same_training(ours, theirs):
    """First losses and rates; predictions, of each example once; last weights."""
    ours_metrics, metrics = ours.metrics(), theirs.metrics()
    assert list(ours_metrics["step"]) == list(metrics["step"]) == [*range(STEPS + 1)]
    assert metrics["train/learning_rate"].nunique() > 2
    for name, first in FIRST.items():
        values, expected = (
            table[name][first : COMPARED + 1] for table in (ours_metrics, metrics)
        )
        np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert ours.status()["best_step"] == theirs.status()["best_step"]
    for split in ("validation", "test"):
        rows, expected = ours.predictions(split), theirs.predictions(split)
        assert rows["example_id"].is_unique
        assert list(rows["example_id"]) == list(expected["example_id"])
        columns = [name for name in rows if name.startswith("probability/")]
        np.testing.assert_allclose(rows[columns], expected[columns], rtol=1e-3)
    models = [
        keras.saving.load_model(run.final_model, compile=False)
        for run in (ours, theirs)
    ]
    for weight, same in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(weight, same, rtol=1e-3, atol=1e-4)


def test_two_mirrored_devices_match_one(
    one, clinic_root, prepared, data_root, tmp_path
):
    flags = ("--strategy=mirrored", "--logical_devices=2")
    ends([start(clinic_root, data_root, tmp_path, *flags)], [0])
    run = run_of(tmp_path)
    assert run.status()["devices"] == 2
    assert_same_training(run, one)


def test_two_worker_processes_match_one(one, two_workers):
    status = two_workers.status()
    assert (status["workers"], status["devices"]) == (2, 2)
    assert_same_training(two_workers, one)
    files = {path.name for path in two_workers.path.iterdir()}
    assert files == {path.name for path in one.path.iterdir()}


def test_other_flags_on_one_worker_are_one_message(
    clinic_root, prepared, data_root, tmp_path
):
    pair = start_workers(clinic_root, data_root, tmp_path, others=("--eval_every=2",))
    for _, said in ends(pair, [2, 2]):
        (line,) = (line for line in said.splitlines() if line.startswith("error: "))
        assert "worker 1 (127.0.0.1:" in line
        assert "differs from the chief in eval_every: 2 instead of 1" in line
        assert "Traceback" not in said
    assert not (tmp_path / "runs").exists()


def assert_goes_on_to(two_workers, arguments, run):
    """The same command ends the run, with the numbers of the undisturbed one."""
    ends(start_workers(*arguments), [0, 0])
    for name in ("metrics.jsonl", "predictions.parquet"):
        ours, theirs = (each.path / name for each in (run, two_workers))
        assert ours.read_bytes() == theirs.read_bytes(), name


@pytest.mark.exhaustive  # `test_killed_workers` goes on, too, and from less.
def test_sigterm_to_one_worker_ends_both_after_the_same_step(
    two_workers, clinic_root, prepared, data_root, tmp_path
):
    arguments = (clinic_root, data_root, tmp_path)
    pair = start_workers(*arguments)
    wait_for_step(1, tmp_path, pair)
    pair[1].send_signal(signal.SIGTERM)
    ends(pair, [143, 143])
    run = run_of(tmp_path)
    stopped = run.status()
    assert stopped["state"] == "stopped"
    assert 1 <= stopped["step"] < STEPS
    assert not (run.path / LOCK_FILE).exists()
    assert_goes_on_to(two_workers, arguments, run)


def test_killed_workers_go_on_exactly(
    two_workers, clinic_root, prepared, data_root, tmp_path
):
    arguments = (clinic_root, data_root, tmp_path)
    pair = start_workers(*arguments)
    wait_for_step(2, tmp_path, pair)
    os.kill(pair[1].pid, signal.SIGKILL)
    killed = time.monotonic()
    (_, said), _ = ends(pair, [75, -signal.SIGKILL])
    # 3 to 10 s, where nothing else runs.
    assert time.monotonic() - killed < 180
    run = run_of(tmp_path)
    step = run.status()["step"]
    # The other says so, and what to do.
    assert "error: worker 1 (127.0.0.1:" in said
    assert "is gone (its own output may say why); start the same command on all " in (
        said
    )
    assert f"it goes on from step {step}" in said
    assert "Traceback" not in said
    assert_goes_on_to(two_workers, arguments, run)
