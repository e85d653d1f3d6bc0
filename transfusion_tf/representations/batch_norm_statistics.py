"""Batch norm's moving statistics, estimated anew before activations are compared.

A random start carries the identity's, a trained model what training has seen. Read as
they are stored, two models with the same trainable weights have a mean CCA of 0.985 at
ResNet50's first stage and of 0.17 to 0.36 at its blocks, measured in
`docs/design_notes.md`: what is to be learned about weights is about moving averages.
Estimated on the same images, as `torch.optim.swa_utils.update_bn` does, they have 1.
"""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from transfusion_tf.models import batch_norm_layers
from transfusion_tf.representations.snapshots import Graph, Model, Snapshot

STATISTICS = ("estimated", "stored")
MOST_IMAGES = 256
_BATCH_SIZE = 32
_KEY = "batch norm statistics"

_Layers = Sequence[keras.layers.BatchNormalization]


def estimate_statistics(
    model: Model,
    images: Any,
    *,
    most_images: int = MOST_IMAGES,
    seed: int = 0,
    layers: Collection[str] | None = None,
) -> Snapshot:
    """A model with the moving statistics that these images give; all else is its own.

    Each batch is normalized by its own mean and variance, as in training, and the
    layers' means and variances over all batches are kept. What was stored before has
    no influence.

    Args:
      model: Any; one without batch norm is handed back as it is.
      images: Array-like [images, height, width, 3], RGB in [0, 255].
      most_images: How many to take at most, drawn at random.
      seed: Of the draw.
      layers: Names of those that are estimated; the others normalize by what they
        have stored. None takes all.
    """
    snapshot = Snapshot.of(model)
    chosen_layers = [
        layer
        for layer in batch_norm_layers(snapshot.model)
        if layers is None or layer.name in layers
    ]
    if not chosen_layers:
        return snapshot
    key = (_KEY, *(layer.name for layer in chosen_layers))
    read = snapshot.graph.once(key, lambda: _reader(snapshot.graph, chosen_layers))
    order = np.random.default_rng(seed).permutation(len(images))[:most_images]
    # Evenly, so that none is so small that its variance says nothing.
    batches = np.array_split(order, -(-len(order) // _BATCH_SIZE))
    means, squares = _zeros(chosen_layers), _zeros(chosen_layers)
    for chosen in batches:
        batch = tf.constant(np.asarray(images[np.sort(chosen)]), tf.float32)
        share = len(chosen) / len(order)
        for place, (mean, variance) in enumerate(read(snapshot.weights, batch)):
            mean, variance = np.float64(mean), np.float64(variance)
            means[place] += share * mean
            squares[place] += share * (variance + mean**2)
    found: dict[int, np.ndarray] = {}
    for layer, mean, square in zip(chosen_layers, means, squares, strict=True):
        found[id(layer.moving_mean)] = mean
        found[id(layer.moving_variance)] = np.maximum(square - mean**2, 0)
    weights = [
        tf.constant(found[id(variable)], value.dtype)
        if id(variable) in found
        else value
        for variable, value in zip(
            snapshot.model.weights, snapshot.weights, strict=True
        )
    ]
    return Snapshot(snapshot.graph, tuple(weights))


def _zeros(layers: _Layers) -> list[np.ndarray]:
    return [np.zeros(layer.moving_mean.shape) for layer in layers]


def _reader(graph: Graph, layers: _Layers) -> Any:
    """From weights and images to each layer's mean and variance of the batch."""

    def forward(images: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
        found: dict[int, tuple[tf.Tensor, tf.Tensor]] = {}
        with _normalizing_by_batch(layers, found):
            graph.model(images, training=False)
        return [found[place] for place in range(len(layers))]

    return graph.function(forward)


@contextlib.contextmanager
def _normalizing_by_batch(
    layers: _Layers, found: dict[int, tuple[tf.Tensor, tf.Tensor]]
) -> Iterator[None]:
    """A block in which these layers do as in training, and note what they find."""
    before = [vars(layer).get("call") for layer in layers]
    for place, layer in enumerate(layers):
        layer.call = _call(layer, place, found)
    try:
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            del layer.call
            if own is not None:
                layer.call = own


def _call(
    layer: keras.layers.BatchNormalization,
    place: int,
    found: dict[int, tuple[tf.Tensor, tf.Tensor]],
) -> Any:
    def call(
        inputs: tf.Tensor, training: bool | None = None, mask: Any = None
    ) -> tf.Tensor:
        axis = layer.axis % len(inputs.shape)
        others = [each for each in range(len(inputs.shape)) if each != axis]
        mean, variance = tf.nn.moments(tf.cast(inputs, tf.float32), others)
        found[place] = (mean, variance)
        shape = [-1 if each == axis else 1 for each in range(len(inputs.shape))]
        parts = [
            None if part is None else tf.cast(tf.reshape(part, shape), inputs.dtype)
            for part in (mean, variance, layer.beta, layer.gamma)
        ]
        return tf.nn.batch_normalization(inputs, *parts, layer.epsilon)

    return call
