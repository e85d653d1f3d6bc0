"""CKA of every layer with every layer, within models and between them.

Feature reuse, figure 3 and appendix A: linear CKA (Kornblith et al., ICML 2019) over
whole activations, [images, features], before and after training, and between runs. The
unbiased HSIC of each mini-batch is averaged over batches before the ratio is taken
(Nguyen, Raghu, Kornblith, ICLR 2021, section 3). The paper's published code averages
the ratios of the batches instead, which shifts the result with the batch size.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from transfusion_tf.errors import UserError
from transfusion_tf.representations.layer_grams import GramReader, LayerSettings
from transfusion_tf.representations.pairwise_cka import (
    MIN_POINTS,
    PairwiseCKA,
    pairwise_hsic,
)
from transfusion_tf.representations.snapshots import Model, check_image_sizes

_DEFAULT = LayerSettings()


def layer_cka(
    models: Mapping[str, Model],
    images: Any,
    settings: LayerSettings = _DEFAULT,
) -> pd.DataFrame:
    """Linear CKA of every layer of every model with every layer of every model.

    One forward pass a model. Each layer's Gram matrix is computed in the graph that
    computes the layer, and only Grams leave it. Memory: at most one batch's
    activations of all layers of one model (70 MB an image for ResNet50 at 224 pixels;
    most are let go earlier), and the layers of all models times batch² float64.

    Args:
      models: What the table calls them -> models of images of one size.
      images: Array-like [images, height, width, 3], RGB in [0, 255]; 8 or more.
      settings: What is compared.

    Returns:
      One row an ordered pair of layers: `model_a`, `layer_a`, `stage_a`
      (empty where it is not known), `position_a` (from 0 at the input), the same
      for `b`, `cka` (0 where a layer
      is constant), `images`, `batch_size`. For two models that is four blocks: each
      against itself, and either against the other.

    Raises:
      UserError: If a stage or layer is unknown, images are too few or of another
        size, no layer has a class token where those are asked for, or an
        activation is NaN or infinite.

    Warns:
      RepresentationWarning: If a layer does not vary.
    """
    if len(images) < MIN_POINTS:
        raise UserError(f"CKA needs {MIN_POINTS} images or more, got {len(images)}")
    check_image_sizes(models)
    readers = {name: GramReader(model, settings) for name, model in models.items()}
    rows = [
        {"model": name, "layer": layer, "stage": stage, "position": position}
        for name, reader in readers.items()
        for position, (layer, stage) in enumerate(reader.layers)
    ]
    similarity = _CKAOfGrams([f"{row['layer']} of {row['model']}" for row in rows])
    order = np.random.default_rng(settings.seed).permutation(len(images))
    order = order[: settings.most_images]
    batches = np.array_split(order, -(-len(order) // settings.batch_size))
    for chosen in tqdm(
        batches, desc="comparing layers", unit="batch", disable=not settings.progress
    ):
        # Sorted: files are read in order.
        batch = tf.constant(np.asarray(images[np.sort(chosen)]), tf.float32)
        grams = [reader.grams(batch) for reader in readers.values()]
        similarity.add(tf.concat(grams, axis=0))
    return _pair_table(rows, similarity.matrix(), len(order), settings.batch_size)


class _CKAOfGrams(PairwiseCKA):
    """`PairwiseCKA` for Gram matrices that were computed elsewhere."""

    def add(self, grams: tf.Tensor) -> None:
        """Adds one batch, [layers, n, n] float64."""
        for name, trace in zip(self.names, tf.linalg.trace(grams).numpy(), strict=True):
            if not np.isfinite(trace):
                raise UserError(
                    f"{name} holds NaN or infinity in batch {self._batches}"
                )
        points = int(grams.shape[1])
        self._hsic += points * pairwise_hsic(grams).numpy()
        self._points += points
        self._batches += 1


def _pair_table(
    rows: Sequence[Mapping[str, Any]], matrix: np.ndarray, images: int, batch_size: int
) -> pd.DataFrame:
    layers = pd.DataFrame(rows)
    first = layers.iloc[np.repeat(np.arange(len(layers)), len(layers))]
    second = layers.iloc[np.tile(np.arange(len(layers)), len(layers))]
    table = pd.concat(
        [
            first.add_suffix("_a").reset_index(drop=True),
            second.add_suffix("_b").reset_index(drop=True),
        ],
        axis=1,
    )
    return table.assign(cka=matrix.ravel(), images=images, batch_size=batch_size)
