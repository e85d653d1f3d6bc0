"""A file that one process at a time holds; the system takes it from the dead."""

import os
import time
from pathlib import Path
from typing import TextIO


def take(path: Path, *, wait: bool) -> TextIO | None:
    """Locks `path`, which is made if need be, until `give_back` or the process's end.

    The system gives up a dead process's lock, SIGKILL included.

    Args:
      path: the lock file, in a folder that exists. Its content is left alone.
      wait: whether to wait for another holder.

    Returns:
      The open file; None where the file system, or Windows, has no such locks.

    Raises:
      BlockingIOError: another holder, and not to be waited for.
      OSError: the file cannot be opened.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            file.close()
            raise
        except OSError:
            file.close()
            return None
        if is_current(file, path):
            return file
        # Who had it before took it away while we waited.
        file.close()
        time.sleep(0.01)


def give_back(file: TextIO, path: Path) -> None:
    """Removes the lock file while it is still held, then lets go of it."""
    path.unlink(missing_ok=True)
    file.close()


def is_current(file: TextIO, path: Path) -> bool:
    """Whether `path` still names the open file, not a later one or none."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
