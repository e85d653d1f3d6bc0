"""k nearest neighbours by cosine similarity: exact, over streamed training features.

Feature reuse, section 2, "Analyzing transferred representations layer-wise": "the k =
200 closest embeddings from the training set using cosine similarity". Its published
code, after Caron et al. (DINO, ICCV 2021), weights each neighbour by exp(similarity /
temperature), with a temperature of 0.1 where DINO has 0.07.
"""

import warnings
from numbers import Integral
from typing import Any

import numpy as np
import tensorflow as tf

from transfusion_tf.errors import UserError
from transfusion_tf.representations.moments import RepresentationWarning
from transfusion_tf.representations.votes import (
    NO_NEIGHBOURS,
    TEMPERATURE,
    check_vote,
    one_hot,
    vote_shares,
    vote_weights,
)

# Training features are compared so many at a time, with so many queries at a time:
# 16 MB of similarities, and 50 MB of float64 features where they have 2048 channels.
_CHUNK = 1024
_QUERIES = 2048
_VOTES_AT_ONCE = 2**21
# Of these float32 holds every number.
_FLOAT32 = (tf.float32, tf.float16, tf.bfloat16)


def knn_predict(
    train_features: Any,
    train_labels: Any,
    features: Any,
    k: int = 200,
    *,
    vote: str = "majority",
    temperature: float = TEMPERATURE,
) -> np.ndarray:
    """What the k nearest training features say of each query.

    Memory beyond the arguments: 12 k bytes and a copy of its features a query, and
    about 100 MB.

    Args:
      train_features: [training images, channels], array-like or tensor of real
        numbers.
      train_labels: Classes, whole numbers from 0 up, [training images]; or [training
        images, classes] in {0, 1}, NaN where unknown.
      features: The queries, [images, channels].
      k: Neighbours, 1 or more.
      vote: `majority`: each neighbour has one vote; `softmax`: exp(cosine
        similarity / temperature) votes.
      temperature: Of the softmax vote, above 0.

    Returns:
      float64 [images, classes] in [0, 1]: each class's share of the votes of the
      neighbours whose label is known for it; 0.5 where none is.

    Raises:
      UserError: If shapes do not fit, a label is none of these, a feature is NaN or
        infinite (rows are counted from 0), there is no such vote, or k or the
        temperature is out of range.

    Warns:
      RepresentationWarning: If there are fewer than k training images; then all of
        them are neighbours.
    """
    check_vote(vote, temperature)
    labels = one_hot(train_labels)
    train_features = _checked(train_features, "the training features")
    count = int(train_features.shape[0])
    if len(labels) != count:
        raise UserError(f"{len(labels)} training labels for {count} training features")
    neighbours = Neighbours(features, at_most(k, count))
    neighbours.update(train_features)
    return neighbours.vote(labels, vote, temperature)


