"""First and second moments of two sets of activations, streamed.

CCA and its relatives need no activations, only their means and covariances. These
are accumulated here a batch at a time, so that memory depends on the number of
channels and never on the number of points.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from transfusion_tf.errors import UserError
from transfusion_tf.representations.products import (
    BlasProducts,
    DeviceProducts,
    Products,
)

# Enough to come near the mean, of which any shift within a few deviations will do, and
# to tell what the numbers came from.
_FIRST_POINTS = 256
# Of squares. Measures multiply them once more, and add up a million.
LARGEST_SQUARE, SMALLEST_SQUARE = 1e140, 1e-140
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
    """Accumulates the joint second moments of x and y, in float64.

    Where a channel's mean is large beside its spread, products are formed about the
    mean of the first points seen, which keeps the digits that sums of raw squares lose.
    The state is (channels_x + channels_y)² float64 numbers. An update needs as much
    again, 64 MB at most for sums of its threads, and 16 MB a thread, whatever its size.

    Accumulators of different shards or replicas can be merged, and pickled.

    Args:
      on_device: Whether to multiply in TensorFlow ops, on the device that holds the
        activations, rather than in BLAS; by default where there is a GPU.

    Example:
      >>> moments = Moments()
      >>> for x, y in batches:
      ...     moments.update(x, y)
      >>> cca_from_moments(moments).mean
    """

    def __init__(self, on_device: bool | None = None):
        if on_device is None:
            on_device = bool(tf.config.list_logical_devices("GPU"))
        self._kind: type[Products] = DeviceProducts if on_device else BlasProducts
        self._count = 0
        self._batches = 0
        self._channels = (0, 0)
        self._resolutions = (0.0, 0.0)
        self._shift = np.zeros(0)  # [channels_x + channels_y]
        self._products: Products = self._kind(self._shift)

    @property
    def count(self) -> int:
        """Number of points seen."""
        return self._count

    def update(self, x: Any, y: Any) -> None:
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
        resolutions = (_resolution_held(x), _resolution_held(y))
        if self._kind is BlasProducts:
            x, y = np.asarray(x), np.asarray(y)
        shift = self._shift if self._count else _first_shift(x, y)
        # One chunk is added whole or not at all; many are added up apart first.
        whole = bool(self._count) and x.shape[0] <= self._products.chunk_rows
        products: Products = self._products if whole else self._kind(shift)
        _check_finite(products.add(x, y), channels, self._batches)
        if not self._count:
            self._shift, self._products = shift, products
        elif not whole:
            self._products.add_sums(products.sums, products.upper())
        self._channels = channels
        self._add_counts(int(x.shape[0]), 1, resolutions)

    def merge(self, other: "Moments") -> None:
        """Adds everything another accumulator has seen to this one.

        Raises:
          UserError: If the two hold different numbers of channels.
        """
        if not other._count:
            return
        if not self._count:
            self._channels, self._shift = other._channels, other._shift
            self._products = self._kind(self._shift)
        if self._channels != other._channels:
            raise UserError(
                f"cannot merge moments of {other._channels} channels "
                f"into moments of {self._channels}"
            )
        # About its own mean, the other's sums vanish; then move it to this shift.
        count, products = other._count, other._products
        mean = products.sums / count
        offset = other._shift + mean - self._shift
        moved = count * (np.outer(offset, offset) - np.outer(mean, mean))
        self._products.add_sums(count * offset, products.upper() + np.triu(moved))
        self._add_counts(count, other._batches, other._resolutions)

    def _add_counts(
        self, points: int, batches: int, resolutions: tuple[float, float]
    ) -> None:
        self._count += points
        self._batches += batches
        self._resolutions = (
            max(self._resolutions[0], resolutions[0]),
            max(self._resolutions[1], resolutions[1]),
        )

    def covariances(self) -> Covariances:
        """Means and covariances of everything seen so far.

        Raises:
          UserError: If fewer than two points were seen, or the values of a side are so
            large or small that their products leave the range of float64.

        Warns:
          RepresentationWarning: If that is so of a few small channels, which then
            count as constant.
        """
        if self._count < 2:
            raise UserError(f"covariances need 2 points or more, got {self._count}")
        sums, upper = self._products.sums, self._products.upper()
        _check_range(sums, np.diag(upper) / self._count, self._channels)
        mean = self._shift + sums / self._count
        joint = upper + np.triu(upper, 1).T
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


def moments_of(x: Any, y: Any) -> Moments:
    """Moments of two complete sets of points, [points, channels] each."""
    moments = Moments()
    moments.update(x, y)
    return moments


def check_points(x: Any, y: Any) -> None:
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


def resolution(values: Any) -> float:
    """Relative precision of an array's numbers; integers count as float64."""
    return _RESOLUTIONS.get(tf.as_dtype(values.dtype), 2.0**-52)


