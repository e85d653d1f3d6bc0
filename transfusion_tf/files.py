"""Writing files so that a kill at any moment leaves the old one or the new one."""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transfusion_tf.errors import UserError

_RESERVE = 1 << 20


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path beside `path`, which takes its place on success.

    The temporary file keeps the suffix of `path` (Keras and pandas choose the
    format by it). It is flushed to the disk before it is renamed, and removed when
    the block fails, so that neither a kill nor an error leaves half a file.

    Raises:
      UserError: the folder cannot be written to, or the disk is full.
    """
    target = Path(path)
    temporary = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise as_user_error(error, target) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def as_user_error(error: OSError, target: Path) -> OSError | UserError:
    """`error` as a message where the user can mend it, else the error itself."""
    if error.errno == errno.ENOSPC:
        return disk_full(target)
    unwritable = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
    if error.errno in unwritable:
        return UserError(
            f"cannot write {target}: {error.strerror}; choose a folder that can be "
            "written to with --root or --data_root"
        )
    return error


def disk_full(target: str | os.PathLike) -> UserError:
    """The error of a disk that has no room for `target`."""
    return UserError(
        f"no space left on the disk while writing {target}; what was saved before is "
        "whole: free some space and run the same command again"
    )


def require_space(target: str | os.PathLike, size: int) -> None:
    """Raises UserError unless `size` bytes and a reserve fit beside `target`.

    HDF5 crashes the process when the disk fills up while it closes a file (h5py
    3.14), so weights are written only where they will fit.
    """
    folder = Path(target).parent
    while not folder.exists():
        folder = folder.parent
    if shutil.disk_usage(folder).free < size + _RESERVE:
        raise disk_full(target)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Replaces the file's content by `text`, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Replaces the file's content by `value` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """The JSON value that the file holds.

    Raises:
      UserError: the file is not valid JSON.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not valid JSON: {error}") from error
