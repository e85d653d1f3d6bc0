"""Sums of outer products of points, in float64: where moments spend their time.

Two ways to the same numbers. BLAS has a symmetric rank-k update, which does half the
work of a matrix product, at a higher rate than TensorFlow's float64 product on a CPU;
where there is an accelerator, TensorFlow multiplies the upper triangle in panels there.
"""

import math
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from scipy.linalg import blas

# 8 panels do 0.56 of the full product's work, and 128 channels still multiply at full
# speed.
_PANEL_CHANNELS = 128


class Products(Protocol):
    """Sums of points, and of their outer products, about a fixed shift.

    Points are those of x and y joined, of channels_x + channels_y channels.

    Attributes:
        sums: [channels] float64.
        chunk_numbers: How many numbers `add` should be given at a time.
    """

    sums: np.ndarray
    chunk_numbers: int

    def __init__(self, shift: np.ndarray): ...

    def add(self, x: Any, y: Any) -> np.ndarray:
        """Adds points, [points, channels] of each side, unless some are not finite.

        Returns:
            Their sums, [channels] float64: what tells whether they were finite.
        """

    def upper(self) -> np.ndarray:
        """Sums of outer products, [channels, channels] float64, lower half 0."""

    def add_sums(self, sums: np.ndarray, upper: np.ndarray) -> None:
        """Adds what was summed elsewhere, about the same shift."""


class BlasProducts:
    """On the CPU."""

    # 16 MB: with less, the threads of BLAS wait for each other more than they gain.
    chunk_numbers = 2**21

    def __init__(self, shift: np.ndarray):
        self._shift = shift
        self.sums = np.zeros_like(shift)
        # BLAS adds in place to what lies column by column.
        self._upper = np.zeros((len(shift), len(shift)), order="F")

    def add(self, x: Any, y: Any) -> np.ndarray:
        """See `Products`."""
        points = np.empty((len(x), len(self._shift)))
        points[:, : x.shape[1]] = x
        points[:, x.shape[1] :] = y
        points -= self._shift
        sums = np.ones(len(points)) @ points
        if np.isfinite(sums).all():
            self.sums += sums
            blas.dsyrk(1.0, points.T, beta=1.0, c=self._upper, overwrite_c=True)
        return sums

    def upper(self) -> np.ndarray:
        """See `Products`."""
        return np.triu(self._upper)

    def add_sums(self, sums: np.ndarray, upper: np.ndarray) -> None:
        """See `Products`."""
        self.sums += sums
        self._upper += upper


class DeviceProducts:
    """In TensorFlow ops, on the device that holds the points."""

    chunk_numbers = 2**21

    def __init__(self, shift: np.ndarray):
        self._shift = shift
        self.sums = np.zeros_like(shift)
        self._panels = _panels(tf.zeros([len(shift), 1], tf.float64))

    def add(self, x: Any, y: Any) -> np.ndarray:
        """See `Products`."""
        points = _joined(x, y) - self._shift[:, None]
        sums = tf.reduce_sum(points, axis=1).numpy()
        if np.isfinite(sums).all():
            self.sums = self.sums + sums
            self._add_panels(_panels(points))
        return sums

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
