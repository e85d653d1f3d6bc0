"""Killed at any moment, or beside another: the data are whole or not there."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import binaries
import pytest

from transfusion_tf.datasets import load_card, prepare
from transfusion_tf.datasets.build_folder import building, publish

BUILD = """
import sys
from transfusion_tf.datasets import load_card, prepare
prepare(load_card(sys.argv[1]), sys.argv[2], workers=1, progress=False)
"""


def start(card_path, root):
    return binaries.start_script(BUILD, card_path, root)


def content(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def entries(root):
    return sorted(path.name for path in (root / "clinic").iterdir())


def wait_for(condition, process):
    for _ in range(40_000):
        if condition():
            return
        assert process.poll() is None, "the process ended before"
        time.sleep(0.005)
    raise AssertionError("it did not happen")


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["folder", "records", "metadata"])
def test_killed_and_started_again_gives_the_same_bytes(prepared, tmp_path, stage):
    patterns = {
        "folder": ".building-*",
        "records": ".building-*/**/*incomplete*/*",
        "metadata": ".building-*/**/dataset_info.json",
    }
    process = start(prepared.card.path, tmp_path)
    folder = tmp_path / "clinic"
    wait_for(lambda: any(folder.glob(patterns[stage])), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
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
