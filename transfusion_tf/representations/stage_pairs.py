"""CKA of every stage of one model with every stage of another, in one pass."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from transfusion_tf.errors import UserError
from transfusion_tf.representations.activations import StageReader
from transfusion_tf.representations.pairwise_cka import MIN_POINTS, PairwiseCKA
from transfusion_tf.representations.snapshots import Model


def compare_stage_pairs(
    model_a: Model,
    model_b: Model,
    images: Any,
    *,
    stages: Sequence[str] | None = None,
    pooled: bool = False,
    most_images: int = 256,
    seed: int = 0,
    batch_size: int = 16,
    progress: bool = True,
) -> pd.DataFrame:
    """Linear CKA of all pairs of stages: whole images as points, all channels.

    A point is an image, with all positions and channels of a stage as its features;
    so stages of any two sizes, and models of any two kinds, can be compared. The
    estimate is unbiased (`PairwiseCKA`): unrelated stages score 0 on average. Memory:
    one batch's activations of all stages of both models.

    Args:
      model_a: A model.
      model_b: Another, for images of the same size.
      images: Array-like [images, height, width, 3], RGB in [0, 255].
      stages: Stages or layers of both models; None takes each model's own stages.
      pooled: Whether to average each image over its positions first.
      most_images: How many images to take at most, drawn at random.
      seed: Seed of the draw.
      batch_size: Images a forward pass.
      progress: Whether to show a progress bar.

    Returns:
      One row a pair: `stage_a`, `stage_b`, `cka`, `images`.

    Raises:
      UserError: If a stage is unknown, there are fewer than four images, or an
        activation is NaN or infinite.
    """
    if len(images) < MIN_POINTS:
        raise UserError(
            f"CKA of stages needs {MIN_POINTS} images or more, got {len(images)}"
        )
    readers = (StageReader(model_a, stages), StageReader(model_b, stages))
    names = [(side, name) for side in (0, 1) for name in readers[side].names]
    similarity = PairwiseCKA([f"{'ab'[side]}:{name}" for side, name in names])
    order = np.random.default_rng(seed).permutation(len(images))[:most_images]
    batches = np.array_split(order, -(-len(order) // max(batch_size, 2 * MIN_POINTS)))
    for chosen in tqdm(
        batches, desc="comparing stages", unit="batch", disable=not progress
    ):
        batch = np.asarray(images[np.sort(chosen)])
        read = [reader.read(batch) for reader in readers]
        similarity.update([_pooled(read[side][name], pooled) for side, name in names])
    between = similarity.matrix()[: len(readers[0].names), len(readers[0].names) :]
    return _table(between, readers[0].names, readers[1].names, len(order))


def _table(
    matrix: np.ndarray, names_a: Sequence[str], names_b: Sequence[str], images: int
) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "stage_a": name_a,
                "stage_b": name_b,
                "cka": float(matrix[row, column]),
                "images": images,
            }
            for row, name_a in enumerate(names_a)
            for column, name_b in enumerate(names_b)
        ]
    )


def _pooled(activations: tf.Tensor, pooled: bool) -> tf.Tensor:
    between = list(range(1, len(activations.shape) - 1))
    return tf.reduce_mean(activations, axis=between) if pooled else activations
