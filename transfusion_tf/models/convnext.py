"""ConvNeXt of `keras.applications`, in layers of a flat graph.

Liu et al., CVPR 2022. Keras has its downsampling in models of their own, its residual
sums in operations, numbers the factors of its branches through a process, and takes
grouped convolutions for depthwise ones, with which a step takes 20 times as long on a
CPU. Here all are plain layers, under Keras's names and with its weights. As published,
and unlike Keras's, a branch is left out in training with a probability that grows
evenly from 0 at the first block to 0.1 at the last (table 5), kernels begin as normal
values of standard deviation 0.02 (appendix A.1), and the last norm stands after the
pooling in the network without its head, too.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from transfusion_tf.models.hub import small_normal

_DROP_PATH = 0.1


@keras.saving.register_keras_serializable(package="transfusion_tf")
class LayerScale(keras.layers.Layer):
    """Each channel times a factor that is learned (Touvron et al., ICCV 2021).

    Args:
      initial: Of the factors.
    """

    def __init__(self, initial: float, **kwargs: Any):
        super().__init__(**kwargs)
        # By this name `random_values` finds what the factors are drawn from.
        self.gamma_initializer = keras.initializers.Constant(initial)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes a factor for each channel."""
        self.gamma = self.add_weight(
            shape=(input_shape[-1],), initializer=self.gamma_initializer, name="gamma"
        )
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        """`x`, of any shape, scaled."""
        return x * self.gamma

    def get_config(self) -> dict[str, Any]:
        """The first value of the factors, beside what every layer has."""
        return {**super().get_config(), "initial": self.gamma_initializer.value}


def convnext(make: Callable[..., keras.Model], **arguments: Any) -> keras.Model:
    """A ConvNeXt of Keras's without head and preprocessing, in a flat graph.

    Args:
      make: `keras.applications.ConvNeXtTiny` or another one.
      **arguments: What it is called with.

    Returns:
      A model from the image to `[batch, channels]`; blocks end in layers named
      `convnext_tiny_stage_0_block_0_add`.
    """
    model = make(**arguments, include_preprocessing=False, pooling="avg")
    blocks = [
        layer.name.removesuffix("_identity")
        for layer in model.layers
        if layer.name.endswith("_identity")
    ]
    rates = dict(
        zip(blocks, np.linspace(0, _DROP_PATH, len(blocks)).tolist(), strict=True)
    )
    unadded = iter(blocks)

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        if isinstance(layer, keras.Sequential):
            (x,) = inputs
            for part in layer.layers:
                x = _copy(part, rates)(x)
            return x
        if type(layer).__name__ == "Add":
            return keras.layers.Add(name=f"{next(unadded)}_add")(list(inputs))
        return layer(*inputs, **options)

    flat = keras.models.clone_model(
        model,
        input_tensors=model.input,
        clone_function=lambda layer: _copy(layer, rates),
        call_function=call,
    )
    if arguments["weights"] is not None:
        for variable, values in zip(flat.weights, model.get_weights(), strict=True):
            variable.assign(values.reshape(variable.shape))
    return flat


def _copy(layer: Any, drop_path: Mapping[str, float]) -> Any:
    """A layer as published, not built; models and operations as they are."""
    if isinstance(layer, keras.Sequential) or not isinstance(layer, keras.layers.Layer):
        return layer
    block, _, part = layer.name.rpartition("_")
    if part == "identity":
        return keras.layers.Dropout(
            drop_path[block], noise_shape=(None, 1, 1, 1), name=f"{block}_drop_path"
        )
    if layer.name.endswith("_layer_scale"):
        return LayerScale(layer.init_values, name=layer.name)
    if part == "conv" and layer.groups > 1:
        return keras.layers.DepthwiseConv2D(
            layer.kernel_size,
            padding=layer.padding,
            depthwise_initializer=small_normal(),
            name=layer.name,
        )
    config = layer.get_config()
    if "kernel_initializer" in config:
        config["kernel_initializer"] = small_normal()
    return type(layer).from_config(config)
