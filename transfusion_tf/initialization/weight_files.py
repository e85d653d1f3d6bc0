"""Reading weights, and nothing but weights, from Keras files.

Three formats: Keras 3's `.weights.h5`, the `.keras` archive (whose weights member is
such a file), and the older `.h5` of `keras.applications`. A weights file may come
from anywhere, so nothing in it is deserialised, and `hdf5_checks` and `check_archive`
look at all of it before a value is read.
"""

import contextlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from transfusion_tf.errors import UserError
from transfusion_tf.files import check_expansion
from transfusion_tf.initialization.hdf5_checks import address, check_hdf5

# All that a `.keras` file of Keras's layers holds.
_MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
# What h5py and zipfile raise for what is damaged.
_DAMAGE = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    OverflowError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """The variables that one layer stored.

    Attributes:
      names: The layer's name, preceded by those of the layers around it; empty
        if the file does not say (early Keras 3).
      group: Name of its group: for `.weights.h5` its class and number
        (`conv2d_3`), for `.h5` the layer's name.
      variable_names: `kernel`, `bias`, ... where the file says, else None.
      values: The arrays, in the order in which Keras stores a layer's variables.
    """

    names: tuple[str, ...]
    group: str
    variable_names: tuple[str, ...] | None
    values: tuple[NDArray[np.float32], ...]

    @property
    def label(self) -> str:
        """How messages call it."""
        return "/".join(self.names) or self.group

    @property
    def looks_like_a_head(self) -> bool:
        """Whether it is a matrix, with or without a bias: a fully connected layer."""
        ranks = [array.ndim for array in self.values]
        return ranks in ([2], [2, 1])


@dataclass(frozen=True, eq=False)
class StoredWeights:
    """The content of a weights file.

    Attributes:
      layers: The layers with variables. In graph order if `ordered`.
      ordered: True for `.h5`, whose layers Keras matches by order.
      input_scaling: Of the model, where the file says.
    """

    layers: tuple[StoredLayer, ...]
    ordered: bool
    input_scaling: str | None = None


def read_weight_file(path: Path) -> StoredWeights:
    """Reads `.weights.h5`, `.h5` or `.keras`.

    Raises:
      UserError: If the file is none of these, is damaged, or holds what a weights
        file has no use for.
    """
    with _damage_named(path):
        if path.suffix == ".keras":
            return _read_archive(path)
        with h5py.File(path, "r") as file:
            check_hdf5(file, path.stat().st_size, str(path))
            return _read_hdf5(file, path)


def check_weight_file(path: Path) -> None:
    """Looks through a `.weights.h5` that Keras itself will load, and reads no value.

    Raises:
      UserError: If it is damaged or holds what a weights file has no use for.
    """
    with _damage_named(path), h5py.File(path, "r") as file:
        check_hdf5(file, path.stat().st_size, str(path))


def check_archive(path: Path) -> bytes:
    """Looks through a `.keras` file that Keras itself will load.

    Returns:
      Its `config.json`.

    Raises:
      UserError: If it is damaged, or holds more than Keras's layers need, or
        weights that `check_weight_file` would refuse.
    """
    with _damage_named(path), zipfile.ZipFile(path) as archive:
        config = _read_member(archive, "config.json", path)
        content = _read_member(archive, "model.weights.h5", path)
        with h5py.File(io.BytesIO(content), "r") as file:
            check_hdf5(file, len(content), str(path))
    return config


@contextlib.contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except _DAMAGE as error:
        raise UserError(
            f"{path} is not a readable Keras weights file ({error}); expected "
            ".weights.h5, .h5 or .keras"
        ) from error


def stored_input_scaling(path: Path) -> str | None:
    """The pixels that the model of a `.keras` file takes; None where a file can't say.

    Raises:
      UserError: If it is damaged.
    """
    if path.suffix != ".keras":
        return None
    with _damage_named(path), zipfile.ZipFile(path) as archive:
        return _scaling_in(_read_member(archive, "config.json", path))


def _scaling_in(config: bytes) -> str | None:
    scaling = re.search(rb'"input_scaling_(\w+)"', config)
    return scaling.group(1).decode() if scaling else None