def _resolution_held(values: Any) -> float:
    """That of the numbers themselves: float64 that came from float32 holds no more."""
    if tf.as_dtype(values.dtype) != tf.float64:
        return resolution(values)
    first = np.asarray(values[:_FIRST_POINTS])
    with np.errstate(over="ignore"):
        rounded = np.array_equal(first, first.astype(np.float32))
    # Whole numbers are exact in both.
    came_from_float32 = rounded and not np.array_equal(first, np.round(first))
    return _RESOLUTIONS[tf.float32] if came_from_float32 else resolution(values)


def _first_shift(x: Any, y: Any) -> np.ndarray:
    """Channel means of the first points of both, [channels_x + channels_y].

    0 where a mean is no more than 4 deviations: that costs products 4 of their 52 bits,
    and where it is so for all channels, as it is for most layers, saves a pass.
    """
    first = [np.asarray(side[:_FIRST_POINTS], np.float64) for side in (x, y)]
    means = np.concatenate([part.mean(axis=0) for part in first])
    with np.errstate(over="ignore"):
        deviations = np.concatenate([part.std(axis=0) for part in first])
    return np.where(np.abs(means) <= 4 * deviations, 0.0, means)


def _check_finite(sums: np.ndarray, channels: tuple[int, int], batch: int) -> None:
    # One bad value makes its channel's sum NaN or infinite: no pass over the data.
    bad = np.flatnonzero(~np.isfinite(sums))
    if not len(bad):
        return
    channel = int(bad[0])
    name = "x"
    if channel >= channels[0]:
        name, channel = "y", channel - channels[0]
    raise UserError(f"channel {channel} of {name} is NaN or infinite in batch {batch}")


def out_of_range(name: str, large: bool) -> UserError:
    """The error for values of a side that are too large or too small to multiply."""
    return UserError(
        f"{name} holds values {'above 1e70' if large else 'of at most 1e-70'}, whose "
        f"products leave the range of float64: divide all of {name} by its largest "
        "value first, which changes no similarity"
    )


def _check_range(
    sums: np.ndarray, mean_squares: np.ndarray, channels: tuple[int, int]
) -> None:
    """Raises UserError where values are too large or too small to be multiplied."""
    split = channels[0]
    for name, side in (("x", slice(split)), ("y", slice(split, None))):
        squares = mean_squares[side]
        # Of the smallest, nothing but the sum is left.
        small = (squares < SMALLEST_SQUARE) & ((squares > 0) | (sums[side] != 0))
        large = not squares.max() <= LARGEST_SQUARE
        if large or (small.any() and squares.max() < SMALLEST_SQUARE):
            raise out_of_range(name, large)
        if small.any():
            few = ", ".join(str(channel) for channel in np.flatnonzero(small)[:5])
            warnings.warn(
                f"{name} holds {small.sum()} channels of values below 1e-70 beside "
                f"larger ones ({few}): their products leave the range of float64, and "
                "they count as constant",
                RepresentationWarning,
                stacklevel=4,
            )
