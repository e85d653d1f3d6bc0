"""SIGKILL, which nothing can catch, at any moment and inside a save.

The driver kills more, where there is time: `experiments/kill_runs.py`.
"""

import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL, no fork"),
]


def kill(*arguments):
    """What the driver says, with its exit code."""
    command = [sys.executable, "-m", "transfusion_tf_experiments.kill_runs"]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_killed_inside_a_save_the_state_is_restored_whole():
    code, said, errors = kill("--saves=10", "--runs=0")
    assert code == 0, said + errors
    assert "10 of 10 saves restored" in said


@pytest.mark.exhaustive  # `test_signals` kills two.
def test_killed_at_any_moment_a_run_goes_on_exactly(prepared, data_root, tmp_path):
    code, said, errors = kill(
        "--saves=0",
        "--runs=2",
        f"--dataset={prepared.card.path}",
        f"--data_root={data_root}",
        f"--root={tmp_path}",
    )
    assert code == 0, said + errors
    assert "2 of 2 runs equal" in said
