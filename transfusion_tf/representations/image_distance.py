"""How far one data set's images are from another's, in a network's features.

Feature reuse, section 2 and table 1: the Fréchet Inception distance between ImageNet
and each medical data set. Distances in the features of one weights file can be compared
with one another; published ones come from other weights of Inception-v3, and have other
values.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from transfusion_tf.errors import UserError
from transfusion_tf.representations.frechet_distance import (
    FeatureMoments,
    FrechetDistance,
    Gaussian,
    block_rows,
    fitting_blocks,
    frechet_from_blocks,
    warn_if_few,
)
from transfusion_tf.representations.outputs import named_outputs
from transfusion_tf.representations.snapshots import Model, Snapshot
from transfusion_tf.representations.tokens import (
    class_tokens_of,
    pooled_tokens,
    token_kinds,
)


def pooled_stage(model: keras.Model, stage: str | None = None) -> keras.Model:
    """A model that ends in one stage's features, averaged over space.

    Args:
      model: A model with known stages, or any whose layers are named.
      stage: A stage or layer; None takes the last stage.

    Returns:
      A model from the same images to [images, channels], same weights.

    Raises:
      UserError: If there is no such stage; the message lists what there is.
    """
    outputs = named_outputs(model, None if stage is None else [stage])
    output = list(outputs.values())[-1]
    if len(output.shape) == 4:
        output = keras.layers.GlobalAveragePooling2D(name="pooled_features")(output)
    return keras.Model(model.inputs, output, name=model.name)


def image_distance(
    features: Model,
    source: Any,
    target: Any,
    *,
    blocks: int | None = None,
    source_groups: Sequence | None = None,
    target_groups: Sequence | None = None,
    level: float = 0.95,
    seed: int = 0,
    batch_size: int = 32,
    progress: bool = True,
) -> pd.DataFrame:
    """Fréchet distance between two sets of images in a network's features.

    Images of another size are resized to the network's, bilinearly, antialiased.
    Memory: blocks times features² float64 numbers a side (336 MB for ten blocks of
    2048), a few such matrices more, and one batch.

    Args:
      features: To [images, features] or [images, tokens, channels] (spatial tokens are
        averaged), such as `pooled_stage`; a snapshot of such a model is traced once.
      source: [images, height, width, 3], RGB in [0, 255], such as `SplitImages`.
      target: The same of the other data set; of any size.
      blocks: Blocks of images a side for the interval and the correction; 0 for
        neither. None: as in `frechet_distance`.
      source_groups: [images], such as patients, who stay in one block.
      target_groups: The same for the target.
      level: Of the interval.
      seed: Which images make up a block.
      batch_size: Images a forward pass.
      progress: Whether to show a progress bar.

    Returns:
      One row: `source`, `target` (what the images say that they are), `network`,
      `features`, `value` (plain, biased up), `corrected`, `standard_error`, `low`,
      `high`, `level`, `images_source`, `images_target`, `blocks`.

    Raises:
      UserError: If images are too few for the blocks, or a value is not finite.

    Warns:
      RepresentationWarning: If a side has no more images than there are features.
    """
    snapshot = Snapshot.of(features)
    read = _feature_function(snapshot)
    if blocks is None:
        counts = [(len(source), source_groups), (len(target), target_groups)]
        blocks = fitting_blocks(counts, seed)
    names = [_described(source, "source"), _described(target, "target")]
    sides = []
    for name, images, groups in zip(
        names, (source, target), (source_groups, target_groups), strict=True
    ):
        parts = block_rows(len(images), blocks, groups, seed)
        sides.append(_block_moments(read, images, parts, batch_size, name, progress))
        warn_if_few(name, len(images), len(sides[-1][0].mean))
    found = frechet_from_blocks(sides[0], sides[1], level=level)
    row = _row(found, names, snapshot.model.name, len(sides[0]) if blocks else 0)
    return pd.DataFrame([row])


def _described(images: Any, otherwise: str) -> str:
    return getattr(images, "description", otherwise)


def _row(
    found: FrechetDistance, names: Sequence[str], network: str, blocks: int
) -> dict[str, Any]:
    return {
        "source": names[0],
        "target": names[1],
        "network": network,
        "features": found.features,
        "value": found.value,
        "corrected": found.corrected,
        "standard_error": found.standard_error,
        "low": found.low,
        "high": found.high,
        "level": found.level,
        "images_source": found.images_x,
        "images_target": found.images_y,
        "blocks": blocks,
    }


def _feature_function(snapshot: Snapshot) -> Callable[[tf.Tensor], tf.Tensor]:
    features = snapshot.model
    height, width = features.input_shape[1:3]
    class_tokens = class_tokens_of(features)
    # An error in the graph below would be TensorFlow's.
    token_kinds(features.output_shape, class_tokens)

    def read(images: tf.Tensor) -> tf.Tensor:
        images = tf.cast(images, tf.float32)
        if height is not None and tuple(images.shape[1:3]) != (height, width):
            images = tf.image.resize(images, (height, width), antialias=True)
        found = features(images, training=False)
        return pooled_tokens(found, class_tokens=class_tokens)

    graph = snapshot.graph
    compiled = graph.once("pooled features", lambda: graph.function(read))
    return functools.partial(compiled, snapshot.weights)


def _block_moments(
    read: Callable[[tf.Tensor], tf.Tensor],
    images: Any,
    parts: Sequence[np.ndarray],
    batch_size: int,
    described: str,
    progress: bool,
) -> list[Gaussian]:
    if len(images.shape) != 4 or images.shape[3] != 3:
        raise UserError(
            f"images ({described}) have shape {tuple(images.shape)}; expected [images, "
            "height, width, 3]"
        )
    found = []
    with tqdm(
        total=len(images),
        desc=f"reading {described}",
        unit="image",
        disable=not progress,
    ) as bar:
        for rows in parts:
            moments = FeatureMoments(described)
            for start in range(0, len(rows), batch_size):
                chosen = rows[start : start + batch_size]
                pixels = np.asarray(images[chosen])
                _check_pixels(pixels, chosen, described)
                moments.update(read(tf.constant(pixels)))
                bar.update(len(chosen))
            found.append(moments.gaussian())
    return found


def _check_pixels(pixels: np.ndarray, rows: np.ndarray, described: str) -> None:
    # Not every feature shows it: a pool may take the largest of what is a number.
    finite = np.isfinite(pixels).all(axis=(1, 2, 3))
    if not finite.all():
        row = rows[np.argmin(finite)]
        raise UserError(f"image {row} of {described} holds NaN or infinity")
