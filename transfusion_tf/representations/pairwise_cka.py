"""CKA of all pairs of layers, streamed in mini-batches.

Nguyen, Raghu, Kornblith, ICLR 2021, section 3: the unbiased HSIC of each batch
(Song, Smola, Gretton, Bedo, Borgwardt, JMLR 2012, equation 5), averaged over batches,
and then the ratio.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from transfusion_tf.errors import UserError
from transfusion_tf.representations.moments import resolution
from transfusion_tf.representations.products import chunk_rows
from transfusion_tf.representations.whitening import ROUNDINGS, warn_constant

# The unbiased HSIC divides by n - 3.
MIN_POINTS = 4
_SHORT = (tf.float32, tf.bfloat16, tf.float16)
# Features whose products are summed in float32.
_RUN = 4096


class PairwiseCKA:
    """Mini-batch CKA between all pairs of layers: HSIC averaged, then the ratio.

    Each layer's Gram matrix is computed once a batch; U-centred and laid out as
    rows, one matrix product gives the HSIC of all pairs. Memory is the layers times
    batch² float64 numbers and about 50 MB, whatever the width of the layers.

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
            gram = gram_matrix(layer)
            if not np.isfinite(float(tf.linalg.trace(gram))):
                raise UserError(
                    f"{name} holds NaN or infinity in batch {self._batches}"
                )
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


def gram_matrix(activations, *, exact: bool = True) -> tf.Tensor:
    """Inner products of all pairs of points about the batch mean, [n, n] float64.

    Activations, [n, ...], are taken a slice of features at a time, so that a layer of
    any width needs bounded memory.

    Args:
        activations: Array or tensor.
        exact: Whether all is float64. Else products of float32 activations are summed
            over runs of 4096 features in float32, and the runs in float64: over
            ResNet50's layers, CKA differs by 2e-7 at most, in two thirds of the time.
            Where means are large beside the spread, that is not done.
    """
    points = int(activations.shape[0])
    flat = tf.reshape(tf.convert_to_tensor(activations), [points, -1])
    if exact or flat.dtype not in _SHORT:
        gram, of_means = _gram(flat, tf.float64)
    else:
        gram, of_means = _gram(flat, tf.float32)
        spread = tf.linalg.trace(gram)
        fine = (points * of_means < 100 * spread) & (spread > 1e-20) & (spread < 1e30)
        gram, of_means = tf.cond(
            fine, lambda: (gram, of_means), lambda: _gram(flat, tf.float64)
        )
    # A constant layer leaves only rounding, and rounding would correlate.
    spread = tf.linalg.trace(gram)
    noise = (ROUNDINGS * resolution(flat)) ** 2 * (spread + points * of_means)
    return tf.where(spread <= noise, tf.zeros_like(gram), gram)


def _gram(flat: tf.Tensor, dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
    """The Gram matrix, and the sum of squared means; products in this type."""
    points, width = int(flat.shape[0]), chunk_rows(int(flat.shape[0]))
    gram = tf.zeros([points, points], tf.float64)
    of_means = tf.zeros([], tf.float64)
    for start in range(0, flat.shape[1], width):
        features = tf.cast(flat[:, start : start + width], dtype)
        means = tf.reduce_mean(features, axis=0)
        gram += _products(features - means)
        of_means += tf.reduce_sum(tf.cast(means, tf.float64) ** 2)
    return gram, of_means


def _products(features: tf.Tensor) -> tf.Tensor:
    """`features @ features.T`, [n, n] float64; sums in float32 are short."""
    runs = 0
    if features.dtype == tf.float32:
        runs = features.shape[1] // _RUN
    in_runs, rest = features[:, : runs * _RUN], features[:, runs * _RUN :]
    rest = tf.cast(rest, tf.float64)
    products = tf.matmul(rest, rest, transpose_b=True)
    if runs:
        in_runs = tf.reshape(in_runs, [features.shape[0], runs, _RUN])
        in_runs = tf.transpose(in_runs, [1, 0, 2])
        sums = tf.matmul(in_runs, in_runs, transpose_b=True)
        products += tf.reduce_sum(tf.cast(sums, tf.float64), axis=0)
    return products


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
