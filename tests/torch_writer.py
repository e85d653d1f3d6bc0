"""Files as `torch.save(model.state_dict(), file)` writes them, made without torch."""

import collections
import io
import pickle
import sys
import types
import zipfile

import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
STORAGES = {"f4": "Float", "f8": "Double", "f2": "Half", "i8": "Long", "i4": "Int"}


def fake_torch() -> dict[str, types.ModuleType]:
    """Modules with what PyTorch's pickles name."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in STORAGES.values():
        kind = type(f"{name}Storage", (), {"__module__": "torch"})
        setattr(torch, kind.__name__, kind)

    def rebuild(*arguments):
        raise AssertionError("nothing is called")

    rebuild.__name__ = rebuild.__qualname__ = "_rebuild_tensor_v2"
    rebuild.__module__ = "torch._utils"
    utils._rebuild_tensor_v2 = rebuild
    torch._utils = utils
    return {"torch": torch, "torch._utils": utils}


class Storage:
    """What a tensor's pickle says of its storage; it may say more than there is."""

    def __init__(self, key, values, size=None):
        self.key, self.values = key, values
        self.size = values.size if size is None else size

    def __repr__(self) -> str:
        return f"{self.size} of {self.values.size}"


class _Pickler(pickle.Pickler):
    def __init__(self, stream, older, change):
        super().__init__(stream, protocol=2)
        self.older, self.change = older, change
        self.storages: dict[str, Storage] = {}

    def persistent_id(self, item):
        if not isinstance(item, Storage):
            return None
        self.storages[item.key] = item
        kind = getattr(
            sys.modules["torch"], STORAGES[item.values.dtype.str[1:]] + "Storage"
        )
        view = (None,) if self.older else ()
        return ("storage", kind, item.key, "cpu", item.size, *view)

    def reducer_override(self, item):
        if not isinstance(item, np.ndarray):
            return NotImplemented
        # PyTorch keeps the order in which a tensor lies in memory.
        values = item.ravel(order="K")
        strides = tuple(step // item.itemsize for step in item.strides)
        storage = Storage(str(len(self.storages)), values)
        arguments = (storage, 0, item.shape, strides, False, collections.OrderedDict())
        if self.change:
            arguments = self.change(*arguments)
        return sys.modules["torch._utils"]._rebuild_tensor_v2, arguments


def write_torch_file(path, state, monkeypatch, *, older=False, change=None):
    """Writes a state dict; `change` replaces what a tensor is made of."""
    for name, module in fake_torch().items():
        monkeypatch.setitem(sys.modules, name, module)
    stream = io.BytesIO()
    pickler = _Pickler(stream, older, change)
    pickler.dump(state)
    storages = {key: item.values.tobytes() for key, item in pickler.storages.items()}
    if older:
        head = [MAGIC, PROTOCOL, {"protocol_version": PROTOCOL, "little_endian": True}]
        data = b"".join(pickle.dumps(item, protocol=2) for item in head)
        data += stream.getvalue() + pickle.dumps(sorted(storages), protocol=2)
        for key in sorted(storages):
            count = pickler.storages[key].values.size
            data += count.to_bytes(8, "little") + storages[key]
        path.write_bytes(data)
        return path
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/data.pkl", stream.getvalue())
        archive.writestr(f"{path.stem}/byteorder", "little")
        for key, values in storages.items():
            archive.writestr(f"{path.stem}/data/{key}", values)
        archive.writestr(f"{path.stem}/version", "3\n")
    return path
