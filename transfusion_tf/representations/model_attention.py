"""Mean attended distance of a model: how locally each block of a DeiT looks.

Feature reuse, appendix E: transferred weights give early blocks heads that look near
and heads that look far, weights drawn from their statistics none that look near.
"""

from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from transfusion_tf.errors import UserError
from transfusion_tf.models import attention_maps
from transfusion_tf.representations.attention_distance import AttentionMeans


def model_attention(
    model: keras.Model,
    images: Any,
    *,
    most_images: int = 512,
    renormalize: bool = True,
    seed: int = 0,
    batch_size: int = 16,
    progress: bool = True,
) -> pd.DataFrame:
    """Mean attended distance of every head of a DeiT.

    Memory: one batch's attention, 1 MB an image and block for a DeiT-S at 224 pixels.

    Args:
      model: A DeiT from `build`.
      images: Array-like [images, height, width, 3], RGB in [0, 255].
      most_images: Images at most, drawn at random.
      renormalize: See `attended_distance`.
      seed: Seed of the draw.
      batch_size: Images a forward pass.
      progress: Whether to show a progress bar.

    Returns:
      The columns of `AttentionMeans.table`.

    Raises:
      UserError: If the model is no DeiT from `build`, there are no images, or none
        are asked for.
    """
    if not len(images):
        raise UserError("attention needs at least one image")
    if most_images < 1 or batch_size < 1:
        raise UserError(
            "most_images and batch_size must be 1 or more, got "
            f"{most_images} and {batch_size}"
        )
    order = np.random.default_rng(seed).permutation(len(images))[:most_images]
    means = None
    for start in tqdm(
        range(0, len(order), batch_size),
        desc="reading attention",
        unit="batch",
        disable=not progress,
    ):
        chosen = np.sort(order[start : start + batch_size])
        maps = attention_maps(
            model, tf.constant(np.asarray(images[chosen]), tf.float32)
        )
        if means is None:
            rows, columns = model.get_layer("tokens").grid
            blocks = [f"block{number}" for number in range(1, len(maps) + 1)]
            patch = model.input_shape[1] / rows
            means = AttentionMeans(
                blocks, patch, grid=(rows, columns), renormalize=renormalize
            )
        means.update(maps)
    assert means is not None
    return means.table()
