"""One process at a time: the second is told who is there; the dead hold nothing."""

import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time

import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.training import RunDirectory, RunHeldError, run_lock, train
from transfusion_tf.training.run_lock import LOCK_FILE

# The lock alone: TensorFlow would take seconds to import.
HOLD = """
import importlib.util, pathlib, sys, time
path = importlib.util.find_spec("transfusion_tf").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("lock", path + "/training/run_lock.py")
lock = importlib.util.module_from_spec(spec)
sys.modules["lock"] = lock
spec.loader.exec_module(lock)
with lock.run_lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds `tmp_path/run`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def quick(monkeypatch):
    """Seconds of watching become tenths."""
    monkeypatch.setattr(run_lock, "_PATIENCE", 0.5)
    monkeypatch.setattr(run_lock, "_BEAT", 0.05)
    monkeypatch.setattr(run_lock, "_SETTLE", 0.05)


def write_holder(folder, **changes):
    folder.mkdir()
    values = {"host": platform.node(), "process": os.getpid(), "since": "2026-01-01"}
    (folder / LOCK_FILE).write_text(json.dumps({**values, **changes}))


def test_who_comes_second_is_told_who_is_there(holder, tmp_path):
    with pytest.raises(UserError) as caught, run_lock.run_lock(tmp_path / "run"):
        pass
    assert f"process {holder.pid} on host {platform.node()}" in str(caught.value)
    assert caught.value.holder.process == holder.pid


def test_a_killed_process_holds_nothing(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / LOCK_FILE).exists()
    with run_lock.run_lock(tmp_path / "run"):
        said = json.loads((tmp_path / "run" / LOCK_FILE).read_text())
        assert said["process"] == os.getpid()


def test_nothing_is_left(tmp_path):
    with run_lock.run_lock(tmp_path / "runs" / "run"):
        pass
    assert list((tmp_path / "runs").iterdir()) == []


def test_one_process_cannot_hold_a_run_twice(tmp_path):
    with (
        run_lock.run_lock(tmp_path / "run"),
        pytest.raises(RunHeldError, match=f"process {os.getpid()}"),
        run_lock.run_lock(tmp_path / "run"),
    ):
        pass


def test_of_many_at_once_one_is_inside(tmp_path):
    inside, refused = [], []

    def enter():
        for _ in range(20):
            try:
                with run_lock.run_lock(tmp_path / "run"):
                    inside.append(1)
                    assert len(inside) == 1
                    time.sleep(0.002)
                    inside.pop()
            except RunHeldError:
                refused.append(1)
            except BaseException as error:
                refused.append(error)

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(entry == 1 for entry in refused)
    assert not (tmp_path / "run").exists()


def test_another_machine_whose_lock_is_not_seen_here_is_told_by_its_beat(
    quick, tmp_path
):
    folder = tmp_path / "run"
    write_holder(folder, host="elsewhere")
    ended = threading.Event()
    beating = threading.Thread(target=run_lock._beat, args=(folder / LOCK_FILE, ended))
    beating.start()
    with pytest.raises(RunHeldError, match="host elsewhere"), run_lock.run_lock(folder):
        pass
    ended.set()
    beating.join()
    with run_lock.run_lock(folder):
        pass
    assert not folder.exists()


@pytest.mark.parametrize("process", ["gone", "silent"])
def test_without_locks_the_file_says_who_is_there(
    quick, tmp_path, monkeypatch, process
):
    """As on a file system that has no locks."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    folder = tmp_path / "run"
    if process == "gone":
        done = subprocess.Popen([sys.executable, "-c", ""])
        done.wait()
        write_holder(folder, process=done.pid)
    else:
        write_holder(folder)
    with run_lock.run_lock(folder):
        with pytest.raises(RunHeldError), run_lock.run_lock(folder):
            pass
        assert (folder / LOCK_FILE).exists()
    assert not folder.exists()


def test_a_run_in_training_is_not_trained_twice_but_can_be_read(
    config, options, holder, tmp_path
):
    directory = RunDirectory(tmp_path / "run")
    with pytest.raises(RunHeldError, match=r"run run is being trained by process"):
        train(config, directory.path, options)
    assert directory.status() == {"state": "new"}
    assert not directory.finished()


def test_a_finished_run_has_no_lock_and_needs_none(config, options, finished, tmp_path):
    folder = finished.directory.path
    assert not (folder / LOCK_FILE).exists()
    (folder / LOCK_FILE).write_text("left by a kill between the last two lines")
    assert train(config, folder, options) == finished
    assert not (folder / LOCK_FILE).exists()


def test_what_was_wrong_from_the_start_leaves_no_folder(config, options, tmp_path):
    with pytest.raises(UserError):
        train(config.replace(freeze="block7"), tmp_path / "runs" / "bad", options)
    assert list((tmp_path / "runs").iterdir()) == []
