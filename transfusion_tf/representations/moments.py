"""First and second moments of two sets of activations, streamed.

CCA and its relatives need no activations, only their means and covariances. These
are accumulated here a batch at a time, so that memory depends on the number of
channels and never on the number of points.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from transfusion_tf.errors import UserError

# Points are taken so many numbers at a time (16 MB in float64), whatever the batch.
_CHUNK_NUMBERS = 2**21
# TensorFlow has no symmetric rank-k update. Panels of the upper triangle come close: 8
# do 0.56 of the full product's work, and 128 channels still multiply at full speed.
_PANEL_CHANNELS = 128
_MANY_CHUNKS = 4
# Enough to come near the mean; any shift within a few deviations will do.
_SHIFT_POINTS = 256
_RESOLUTIONS = {tf.bfloat16: 2.0**-7, tf.float16: 2.0**-10, tf.float32: 2.0**-23}


class RepresentationWarning(UserWarning):
    """A similarity was computed, but the number needs the caution the message gives."""


@dataclass(frozen=True)
class Covariances:
    """What is left of two sets of activations once they are accumulated.

    Attributes:
        count: Number of points.
        mean_x: Channel means, [channels_x] float64.
        mean_y: Channel means, [channels_y] float64.
        xx: Covariance of x (divided by count - 1), [channels_x, channels_x] float64.
        yy: Covariance of y, [channels_y, channels_y] float64.
        xy: Cross-covariance, [channels_x, channels_y] float64.
        resolution_x: Relative precision of the numbers x arrived in, such as 1.2e-7
            for float32: what varies less than that does not vary.
        resolution_y: The same for y.
    """

    count: int
    mean_x: np.ndarray
    mean_y: np.ndarray
    xx: np.ndarray
    yy: np.ndarray
    xy: np.ndarray
    resolution_x: float
    resolution_y: float


class Moments:
    """Accumulates the joint second moments of x and y, in float64 TensorFlow ops.

    Products are formed on the device that holds the activations, about the mean of
    the first points seen, which keeps the digits that sums of raw squares lose when
    a channel's mean is large beside its spread. The state is (channels_x +
    channels_y)² float64 numbers; an update needs about 100 MB more, whatever its size.

    Accumulators of different shards or replicas can be merged, and pickled.

    Example:
        >>> moments = Moments()
        >>> for x, y in batches:
        ...     moments.update(x, y)
        >>> cca_from_moments(moments).mean
    """

    def __init__(self):
        self._count = 0
        self._batches = 0
        self._channels = (0, 0)
        self._resolutions = (0.0, 0.0)
        self._shift: Any = None  # [channels]
        self._sums: Any = None  # [channels], about the shift
        self._products: list[tf.Tensor] = []  # upper-triangle panels, about the shift

    @property
    def count(self) -> int:
        """Number of points seen."""
        return self._count

    def update(self, x, y) -> None:
        """Adds a batch of points; the accumulator is unchanged if this raises.

        Args:
            x: [points, channels_x], array or tensor of any real dtype.
            y: [points, channels_y], the same points in the same order.

        Raises:
            UserError: If shapes do not fit each other or earlier batches, or a
                value is NaN or infinite; the message names batch and channel.
        """
        check_points(x, y)
        channels = (int(x.shape[1]), int(y.shape[1]))
        if self._count and channels != self._channels:
            raise UserError(
                f"batch {self._batches}: x and y have {channels} channels, "
                f"earlier batches had {self._channels}"
            )
        points, rows = int(x.shape[0]), chunk_rows(sum(channels))
        shift, sums, products = self._shift, self._sums, self._products
        if shift is None:
            first = slice(_SHIFT_POINTS)
            shift = tf.reduce_mean(_joined(x[first], y[first]), axis=1)
            sums = tf.zeros_like(shift)
            products = _outer_panels(shift, 0.0)
        # Tracing pays where there is much to do.
        accumulate = _accumulate_graph if points > _MANY_CHUNKS * rows else _accumulate
        for start in range(0, points, rows):
            stop = start + rows
            sums, products = accumulate(
                tf.convert_to_tensor(x[start:stop]),
                tf.convert_to_tensor(y[start:stop]),
                shift,
                sums,
                products,
            )
            _check_finite(sums, channels, self._batches)
        self._shift, self._sums, self._products = shift, sums, products
        self._channels = channels
        self._resolutions = (
            max(self._resolutions[0], resolution(x)),
            max(self._resolutions[1], resolution(y)),
        )
        self._count += points
        self._batches += 1

    def merge(self, other: "Moments") -> None:
        """Adds everything another accumulator has seen to this one.

        Raises:
            UserError: If the two hold different numbers of channels.
        """
        if not other._count:
            return
        if not self._count:
            self.__dict__.update(other.__dict__)
            return
        if self._channels != other._channels:
            raise UserError(
                f"cannot merge moments of {other._channels} channels "
                f"into moments of {self._channels}"
            )
        # About its own mean, the other's sums vanish; then move it to this shift.
        others_mean = other._sums / other._count
        offset = other._shift + others_mean - self._shift
        moved = _added(other._products, _outer_panels(others_mean, -other._count))
        moved = _added(moved, _outer_panels(offset, other._count))
        self._products = _added(self._products, moved)
        self._sums += other._count * offset
        self._count += other._count
        self._batches += other._batches
        self._resolutions = (
            max(self._resolutions[0], other._resolutions[0]),
            max(self._resolutions[1], other._resolutions[1]),
        )

    def covariances(self) -> Covariances:
        """Means and covariances of everything seen so far.

        Raises:
            UserError: If fewer than two points were seen.
        """
        if self._count < 2:
            raise UserError(f"covariances need 2 points or more, got {self._count}")
        sums = self._sums.numpy()
        mean = self._shift.numpy() + sums / self._count
        upper = np.zeros((len(sums), len(sums)))
        for index, panel in enumerate(self._products):
            start = index * _PANEL_CHANNELS
            upper[start : start + _PANEL_CHANNELS, start:] = panel.numpy()
        joint = np.triu(upper) + np.triu(upper, 1).T
        joint -= np.outer(sums, sums) / self._count
        joint /= self._count - 1
        split = self._channels[0]
        return Covariances(
            count=self._count,
            mean_x=mean[:split],
            mean_y=mean[split:],
            xx=joint[:split, :split],
            yy=joint[split:, split:],
            xy=joint[:split, split:],
            resolution_x=self._resolutions[0],
            resolution_y=self._resolutions[1],
        )


def moments_of(x, y) -> Moments:
    """Moments of two complete sets of points, [points, channels] each."""
    moments = Moments()
    moments.update(x, y)
    return moments


def check_points(x, y) -> None:
    """Raises UserError unless x and y are [points, channels] of the same points."""
    for name, value in (("x", x), ("y", y)):
        if len(value.shape) != 2:
            raise UserError(
                f"{name} has shape {tuple(value.shape)}; expected [points, channels]: "
                "reshape activations to [-1, channels] first"
            )
    if x.shape[0] != y.shape[0]:
        raise UserError(
            f"x has {x.shape[0]} points and y has {y.shape[0]}: both must hold the "
            "same points in the same order"
        )
    if 0 in (*x.shape, *y.shape):
        raise UserError(
            f"nothing to compare: x is {tuple(x.shape)} and y is {tuple(y.shape)}"
        )


def chunk_rows(channels: int) -> int:
    """How many points to take at a time, so that memory stays bounded."""
    return max(256, _CHUNK_NUMBERS // channels)


def resolution(values) -> float:
    """Relative precision of an array's numbers; integers count as float64."""
    return _RESOLUTIONS.get(tf.as_dtype(values.dtype), 2.0**-52)


