"""KerasHub's backbones, taken apart: what the models built on KerasHub share.

KerasHub says which layers a backbone has and how they are set up. Copies of them,
under names of ours, are wired one by one into a flat graph, so that the halves of a
transformer's block are layers that can be read, frozen and set back. The same table
of names tells where a preset's weights belong.

KerasHub is imported when a model that needs it is asked for, and not before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from transfusion_tf.errors import UserError
from transfusion_tf.models.tensors import layer_tensors

Tensors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class HubBackbone:
    """A KerasHub backbone that a model of ours is built on.

    Attributes:
      class_name: Its name in `keras_hub.models`.
      config: What it is called with, beside the image's shape.
      layers: From the backbone to its layers by our names, in graph order.
      kept: From all of its weights, by our paths, to those that a model of ours has.
    """

    class_name: str
    config: Mapping[str, Any]
    layers: Callable[[Any], dict[str, keras.layers.Layer]]
    kept: Callable[[Tensors], Tensors] = lambda tensors: tensors

    def make(self, image_shape: tuple[int, int, int], **more: Any) -> Any:
        """The backbone, with KerasHub's random weights.

        Raises:
          UserError: If KerasHub is not installed.
        """
        make = getattr(keras_hub().models, self.class_name)
        return make(image_shape=tuple(image_shape), **self.config, **more)

    def tensors(self, backbone: Any) -> Tensors:
        """The backbone's weights by the paths that they have in a model of ours."""
        layers = self.layers(backbone)
        paths: dict[int, str] = {}
        # Where a layer and a part of it are both in the table, the part comes last.
        for name, layer in sorted(layers.items(), key=lambda item: -_size(item[1])):
            for tensor in layer_tensors(layer):
                rest = tensor.path.partition("/")[2]
                paths[id(tensor.variable)] = f"{name}/{rest}"
        tensors = {
            paths[id(tensor.variable)]: tensor.value()
            for layer in layers.values()
            for tensor in layer_tensors(layer)
        }
        return self.kept(tensors)


def keras_hub() -> ModuleType:
    """The module `keras_hub`.

    Raises:
      UserError: If it is not installed, or something that it needs is not.
    """
    try:
        import keras_hub
    except ImportError as error:
        raise UserError(
            "DeiT, Swin, ResNet18 and ResNet34 are built on KerasHub, which cannot be "
            f"imported ({error}): pip install 'transfusion_tf[transformers]'"
        ) from error
    return keras_hub


def own_layer(
    layer: keras.layers.Layer, name: str, **changes: Any
) -> keras.layers.Layer:
    """A copy of a layer, not built yet, with a name and random weights of its own.

    KerasHub leaves most kernels at Keras's defaults, for its backbones are not meant
    to be trained from scratch. The published DeiT and Swin are: their fully connected
    kernels are normal with standard deviation 0.02 (cut off at 100 of them, so not
    cut), and convolutions stay at PyTorch's default, uniform with variance
    1 / (3 inputs). Biases are zero.

    Args:
      layer: A plain Keras layer.
      name: The copy's name.
      **changes: Other values of its config.
    """
    config = {**layer.get_config(), "name": name, **changes}
    del config["dtype"]  # the policy in force now, not when KerasHub's was made
    if isinstance(layer, keras.layers.Conv2D):
        config["kernel_initializer"] = keras.initializers.VarianceScaling(
            1 / 3, mode="fan_in", distribution="uniform"
        )
    elif "kernel_initializer" in config:
        config["kernel_initializer"] = small_normal()
    return type(layer).from_config(config)


def small_normal() -> keras.initializers.Initializer:
    """What the published transformers draw their weights and embeddings from."""
    return keras.initializers.RandomNormal(stddev=0.02)


def _size(layer: keras.layers.Layer) -> int:
    return len(layer.weights)
