"""Embeddings of positions, from a donor of another image size.

A DeiT has an embedding for each place in its grid of patches, a Swin a bias for each
pair of places in a window by how far they are apart. Both are maps, and are resized as
such: bicubic, smoothed where they shrink. The class token has no place in
the grid, and its embedding is left alone.
"""

import math

import keras
import numpy as np
from numpy.typing import NDArray

from transfusion_tf.models import NamedTensor, TokensAndPositions
from transfusion_tf.models.transformer_layers import EXTRA_TOKENS

_POSITIONS = "position_embedding"
_BIASES = "relative_position_bias_table"


def can_be_resized(shape: tuple[int, ...], tensor: NamedTensor) -> bool:
    """Whether a donor's tensor of this shape can be resized to a model's tensor.

    It must be an embedding of positions with the same number of channels, or heads,
    and the donor's grid must have been square.
    """
    if tensor.name not in (_POSITIONS, _BIASES):
        return False
    if len(shape) != len(tensor.shape) or shape[-1] != tensor.shape[-1]:
        return False
    places = _places(shape, tensor)
    return places > 0 and math.isqrt(places) ** 2 == places


def resized(values: NDArray[np.float32], tensor: NamedTensor) -> NDArray[np.float32]:
    """A donor's embedding of positions at the size of a model's.

    Args:
      values: `[1, 1 + side², channels]` for position embeddings, `[side², heads]`
        for a table of relative position biases.
      tensor: The model's, of which `can_be_resized` holds.

    Returns:
      The same in the tensor's shape.
    """
    if tensor.name == _BIASES:
        side = math.isqrt(tensor.shape[0])
        return _resized_map(values, (side, side))
    assert isinstance(tensor.owner, TokensAndPositions)
    assert tensor.owner.grid is not None
    extra, places = np.split(values[0], [EXTRA_TOKENS])
    return np.concatenate([extra, _resized_map(places, tensor.owner.grid)])[None]


def _places(shape: tuple[int, ...], tensor: NamedTensor) -> int:
    return shape[-2] - (EXTRA_TOKENS if tensor.name == _POSITIONS else 0)


def _resized_map(
    places: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.float32]:
    """[side², channels] to [rows * columns, channels]."""
    side = math.isqrt(len(places))
    grid = places.reshape(1, side, side, places.shape[-1])
    maps = keras.ops.image.resize(
        grid, size, interpolation="bicubic", antialias=True, data_format="channels_last"
    )
    return np.array(keras.ops.convert_to_numpy(maps)).reshape(-1, places.shape[-1])