def _read_archive(path: Path) -> StoredWeights:
    with zipfile.ZipFile(path) as archive:
        content = _read_member(archive, "model.weights.h5", path)
        config = _read_member(archive, "config.json", path)
    with h5py.File(io.BytesIO(content), "r") as file:
        check_hdf5(file, len(content), str(path))
        stored = _read_hdf5(file, path)
    return StoredWeights(stored.layers, stored.ordered, _scaling_in(config))


def _read_member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    names = archive.namelist()
    if name not in names:
        raise UserError(f"{path} has no {name}: it is no .keras model")
    for other in names:
        if other not in _MEMBERS or names.count(other) > 1:
            raise UserError(
                f"{path} holds {other!r}; a .keras model of Keras's layers holds "
                f"{', '.join(_MEMBERS)}, once each, and nothing else"
            )
    info = archive.getinfo(name)
    check_expansion(f"{path}: {name}", info.file_size, info.compress_size)
    return archive.read(info)


def _read_hdf5(file: h5py.File, path: Path) -> StoredWeights:
    root = file.get("model_weights", file)
    if "layer_names" in root.attrs or "layer_names0" in root.attrs:
        return StoredWeights(tuple(_legacy_layers(root)), ordered=True)
    if "layers" in file:
        layers = tuple(_keras_3_layers(file["layers"], ()))
        return StoredWeights(layers, ordered=False)
    raise UserError(
        f"{path} is an HDF5 file, but not one of Keras weights: it has neither "
        "a group 'layers' nor an attribute 'layer_names'"
    )


def _keras_3_layers(group: h5py.Group, names: tuple[str, ...]) -> Iterator[StoredLayer]:
    for key in sorted(group, key=_natural_order):
        child = group[key]
        if not isinstance(child, h5py.Group):
            continue
        inner = names
        if "vars" in child:
            variables = child["vars"]
            if "name" in variables.attrs:
                inner = (*names, _text(variables.attrs["name"]))
            values = tuple(
                # "0" to "9" before "10"
                _array(variables, key)
                for key in sorted(variables, key=lambda key: (len(key), key))
            )
            if values:
                yield StoredLayer(inner, key, None, values)
        rest = [name for name in child if name != "vars"]
        if rest:
            yield from _keras_3_layers(child, inner)


def _legacy_layers(root: h5py.Group) -> Iterator[StoredLayer]:
    read: set[int] = set()

    def values(group: h5py.Group, names: list[str]) -> Iterator[NDArray[np.float32]]:
        for name in names:
            # A short list that names a large array often is a bomb too.
            if address(group[name]) in read:
                raise UserError(
                    f"{group.file.filename}: {group.name}/{name} is named twice"
                )
            read.add(address(group[name]))
            yield _array(group, name)

    for layer_name in _names(root, "layer_names"):
        group = root[layer_name]
        # A nested model is one "layer" whose weights belong to many.
        by_owner: dict[str, list[str]] = {}
        weight_names = _names(group, "weight_names")
        for weight_name in weight_names:
            by_owner.setdefault(weight_name.rpartition("/")[0], []).append(weight_name)
        for owner, weights in by_owner.items():
            name = layer_name if len(by_owner) == 1 else owner
            yield StoredLayer(
                names=tuple(name.split("/")),
                group=layer_name,
                variable_names=tuple(
                    weight.rsplit("/", 1)[-1].split(":")[0] for weight in weights
                ),
                values=tuple(values(group, weights)),
            )


def _array(group: h5py.Group, path: str) -> NDArray[np.float32]:
    dataset = group[path]
    where = f"{group.file.filename}: {group.name}/{path}"
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise UserError(f"{where} is not an array")
    if dataset.dtype.kind not in "fiu":
        raise UserError(f"{where} holds {dataset.dtype}, not numbers")
    values = np.asarray(dataset[()], dtype=np.float32)
    if not np.isfinite(values).all():
        raise UserError(f"{where} holds NaN or infinity")
    return values


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """A list of names; Keras splits one that is too long for HDF5 over several."""
    if attribute in group.attrs:
        return [_text(item) for item in group.attrs[attribute]]
    names: list[str] = []
    number = 0
    while f"{attribute}{number}" in group.attrs:
        names += [_text(item) for item in group.attrs[f"{attribute}{number}"]]
        number += 1
    return names


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _natural_order(key: str) -> tuple[str, int]:
    name, _, number = key.rpartition("_")
    return (name, int(number)) if number.isdigit() else (key, 0)