class Neighbours:
    """The k nearest of all training features seen so far, for each query.

    Training features are never kept: only each query's k highest similarities and
    whose they are. Equally near features count in the order in which they came, but for
    rounding.
    Memory: the queries, 12 k bytes a query, and about 100 MB. Features of any dtype are
    scaled and compared in float64: in float32, those that lie far from 0 and close
    together would all be alike, and graphics cards multiply with three digits.

    Example:
      >>> neighbours = Neighbours(test_features, k=200)
      >>> for features in batches:                 # [n, channels] each
      ...     neighbours.update(features)
      >>> neighbours.vote(train_labels)            # [images, classes]
    """

    def __init__(self, queries: Any, k: int):
        check_k(k)
        self.k = int(k)
        self._queries = _checked(queries, "the queries")
        shape = [int(self._queries.shape[0]), self.k]
        self._similarities = tf.fill(shape, tf.constant(-np.inf, tf.float64))
        self._rows = tf.fill(shape, tf.constant(-1, tf.int32))
        self._waiting: list[tf.Tensor] = []
        self._seen = 0

    def update(self, features: Any) -> None:
        """Adds training features, [n, channels].

        Raises:
          UserError: If the channels differ from the queries', or a feature is NaN
            or infinite (rows are counted from 0 over all that were added).
        """
        waiting = sum(int(part.shape[0]) for part in self._waiting)
        features = _checked(
            features, "the training features", first=self._seen + waiting
        )
        if features.shape[1] != self._queries.shape[1]:
            raise UserError(
                f"training features have {features.shape[1]} channels, the queries "
                f"{self._queries.shape[1]}: take both from one layer"
            )
        # Small batches are gathered: ranking costs the same for one as for a thousand.
        self._waiting.append(features)
        if waiting + int(features.shape[0]) >= _CHUNK:
            self._rank()

    @property
    def rows(self) -> np.ndarray:
        """The nearest training features in the order they came, int32 [images, k].

        The nearest first; -1 where fewer than k have been seen.
        """
        self._rank()
        return self._rows.numpy()

    @property
    def similarities(self) -> np.ndarray:
        """Their cosine similarities, float64 [images, k], descending."""
        self._rank()
        return self._similarities.numpy()

    def vote(
        self,
        train_labels: Any,
        vote: str = "majority",
        temperature: float = TEMPERATURE,
    ) -> np.ndarray:
        """Shares of the neighbours' votes; see `knn_predict`.

        Args:
          train_labels: Of all features seen, in the order they came.
          vote: One of `VOTES`.
          temperature: Of the softmax vote.

        Raises:
          UserError: As `knn_predict`.
        """
        check_vote(vote, temperature)
        labels = one_hot(train_labels)
        rows, similarities = self.rows, self.similarities
        if len(labels) != self._seen:
            raise UserError(
                f"{len(labels)} training labels for {self._seen} training features"
            )
        if self._seen < self.k:
            rows, similarities = rows[:, : self._seen], similarities[:, : self._seen]
        weights = vote_weights(similarities, vote, temperature)
        at_once = max(1, _VOTES_AT_ONCE // (rows.shape[1] * labels.shape[1]))
        parts = [
            slice(start, start + at_once) for start in range(0, len(rows), at_once)
        ]
        shares = [vote_shares(weights[part], labels[rows[part]]) for part in parts]
        return np.concatenate(shares) if shares else np.zeros((0, labels.shape[1]))

    def _rank(self) -> None:
        if not self._waiting:
            return
        double = any(part.dtype == tf.float64 for part in self._waiting)
        dtype = tf.float64 if double else tf.float32
        features = tf.concat([tf.cast(part, dtype) for part in self._waiting], axis=0)
        self._waiting = []
        for start in range(0, int(features.shape[0]), _CHUNK):
            chunk = features[start : start + _CHUNK]
            parts = [
                _nearest(
                    self._queries[first : first + _QUERIES],
                    chunk,
                    self._similarities[first : first + _QUERIES],
                    self._rows[first : first + _QUERIES],
                    tf.constant(self._seen, tf.int32),
                )
                for first in range(0, max(1, int(self._queries.shape[0])), _QUERIES)
            ]
            self._similarities = tf.concat([part[0] for part in parts], axis=0)
            self._rows = tf.concat([part[1] for part in parts], axis=0)
            self._seen += int(chunk.shape[0])


def at_most(k: int, training_images: int) -> int:
    """k, or all training images where there are fewer.

    Raises:
      UserError: If k is no whole number from 1 up, or there are no training images.

    Warns:
      RepresentationWarning: If there are fewer than k.
    """
    check_k(k)
    if training_images < 1:
        raise UserError(NO_NEIGHBOURS)
    if k > training_images:
        warnings.warn(
            f"k = {k} neighbours are asked for and there are {training_images} "
            "training images: all of them vote, whatever the query",
            RepresentationWarning,
            stacklevel=3,
        )
    return min(k, training_images)


def check_k(k: int) -> None:
    """Raises UserError unless k is a whole number from 1 up."""
    if not isinstance(k, Integral) or k < 1:
        raise UserError(f"k must be a whole number, 1 or more, got {k!r}")


def _checked(features: Any, what: str, first: int = 0) -> tf.Tensor:
    """Float32 or float64 [n, channels], without loss; rows count from `first`."""
    if not tf.is_tensor(features):
        features = np.asarray(features)
    dtype = tf.as_dtype(features.dtype)
    if not (dtype.is_floating or dtype.is_integer or dtype.is_bool):
        raise UserError(f"{what} are {features.dtype}; expected real numbers")
    features = tf.cast(features, tf.float32 if dtype in _FLOAT32 else tf.float64)
    if len(features.shape) != 2 or not features.shape[1]:
        raise UserError(
            f"{what} have shape {tuple(features.shape)}; expected [images, channels]"
        )
    finite = tf.reduce_all(tf.math.is_finite(features), axis=1).numpy()
    if not finite.all():
        row = first + int(np.argmin(finite))
        raise UserError(f"{what} hold NaN or infinity in row {row}")
    return features


def _unit_length(features: tf.Tensor) -> tf.Tensor:
    """float64 rows of length 1; a row of zeros stays, as like to all as to none."""
    features = tf.cast(features, tf.float64)
    # A division by the largest first, or squares overflow.
    largest = tf.reduce_max(tf.abs(features), axis=1, keepdims=True)
    features = tf.math.divide_no_nan(features, largest)
    return tf.math.divide_no_nan(features, tf.norm(features, axis=1, keepdims=True))


@tf.function(autograph=False, reduce_retracing=True)
def _nearest(
    queries: tf.Tensor,
    chunk: tf.Tensor,
    similarities: tf.Tensor,
    rows: tf.Tensor,
    first: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The best of those found before and of a chunk that begins with row `first`."""
    k = tf.shape(similarities)[1]
    fresh = tf.matmul(_unit_length(queries), _unit_length(chunk), transpose_b=True)
    found = tf.concat([similarities, fresh], axis=1)
    numbers = first + tf.range(tf.shape(chunk)[0])
    numbers = tf.broadcast_to(numbers, [tf.shape(rows)[0], tf.shape(chunk)[0]])
    # Of equal ones, the first in the row wins: those found before.
    best, places = tf.math.top_k(found, k)
    return best, tf.gather(tf.concat([rows, numbers], axis=1), places, batch_dims=1)
