"""One process at a time trains a run; whoever comes second is told who does.

The system's lock on a file in the run's folder says whether somebody is there, and
the system gives up a dead process's lock, so a killed training never blocks the next
one. The file's content says who it is.

On some clusters such a lock holds on one machine only (Lustre's `localflock`, NFS's
`local_lock`), and a few file systems have none. So the holder also touches the file
every few seconds: where the lock says nothing about another machine's process, its
file is watched for `_PATIENCE` seconds, and a run whose file stays still is free.
"""

import contextlib
import dataclasses
import datetime
import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from transfusion_tf import files, locks
from transfusion_tf.errors import UserError

LOCK_FILE = ".lock"
_BEAT = 5.0
# Covers the minute or so for which NFS may show an old modification time.
_PATIENCE = 75.0
# Between writing one's name and reading it again, where there are no locks.
_SETTLE = 1.0


@dataclasses.dataclass(frozen=True)
class Holder:
    """The process that trains a run.

    Attributes:
      host: its machine's name.
      process: its number there.
      since: when it began, UTC, ISO 8601.
    """

    host: str
    process: int
    since: str

    def __str__(self) -> str:
        return f"process {self.process} on host {self.host} since {self.since}"


class RunHeldError(UserError):
    """Another process trains the run now.

    Attributes:
      holder: who; None where it has not said so yet.
    """

    def __init__(self, folder: Path, holder: Holder | None):
        self.holder = holder
        super().__init__(
            f"run {folder.name} is being trained by {holder or 'another process'}; "
            "wait for it, or end that process first"
        )


@contextlib.contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Holds the run in `folder`, made if need be, for the time of the block.

    Reading a run needs no lock. The lock file is removed in the end, and the folder
    too where nothing else is in it.

    Raises:
      RunHeldError: another process, or this one, holds it already.
      UserError: the folder cannot be written to.
    """
    path = folder / LOCK_FILE
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    ours = Holder(platform.node(), os.getpid(), now)
    try:
        file = _enter(path, ours)
    except BlockingIOError:
        raise RunHeldError(folder, _read(path)) from None
    except OSError as error:
        raise files.as_user_error(error, path) from error
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(path, ended), daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()
        if file is not None:
            locks.give_back(file, path)
        elif _read(path) == ours:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()


def _enter(path: Path, ours: Holder) -> TextIO | None:
    """As `_take`, in a folder that is made, and that its last holder may remove."""
    for _ in range(100):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return _take(path, ours)
        except FileNotFoundError:
            continue
        except FileExistsError:
            # `mkdir` says so, too, of a folder that is removed while it looks.
            if path.parent.exists() and not path.parent.is_dir():
                raise
    raise BlockingIOError


def _take(path: Path, ours: Holder) -> TextIO | None:
    """Locks the file and writes our name; None where there are no locks.

    Raises:
      BlockingIOError: somebody else holds it.
    """
    file = locks.take(path, wait=False)
    try:
        if _is_alive(_read(path), path, locked=file is not None):
            raise BlockingIOError
        if file is not None and not locks.is_current(file, path):
            # Its holder on another machine ended while we watched.
            file.close()
            return _take(path, ours)
        # In place: a renamed file would be another one than that which is locked.
        path.write_text(json.dumps(dataclasses.asdict(ours)), encoding="utf-8")
        if file is None:
            time.sleep(_SETTLE)
            if _read(path) != ours:
                raise BlockingIOError
    except BaseException:
        if file is not None:
            file.close()
        raise
    return file


def _is_alive(holder: Holder | None, path: Path, *, locked: bool) -> bool:
    """Whether the process that the file names is still there, lock or no lock."""
    if holder is None:
        return False
    if holder.host == platform.node() and (locked or not _exists(holder.process)):
        return False
    tqdm.write(
        f"{path.parent.name} was left or is held by {holder}; looking for up to "
        f"{_PATIENCE:.0f} s whether that process is still there"
    )
    return _beats(path)


def _exists(process: int) -> bool:
    if os.name == "nt":
        return True  # There, asking would end it.
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _beats(path: Path) -> bool:
    """Watches whether somebody touches the file. No clocks are compared."""
    before = _touched(path)
    end = time.monotonic() + _PATIENCE
    while before is not None and time.monotonic() < end:
        time.sleep(min(1.0, _PATIENCE / 10))
        now = _touched(path)
        if now != before:
            return now is not None
    return False


def _touched(path: Path) -> int | None:
    try:
        # Opening makes NFS ask the server again.
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:
        return None


def _beat(path: Path, ended: threading.Event) -> None:
    while not ended.wait(_BEAT):
        with contextlib.suppress(OSError):
            os.utime(path)


def _read(path: Path) -> Holder | None:
    """Who the file names; None where nobody, or it is being written."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
