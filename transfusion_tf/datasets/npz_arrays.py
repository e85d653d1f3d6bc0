"""Arrays of `.npz` archives, read in parts: an archive need not fit into memory.

A member of a zip file is one compressed stream. Images are asked for in any order, so
the first image of an array costs one pass over it, which compares its checksum and
keeps the state of the decompressor every so often; any other starts at the state before
it. That takes at most some 40 MB a process and array, whatever the array's size.
"""

import bisect
import dataclasses
import functools
import math
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from transfusion_tf import files
from transfusion_tf.datasets.folder_files import has_helper
from transfusion_tf.datasets.pixels import Intensity, to_rgb8
from transfusion_tf.errors import UserError

_BLOCK = 1 << 15
# A state is some 40 KB, and an image costs what lies between two of them.
_MOST_STATES = 1000
_LEAST_BETWEEN = 1 << 18

_DAMAGE = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    SyntaxError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclasses.dataclass(frozen=True)
class NpzArray:
    """What the header of an array says; its values are not read yet.

    Attributes:
      path: the archive.
      name: the array's, such as `train_images`.
      shape: its axes.
      dtype: as NumPy writes it, `|u1`.
      start: bytes of the header, before the first value.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: str
    start: int

    def values(self) -> np.ndarray:
        """All of it.

        Raises:
          UserError: it is damaged.
        """
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                return archive[self.name]
        except _DAMAGE as error:
            raise UserError(f"{self.path}: {self.name!r} is damaged: {error}") from None

    def image(self, index: int, intensity: Intensity) -> np.ndarray:
        """One image of [images, height, width(, channels)], uint8 [height, width, 3].

        Raises:
          UserError: the array is damaged, whichever image is asked for; or see
            `pixels.to_rgb8`.
        """
        dtype, shape = np.dtype(self.dtype), self.shape[1:]
        size = dtype.itemsize * math.prod(shape)
        try:
            stat = self.path.stat()
            member = _member(self.path, self.name, (stat.st_size, stat.st_mtime_ns))
            if isinstance(member, str):
                raise UserError(f"{self.name!r} is damaged: {member}")
            stored = member.read(self.start + index * size, size)
        except OSError as error:
            raise UserError(f"can't be read: {error.strerror}") from None
        return to_rgb8(np.frombuffer(stored, dtype).reshape(shape), intensity)


def open_npz(path: Path) -> dict[str, NpzArray]:
    """The arrays of an archive, by name; only their headers are read.

    Raises:
      UserError: it is no archive, two arrays have one name, or an array holds Python
        objects, which may run code when they are read, claims more than its bytes can
        hold, or can't be read: the message names the array.
    """
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.filename.endswith(".npy") and not has_helper(info.filename):
                    name = info.filename.removesuffix(".npy")
                    if name in found:
                        raise UserError(f"{path} has two arrays {name!r}")
                    found[name] = _header(path, name, archive, info)
    except _DAMAGE as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is damaged, or not an .npz file: {error}") from None
    return found


def _header(
    path: Path, name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> NpzArray:
    try:
        with archive.open(info) as stream:
            shape, in_columns, dtype = files.read_array_header(stream)
            start = stream.tell()
    except _DAMAGE as error:
        raise UserError(f"{path}: {name!r} can't be read: {error}") from None
    if dtype.hasobject:
        raise UserError(
            f"{path}: {name!r} holds Python objects, which may run code when they are "
            "read: save it as numbers, array.astype('uint8')"
        )
    if in_columns and len(shape) > 1:
        raise UserError(
            f"{path}: {name!r} is stored column by column: save it with "
            "np.ascontiguousarray"
        )
    needed = start + dtype.itemsize * math.prod(shape)
    files.check_expansion(f"{path}: {name!r}", needed, info.compress_size)
    if needed != info.file_size:
        raise UserError(
            f"{path}: {name!r} is damaged: {info.file_size} bytes, where its shape "
            f"{list(shape)} needs {needed}"
        )
    return NpzArray(path, name, shape, dtype.str, start)


class _Stored:
    """Stands for the decompressor of a member that is not compressed."""

    def copy(self) -> "_Stored":
        return self

    def decompress(self, data: bytes) -> bytes:
        return data


class _Member:
    """The bytes of a zip file's member, from any place on.

    Raises:
      UserError: it is damaged, or compressed in another way than NumPy's.
    """

    def __init__(self, path: Path, info: zipfile.ZipInfo):
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UserError("compressed in a way that NumPy does not write")
        deflated = info.compress_type == zipfile.ZIP_DEFLATED
        unpack = zlib.decompressobj(-zlib.MAX_WBITS) if deflated else _Stored()
        self._path = path
        # Where in the member, where in the file, and the decompressor there.
        self._states = [(0, _data_start(path, info), unpack.copy())]
        between = max(_LEAST_BETWEEN, info.file_size // _MOST_STATES)
        checksum = place = 0
        with path.open("rb") as file:
            file.seek(self._states[0][1])
            left = info.compress_size
            while left and place <= info.file_size:
                block = file.read(min(_BLOCK, left))
                if not block:
                    break
                left -= len(block)
                unpacked = unpack.decompress(block)
                checksum = zlib.crc32(unpacked, checksum)
                place += len(unpacked)
                if place - self._states[-1][0] >= between:
                    self._states.append((place, file.tell(), unpack.copy()))
        if (place, checksum) != (info.file_size, info.CRC):
            raise UserError("its bytes are others than its checksum says")

    def read(self, start: int, length: int) -> bytes:
        """So many bytes from a place on."""
        number = bisect.bisect(self._states, start, key=lambda state: state[0]) - 1
        place, stored_at, unpack = self._states[number]
        unpack = unpack.copy()
        skipped = start - place
        parts, found = [], 0
        with self._path.open("rb") as file:
            file.seek(stored_at)
            while found < skipped + length:
                block = file.read(_BLOCK)
                if not block:
                    raise UserError(f"{self._path.name} was changed while it was read")
                part = unpack.decompress(block)
                parts.append(part)
                found += len(part)
        return b"".join(parts)[skipped : skipped + length]


def _data_start(path: Path, info: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin: behind its own header, a name and an extra field.

    The file format is PKWARE's APPNOTE, 4.3.7.
    """
    with path.open("rb") as file:
        file.seek(info.header_offset)
        name, extra = struct.unpack("<HH", file.read(30)[26:])
    return info.header_offset + 30 + name + extra


# What is damaged is remembered, too: each image of it asks.
@functools.lru_cache(maxsize=6)
def _member(path: Path, name: str, stamp: tuple[int, int]) -> _Member | str:
    try:
        with zipfile.ZipFile(path) as archive:
            return _Member(path, archive.getinfo(f"{name}.npy"))
    except _DAMAGE as error:
        return str(error)
