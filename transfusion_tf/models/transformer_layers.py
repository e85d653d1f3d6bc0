"""The two steps of vision transformers that no layer of Keras does.

Their weights have KerasHub's names and shapes. They are registered: once
`transfusion_tf.models` is imported, Keras loads a `.keras` file that holds them.
"""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from transfusion_tf.models.hub import small_normal

# Weights that are no kernel, bias or normalization.
EMBEDDINGS = (
    "class_token",
    "position_embedding",
    "relative_position_bias_table",
)
# Tokens that stand before the patches: the class's.
EXTRA_TOKENS = 1
# What a token loses in score towards one that is beside it by the shift alone.
_MASKED = -100.0
# And towards one that only fills up a window: less than any score of a real one, yet
# within float16, which ends at 65 504.
_PADDING = -3e4


@keras.saving.register_keras_serializable(package="transfusion_tf")
class TokensAndPositions(keras.layers.Layer):
    """Patches to tokens: the class token first, then row by row.

    `[batch, rows, columns, channels]` -> `[batch, 1 + rows * columns, channels]`, with
    a learned position added to each (DeiT, section 3).

    Attributes:
      grid: (rows, columns) of patches, once built.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.grid: tuple[int, int] | None = None
        # By these names `random_values` finds what a weight is drawn from.
        self.class_token_initializer = small_normal()
        self.position_embedding_initializer = small_normal()

    def build(self, input_shape: tuple[int | None, int, int, int]) -> None:
        """Makes the weights for a grid of patches of this size."""
        _, rows, columns, channels = input_shape
        self.grid = (rows, columns)
        self.class_token = self._embedding("class_token", 1, channels)
        self.position_embedding = self._embedding(
            "position_embedding", EXTRA_TOKENS + rows * columns, channels
        )
        super().build(input_shape)

    def call(self, patches: Any) -> Any:
        """Tokens of patches."""
        batch, rows, columns, channels = keras.ops.shape(patches)
        first = keras.ops.tile(self.class_token, (batch, 1, 1))
        spatial = keras.ops.reshape(patches, (-1, rows * columns, channels))
        tokens = keras.ops.concatenate([first, spatial], axis=1)
        return tokens + self.position_embedding

    def compute_output_shape(
        self, input_shape: tuple[int | None, int, int, int]
    ) -> tuple[int | None, int, int]:
        """`(batch, 1 + rows * columns, channels)`."""
        batch, rows, columns, channels = input_shape
        return (batch, EXTRA_TOKENS + rows * columns, channels)

    def _embedding(self, name: str, tokens: int, channels: int) -> Any:
        return self.add_weight(
            shape=(1, tokens, channels),
            initializer=getattr(self, f"{name}_initializer"),
            name=name,
        )


@keras.saving.register_keras_serializable(package="transfusion_tf")
class WindowedAttention(keras.layers.Layer):
    """Multi-head attention within square windows (Swin, section 3.2).

    `[batch, rows, columns, 3 * channels]`, queries, keys and values side by side, ->
    `[batch, rows, columns, channels]`. A learned bias for each relative position in a
    window is added to the scores of each head. With a shift, the windows lie that much
    further down and right, wrap around the map, and do not attend across its edges.

    The last windows are filled up below and on the right where the map ends before
    they do. No token attends to what fills them up (it does in KerasHub's, where the
    biases of keys and values stand there). A side of the map that is shorter than the
    window is the window's side. The table of biases is the same for maps of every size.

    Args:
      num_heads: Heads; they share the channels evenly.
      window: Tokens on a window's side.
      shift: In tokens, less than `window`; 0 for none, as for maps no larger than it.
    """

    def __init__(self, num_heads: int, window: int, shift: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.window = window
        self.shift = shift
        self.relative_position_bias_table_initializer = small_normal()

    def build(self, input_shape: tuple[int | None, int, int, int]) -> None:
        """Makes the table of biases."""
        self.relative_position_bias_table = self.add_weight(
            shape=((2 * self.window - 1) ** 2, self.num_heads),
            initializer=self.relative_position_bias_table_initializer,
            name="relative_position_bias_table",
        )
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        """What each token gathers from its window."""
        _, rows, columns, channels = keras.ops.shape(inputs)
        channels //= 3
        depth = channels // self.num_heads
        height, width = min(self.window, rows), min(self.window, columns)
        down, across = -(-rows // height), -(-columns // width)
        below, beside = down * height - rows, across * width - columns
        x = inputs
        if below or beside:
            x = keras.ops.pad(x, ((0, 0), (0, below), (0, beside), (0, 0)))
        if self.shift:
            x = keras.ops.roll(x, (-self.shift, -self.shift), axis=(1, 2))
        x = keras.ops.reshape(x, (-1, down, height, across, width, 3 * channels))
        x = keras.ops.transpose(x, (0, 1, 3, 2, 4, 5))
        x = keras.ops.reshape(
            x, (-1, down * across, height * width, 3, self.num_heads, depth)
        )
        # Each [batch, windows, heads, tokens, depth].
        queries, keys, values = keras.ops.unstack(
            keras.ops.transpose(x, (3, 0, 1, 4, 2, 5)), 3, axis=0
        )
        scores = keras.ops.matmul(
            queries * keras.ops.cast(depth**-0.5, queries.dtype),
            keras.ops.swapaxes(keys, -1, -2),
        )
        scores = scores + self._bias(height, width)
        if self.shift or below or beside:
            mask = _mask(rows, columns, height, width, self.shift)
            scores = scores + keras.ops.cast(mask[:, None], scores.dtype)
        x = keras.ops.matmul(keras.ops.softmax(scores, axis=-1), values)
        x = keras.ops.transpose(x, (0, 1, 3, 2, 4))
        x = keras.ops.reshape(x, (-1, down, across, height, width, channels))
        x = keras.ops.transpose(x, (0, 1, 3, 2, 4, 5))
        x = keras.ops.reshape(x, (-1, down * height, across * width, channels))
        if self.shift:
            x = keras.ops.roll(x, (self.shift, self.shift), axis=(1, 2))
        return x[:, :rows, :columns] if below or beside else x

    def compute_output_shape(
        self, input_shape: tuple[int | None, int, int, int]
    ) -> tuple[int | None, int, int, int]:
        """`(batch, rows, columns, channels)`."""
        return (*input_shape[:3], input_shape[3] // 3)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` makes an equal layer of."""
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "window": self.window,
            "shift": self.shift,
        }

    def _bias(self, height: int, width: int) -> Any:
        """[heads, tokens, tokens]."""
        # Along the second axis: the gradient of the first one's would be sparse, and
        # nearly every row has one.
        table = keras.ops.transpose(self.relative_position_bias_table)
        positions = _relative_positions(height, width, self.window)
        return keras.ops.take(table, positions, axis=1)


