"""Whose weights are these: the layers of a file against those of a model.

Layers are matched by name, whatever another process's counters made of it
(`conv2d_94`). Where the file has none of the model's names, or none at all, they are
matched as Keras itself would: a `.weights.h5` by class and number, an `.h5` by order.
"""

import dataclasses
import re
from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from transfusion_tf.initialization.donor_errors import DonorMismatchError, mismatch
from transfusion_tf.initialization.weight_files import StoredLayer, StoredWeights
from transfusion_tf.models import NamedTensor, cut_blocks
from transfusion_tf.models.layer_names import stable_layer_names

Tensors = dict[str, NDArray[np.float32]]


def match_stored_weights(
    stored: StoredWeights,
    wanted: Sequence[NamedTensor],
    model: keras.Model,
    *,
    source: str,
) -> Tensors:
    """The stored arrays by the model's paths.

    Args:
      stored: Content of a weights file.
      wanted: The model's weights below the head, in graph order.
      model: The model that they belong to.
      source: How messages call the file.

    Returns:
      An array for every wanted path, of the same rank, in the same order. What the
      file has beyond them is fully connected, its head, or belongs to blocks that
      the model was built without.

    Raises:
      DonorMismatchError: If a wanted tensor is not in the file, or something other
        than a head in the file is not wanted.
    """
    owners: dict[str, list[NamedTensor]] = {}
    for tensor in wanted:
        owners.setdefault(tensor.path.rpartition("/")[0], []).append(tensor)

    cut = tuple(f"{block}_" for block in cut_blocks(model))
    layers = [
        layer
        for layer in _with_stable_names(stored.layers)
        if not any(name.startswith(cut) for name in layer.names)
    ]
    by_name = _pair_by_name(layers, owners)
    pairs = by_name
    if len(by_name) < len(owners):
        if not stored.ordered:
            pairs = _pair_by_class(layers, owners, model)
        elif not by_name:
            pairs = dict(zip(owners, layers, strict=False))
    tensors: Tensors = {}
    for owner, layer in pairs.items():
        tensors.update(_named_values(layer, owners[owner]))

    fits = all(
        tensor.path in tensors and tensors[tensor.path].ndim == len(tensor.shape)
        for tensor in wanted
    )
    left_over = _left_over(layers, pairs)
    if fits and not left_over:
        return {tensor.path: tensors[tensor.path] for tensor in wanted}
    raise _misfit(source, model.name, layers, owners, by_name)


def _with_stable_names(layers: Sequence[StoredLayer]) -> list[StoredLayer]:
    last = [layer.names[-1:] for layer in layers]
    stable = stable_layer_names([name for names in last for name in names])
    return [
        dataclasses.replace(
            layer, names=(*layer.names[:-1], *(stable[name] for name in names))
        )
        for layer, names in zip(layers, last, strict=True)
    ]


def _misfit(
    source: str,
    model: str,
    layers: Sequence[StoredLayer],
    owners: dict[str, list[NamedTensor]],
    by_name: dict[str, StoredLayer],
) -> DonorMismatchError:
    renamed = [
        _only_on_one_side(layer, owners[owner]) for owner, layer in by_name.items()
    ]
    return mismatch(
        source,
        model,
        only_in_donor=[layer.label for layer in _left_over(layers, by_name)]
        + [name for theirs, _ in renamed for name in theirs],
        only_in_model=[owner for owner in owners if owner not in by_name]
        + [name for _, ours in renamed for name in ours],
        shapes_differ=[
            f"{owner} (donor {[array.shape for array in layer.values]}, "
            f"model {[tensor.shape for tensor in owners[owner]]})"
            for owner, layer in by_name.items()
            if not _same_ranks(layer, owners[owner])
        ],
    )


def _pair_by_name(
    layers: Sequence[StoredLayer], owners: dict[str, list[NamedTensor]]
) -> dict[str, StoredLayer]:
    """Pairs under the longest end of a stored layer's name that an owner has."""
    pairs: dict[str, StoredLayer] = {}
    for layer in layers:
        for start in range(len(layer.names)):
            owner = "/".join(layer.names[start:])
            if owner in owners and owner not in pairs:
                pairs[owner] = layer
                break
    return pairs


def _pair_by_class(
    layers: Sequence[StoredLayer],
    owners: dict[str, list[NamedTensor]],
    model: keras.Model,
) -> dict[str, StoredLayer]:
    by_group = {layer.group: layer for layer in layers}
    used: dict[str, int] = {}
    pairs = {}
    for layer in model.layers:
        kind = _snake_case(type(layer).__name__)
        number = used.get(kind, 0)
        used[kind] = number + 1
        group = f"{kind}_{number}" if number else kind
        if layer.name in owners and group in by_group:
            pairs[layer.name] = by_group[group]
    return pairs


def _named_values(layer: StoredLayer, tensors: Sequence[NamedTensor]) -> Tensors:
    if not _same_ranks(layer, tensors):
        return {}
    names = [tensor.name for tensor in tensors]
    stored_names = layer.variable_names or ()
    values = layer.values
    if sorted(stored_names) == sorted(names):
        by_name = dict(zip(stored_names, layer.values, strict=True))
        values = tuple(by_name[name] for name in names)
    elif any(_only_on_one_side(layer, tensors)):
        return {}
    return {
        tensor.path: _depthwise(array) if tensor.is_depthwise else array
        for tensor, array in zip(tensors, values, strict=True)
    }


def _depthwise(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """A depthwise convolution's kernel, also of a grouped one with a filter a group."""
    return kernel.swapaxes(2, 3) if kernel.shape[2] == 1 else kernel


def _only_on_one_side(
    layer: StoredLayer, tensors: Sequence[NamedTensor]
) -> tuple[list[str], list[str]]:
    """Tensors that the file calls otherwise, and what the model calls them.

    Empty where the file has no names for a layer's tensors, or where none of them is
    the model's: then they are not names but numbers.
    """
    stored = layer.variable_names or ()
    known = {tensor.name for tensor in tensors}
    if not known & set(stored):
        return [], []
    return (
        [f"{layer.label}/{name}" for name in stored if name not in known],
        [tensor.path for tensor in tensors if tensor.name not in stored],
    )


def _same_ranks(layer: StoredLayer, tensors: Sequence[NamedTensor]) -> bool:
    return [array.ndim for array in layer.values] == [
        len(tensor.shape) for tensor in tensors
    ]


def _left_over(
    layers: Sequence[StoredLayer], pairs: dict[str, StoredLayer]
) -> list[StoredLayer]:
    taken = {id(layer) for layer in pairs.values()}
    return [
        layer
        for layer in layers
        if id(layer) not in taken and not layer.looks_like_a_head
    ]


def _snake_case(name: str) -> str:
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
