"""What tests start through `binaries` is a process like any other."""

import os
import signal

import binaries
import pytest


def test_it_has_its_own_folder_environment_and_exit_code(tmp_path):
    env = {**os.environ, "TRANSFUSION_DATA": "elsewhere"}
    done = binaries.run("report", "nothing", cwd=tmp_path, env=env)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: no study 'nothing'")
    assert "TRANSFUSION_DATA" not in os.environ


def test_it_can_be_ended_by_a_signal(tmp_path):
    process = binaries.start("train", "--dataset=phantom_chest", f"--root={tmp_path}")
    assert process.pid != os.getpid()
    process.kill()
    assert process.wait(timeout=60) == process.poll() == -signal.SIGKILL


def test_an_error_of_ours_comes_with_its_traceback():
    done = binaries.run("nothing_of_this_name")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_script_has_a_tensorflow_that_has_not_started():
    script = (
        "import sys, tensorflow as tf\n"
        "tf.config.set_logical_device_configuration(\n"
        "    tf.config.list_physical_devices('CPU')[0],\n"
        "    [tf.config.LogicalDeviceConfiguration()] * 3)\n"
        "print(len(tf.config.list_logical_devices('CPU')), *sys.argv[1:])\n"
    )
    assert binaries.run_script(script, "and more") == "3 and more\n"
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        binaries.run_script("1 / 0")


@pytest.mark.parametrize("flag", ["--help", "--list_studies"])
def test_what_it_prints_is_read_once_it_has_ended(flag):
    done = binaries.run("study", flag)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") > 10
