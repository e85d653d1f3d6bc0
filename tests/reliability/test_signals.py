"""The binary, ended from outside at any moment, goes on as if nothing had been."""

import dataclasses
import os
import random
import signal
import sys
import time

import pytest
from binaries import start_script
from support import write_clinic

from transfusion_tf.training import RunDirectory, train
from transfusion_tf.training.run_lock import LOCK_FILE

pytestmark = pytest.mark.slow

STOPPED = (143, "stopped; the same command goes on from here")


def wait_for(condition, process):
    # Far longer than it takes: the machine may be busy.
    end = time.monotonic() + 600
    while time.monotonic() < end:
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.kill()
    raise AssertionError("it did not happen")


def run_of(root):
    """The only run below the root; None before it has a status."""
    found = list((root / "runs").glob("*/status.json"))
    return RunDirectory(found[0].parent) if found else None


def heeds_sigterm(process):
    """Whether the process has a handler of its own."""
    with open(f"/proc/{process.pid}/status") as lines:
        caught = next(line for line in lines if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def test_asked_to_end_it_says_so_by_its_exit_code_and_the_same_command_goes_on(
    config, data_root, start, assert_equals_undisturbed, undisturbed, tmp_path
):
    process = start(config, data_root, tmp_path)
    wait_for(lambda: (run := run_of(tmp_path)) and run.status().get("step"), process)
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    _, said = process.communicate()
    assert time.monotonic() - asked < 30
    assert (process.returncode, said.splitlines()[-1]) == STOPPED
    stopped = run_of(tmp_path)
    assert stopped.status()["state"] == "stopped"
    assert 0 < stopped.status()["step"] < config.steps
    assert not (stopped.path / LOCK_FILE).exists()
    again = start(config, data_root, tmp_path)
    _, said = again.communicate()
    assert again.returncode == 0, said
    assert run_of(tmp_path).finished()
    assert_equals_undisturbed(
        dataclasses.replace(undisturbed, directory=run_of(tmp_path))
    )


@pytest.mark.parametrize("number", range(2))
def test_killed_at_any_moment_it_goes_on_exactly(
    config, options, start, assert_equals_undisturbed, tmp_path, number
):
    process = start(config, options.data_root, tmp_path, save_every_steps=3)
    wait_for(lambda: run_of(tmp_path), process)
    time.sleep(random.Random(os.urandom(8)).uniform(0, 2))
    process.kill()
    process.communicate()
    assert_equals_undisturbed(train(config, run_of(tmp_path).path, options))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("moment", ["import", "preparation"])
def test_before_training_it_ends_at_once_and_leaves_nothing(
    config, start, tmp_path, moment
):
    card = write_clinic(tmp_path / "clinic", patients=60)
    process = start(
        config, tmp_path / "data", tmp_path / "root", anew=True, dataset=card
    )
    wait_for(lambda: heeds_sigterm(process), process)
    if moment == "preparation":
        folder = tmp_path / "data" / "clinic"
        wait_for(lambda: any(folder.glob(".building-*")), process)
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    _, said = process.communicate()
    assert time.monotonic() - asked < 30
    assert (process.returncode, said.splitlines()[-1]) == STOPPED
    assert not list(tmp_path.glob("data/clinic/*"))
    assert not (tmp_path / "root" / "runs").exists()


_WHILE_FLAGS_ARE_PARSED = """
import os, signal
from absl import flags
from transfusion_tf_experiments import process

flags.DEFINE_string("name", "", "")
flags.register_validator("name", lambda _: os.kill(os.getpid(), signal.{signal}))
process.start(print, "")
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_asked_before_its_flags_are_known_it_says_so_too(name, code):
    process = start_script(_WHILE_FLAGS_ARE_PARSED.format(signal=name))
    _, said = process.communicate(timeout=50)
    assert (process.returncode, said.splitlines()) == (code, [STOPPED[1]])


_SWALLOWS = """
import time
from transfusion_tf_experiments import process

def main(arguments):
    try:
        time.sleep(60)
    except SystemExit:  # as an import may
        time.sleep(60)

process.start(main, "")
"""


def test_what_a_library_swallows_is_asked_for_again():
    process = start_script(_SWALLOWS)
    wait_for(lambda: heeds_sigterm(process), process)
    time.sleep(1)  # until it sleeps
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=50)
    assert (process.returncode, said.splitlines()[-1]) == STOPPED
