"""Tensors, and nothing but tensors, from PyTorch's weight files, without PyTorch.

A `.pth` or `.pt` file is what `torch.save(model.state_dict(), file)` writes: since
PyTorch 1.6 a zip archive with a pickle and one member for each storage; before, four
pickles and then the storages, one after the other. Pickles are read by
`torch_pickles`, which runs nothing. Of an array it is checked where in its storage it
lies, and of a storage that the file holds all of it.
"""

import io
import math
import struct
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from transfusion_tf.errors import UserError
from transfusion_tf.initialization.torch_pickles import (
    Storage,
    StoredTensor,
    read_torch_pickle,
)

TORCH_SUFFIXES = (".pth", ".pt")

# What the older format begins with, and its version.
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DAMAGE = (
    OSError,
    EOFError,
    AttributeError,
    IndexError,
    KeyError,
    ValueError,
    TypeError,
    OverflowError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
)

Arrays = dict[str, NDArray[np.float32]]


def read_torch_file(path: Path) -> Arrays:
    """The tensors of a state dict by name, in its order, as float32.

    Raises:
      UserError: If the file is none, is damaged, asks for anything but tensors, or
        holds values that are not finite.
    """
    try:
        with open(path, "rb") as file:
            zipped = file.read(2) == b"PK"
            file.seek(0)
            tensors, storages = _read_archive(file) if zipped else _read_older(file)
        return {
            name: _array(tensor, storages, name) for name, tensor in tensors.items()
        }
    except UserError as error:
        raise UserError(
            f"{path} is refused: {error}. A PyTorch weight file should hold tensors by "
            "name and nothing else, as torch.save(model.state_dict(), file) writes it"
        ) from error
    except _DAMAGE as error:
        raise UserError(
            f"{path} is not a readable PyTorch weight file ({error}): it is damaged, "
            "or of another kind"
        ) from error


def _read_archive(file: IO[bytes]) -> tuple[dict[str, StoredTensor], dict[str, bytes]]:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED:
                raise UserError(f"its member {member.filename} is packed")
        root = archive.namelist()[0].partition("/")[0]
        order = f"{root}/byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise UserError("its numbers are big-endian")
        tensors = _state(
            read_torch_pickle(io.BytesIO(archive.read(f"{root}/data.pkl")))
        )
        wanted = _storages(tensors)
        read = {key: archive.read(f"{root}/data/{key}") for key in wanted}
    for key, storage in wanted.items():
        if len(read[key]) != _bytes(storage):
            raise ValueError(f"storage {key} has {len(read[key])} bytes")
    return tensors, read


def _read_older(file: IO[bytes]) -> tuple[dict[str, StoredTensor], dict[str, bytes]]:
    if read_torch_pickle(file) != _MAGIC or read_torch_pickle(file) != _PROTOCOL:
        raise ValueError("it does not begin as one")
    if read_torch_pickle(file).get("little_endian") is not True:
        raise UserError("its numbers are big-endian")
    tensors = _state(read_torch_pickle(file))
    wanted = _storages(tensors)
    read = {}
    for key in read_torch_pickle(file):
        if not isinstance(key, str):  # As in `torch_pickles`: hashes may not end.
            raise TypeError("a storage's key is no text")
        storage = wanted[key]
        (size,) = struct.unpack("<q", file.read(8))
        if size != storage.size:
            raise ValueError(f"storage {key} has {size} values, not {storage.size}")
        read[key] = file.read(_bytes(storage))
        if len(read[key]) != _bytes(storage):
            raise EOFError(f"it ends within storage {key}")
    if file.read(1):
        raise ValueError("more follows its last storage")
    return tensors, read


def _state(value: Any) -> dict[str, StoredTensor]:
    if not isinstance(value, dict) or not value:
        raise UserError("it holds no tensors by name")
    for name, tensor in value.items():
        if not isinstance(tensor, StoredTensor):
            raise UserError(f"{name} is a {type(tensor).__name__}, and no tensor")
    return value


def _storages(tensors: dict[str, StoredTensor]) -> dict[str, Storage]:
    """By their keys; together they hold as many values as the tensors or more."""
    found: dict[str, Storage] = {}
    for tensor in tensors.values():
        storage = found.setdefault(tensor.storage.key, tensor.storage)
        if storage != tensor.storage:
            raise ValueError(f"storage {storage.key} is stated in two ways")
    values = sum(math.prod(tensor.shape) for tensor in tensors.values())
    if values > sum(storage.size for storage in found.values()):
        raise ValueError("its tensors have more values than it stores")
    return found


def _bytes(storage: Storage) -> int:
    return storage.size * np.dtype(storage.dtype).itemsize


def _array(
    tensor: StoredTensor, storages: dict[str, bytes], name: str
) -> NDArray[np.float32]:
    last = tensor.offset + sum(
        (size - 1) * stride
        for size, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    if 0 in tensor.shape or last >= tensor.storage.size:
        raise ValueError(f"{name} has no values, or lies outside of its storage")
    values = np.frombuffer(storages[tensor.storage.key], tensor.storage.dtype)
    view = np.lib.stride_tricks.as_strided(
        values[tensor.offset :],
        tensor.shape,
        [stride * values.itemsize for stride in tensor.strides],
    )
    with np.errstate(over="ignore"):  # Infinity is seen below.
        array = np.array(view, np.float32, order="C")
    if not np.isfinite(array).all():
        raise UserError(f"{name} holds NaN or infinity")
    return array
