"""A model's weights by name: `conv1/kernel`, `bn1/moving_mean`, ..."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

_NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
    keras.layers.UnitNormalization,
)


@dataclass(frozen=True, eq=False)
class NamedTensor:
    """One weight of a model.

    Attributes:
      path: `layer/variable`, or `layer/sublayer/variable`. It does not depend on
        the model's name, and is the same for clones and loaded models.
      layer: The model's layer that holds it.
      owner: The layer, or the part of it, that created the variable.
      variable: The Keras variable.
    """

    path: str
    layer: keras.layers.Layer
    owner: keras.layers.Layer
    variable: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The variable's shape."""
        return tuple(self.variable.shape)

    @property
    def name(self) -> str:
        """The variable's own name: `kernel`, `gamma`, ..."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def is_normalization(self) -> bool:
        """Whether it belongs to a batch, layer or group normalization."""
        return isinstance(self.owner, _NORMALIZATIONS)

    @property
    def is_depthwise(self) -> bool:
        """Whether it is a kernel `[height, width, channels, filters of each]`."""
        return self.name == "depthwise_kernel" or (
            self.name == "kernel"
            and isinstance(self.owner, keras.layers.DepthwiseConv2D)
        )

    def value(self) -> np.ndarray:
        """A float32 copy of the present value."""
        return np.array(keras.ops.convert_to_numpy(self.variable), dtype=np.float32)


def layer_tensors(layer: keras.layers.Layer) -> tuple[NamedTensor, ...]:
    """The weights of one layer of a model, in Keras's order."""
    parts = [layer, *layer._flatten_layers(include_self=False, recursive=True)]
    owner_of = {}
    for part in sorted(parts, key=lambda part: -len(part.weights)):
        for variable in part.weights:
            owner_of[id(variable)] = part  # the part with the fewest weights wins
    return tuple(
        NamedTensor(
            path=_path(layer, variable),
            layer=layer,
            owner=owner_of[id(variable)],
            variable=variable,
        )
        for variable in layer.weights
    )


def named_tensors(model: keras.Model) -> tuple[NamedTensor, ...]:
    """All weights of a flat functional model, in graph order, the head's included."""
    return tuple(tensor for layer in model.layers for tensor in layer_tensors(layer))


def _path(layer: keras.layers.Layer, variable: Any) -> str:
    """`layer/.../variable`, without what stands before the layer in Keras's path."""
    parts = variable.path.split("/")
    if layer.name in parts:
        return "/".join(parts[parts.index(layer.name) :])
    return f"{layer.name}/{variable.name}"
