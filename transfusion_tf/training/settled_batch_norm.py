"""Batch norm's statistics, estimated anew before each evaluation of a short run.

Moving averages describe the weights of some steps ago. Where each step changes weights
much, as in the first hundreds, and 53 layers follow each other, the outputs of
evaluation are another network's: transferred ResNet50s had validation losses of some
thousands beside training losses of 0.6 (`docs/design_notes.md`).
"""

import keras
import numpy as np

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.input_pipeline import kept_eval_batches
from transfusion_tf.models import batch_norm_layers
from transfusion_tf.representations.batch_norm_statistics import estimate_statistics
from transfusion_tf.representations.snapshots import Graph, Snapshot
from transfusion_tf.training.config import RunConfig

_BATCH_SIZE = 32


def settle_batch_norm(
    graph: Graph, config: RunConfig, prepared: PreparedDataset
) -> None:
    """Gives the graph's model statistics of what its weights make of training images.

    Training does not use them, so that it stays the same. Frozen layers, which do use
    theirs, keep them, and those above see what these make of images. Every worker does
    the same with the same images.

    Args:
      graph: of the model that trains, kept for the next call.
      config: says how many images.
      prepared: its data.
    """
    layers = [layer for layer in batch_norm_layers(graph.model) if layer.trainable]
    if not layers:
        return
    variables = graph.model.weights
    weights = tuple(
        keras.ops.convert_to_tensor(keras.ops.convert_to_numpy(v)) for v in variables
    )
    images = _training_images(config, prepared)
    found = estimate_statistics(
        Snapshot(graph, weights),
        images,
        most_images=len(images),
        layers=[layer.name for layer in layers],
    )
    estimated = {id(v): w for v, w in zip(variables, found.weights, strict=True)}
    for layer in layers:
        for variable in (layer.moving_mean, layer.moving_variance):
            variable.assign(estimated[id(variable)])


def _training_images(config: RunConfig, prepared: PreparedDataset) -> np.ndarray:
    """uint8 [images, size, size, 3], as evaluation sees images: not augmented."""
    there = len(prepared.examples("train", config.train_examples))
    count = min(there, config.batch_norm_images or 0)
    batches = kept_eval_batches(prepared, "train", _BATCH_SIZE, limit=count)
    parts = [(batch["image"].numpy(), batch["mask"].numpy() > 0) for batch in batches]
    return np.concatenate([images[real] for images, real in parts])
