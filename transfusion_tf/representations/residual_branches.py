"""Units of a network cut down to the modules that the feature-reuse paper looks into.

Figures 3 to 6 are about a patch embedding or first convolution, residual units,
Inception modules, and of a transformer every attention and every MLP, read before it is
added to the residual stream: "the zig-zag pattern in row 2 of Fig. 6 is due to
alternating self-attention (+) & MLP layers (-)" (footnote 3). The text does not say
what belongs to each; the authors' code does (`get_target_modules` in
`ablations/layer_importance/trainer.py`). Layer norms, class tokens and positions,
Swin's merging of patches and ResNet's first batch norm are in none.
"""

from collections.abc import Sequence

import keras

from transfusion_tf.models.tensors import layer_tensors
from transfusion_tf.models.transformer_layers import EMBEDDINGS

Layers = tuple[keras.layers.Layer, ...]

_POOLING = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)


def branches(units: Sequence[Layers]) -> list[Layers]:
    """The layers of each unit that the paper looks into, read at the last of them.

    Args:
      units: of one network, from the input up, without its head.

    Returns:
      A group for each unit; empty where the paper leaves it out.
    """
    residual = any(_has(unit, keras.layers.Add) for unit in units)
    return [_branch(unit, residual) for unit in units]


def _branch(unit: Layers, residual: bool) -> Layers:
    if isinstance(unit[0], keras.layers.LayerNormalization):
        return _between_norm_and_sum(unit)
    names = [tensor.name for layer in unit for tensor in layer_tensors(layer)]
    if names and set(names) <= set(EMBEDDINGS):
        return ()
    if (
        residual
        and _has(unit, keras.layers.BatchNormalization)
        and not _has(unit, keras.layers.Add)
    ):
        # PyTorch's ResNet has its first convolution bare, Inception none.
        return tuple(layer for layer in unit if layer.weights)[:1]
    while isinstance(unit[-1], _POOLING):
        unit = unit[:-1]
    return unit


def _between_norm_and_sum(unit: Layers) -> Layers:
    """Of half a transformer block; a merging of patches has no sum, and nothing."""
    for index, layer in enumerate(unit):
        if isinstance(layer, keras.layers.Add):
            inside = unit[1:index]
            return tuple(x for x in inside if not isinstance(x, keras.layers.Dropout))
    return ()


def _has(unit: Layers, kind: type) -> bool:
    return any(isinstance(layer, kind) for layer in unit)
