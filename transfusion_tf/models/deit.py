"""DeiT: KerasHub's data-efficient image transformer, flat and with named stages.

Touvron et al., ICML 2021: the one without distillation, which the feature-reuse paper
takes. A class token stands before the patches, and goes to the head after the last
layer norm. KerasHub has only distilled ones, with a second token before the patches:
of their weights, that token and its position are left out.

Unlike the authors' DeiT, KerasHub's holds queries, keys and values in three tensors,
so that statistics are taken of each on its own.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from transfusion_tf.models.end_points import EndPoint
from transfusion_tf.models.hub import HubBackbone, Tensors, own_layer
from transfusion_tf.models.transformer_layers import TokensAndPositions


@dataclass(frozen=True)
class DeiTArchitecture:
    """One member of the family.

    Attributes:
      patch: Height and width of a patch, in pixels.
      blocks: Transformer blocks.
      width: Channels of a token; the MLPs between have four times as many.
      heads: Attention heads of each block.
    """

    patch: int
    blocks: int
    width: int
    heads: int

    def hub(self, blocks: int | None = None) -> HubBackbone:
        """KerasHub's backbone, whole or with the first few blocks."""
        return HubBackbone(
            "DeiTBackbone",
            {
                "patch_size": self.patch,
                "num_layers": blocks or self.blocks,
                "num_heads": self.heads,
                "hidden_dim": self.width,
                "intermediate_dim": 4 * self.width,
            },
            _hub_layers,
            _without_distillation,
        )


DEIT_ARCHITECTURES: dict[str, DeiTArchitecture] = {
    "deit_ti": DeiTArchitecture(16, 12, 192, 3),
    "deit_s": DeiTArchitecture(16, 12, 384, 6),
    "deit_b": DeiTArchitecture(16, 12, 768, 12),
    # Ours, for studies on a CPU.
    "deit_mini": DeiTArchitecture(8, 6, 64, 4),
}


def deit_features(
    images: keras.KerasTensor,
    architecture: DeiTArchitecture,
    *,
    blocks: int | None = None,
) -> keras.KerasTensor:
    """The network below the head.

    Args:
      images: `[batch, height, width, 3]`, scaled; sides are multiples of the patch.
      architecture: Its sizes.
      blocks: The first so many blocks only; None for all.

    Returns:
      `[batch, width]`: the class token after the last layer norm. Layers are named
      `patch_embed, tokens, block1_attention_norm, block1_attention_heads,
      block1_attention_add, block1_mlp_norm, block1_mlp_dense, block1_mlp_output,
      block1_mlp_add, ..., norm`.
    """
    prototypes = _prototypes(architecture, blocks or architecture.blocks)
    layers = {name: own_layer(layer, name) for name, layer in prototypes.items()}
    x = layers["patch_embed"](images)
    x = TokensAndPositions(name="tokens")(x)
    for number in range(1, (blocks or architecture.blocks) + 1):
        part = f"block{number}_attention"
        y = layers[f"{part}_norm"](x)
        y = layers[f"{part}_heads"](y, y)
        x = keras.layers.Add(name=f"{part}_add")([x, y])
        part = f"block{number}_mlp"
        y = layers[f"{part}_norm"](x)
        y = layers[f"{part}_dense"](y)
        y = layers[f"{part}_output"](y)
        x = keras.layers.Add(name=f"{part}_add")([x, y])
    return layers["norm"](x)[:, 0]


def deit_end_points(layer_names: Sequence[str]) -> tuple[EndPoint, ...] | None:
    """`patch_embed` and `block1`, `block2`, ... if these are a DeiT's layers.

    The last layer norm belongs to the last block. A block's output is what it hands
    on, before that norm.
    """
    if "tokens" not in layer_names:
        return None
    outputs = [name for name in layer_names if name.endswith("_mlp_add")]
    blocks = [name.removesuffix("_mlp_add") for name in outputs]
    if not blocks or f"{blocks[0]}_attention_heads" not in layer_names:
        return None
    lasts = [*outputs[:-1], "norm"]
    return (
        EndPoint("patch_embed", "tokens", "tokens"),
        *map(EndPoint, blocks, outputs, lasts),
    )


@functools.cache
def _prototypes(
    architecture: DeiTArchitecture, blocks: int
) -> dict[str, keras.layers.Layer]:
    """Copies of KerasHub's layers, not built: they are the same at every image size."""
    hub = architecture.hub(blocks)
    backbone = hub.make((architecture.patch, architecture.patch, 3))
    return {
        name: own_layer(layer, name)
        for name, layer in hub.layers(backbone).items()
        if name != "tokens"
    }


def _without_distillation(tensors: Tensors) -> Tensors:
    """The weights less those of the distillation token, second of all."""
    positions = tensors["tokens/position_embedding"]
    kept = np.delete(positions, 1, axis=1)
    own = {**tensors, "tokens/position_embedding": kept}
    del own["tokens/distillation_token"]
    return own


def _hub_layers(backbone: Any) -> dict[str, keras.layers.Layer]:
    embeddings = backbone.get_layer("deit_patching_and_embedding")
    encoder = backbone.get_layer("deit_encoder")
    layers = {"patch_embed": embeddings.patch_embedding, "tokens": embeddings}
    for number, block in enumerate(encoder.encoder_layers, start=1):
        layers |= {
            f"block{number}_attention_norm": block.layer_norm_1,
            f"block{number}_attention_heads": block.mha,
            f"block{number}_mlp_norm": block.layer_norm_2,
            f"block{number}_mlp_dense": block.mlp.dense,
            f"block{number}_mlp_output": block.output_layer.dense,
        }
    return {**layers, "norm": encoder.layer_norm}
