"""Asked to end (SIGTERM), training saves its state and goes on exactly from there."""

import dataclasses
import json
import os
import signal
import threading
import time

import pytest

from transfusion_tf.studies import Study, run_study
from transfusion_tf.training import RunDirectory, Terminated, loop, train
from transfusion_tf.training.state import read_state
from transfusion_tf.training.termination import holding_back_signals


def ask_to_end(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def heeded_ctrl_c():
    """Ctrl-C as in a terminal: shells make what they start with `&` ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def asked_after(options):
    """Options under which a signal comes after so many steps."""

    def make(step, number=signal.SIGTERM):
        seen = 0

        def count(steps):
            nonlocal seen
            seen += steps
            if seen == step:
                ask_to_end(number)

        return dataclasses.replace(options, on_step=count)

    return make


def saved_step(folder):
    progress, _ = read_state(folder / "state" / "latest.npz")
    return progress.step


@pytest.mark.slow
def test_the_step_that_runs_is_the_last_one_and_is_saved(
    config, options, asked_after, assert_equals_undisturbed, tmp_path
):
    folder = tmp_path / "run"
    # Within an interval; before an evaluation; before the last one.
    for step in (6, 8, 14):
        with pytest.raises(SystemExit) as end:
            train(config, folder, asked_after(step))
        assert end.value.code == 143
        assert saved_step(folder) == step
        status = RunDirectory(folder).status()
        assert (status["state"], status["step"]) == ("stopped", step)
        assert "SIGTERM" in status["message"]
    assert_equals_undisturbed(train(config, folder, options))


@pytest.mark.slow
def test_ctrl_c_saves_the_state_too(
    config, options, asked_after, assert_equals_undisturbed, tmp_path
):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(config, folder, asked_after(6, signal.SIGINT))
    assert saved_step(folder) == 6
    status = RunDirectory(folder).status()
    assert (status["state"], status["step"]) == ("stopped", 6)
    assert_equals_undisturbed(train(config, folder, options))


@pytest.mark.slow
def test_a_measurement_is_not_waited_for(
    config, options, assert_equals_undisturbed, monkeypatch, tmp_path
):
    folder = tmp_path / "run"
    evaluate_split = loop.evaluate_split
    # The first one; one between, of a run that goes on; the best weights on the test
    # split, when all else is done.
    for measurement in (1, 2, 5):
        calls = iter(range(1, measurement + 1))

        def interrupted(*arguments, calls=calls, last=measurement):
            if next(calls) == last:
                ask_to_end()
                pytest.fail("it went on measuring")
            return evaluate_split(*arguments)

        monkeypatch.setattr(loop, "evaluate_split", interrupted)
        with pytest.raises(Terminated):
            train(config, folder, options)
        assert RunDirectory(folder).status()["state"] == "stopped"
    monkeypatch.undo()
    assert_equals_undisturbed(train(config, folder, options))


@pytest.mark.slow
def test_a_study_stops_at_once_and_records_no_failure(config, options, tmp_path):
    short = config.replace(steps=4, eval_every=4)
    study = Study("stopped", "Stopped", (short, short.replace(seed=1)))
    steps = []

    def count(number):
        steps.append(number)
        if sum(steps) == 2:
            ask_to_end()

    with pytest.raises(Terminated):
        run_study(study, tmp_path, options=dataclasses.replace(options, on_step=count))
    assert sum(steps) == 2
    record = json.loads((tmp_path / "studies" / "stopped" / "study.json").read_text())
    assert record["failed"] == []
    (run,) = (tmp_path / "runs").iterdir()
    assert RunDirectory(run).status()["state"] == "stopped"


def test_a_signal_that_comes_too_late_ends_the_process_with_the_block():
    before = signal.getsignal(signal.SIGTERM)
    reached = []
    with pytest.raises(Terminated), holding_back_signals():  # noqa: PT012
        ask_to_end()
        reached.append("the end of the block")
    assert reached
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_run_that_fails_when_it_is_asked_to_end_does_not_hide_that_it_was():
    with pytest.raises(Terminated), holding_back_signals():  # noqa: PT012
        ask_to_end()
        raise RuntimeError


def test_a_second_ctrl_c_ends_the_block_where_it_is():
    reached = []
    with pytest.raises(KeyboardInterrupt), holding_back_signals():  # noqa: PT012
        ask_to_end(signal.SIGINT)
        reached.append("after the first")
        ask_to_end(signal.SIGINT)
        reached.append("after the same press, passed on by a wrapper")
        time.sleep(0.6)
        ask_to_end(signal.SIGINT)
        reached.append("after the second")
    assert len(reached) == 2


def test_a_process_that_ignores_ctrl_c_goes_on_ignoring_it():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with holding_back_signals() as termination:
            ask_to_end(signal.SIGINT)
        assert not termination.requested
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_the_signal_is_left_to_others():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def hold():
        with holding_back_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    assert seen == [before]
