"""Sums of outer products of points, in float64: where moments spend their time.

Two ways to the same numbers. BLAS has a symmetric rank-k update, which does half the
work of a matrix product, at a higher rate than TensorFlow's float64 product on a CPU;
where there is an accelerator, TensorFlow multiplies the upper triangle in panels there.
"""

import math
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from scipy.linalg import blas

from transfusion_tf.representations.blas_threads import one_blas_thread

# 16 MB in float64.
_CHUNK_NUMBERS = 2**21
# What the accumulators of all threads may hold: 32 MB.
_THREADS_NUMBERS = 2**22
# 8 panels do 0.56 of the full product's work, and 128 channels still multiply at full
# speed.
_PANEL_CHANNELS = 128


def chunk_rows(channels: int) -> int:
    """How many points to take at a time, so that memory stays bounded."""
    return max(256, _CHUNK_NUMBERS // max(1, channels))


class Products(Protocol):
    """Sums of points, and of their outer products, about a fixed shift.

    Points are those of x and y joined, of channels_x + channels_y channels.

    Attributes:
      sums: [channels] float64.
      chunk_rows: How many points are taken at a time.
    """

    sums: np.ndarray
    chunk_rows: int

    def __init__(self, shift: np.ndarray): ...

    def add(self, x: Any, y: Any) -> np.ndarray:
        """Adds points, [points, channels] of each side.

        Where some are not finite, nothing is added of a single chunk; of more, nobody
        should read what is.

        Returns:
          Their sums, [channels] float64: what tells whether they were finite.
        """

    def upper(self) -> np.ndarray:
        """Sums of outer products, [channels, channels] float64, lower half 0."""

    def add_sums(self, sums: np.ndarray, upper: np.ndarray) -> None:
        """Adds what was summed elsewhere, about the same shift."""


class BlasProducts:
    """On the CPU: a single chunk on BLAS's threads, many on ours."""

    def __init__(self, shift: np.ndarray):
        self.sums = np.zeros_like(shift)
        self.chunk_rows = chunk_rows(len(shift))
        self._shift = shift
        # BLAS adds in place to what lies column by column.
        self._upper = np.zeros((len(shift), len(shift)), order="F")

    def add(self, x: Any, y: Any) -> np.ndarray:
        """See `Products`."""
        starts = range(0, len(x), self.chunk_rows)
        threads = min(len(starts), len(os.sched_getaffinity(0)))
        if threads == 1 or threads * len(self._shift) ** 2 > _THREADS_NUMBERS:
            chunks = self._chunks(x, y, starts)
            return np.sum([self._add_chunk(chunk) for chunk in chunks], axis=0)

        def add_some(first: int) -> tuple[np.ndarray, np.ndarray]:
            return self._summed(self._chunks(x, y, starts[first::threads]))

        # Each with an accumulator of its own, so that none waits for another.
        with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(add_some, range(threads)))
        for sums, products in parts:
            self.add_sums(sums, products)
        return np.sum([sums for sums, _ in parts], axis=0)

    def upper(self) -> np.ndarray:
        """See `Products`."""
        return np.triu(self._upper)

    def add_sums(self, sums: np.ndarray, upper: np.ndarray) -> None:
        """See `Products`."""
        self.sums += sums
        self._upper += upper

    def _chunks(self, x: Any, y: Any, starts: range) -> Iterator[np.ndarray]:
        split = x.shape[1]
        # The same memory for all: taking 16 MB afresh costs as much as filling them.
        chunk = np.empty((min(len(x), self.chunk_rows), len(self._shift)))
        for start in starts:
            rows = slice(start, start + self.chunk_rows)
            points = chunk[: len(x[rows])]
            points[:, :split] = x[rows]
            points[:, split:] = y[rows]
            if self._shift.any():
                points -= self._shift
            yield points

    def _add_chunk(self, points: np.ndarray) -> np.ndarray:
        # From the same library as the update, see `blas_threads`.
        sums = blas.dgemv(1.0, points.T, np.ones(len(points)))
        if np.isfinite(sums).all():
            self.sums += sums
            blas.dsyrk(1.0, points.T, beta=1.0, c=self._upper, overwrite_c=True)
        return sums

    def _summed(self, chunks: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        # SciPy's symmetric update keeps other threads of Python out; NumPy's does not,
        # but has nothing to add to.
        sums, total = np.zeros_like(self.sums), np.zeros_like(self._upper)
        products = np.empty_like(total)
        for points in chunks:
            sums += np.ones(len(points)) @ points
            total += np.matmul(points.T, points, out=products)
        return sums, total


class DeviceProducts:
    """In TensorFlow ops, on the device that holds the points."""

    def __init__(self, shift: np.ndarray):
        self._shift = shift
        self.sums = np.zeros_like(shift)
        self.chunk_rows = chunk_rows(len(shift))
        self._panels = _panels(tf.zeros([len(shift), 1], tf.float64))

    def add(self, x: Any, y: Any) -> np.ndarray:
        """See `Products`."""
        starts = range(0, int(x.shape[0]), self.chunk_rows)
        chunks = (slice(start, start + self.chunk_rows) for start in starts)
        sums = [self._add_chunk(_joined(x[rows], y[rows])) for rows in chunks]
        return np.sum(sums, axis=0)

    def upper(self) -> np.ndarray:
        """See `Products`."""
        upper = np.zeros((len(self.sums), len(self.sums)))
        for start, panel in zip(_starts(upper), self._panels, strict=True):
            upper[start : start + _PANEL_CHANNELS, start:] = panel.numpy()
        return np.triu(upper)

    def add_sums(self, sums: np.ndarray, upper: np.ndarray) -> None:
        """See `Products`."""
        self.sums = self.sums + sums
        self._add_panels(
            [
                tf.constant(upper[start : start + _PANEL_CHANNELS, start:])
                for start in _starts(upper)
            ]
        )

    def _add_chunk(self, points: tf.Tensor) -> np.ndarray:
        points -= self._shift[:, None]
        sums = tf.reduce_sum(points, axis=1).numpy()
        if np.isfinite(sums).all():
            self.sums = self.sums + sums
            self._add_panels(_panels(points))
        return sums

    def _add_panels(self, panels: list[tf.Tensor]) -> None:
        pairs = zip(self._panels, panels, strict=True)
        self._panels = [ours + new for ours, new in pairs]


def _joined(x: Any, y: Any) -> tf.Tensor:
    """Both sides, [channels_x + channels_y, points]: slices of panels are views."""
    transposed = [tf.transpose(tf.convert_to_tensor(value)) for value in (x, y)]
    if transposed[0].dtype != transposed[1].dtype:
        transposed = [tf.cast(value, tf.float64) for value in transposed]
    return tf.cast(tf.concat(transposed, axis=0), tf.float64)


def _panels(points: tf.Tensor) -> list[tf.Tensor]:
    """Upper triangle of `points @ points.T`, in panels of rows."""
    return [
        tf.matmul(
            points[start : start + _PANEL_CHANNELS], points[start:], transpose_b=True
        )
        for start in _starts(points)
    ]


def _starts(rows: Any) -> list[int]:
    count = math.ceil(rows.shape[0] / _PANEL_CHANNELS)
    return [index * _PANEL_CHANNELS for index in range(count)]
