"""A folder that appears whole or not at all, whatever is killed or runs beside it."""

import contextlib
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from transfusion_tf import locks

_BUILDING = ".building-"
_LOCK = ".lock"


@contextlib.contextmanager
def building(parent: Path) -> Iterator[Path]:
    """Yields a fresh folder below `parent`, removed in the end with what is in it.

    Processes take turns, and whoever comes next removes what a killed one left.
    The system gives up a dead process's lock, so nobody waits for the dead. On a
    file system without locks two may build at once, each in a folder of its own;
    then nothing is taken for a leftover.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with _locked(parent) as alone:
        if alone:
            for stale in parent.glob(f"{_BUILDING}*"):
                shutil.rmtree(stale, ignore_errors=True)
        folder = parent / f"{_BUILDING}{platform.node()}-{os.getpid()}"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            # Within: a signal's exception may come before `mkdir` returns.
            folder.mkdir()
            yield folder
        finally:
            try:
                shutil.rmtree(folder, ignore_errors=True)
            except BaseException:
                # A signal's, again.
                shutil.rmtree(folder, ignore_errors=True)
                raise


def publish(folder: Path, target: Path) -> None:
    """Gives the finished `folder` its name; where another was faster, its stays."""
    for file in folder.iterdir():
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():
                raise


@contextlib.contextmanager
def _locked(parent: Path) -> Iterator[bool]:
    """Waits for a turn; yields whether this process is the only one."""
    path = parent / _LOCK
    file = locks.take(path, wait=True)
    try:
        yield file is not None
    finally:
        if file is not None:
            locks.give_back(file, path)
