"""ResNet18 and ResNet34 from KerasHub: `keras.applications` begins at ResNet50.

They are inlined into the caller's graph, and their layers are named as those of
`keras.applications`' ResNets (`conv2_block1_1_conv`), so that stages are the same.
"""

from typing import Any

import keras

from transfusion_tf.models.hub import HubBackbone
from transfusion_tf.models.layer_names import stable_layer_names


def _hub_layers(backbone: Any) -> dict[str, keras.layers.Layer]:
    layers = [layer for layer in backbone.layers if layer.weights]
    names = stable_layer_names([layer.name for layer in layers])
    return {names[layer.name]: layer for layer in layers}


def resnet_hub(*blocks: int) -> HubBackbone:
    """KerasHub's ResNet of basic blocks, so many at each resolution."""
    return HubBackbone(
        "ResNetBackbone",
        {
            "input_conv_filters": (64,),
            "input_conv_kernel_sizes": (7,),
            "stackwise_num_filters": (64, 128, 256, 512),
            "stackwise_num_blocks": blocks,
            "stackwise_num_strides": (1, 2, 2, 2),
            "block_type": "basic_block",
        },
        _hub_layers,
    )


RESNETS = {
    "resnet18": resnet_hub(2, 2, 2, 2),
    "resnet34": resnet_hub(3, 4, 6, 3),
}


def hub_resnet_features(
    images: keras.KerasTensor, hub: HubBackbone
) -> keras.KerasTensor:
    """The network below the head, with random weights.

    Args:
      images: `[batch, height, width, 3]`, scaled.
      hub: One of `RESNETS`.

    Returns:
      `[batch, rows, columns, 512]`. Layers carry KerasHub's names, and belong to
      its own model too: clone the graph, as `build` does when it renames them.
    """
    return hub.make(images.shape[1:]).call(images)
