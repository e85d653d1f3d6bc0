"""The pickles of PyTorch's weight files, read without Python's own machine for them.

A pickle is a program, and Python's machine runs what it names. This one knows the dozen
instructions that mappings of tensors are written with, and makes mappings, plain values
and descriptions of tensors; it has no way to call or import anything.
"""

import pickletools
from dataclasses import dataclass
from typing import IO, Any

from transfusion_tf.errors import UserError

# Values that an instruction carries with it.
_LITERALS = (
    *("BINUNICODE", "SHORT_BINUNICODE"),
    *("BININT", "BININT1", "BININT2", "LONG1"),
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MAPPING = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"
# NumPy's types of the values in each kind of storage.
_STORAGES = {
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch LongStorage": "<i8",
}


@dataclass(frozen=True)
class Storage:
    """The values of one or more tensors, which lie outside of the pickle.

    Attributes:
      key: What the file calls it.
      dtype: NumPy's name of its values' type, little-endian.
      size: How many values it claims to hold.
    """

    key: str
    dtype: str
    size: int


@dataclass(frozen=True)
class StoredTensor:
    """Where in a storage a tensor's values lie; all numbers count values.

    Attributes:
      storage: Whose values.
      offset: Of the first of them.
      shape: Sizes.
      strides: Steps from one value to the next along each axis.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class _Name:
    """What a pickle names, not looked up."""

    text: str


def read_torch_pickle(stream: IO[bytes]) -> Any:
    """The value of the pickle that begins where the stream stands, and ends it there.

    Returns:
      Text, whole numbers, None, True, False; tuples, lists and mappings of these; and
      `StoredTensor`s.

    Raises:
      UserError: If the pickle asks for anything but mappings and tensors; the message
        says for what.
      ValueError, IndexError, KeyError, TypeError: If it is damaged.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    argument: Any
    for opcode, argument, _ in pickletools.genops(stream):
        name = opcode.name
        if name == "STOP":
            return stack.pop()
        if name in _LITERALS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            stack.append(_popped(stack, len(stack) - _TUPLES[name]))
        elif name == "TUPLE":
            stack.append(_popped(stack, marks.pop()))
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name == "MARK":
            marks.append(len(stack))
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "APPEND":
            _extend(stack, len(stack) - 1)
        elif name == "APPENDS":
            _extend(stack, marks.pop())
        elif name == "SETITEM":
            _update(stack, len(stack) - 2)
        elif name == "SETITEMS":
            _update(stack, marks.pop())
        elif name == "GLOBAL":
            stack.append(_known(argument))
        elif name == "STACK_GLOBAL":
            stack.append(_known(" ".join(_popped(stack, len(stack) - 2))))
        elif name == "BINPERSID":
            stack.append(_storage(stack.pop()))
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(_made(stack.pop(), arguments))
        elif name == "BUILD":
            stack.pop()  # Versions of modules, which a mapping of tensors carries.
        elif name not in ("PROTO", "FRAME"):
            raise UserError(f"it asks for the pickle instruction {name}")
    raise ValueError("the pickle has no end")


def _popped(stack: list[Any], start: int) -> tuple[Any, ...]:
    if start < 0:
        raise IndexError("the pickle takes more than it has")
    items = tuple(stack[start:])
    del stack[start:]
    return items


def _extend(stack: list[Any], start: int) -> None:
    items = _popped(stack, start)
    if not isinstance(stack[-1], list):
        raise TypeError("the pickle appends to what is no list")
    stack[-1].extend(items)


def _update(stack: list[Any], start: int) -> None:
    items = _popped(stack, start)
    if not isinstance(stack[-1], dict) or len(items) % 2:
        raise TypeError("the pickle has keys without values")
    for key, value in zip(items[::2], items[1::2], strict=True):
        # Text alone: to hash nested tuples can take for ever.
        if not isinstance(key, str):
            raise UserError(f"a key is of type {type(key).__name__}, and not text")
        stack[-1][key] = value


def _known(text: str) -> _Name:
    if text not in (_MAPPING, _TENSOR, *_STORAGES):
        raise UserError(f"it asks for {text.replace(' ', '.')}")
    return _Name(text)


def _storage(stated: Any) -> Storage:
    kind, name, key, _, size, *view = stated
    if kind != "storage" or not isinstance(key, str) or not _is_count(size):
        raise TypeError("a storage should have a type, a key and a size")
    if not isinstance(name, _Name) or name.text not in _STORAGES or any(view):
        raise UserError("it has a storage of what is no number, or within another")
    return Storage(key, _STORAGES[name.text], size)


def _made(name: Any, arguments: Any) -> Any:
    if name == _Name(_MAPPING) and arguments == ():
        return {}
    if name != _Name(_TENSOR):
        raise UserError("it calls what makes neither a mapping nor a tensor")
    storage, offset, shape, strides, *_ = arguments
    if not (
        isinstance(storage, Storage)
        and isinstance(shape, tuple)
        and isinstance(strides, tuple)
        and len(shape) == len(strides)
        and all(map(_is_count, (offset, *shape, *strides)))
    ):
        raise TypeError("a tensor should have a storage, a shape and as many strides")
    return StoredTensor(storage, offset, shape, strides)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0
