"""Swin: KerasHub's shifted-window transformer, flat and with named stages.

Liu et al., ICCV 2021. Blocks are counted through, as in the feature-reuse paper; the
merging of patches between two resolutions belongs to the block after it. Maps stay
`[batch, rows, columns, channels]` throughout, so that the head pools them as it pools
a convolutional network's.

Stochastic depth is the authors' for Swin-T: a branch is left out with a probability
that grows evenly from 0 at the first block to 0.2 at the last.
"""

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from transfusion_tf.models.end_points import EndPoint
from transfusion_tf.models.hub import HubBackbone, own_layer
from transfusion_tf.models.transformer_layers import WindowedAttention


@dataclass(frozen=True)
class SwinArchitecture:
    """One member of the family.

    Attributes:
      patch: Height and width of a patch, in pixels.
      depths: Blocks at each resolution, the finest first; each halves the one before.
      heads: Attention heads of their blocks.
      width: Channels at the finest resolution, doubled at each coarser one.
      window: Tokens on a window's side, at every size of image.
      drop_path: Probability with which the last block's branches are left out.
    """

    patch: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    width: int
    window: int
    drop_path: float = 0.0

    @property
    def blocks(self) -> int:
        """How many there are at all resolutions together."""
        return sum(self.depths)

    @property
    def step(self) -> int:
        """Pixels that a token of the coarsest resolution stands for."""
        return self.patch * 2 ** (len(self.depths) - 1)

    def hub(self) -> HubBackbone:
        """KerasHub's backbone, which also takes a `window_size`."""
        return HubBackbone(
            "SwinTransformerBackbone",
            {
                "patch_size": self.patch,
                "embed_dim": self.width,
                "depths": self.depths,
                "num_heads": self.heads,
            },
            _hub_layers,
        )


SWIN_ARCHITECTURES: dict[str, SwinArchitecture] = {
    "swin_t": SwinArchitecture(4, (2, 2, 6, 2), (3, 6, 12, 24), 96, 7, 0.2),
    # Ours, for studies on a CPU.
    "swin_mini": SwinArchitecture(8, (2, 4), (2, 4), 40, 4),
}


def swin_features(
    images: keras.KerasTensor,
    architecture: SwinArchitecture,
) -> keras.KerasTensor:
    """The network below the head.

    Args:
      images: `[batch, height, width, 3]`, scaled; sides are multiples of
        `architecture.step`.
      architecture: Its sizes.

    Returns:
      `[batch, height / step, width / step, channels]`. Layers are named
      `patch_embed, patch_embed_norm, block1_attention_norm, block1_attention_qkv,
      block1_attention_windows, block1_attention_projection, block1_attention_add,
      block1_mlp_norm, block1_mlp_dense, block1_mlp_output, block1_mlp_add, ...,
      block3_merge_norm, block3_merge, ..., norm`.
    """
    window = architecture.window
    blocks = _Blocks(architecture)
    x = blocks.layer("patch_embed")(images)
    x = blocks.layer("patch_embed_norm")(x)
    number = 0
    for depth, heads in zip(architecture.depths, architecture.heads, strict=True):
        if number:
            x = blocks.merge(x, number + 1)
        for index in range(depth):
            number += 1
            # As the authors: none on a map of which one side fits into a window.
            shifted = index % 2 and min(x.shape[1:3]) > window
            shift = window // 2 if shifted else 0
            windows = WindowedAttention(
                heads, window, shift, name=f"block{number}_attention_windows"
            )
            x = blocks.attention(x, number, windows)
            x = blocks.mlp(x, number)
    return blocks.layer("norm")(x)


def swin_end_points(layer_names: Sequence[str]) -> tuple[EndPoint, ...] | None:
    """`patch_embed` and `block1`, `block2`, ... if these are a Swin's layers.

    The last layer norm belongs to the last block. A block's output is what it hands
    on, before that norm.
    """
    outputs = [name for name in layer_names if name.endswith("_mlp_add")]
    blocks = [name.removesuffix("_mlp_add") for name in outputs]
    if not blocks or f"{blocks[0]}_attention_windows" not in layer_names:
        return None
    lasts = [*outputs[:-1], "norm"]
    return (
        EndPoint("patch_embed", "patch_embed_norm", "patch_embed_norm"),
        *map(EndPoint, blocks, outputs, lasts),
    )