def _accumulate(x, y, shift, sums, products):
    """Adds one chunk of points to sums and products."""
    chunk = _joined(x, y) - shift[:, None]
    sums = sums + tf.reduce_sum(chunk, axis=1)
    return sums, _added(products, _panels(chunk, len(products)))


_accumulate_graph = tf.function(_accumulate, reduce_retracing=True)


def _joined(x, y) -> tf.Tensor:
    """Both batches, [channels_x + channels_y, points]: slices of panels are views."""
    transposed = [tf.transpose(tf.convert_to_tensor(value)) for value in (x, y)]
    if transposed[0].dtype != transposed[1].dtype:
        transposed = [tf.cast(value, tf.float64) for value in transposed]
    return tf.cast(tf.concat(transposed, axis=0), tf.float64)


def _check_finite(sums: tf.Tensor, channels: tuple[int, int], batch: int) -> None:
    # One bad value makes its channel's sum NaN or infinite: no pass over the data.
    if bool(tf.reduce_all(tf.math.is_finite(sums))):
        return
    bad = int(np.flatnonzero(~np.isfinite(sums.numpy()))[0])
    name, channel = ("x", bad) if bad < channels[0] else ("y", bad - channels[0])
    raise UserError(f"channel {channel} of {name} is NaN or infinite in batch {batch}")


def _panels(chunk: tf.Tensor, count: int) -> list[tf.Tensor]:
    """Upper triangle of `chunk @ chunk.T`, in panels of rows."""
    return [
        tf.matmul(
            chunk[start : start + _PANEL_CHANNELS], chunk[start:], transpose_b=True
        )
        for start in range(0, count * _PANEL_CHANNELS, _PANEL_CHANNELS)
    ]


def _outer_panels(vector: tf.Tensor, weight: float) -> list[tf.Tensor]:
    count = math.ceil(vector.shape[0] / _PANEL_CHANNELS)
    return [weight * panel for panel in _panels(vector[:, None], count)]


def _added(first: list[tf.Tensor], second: list[tf.Tensor]) -> list[tf.Tensor]:
    return [left + right for left, right in zip(first, second, strict=True)]
