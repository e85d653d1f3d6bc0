"""Killed at any moment, or beside another: the data are whole or not there."""

import contextlib
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import binaries
import pytest
from support import files_of_at_most

from transfusion_tf.datasets import load_card, prepare
from transfusion_tf.datasets.build_folder import building, publish
from transfusion_tf.datasets.examined_store import JPEGS, STORE
from transfusion_tf.errors import UserError

# Kills itself before it opens the file, or renames one, that the last argument names.
BUILD = """
import os
import signal
import sys

from transfusion_tf.datasets import load_card, prepare

card, root, last = sys.argv[1:]

def kill(event, arguments):
    if event in ("open", "os.rename") and last in f"{event} {arguments[0]}":
        os.kill(os.getpid(), signal.SIGKILL)

if last:
    sys.addaudithook(kill)
prepare(load_card(card), root, workers=1, progress=False)
"""


def start(card_path, root, last=""):
    return binaries.start_script(BUILD, card_path, root, last)


def content(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def entries(root):
    names = {path.name for path in (root / "clinic").iterdir()}
    return sorted(names - {STORE, JPEGS})


@pytest.mark.slow
@pytest.mark.parametrize("last", ["050.png", "dataset_info.json", "os.rename"])
def test_killed_and_started_again_gives_the_same_bytes(prepared, tmp_path, last):
    assert start(prepared.card.path, tmp_path, last).wait() == -signal.SIGKILL
    folder = tmp_path / "clinic"
    assert list(folder.glob(".building-*/1.0.0/*.tfrecord*"))
    assert not list(folder.glob("*px-*/*/index.parquet"))
    assert start(prepared.card.path, tmp_path).wait() == 0
    again = prepare(prepared.card, tmp_path, workers=1, progress=False)
    assert content(again.path) == content(prepared.path)
    assert entries(tmp_path) == [prepared.path.parent.name]


@pytest.mark.slow
def test_two_at_once_both_end_with_whole_data(prepared, tmp_path):
    processes = [start(prepared.card.path, tmp_path) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    again = prepare(prepared.card, tmp_path, workers=1, progress=False)
    assert content(again.path) == content(prepared.path)
    assert entries(tmp_path) == [prepared.path.parent.name]


def test_what_a_killed_version_left_without_an_index_is_built_anew(clinic, tmp_path):
    card = load_card(clinic)
    built = prepare(card, tmp_path, workers=1, progress=False)
    expected = content(built.path)
    (built.path / "index.parquet").unlink()
    again = prepare(card, tmp_path, workers=1, progress=False)
    assert content(again.path) == expected


def test_builders_take_turns(tmp_path):
    inside = []

    def build(number):
        with building(tmp_path / "data") as folder:
            inside.append(number)
            assert list((tmp_path / "data").glob(".building-*")) == [folder]
            time.sleep(0.02)
            inside.append(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(build, range(8)))
    assert inside[::2] == inside[1::2]
    assert os.listdir(tmp_path / "data") == []


def test_a_signal_at_any_moment_leaves_no_folder(tmp_path):
    def end(*_):
        raise SystemExit

    before = signal.signal(signal.SIGALRM, end)
    left = []
    for number in range(1, 151):
        # Within `shutil.rmtree` it may come out as an OSError.
        with contextlib.suppress(SystemExit, OSError):
            signal.setitimer(signal.ITIMER_REAL, number * 1e-5)
            with building(tmp_path / "data") as folder:
                (folder / "file").write_text("")
            time.sleep(0.1)
        left += tmp_path.glob("data/.building-*")
    signal.signal(signal.SIGALRM, before)
    assert not left


def test_a_leftover_is_removed_and_an_error_leaves_none(tmp_path):
    (tmp_path / ".building-gone-1").mkdir()
    with pytest.raises(RuntimeError), building(tmp_path):
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_who_comes_second_leaves_the_first_ones_folder(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        publish(tmp_path / name, tmp_path / "target")
    assert (tmp_path / "target" / "file").read_text() == "first"


# Nothing fits; a shard is begun; all but the index does.
@pytest.mark.parametrize("size", [200, 3000, 30000])
def test_a_full_disk_is_one_message_and_nothing_is_left(clinic, tmp_path, size, capfd):
    card = load_card(clinic)
    with (
        files_of_at_most(size),
        pytest.raises(UserError, match="no space left on the disk, or in your quota"),
    ):
        prepare(card, tmp_path / "data", workers=2, progress=False)
    assert "Traceback" not in capfd.readouterr().err
    assert not list((tmp_path / "data").iterdir())
    prepare(card, tmp_path / "data", workers=1, progress=False)
