"""Gram matrices of whole activations, in float64: where CKA spends its time.

Two ways to the same numbers, as for moments (`products`). On a CPU, NumPy and BLAS take
a slice of features at a time, small enough for the processor's cache: the activations
are read once, and nothing as large as they are is written. TensorFlow's ops, which go
through memory five times, take three times as long, and serve where there is a GPU.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from transfusion_tf.representations.moments import resolution
from transfusion_tf.representations.products import chunk_rows
from transfusion_tf.representations.whitening import ROUNDINGS

# 2 MB of float64. Rows that lie a power of two apart would share lines of the cache.
_SLICE_NUMBERS = 2**18
_APART = 16


def gram_matrix(activations: Any, *, on_device: bool | None = None) -> tf.Tensor:
    """Inner products of all pairs of points about the batch mean, [n, n] float64.

    Also inside a `tf.function`, where layers are done beside one another. On a CPU the
    caller should keep BLAS from starting threads (`blas_threads.one_blas_thread`).

    Args:
      activations: Array or tensor [n, ...] of any real dtype.
      on_device: Whether to multiply in TensorFlow ops, on the device that holds the
        activations, rather than in BLAS; by default where there is a GPU.

    Returns:
      0 everywhere where the points are constant but for rounding, which would
      correlate; NaN where an activation is NaN or infinite.
    """
    if on_device is None:
        on_device = bool(tf.config.list_logical_devices("GPU"))
    points = int(activations.shape[0])
    if on_device:
        flat = tf.reshape(tf.convert_to_tensor(activations), [points, -1])
        return _device_gram(flat)
    if isinstance(activations, tf.Tensor) and tf.is_symbolic_tensor(activations):
        gram = tf.numpy_function(_host_gram, [activations], tf.float64, stateful=False)
        return tf.ensure_shape(gram, [points, points])
    return tf.constant(_host_gram(np.asarray(activations)))


def _host_gram(activations: np.ndarray) -> np.ndarray:
    points = len(activations)
    flat = activations.reshape(points, -1)
    width = min(flat.shape[1], _SLICE_NUMBERS // points + _APART)
    gram, products = np.zeros((2, points, points))
    of_means = 0.0
    room, share = np.empty((points, width)), np.full(points, 1 / points)
    for start in range(0, flat.shape[1], width):
        features = flat[:, start : start + width]
        centred = room[:, : features.shape[1]]
        np.copyto(centred, features)
        means = share @ centred
        # Infinity becomes NaN, for all to see.
        with np.errstate(invalid="ignore", over="ignore"):
            centred -= means
            gram += np.matmul(centred, centred.T, out=products)
            of_means += float(means @ means)
    if _is_rounding(np.trace(gram), of_means, points, resolution(activations)):
        return np.zeros_like(gram)
    return gram


def _device_gram(flat: tf.Tensor) -> tf.Tensor:
    points, width = int(flat.shape[0]), chunk_rows(int(flat.shape[0]))
    gram = tf.zeros([points, points], tf.float64)
    of_means = tf.zeros([], tf.float64)
    for start in range(0, flat.shape[1], width):
        features = tf.cast(flat[:, start : start + width], tf.float64)
        means = tf.reduce_mean(features, axis=0)
        centred = features - means
        gram += tf.matmul(centred, centred, transpose_b=True)
        of_means += tf.reduce_sum(means**2)
    rounding = _is_rounding(tf.linalg.trace(gram), of_means, points, resolution(flat))
    return tf.where(rounding, tf.zeros_like(gram), gram)


def _is_rounding(spread: Any, of_means: Any, points: int, digits: float) -> Any:
    """Whether what varies is no more than the roundings of a constant layer."""
    largest = (ROUNDINGS * digits) ** 2 * (spread + points * of_means)
    return (spread <= largest) & (largest < np.inf)