def _relative_positions(height: int, width: int, window: int) -> NDArray[np.int32]:
    """Row of the window's table of biases for each pair of height * width tokens."""
    places = np.indices((height, width)).reshape(2, -1)
    down, across = places[:, :, None] - places[:, None, :] + window - 1
    return (down * (2 * window - 1) + across).astype(np.int32)


def _mask(
    rows: int, columns: int, height: int, width: int, shift: int
) -> NDArray[np.float32]:
    """[windows, tokens, tokens]: what each token's score towards each other loses."""
    padding = np.pad(
        np.zeros((rows, columns), bool),
        ((0, -rows % height), (0, -columns % width)),
        constant_values=True,
    )
    padding = np.roll(padding, (-shift, -shift), axis=(0, 1))
    # What the shift has brought from the map's other edge.
    down, across = (np.arange(side) >= side - shift for side in padding.shape)
    regions = 2 * down[:, None] + across
    padding, regions = (_tiles(each, height, width) for each in (padding, regions))
    apart = regions[:, :, None] != regions[:, None, :]
    lost = np.where(padding[:, None, :], _PADDING, np.where(apart, _MASKED, 0.0))
    return lost.astype(np.float32)


def _tiles(grid: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """[rows, columns] to [windows, height * width]."""
    rows, columns = grid.shape
    tiles = grid.reshape(rows // height, height, columns // width, width)
    return tiles.transpose(0, 2, 1, 3).reshape(-1, height * width)
