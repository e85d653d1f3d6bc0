"""The speed and the memory that a run's last line tells."""

import sys

import numpy as np
import pytest

from transfusion_tf.training import performance
from transfusion_tf.training.state import Progress


@pytest.fixture
def pass_time(monkeypatch):
    """Lets so many seconds pass."""
    now = 100.0

    def wait(seconds):
        nonlocal now
        now += seconds

    monkeypatch.setattr(performance.time, "perf_counter", lambda: now)
    return wait


def test_only_steps_that_were_timed_count_after_a_resume_too(pass_time):
    progress = Progress()
    for _process in range(2):
        clock = performance.Clock(progress)
        pass_time(5)  # Not training: an evaluation, say.
        clock.start()
        pass_time(30)  # The first step compiles.
        progress.step += 1
        clock.stop()
        for _step in range(3):
            with clock.waiting():
                pass_time(0.5)
            pass_time(1.5)
            progress.step += 1
        clock.stop()
    assert progress.train_seconds == 2 * (30 + 6)
    assert performance.speed(progress, batch_size=8) == {
        "images_per_second": 4.0,
        "input_wait_share": 0.25,
    }


def test_a_run_of_a_single_step_has_no_speed(pass_time):
    progress = Progress()
    clock = performance.Clock(progress)
    pass_time(30)
    progress.step += 1
    clock.stop()
    speed = performance.speed(progress, batch_size=8)
    assert speed == {"images_per_second": None, "input_wait_share": None}


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (
            {
                "images_per_second": 211.6,
                "input_wait_share": 0.031,
                "peak_memory_mib": 1335,
            },
            "m: 212 images/s, 3 % of the time waiting for input, peak memory 1.4 GB",
        ),
        (
            {
                "images_per_second": 3.14,
                "input_wait_share": 0.0,
                "peak_memory_mib": 954,
                "peak_gpu_memory_mib": 9537,
            },
            "m: 3.1 images/s, 0 % of the time waiting for input, peak memory 1.0 GB, "
            "GPU 10.0 GB",
        ),
        (
            {
                "images_per_second": None,
                "input_wait_share": None,
                "peak_memory_mib": 954,
            },
            "m: peak memory 1.0 GB",
        ),
    ],
)
def test_the_last_line(status, line):
    assert performance.summary("m", status) == line


def test_the_peak_of_a_process_before_is_kept():
    progress = Progress(peak_memory={"peak_memory_mib": 10**6})
    performance.note_peak_memory(progress)
    assert progress.peak_memory == {"peak_memory_mib": 10**6}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux resets peaks")
def test_a_run_has_a_peak_of_its_own():
    before, after = Progress(), Progress()
    np.ones(300 << 20, np.uint8)
    performance.note_peak_memory(before)
    performance.reset_peak_memory()
    performance.note_peak_memory(after)
    largest, own = (each.peak_memory["peak_memory_mib"] for each in (before, after))
    assert 0 < own <= largest - 250
