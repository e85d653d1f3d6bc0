"""Writing files so that a kill at any moment leaves the old one or the new one.

And reading JSON and NumPy files so that what is damaged, or was made to do harm, is
named and goes no further.
"""

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from transfusion_tf.errors import UserError

_RESERVE = 1 << 20
# Disk, quota, and the largest file that the process may write.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UNWRITABLE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EIO,
)
_FULL_IN_WORDS = (*map(os.strerror, _FULL), "Not enough disk space")
_LEFTOVER = re.compile(r"\.\d+\..+")
# What claims to be larger than this must store at least a hundredth of it.
_SMALL_ENOUGH = 1 << 26
_MAX_EXPANSION = 100


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
    # `remove_leftovers` knows it by this name.
    temporary = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        _make_folder(target.parent)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise as_user_error(error, target) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: str | os.PathLike) -> Iterator[Path]:
    """As `replacing`, of a folder that the block fills; what is there goes whole."""
    target = Path(path).absolute()
    temporary = target.with_name(f".{os.getpid()}.{target.name}")
    before = target.with_name(f".{os.getpid()}.before.{target.name}")
    try:
        _make_folder(target.parent)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
        if target.exists():
            target.rename(before)
        temporary.rename(target)
    except OSError as error:
        raise as_user_error(error, target) from error
    finally:
        if before.exists() and not target.exists():
            before.rename(target)
        for folder in (temporary, before):
            shutil.rmtree(folder, ignore_errors=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:
        # Where no folder can be made, as below `/proc`; else its parents were.
        raise _cannot_write(folder, error) from error


def require_writable(folder: str | os.PathLike) -> None:
    """Raises UserError unless files can be made in `folder`; leaves nothing behind.

    Of a folder that is not there yet, the nearest that is counts.
    """
    existing = Path(folder).absolute()
    while not os.path.lexists(existing):
        existing = existing.parent
    try:
        with tempfile.TemporaryDirectory(prefix=".", dir=existing):
            pass
    except OSError as error:
        told = as_user_error(error, Path(folder))
        raise _cannot_write(folder, error) if told is error else told from error


def remove_leftovers(folder: Path) -> None:
    """Removes what processes left in `folder` that were killed while they wrote.

    For the only process that writes there.
    """
    for path in folder.glob(".*"):
        if _LEFTOVER.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def as_user_error(error: Exception, target: Path) -> Exception:
    """`error` as a message where the user can mend it, else the error itself."""
    number = getattr(error, "errno", None)
    # Libraries wrap a full disk in errors of their own.
    if number in _FULL or any(text in str(error) for text in _FULL_IN_WORDS):
        return disk_full(target)
    if isinstance(error, OSError) and number in _UNWRITABLE:
        return _cannot_write(target, error)
    return error


def _cannot_write(target: str | os.PathLike, error: OSError) -> UserError:
    return UserError(
        f"cannot write {target}: {error.strerror}; choose a folder that can be "
        "written to with --root or --data_root"
    )


def disk_full(target: str | os.PathLike) -> UserError:
    """The error of a disk that has no room for `target`."""
    return UserError(
        f"no space left on the disk, or in your quota, while writing {target}; what "
        "was saved before is whole: free some space and run the same command again"
    )


def require_space(target: str | os.PathLike, size: int) -> None:
    """Raises UserError unless `size` bytes and a reserve fit beside `target`.

    HDF5 crashes the process when the disk fills up while it closes a file (h5py
    3.14), so weights are written only where they will fit. The space is taken and
    given back, for a quota shows in no other way.
    """
    folder = Path(target).parent
    while not folder.exists():
        folder = folder.parent
    if shutil.disk_usage(folder).free < size + _RESERVE:
        raise disk_full(target)
    if hasattr(os, "posix_fallocate"):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                os.posix_fallocate(file.fileno(), 0, size + _RESERVE)
        except OSError as error:
            # Whatever else it is, writing will say it.
            if error.errno in _FULL:
                raise disk_full(target) from error


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
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {error}") from error


def sha256(path: str | os.PathLike) -> str:
    """Of a file's bytes, 64 hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file, by name.

    Raises:
      FileNotFoundError: there is no such file.
      UserError: it is damaged; it holds Python objects, which may run code when they
        are read; or an array claims more than its bytes can hold.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_claims(archive)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except FileNotFoundError:
        raise
    except (
        OSError,
        EOFError,
        KeyError,
        ValueError,
        TypeError,
        SyntaxError,
        AttributeError,
        MemoryError,
        OverflowError,
        RuntimeError,
        struct.error,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise UserError(f"{path} is damaged: {error}") from error


def read_array_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether it is stored by columns, and dtype of an `.npy` that begins here.

    Raises:
      KeyError, ValueError: it is none, or of a version with names that are not Latin-1.
    """
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[np.lib.format.read_magic(stream)]
    return read(stream)


def _check_claims(archive: zipfile.ZipFile) -> None:
    """NumPy makes room for what an array claims before it reads what there is."""
    for member in archive.infolist():
        with archive.open(member) as stream:
            shape, _, dtype = read_array_header(stream)
        claimed = max(math.prod(shape) * dtype.itemsize, member.file_size)
        check_expansion(member.filename, claimed, member.compress_size)


def check_expansion(where: str, claimed: int, stored: int) -> None:
    """Raises UserError if `stored` bytes cannot honestly be `claimed` bytes."""
    if claimed > max(_SMALL_ENOUGH, _MAX_EXPANSION * stored):
        raise UserError(f"{where} claims {claimed} bytes but stores {stored}: refused")
