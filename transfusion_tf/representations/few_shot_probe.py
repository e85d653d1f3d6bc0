"""What frozen features are worth on classes that the model has never seen.

A linear probe is taught by a few images of each class and judged on others, as in
Chen et al. (2019), "A Closer Look at Few-shot Classification". Two models differ in
their features alone: they get the same images, and batch norm normalizes by the
statistics of these images in both.
"""

from collections.abc import Callable, Hashable

import keras
import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from transfusion_tf.evaluation import Estimate, estimate
from transfusion_tf.models.heads import LOGITS
from transfusion_tf.representations.batch_norm_statistics import estimate_statistics
from transfusion_tf.representations.blas_threads import one_blas_thread
from transfusion_tf.representations.snapshots import Graph, Model, Snapshot

_SHOTS = 5
_EPISODES = 6
# Of the L2 penalty, on standardised features; fixed, as five images choose nothing.
_INVERSE_PENALTY = 0.1
_BATCH_SIZE = 32
# Enough of the probe's images for batch norm's statistics.
_NORMALIZING_IMAGES = 64


def head_features(model: Model, images: np.ndarray) -> np.ndarray:
    """What a model's head is given: of convolutional networks the mean over space.

    Args:
      model: from `build`.
      images: [images, height, width, 3], RGB in [0, 255]; batch norm's statistics are
        those of 64 of them.

    Returns:
      float64 [images, channels].
    """
    snapshot = estimate_statistics(
        Snapshot.of(model), images, most_images=_NORMALIZING_IMAGES
    )
    read = snapshot.graph.once("head features", lambda: _reader(snapshot.graph))
    parts = [
        read(snapshot.weights, tf.constant(images[start : start + _BATCH_SIZE]))
        for start in range(0, len(images), _BATCH_SIZE)
    ]
    return np.concatenate([part.numpy() for part in parts]).astype(np.float64)


def linear_probe(shown: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The classes that a probe takes other images for.

    A logistic regression over all classes with an L2 penalty of a fixed strength, on
    features that are standardised by those shown.

    Args:
      shown: [classes, shots, channels], features that the probe is taught by.
      asked: [images, channels].

    Returns:
      int [images].
    """
    classes, shots, _ = shown.shape
    flat = np.concatenate(shown)
    scaler = StandardScaler().fit(flat)
    probe = LogisticRegression(C=_INVERSE_PENALTY, max_iter=500)
    with one_blas_thread():
        known = scaler.transform(flat)
        # The best weights lie in the span of what is shown, which has fewer axes.
        _, _, axes = np.linalg.svd(known, full_matrices=False)
        probe.fit(known @ axes.T, np.repeat(np.arange(classes), shots))
        return probe.predict(scaler.transform(asked) @ axes.T)


def few_shot_accuracy(
    features: np.ndarray,
    *,
    shots: int = _SHOTS,
    episodes: int = _EPISODES,
    seed: int = 0,
) -> np.ndarray:
    """The share of each class's images that a linear probe gets right.

    Args:
      features: [classes, images, channels].
      shots: images of each class that the probe is taught by; the others judge it.
      episodes: how often they are drawn anew; models to be compared need one seed.
      seed: of the draws.

    Returns:
      float64 [classes], in [0, 1]; chance is one over the number of classes.
    """
    classes, images, channels = features.shape
    rng = np.random.default_rng(seed)
    rows = np.arange(classes)[:, None]
    right = np.zeros(classes)
    for _ in range(episodes):
        order = rng.permuted(np.tile(np.arange(images), (classes, 1)), axis=1)
        asked = features[rows, order[:, shots:]].reshape(-1, channels)
        answers = linear_probe(features[rows, order[:, :shots]], asked)
        right += np.mean(answers.reshape(classes, -1) == rows, axis=1) / episodes
    return right


def probe_gain(model: np.ndarray, random: np.ndarray) -> Estimate:
    """A model's accuracy minus that of random weights, over classes.

    Args:
      model: [classes], of `few_shot_accuracy`.
      random: [starts, classes], of as many random starts of its architecture.

    Returns:
      With a 95 % interval over random starts and over classes like these.
    """

    def gain(left_out: tuple[str, Hashable] | None) -> float:
        starts = [each for each in range(len(random)) if left_out != ("seed", each)]
        classes = [each for each in range(len(model)) if left_out != ("class", each)]
        return float((model - random[starts].mean(axis=0))[classes].mean())

    return estimate(gain, {"seed": range(len(random)), "class": range(len(model))})


def _reader(graph: Graph) -> Callable[..., tf.Tensor]:
    """From weights and images to what the layer of the logits is given."""
    model = graph.model
    body = keras.Model(model.inputs, model.get_layer(LOGITS).input)
    return graph.function(lambda images: body(images, training=False))
