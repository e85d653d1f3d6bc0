"""Disks that are full or read-only, and clocks that go backwards: real ones.

Small file systems of their own, which only root can mount, as in a container.
"""

import dataclasses
import os
import subprocess
import sys
import threading
import time

import pytest

from transfusion_tf import files
from transfusion_tf.errors import UserError
from transfusion_tf.training import RunDirectory, run_lock, train

MEGABYTE = 1 << 20


class Disk:
    """A small file system of its own."""

    def __init__(self, folder):
        self.folder = folder

    def lock(self, folder):
        """Makes a folder read-only, whoever asks."""
        for options in (("--bind", folder), ("-o", "remount,bind,ro")):
            subprocess.run(["mount", *options, folder], check=True)

    def unlock(self, folder):
        subprocess.run(["umount", folder], check=True)

    def free(self):
        """Bytes."""
        stat = os.statvfs(self.folder)
        return stat.f_bavail * stat.f_frsize

    def fill(self, left):
        """Leaves so many bytes free."""
        with (self.folder / "others").open("wb") as stream:
            stream.write(bytes(self.free() - left))


@pytest.fixture
def disk(tmp_path):
    """128 MB; skips where nothing can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    disk = Disk(folder)
    mount = ["mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", folder]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("cannot mount a file system of its own here")
    yield disk
    subprocess.run(["umount", "--recursive", folder], check=True)


def test_what_does_not_fit_is_said_before_anything_is_written(disk):
    files.require_space(disk.folder / "w.h5", MEGABYTE)
    disk.fill(left=MEGABYTE)
    with pytest.raises(UserError, match=r"no space left .*w\.h5"):
        files.require_space(disk.folder / "w.h5", MEGABYTE)
    assert [path.name for path in disk.folder.iterdir()] == ["others"]


def test_a_file_for_which_there_is_no_room_stays_as_it_was(disk):
    files.write_text(disk.folder / "a.txt", "old")
    disk.fill(left=MEGABYTE)
    with pytest.raises(UserError, match=r"no space left .*a\.txt"):
        files.write_text(disk.folder / "a.txt", "new" * MEGABYTE)
    assert (disk.folder / "a.txt").read_text() == "old"
    assert disk.free() > MEGABYTE / 2


def at_step(options, step, action):
    """Options under which something happens after so many steps, or after "all"."""
    done = 0

    def count(steps):
        nonlocal done
        done += steps
        # The loop also calls before the first step and after the last evaluation.
        if step == (done if steps else "all" if done else "none"):
            action()

    return dataclasses.replace(options, on_step=count, save_every_steps=1)


# Nothing fits; less than a state; in an evaluation; the final model does not fit.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "left"),
    [(6, 0), pytest.param(6, 6, marks=pytest.mark.exhaustive), (8, 3), ("all", 3)],
)
def test_a_disk_that_fills_up_costs_no_more_than_the_time_since_the_last_save(
    config, options, disk, assert_equals_undisturbed, step, left
):
    folder = disk.folder / "run"
    fill = at_step(options, step, lambda: disk.fill(left * MEGABYTE))
    with pytest.raises(UserError, match="no space left on the disk"):
        train(config, folder, fill)
    assert (folder / "state" / "latest.npz").exists()
    assert not list(folder.rglob(".[0-9]*"))
    (disk.folder / "others").unlink()
    assert RunDirectory(folder).status()["step"] >= 5
    assert_equals_undisturbed(train(config, folder, options))


@pytest.mark.slow
def test_a_folder_that_becomes_read_only_is_named_and_nothing_in_it_is_lost(
    config, options, disk, assert_equals_undisturbed
):
    folder = disk.folder / "run"
    locked = at_step(options, 6, lambda: disk.lock(folder / "state"))
    with pytest.raises(UserError, match=r"cannot write .*latest\.npz: Read-only"):
        train(config, folder, locked)
    with pytest.raises(UserError, match=r"cannot write .*Read-only"):
        train(config, folder, options)
    disk.unlock(folder / "state")
    assert_equals_undisturbed(train(config, folder, options))


@pytest.mark.slow
def test_a_clock_that_has_gone_backwards_changes_nothing(
    config, options, assert_equals_undisturbed, tmp_path
):
    def interrupt():
        raise KeyboardInterrupt

    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(config, folder, at_step(options, 6, interrupt))
    # As if all this had happened tomorrow.
    tomorrow = time.time() + 86_400
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (tomorrow, tomorrow))
    RunDirectory(folder).update_status(started="2126-01-01T00:00:00+00:00")
    assert_equals_undisturbed(train(config, folder, options))


def test_a_holder_whose_clock_goes_backwards_is_seen_to_be_there(tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock, "_PATIENCE", 0.5)
    path = tmp_path / "run" / run_lock.LOCK_FILE
    path.parent.mkdir()
    path.write_text('{"host": "elsewhere", "process": 1, "since": "2126-01-01"}')
    times = iter(range(2_000_000_000, 0, -1))
    ended = threading.Event()

    def beat_backwards():
        while not ended.wait(0.05):
            moment = next(times)
            os.utime(path, (moment, moment))

    beating = threading.Thread(target=beat_backwards)
    beating.start()
    with (
        pytest.raises(run_lock.RunHeldError, match="host elsewhere"),
        run_lock.run_lock(path.parent),
    ):
        pass
    ended.set()
    beating.join()
    with run_lock.run_lock(path.parent):
        pass
