"""SIGKILL, which nothing can catch, at any moment and inside a save.

The driver kills more, where there is time: `experiments/kill_runs.py`.
"""

import sys

import pytest
from binaries import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL, no fork"),
]


def test_killed_inside_a_save_the_state_is_restored_whole():
    done = run("kill_runs", "--saves=10", "--runs=0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 of 10 saves restored" in done.stdout


@pytest.mark.exhaustive  # `test_signals` kills two.
def test_killed_at_any_moment_a_run_goes_on_exactly(prepared, data_root, tmp_path):
    done = run(
        "kill_runs",
        "--saves=0",
        "--runs=2",
        f"--dataset={prepared.card.path}",
        f"--data_root={data_root}",
        f"--root={tmp_path}",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 runs equal" in done.stdout
