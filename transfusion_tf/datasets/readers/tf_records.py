"""Records of TFRecord files without TensorFlow: where each starts, and its fields.

A record is framed as: length (8 bytes, little-endian), its checksum (4), the data,
its checksum (4). The data are a `tf.train.Example`, a protocol buffer.
"""

import dataclasses
import mmap
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from transfusion_tf.datasets.images import Intensity, read_rgb
from transfusion_tf.errors import UserError

_HEADER, _FOOTER = 12, 4


@dataclasses.dataclass(frozen=True)
class TfRecordImage:
    """An encoded image in a TFRecord file."""

    path: Path
    offset: int
    key: str = "image"
    intensity: Intensity = "error"

    def load(self) -> np.ndarray:
        """See `images.read_rgb`."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            (length,) = struct.unpack("<Q", file.read(8))
            file.seek(self.offset + _HEADER)
            values = parse_example(memoryview(file.read(length))).get(self.key)
        if not values or not isinstance(values[0], memoryview):
            raise UserError(f"the record has no image {self.key!r}")
        with tempfile.NamedTemporaryFile() as copy:
            copy.write(values[0])
            copy.flush()
            return read_rgb(Path(copy.name), self.intensity)

    def fingerprint(self) -> str:
        """The file's, and the place in it."""
        stat = self.path.stat()
        return f"{self.path.name}:{stat.st_size}:{stat.st_mtime_ns}:{self.offset}"


def records(path: Path) -> Iterator[tuple[int, memoryview]]:
    """Offset and data of each record. The data live until the next one is asked for.

    Raises:
      UserError: the file ends inside a record.
    """
    size = path.stat().st_size
    if not size:
        return
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        offset = 0
        while offset < size:
            end = offset + _HEADER
            if end <= size:
                (length,) = struct.unpack_from("<Q", mapped, offset)
                end += length + _FOOTER
            if end > size:
                raise UserError(f"{path.name} is cut off inside the record at {offset}")
            with memoryview(mapped) as view:
                data = view[offset + _HEADER : end - _FOOTER]
                try:
                    yield offset, data
                finally:
                    data.release()
            offset = end


def parse_example(data: memoryview) -> dict[str, list[int] | list[memoryview]]:
    """The bytes and whole numbers of a `tf.train.Example`, by name; nothing copied.

    Raises:
      UserError: not such a message.
    """
    try:
        result: dict[str, list[int] | list[memoryview]] = {}
        for features in _messages(data, 1):
            for entry in _messages(features, 1):
                (key,) = _messages(entry, 1)
                for feature in _messages(entry, 2):
                    result[bytes(key).decode()] = _values(feature)
        return result
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise UserError(f"damaged record: {error}") from None


def _values(feature: memoryview) -> list[int] | list[memoryview]:
    texts = [text for found in _messages(feature, 1) for text in _messages(found, 1)]
    if texts:
        return texts
    numbers: list[int] = []
    for found in _messages(feature, 3):
        for _, value in _fields(found):
            if isinstance(value, int):
                numbers.append(_signed(value))
                continue
            position = 0
            while position < len(value):
                number, position = _varint(value, position)
                numbers.append(_signed(number))
    return numbers


def _messages(data: memoryview, number: int) -> list[memoryview]:
    return [
        value
        for field, value in _fields(data)
        if field == number and isinstance(value, memoryview)
    ]


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        wire = tag & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield tag >> 3, value
            continue
        if wire == 2:
            length, position = _varint(data, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if position + length > len(data):
            raise ValueError("it ends inside a field")
        yield tag >> 3, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
    raise ValueError("a number of more than 64 bits")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
