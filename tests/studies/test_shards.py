"""Several processes carry out one study: each run is trained once, by one of them."""

import json
import time
from pathlib import Path

import pytest
from binaries import start_script

from transfusion_tf.errors import UserError
from transfusion_tf.studies import Study, grid, run_study
from transfusion_tf.studies.data_sets import DataSets
from transfusion_tf.studies.engines.engine import carry_out
from transfusion_tf.studies.shard import Shard
from transfusion_tf.training import RunConfig, RunDirectory, RunOptions, resolve
from transfusion_tf.training.run_lock import LOCK_FILE, run_lock

BOTH = (Shard(1, 2), Shard(2, 2))

# A study in a process of its own: card, data, root, shard.
CARRY_OUT = """
import sys
from test_shards import make_study
from transfusion_tf.studies import run_study
from transfusion_tf.studies.shard import Shard
from transfusion_tf.training import RunOptions
card, data, root, shard = sys.argv[1:]
options = RunOptions(data_root=data, progress=False)
result = run_study(make_study(card), root, options=options, shard=Shard.parse(shard))
assert not result.failed, result.failed
"""

# Begins a run, and is killed on its way.
BEGIN = """
import os, pathlib, signal, sys, time
from transfusion_tf.training.run_lock import run_lock
with run_lock(pathlib.Path(sys.argv[1])):
    time.sleep(3)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def make_study(card: str) -> Study:
    """A donor, pretrained on the same data, and two runs."""
    base = RunConfig(
        dataset=card,
        model="cbr_tiny",
        donor=card,
        donor_steps=2,
        batch_size=4,
        steps=2,
        eval_every=2,
    )
    runs = grid(base, models=["cbr_tiny"], initializations=["random", "transfer"])
    return Study(name="shared", title="A study that is shared out", runs=runs)


def record_of(result):
    return json.loads((result.path / "study.json").read_text())


def names(result):
    return [run.path.name for run in result.runs]


@pytest.fixture(scope="module")
def card(prepared):
    return str(prepared.card.path)


@pytest.fixture(scope="module")
def options(prepared, data_root):
    return RunOptions(data_root=data_root, progress=False)


@pytest.fixture(scope="module")
def quick(card):
    """Two runs without a donor."""
    run = make_study(card).runs[0].replace(donor=None, donor_steps=None)
    return Study(name="quick", title="Two runs", runs=(run, run.replace(seed=1)))


def test_shards_are_disjoint_and_cover_the_study():
    items = list("abcdefg")
    parts = [Shard(index, 3).of(items) for index in (1, 2, 3)]
    assert parts == [["a", "d", "g"], ["b", "e"], ["c", "f"]]


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "a/b", "-1/2", "1/2/3"])
def test_what_is_no_shard_is_said_with_the_flag_and_the_form(text):
    with pytest.raises(UserError, match=r"--shard should be .*1/4 to 4/4"):
        Shard.parse(text)


def test_a_shard_is_written_as_it_is_read():
    assert Shard.parse("2/16") == Shard(2, 16)
    assert str(Shard(2, 16)) == "2/16"


@pytest.mark.slow
def test_a_shard_trains_its_runs_and_names_the_others(quick, options, tmp_path):
    first = run_study(quick, tmp_path, options=options, shard=BOTH[0])
    record = record_of(first)
    assert names(first) == record["runs"][::2]
    assert list(first.waiting) == record["runs"][1::2]
    second = run_study(quick, tmp_path, options=options, shard=BOTH[1])
    assert names(second) == record["runs"]
    assert not second.waiting
    assert record_of(second) == record


@pytest.mark.slow
def test_what_failed_in_one_shard_stays_failed_in_the_record_of_another(
    quick, options, tmp_path
):
    bad = quick.runs[0].replace(learning_rate=1e30, seed=50)
    runs = (bad, quick.runs[0])
    study = Study(name="failing", title="One fails", runs=runs)
    first = run_study(study, tmp_path, options=options, shard=BOTH[0])
    second = run_study(study, tmp_path, options=options, shard=BOTH[1])
    assert len(first.failed) == 1
    assert first.failed == second.failed
    assert record_of(second)["failed"] == [
        {"run": run, "message": text} for run, text in first.failed.items()
    ]


@pytest.mark.slow
def test_a_failure_that_leaves_nothing_is_known_to_other_shards(
    quick, options, tmp_path
):
    # Too small for the architecture.
    config, _ = resolve(quick.runs[0], options.data_root, progress=False)
    worse = config.replace(model="inception_v3")
    data_sets = DataSets(options)
    outcome = carry_out(
        worse, tmp_path, options, data_sets, listener=lambda event: None
    )
    assert outcome.state == "failed"
    status = RunDirectory(tmp_path / worse.run_id).status()
    assert (status["state"], status["message"]) == ("failed", outcome.message)


@pytest.mark.slow
def test_two_processes_share_a_study_and_its_donor(card, options, tmp_path):
    here = Path(__file__).parent
    processes = [
        start_script(CARRY_OUT, card, options.data_root, tmp_path, part, cwd=here)
        for part in ("1/2", "2/2")
    ]
    assert [process.wait() for process in processes] == [0, 0]
    runs = list((tmp_path / "runs").iterdir())
    assert len(runs) == 3
    # Every training, and every resumption, adds a file of events.
    assert all(len(list((run / "events").iterdir())) == 1 for run in runs)
    result = run_study(make_study(card), tmp_path, options=options)
    assert len(result.runs) == 2
    assert not list((tmp_path / "runs").rglob(LOCK_FILE))


@pytest.mark.slow
def test_a_run_that_another_process_holds_is_left_to_it_by_a_shard(
    quick, options, tmp_path, capsys
):
    held, _ = resolve(quick.runs[0], options.data_root, progress=False)
    with run_lock(tmp_path / "runs" / held.run_id):
        result = run_study(quick, tmp_path, options=options, shard=Shard(1, 1))
    assert result.waiting == (held.run_id,)
    assert len(result.runs) == 1
    assert not result.failed
    assert f"{held.run_id} is held by process" in capsys.readouterr().out


@pytest.mark.slow
def test_a_whole_study_waits_for_a_held_run_and_takes_over_from_the_dead(
    quick, options, tmp_path, capsys
):
    held, _ = resolve(quick.runs[0], options.data_root, progress=False)
    folder = tmp_path / "runs" / held.run_id
    process = start_script(BEGIN, folder)
    while not (folder / LOCK_FILE).exists():
        assert process.poll() is None
        time.sleep(0.01)
    study = Study(name="quick", title="One run", runs=quick.runs[:1])
    result = run_study(study, tmp_path, options=options)
    process.wait()
    assert names(result) == [held.run_id]
    assert not result.waiting
    waiting = f"waiting: run {held.run_id} is being trained by process {process.pid}"
    assert waiting in capsys.readouterr().out
