"""What a DeiT's tokens attend to."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from transfusion_tf.errors import UserError


def attention_maps(model: keras.Model, images: Any) -> list[NDArray[np.float32]]:
    """The attention of every head of every block, in inference.

    The first token is the class's, then come the patches row by row. For the mean
    attended distance (feature reuse, appendix E). Memory: batch * heads * tokens² * 4
    bytes a block, 1 MB an image for a DeiT-S at 224 pixels.

    Args:
      model: A DeiT from `build`.
      images: `[batch, height, width, 3]` RGB in [0, 255], of the model's size.

    Returns:
      One array a block: `[batch, heads, tokens, tokens]` float32, how much the
      token of the third axis takes from each of the fourth; sums to 1 over these.

    Raises:
      UserError: If the model is no DeiT from `build`.
    """
    names = [layer.name for layer in model.layers]
    blocks = [name.split("_")[0] for name in names if name.endswith("_attention_heads")]
    if not blocks:
        raise UserError(
            f"model {model.name!r} is no DeiT: attention maps over the whole image are "
            "for models such as deit_s"
        )
    # Not in the model's own graph, where a second call would be a second output.
    inputs = [model.get_layer(f"{block}_attention_norm").output for block in blocks]
    tokens = keras.Model(model.input, inputs)(images, training=False)
    maps = []
    for block, x in zip(blocks, keras.tree.flatten(tokens), strict=True):
        heads = model.get_layer(f"{block}_attention_heads")
        _, scores = heads(x, x, return_attention_scores=True, training=False)
        maps.append(np.array(keras.ops.convert_to_numpy(scores), dtype=np.float32))
    return maps