class _Blocks:
    """Adds KerasHub's layers to a graph, block by block."""

    def __init__(self, architecture: SwinArchitecture):
        self._layers = _prototypes(architecture)
        self._rates = np.linspace(0, architecture.drop_path, architecture.blocks)

    def layer(self, name: str, **changes: Any) -> keras.layers.Layer:
        """The layer that we call `name`, not built yet."""
        return own_layer(self._layers[name], name, **changes)

    def merge(self, x: keras.KerasTensor, number: int) -> keras.KerasTensor:
        """Four neighbours to one token of twice the channels, before block `number`."""
        _, rows, columns, channels = x.shape
        x = keras.ops.reshape(x, (-1, rows // 2, 2, columns // 2, 2, channels))
        # A patch's left column comes first, as in the published weights.
        x = keras.ops.transpose(x, (0, 1, 3, 4, 2, 5))
        x = keras.ops.reshape(x, (-1, rows // 2, columns // 2, 4 * channels))
        x = self.layer(f"block{number}_merge_norm")(x)
        return self.layer(f"block{number}_merge")(x)

    def attention(
        self, x: keras.KerasTensor, number: int, windows: WindowedAttention
    ) -> keras.KerasTensor:
        """The first half of a block."""
        part = f"block{number}_attention"
        y = self.layer(f"{part}_norm")(x)
        y = self.layer(f"{part}_qkv")(y)
        y = windows(y)
        y = self.layer(f"{part}_projection")(y)
        return self._added(x, y, number, part)

    def mlp(self, x: keras.KerasTensor, number: int) -> keras.KerasTensor:
        """The second half of a block."""
        part = f"block{number}_mlp"
        y = self.layer(f"{part}_norm")(x)
        y = self.layer(f"{part}_dense", activation="gelu")(y)
        y = self.layer(f"{part}_output")(y)
        return self._added(x, y, number, part)

    def _added(
        self, x: keras.KerasTensor, y: keras.KerasTensor, number: int, part: str
    ) -> keras.KerasTensor:
        rate = float(self._rates[number - 1])
        if rate:
            y = keras.layers.Dropout(
                rate, noise_shape=(None, 1, 1, 1), name=f"{part}_drop_path"
            )(y)
        return keras.layers.Add(name=f"{part}_add")([x, y])


@functools.cache
def _prototypes(architecture: SwinArchitecture) -> dict[str, keras.layers.Layer]:
    """Copies of KerasHub's layers, not built: they are the same at every image size.

    They are taken at the smallest, for KerasHub's windows take seconds to trace.
    """
    hub, step = architecture.hub(), architecture.step
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a softmax over one token
        backbone = hub.make((step, step, 3), window_size=1)
    return {
        name: own_layer(layer, name)
        for name, layer in hub.layers(backbone).items()
        if not name.endswith("_windows")
    }


def _hub_layers(backbone: Any) -> dict[str, keras.layers.Layer]:
    embedding = backbone.patch_embedding
    layers = {"patch_embed": embedding.proj, "patch_embed_norm": embedding.norm}
    number, merging = 0, None
    for stage in backbone.stages:
        if merging is not None:
            layers[f"block{number + 1}_merge_norm"] = merging.norm
            layers[f"block{number + 1}_merge"] = merging.reduction
        for block in stage.blocks:
            number += 1
            layers |= {
                f"block{number}_attention_norm": block.norm1,
                f"block{number}_attention_qkv": block.attn.qkv,
                f"block{number}_attention_windows": block.attn,
                f"block{number}_attention_projection": block.attn.proj,
                f"block{number}_mlp_norm": block.norm2,
                f"block{number}_mlp_dense": block.mlp.fc1,
                f"block{number}_mlp_output": block.mlp.fc2,
            }
        merging = stage.downsample
    return {**layers, "norm": backbone.norm}
