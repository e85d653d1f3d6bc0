"""CKA of all pairs of layers, streamed in mini-batches.

Nguyen, Raghu, Kornblith, ICLR 2021, section 3: the unbiased HSIC of each batch
(Song, Smola, Gretton, Bedo, Borgwardt, JMLR 2012, equation 5), averaged over batches,
and then the ratio.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from transfusion_tf.errors import UserError
from transfusion_tf.representations.blas_threads import one_blas_thread
from transfusion_tf.representations.grams import gram_matrix
from transfusion_tf.representations.moments import (
    LARGEST_SQUARE,
    SMALLEST_SQUARE,
    out_of_range,
)
from transfusion_tf.representations.whitening import warn_constant

# The unbiased HSIC divides by n - 3.
MIN_POINTS = 4


class PairwiseCKA:
    """Mini-batch CKA between all pairs of layers: HSIC averaged, then the ratio.

    Each layer's Gram matrix is computed once a batch; U-centred and laid out as
    rows, one matrix product gives the HSIC of all pairs. Memory is the layers times
    batch² float64 numbers and a few MB, whatever the width of the layers.

    The estimate does not depend on how points are cut into batches, except for
    noise. Unequal batches are weighted by their number of points.

    Example:
      >>> similarity = PairwiseCKA(["conv1", "block1", "block2"])
      >>> for activations in batches:          # a list of [n, ...], one a layer
      ...     similarity.update(activations)
      >>> similarity.matrix()                  # [3, 3]

    To compare two models, give the layers of both and take the off-diagonal block.
    """

    def __init__(self, names: Sequence[str]):
        self.names = tuple(names)
        self._hsic = np.zeros((len(self.names), len(self.names)))
        self._points = 0
        self._batches = 0

    def update(self, activations: Sequence) -> None:
        """Adds one batch.

        Args:
          activations: One array or tensor a layer, [n, ...] with the same n of 4
            or more points; all further axes are flattened.

        Raises:
          UserError: If the number of layers or of points does not fit, or a layer
            holds NaN or infinity.
        """
        if len(activations) != len(self.names):
            raise UserError(
                f"got activations of {len(activations)} layers, expected "
                f"{len(self.names)}: {', '.join(self.names)}"
            )
        counts = [int(layer.shape[0]) for layer in activations]
        if len(set(counts)) > 1:
            raise UserError(
                "all layers must hold the same points; numbers of points are "
                + ", ".join(
                    f"{name}: {count}"
                    for name, count in zip(self.names, counts, strict=True)
                )
            )
        points = counts[0]
        if points < MIN_POINTS:
            raise UserError(
                f"CKA needs {MIN_POINTS} points or more in each batch, got {points} "
                f"in batch {self._batches}: drop the last batch or make it larger"
            )
        grams = []
        for name, layer in zip(self.names, activations, strict=True):
            with one_blas_thread():
                gram = gram_matrix(layer)
            # TensorFlow would take the smallest numbers for 0.
            spread = np.trace(gram.numpy())
            if not np.isfinite(spread) and not np.isfinite(layer).all():
                raise UserError(
                    f"{name} holds NaN or infinity in batch {self._batches}"
                )
            if spread > LARGEST_SQUARE or 0 < spread < SMALLEST_SQUARE:
                raise out_of_range(name, spread > 1)
            grams.append(gram)
        self._hsic += points * pairwise_hsic(tf.stack(grams)).numpy()
        self._points += points
        self._batches += 1

    def merge(self, other: "PairwiseCKA") -> None:
        """Adds everything another accumulator of the same layers has seen.

        Raises:
          UserError: If the layers differ.
        """
        if self.names != other.names:
            raise UserError(f"cannot merge layers {other.names} into {self.names}")
        self._hsic = self._hsic + other._hsic
        self._points += other._points
        self._batches += other._batches

    def matrix(self) -> np.ndarray:
        """CKA of all pairs, [layers, layers] float64; 0 where a layer is constant.

        Raises:
          UserError: If no batch was added.

        Warns:
          RepresentationWarning: If a layer does not vary.
        """
        if not self._points:
            raise UserError("no batch was added: call update first")
        own = np.diag(self._hsic)
        # Below 0 an unbiased estimate says that the layer varies less than its noise.
        varies = own > 0
        if not varies.all():
            dead = [self.names[index] for index in np.flatnonzero(~varies)]
            warn_constant(", ".join(dead), self._points)
        norms = np.sqrt(np.where(varies, own, np.inf))
        return self._hsic / np.outer(norms, norms)


def pairwise_hsic(grams: tf.Tensor) -> tf.Tensor:
    """Unbiased HSIC of all pairs of Grams: [layers, n, n] to [layers, layers]."""
    points = grams.shape[1]
    rows = tf.reshape(_u_centred(grams), [grams.shape[0], points * points])
    return tf.matmul(rows, rows, transpose_b=True) / (points * (points - 3))


def _u_centred(grams: tf.Tensor) -> tf.Tensor:
    """Zero diagonals and zero row sums; their inner products are unbiased HSICs."""
    points = grams.shape[1]
    no_diagonal = tf.zeros(grams.shape[:2], grams.dtype)
    grams = tf.linalg.set_diag(grams, no_diagonal)
    means = tf.reduce_sum(grams, axis=2) / (points - 2)
    total = tf.reduce_sum(means, axis=1) / (points - 1)
    # Half of the grand mean with each row and column: one addition fewer.
    means -= total[:, None] / 2
    return tf.linalg.set_diag(
        grams - means[:, :, None] - means[:, None, :], no_diagonal
    )
