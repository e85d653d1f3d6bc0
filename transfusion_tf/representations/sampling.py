"""Which points, images and channels are drawn from models' stages.

Transfusion's sampling, appendix C: p points a stage, from as many images as give that
many positions, and d channels.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from transfusion_tf.errors import UserError
from transfusion_tf.representations.moments import RepresentationWarning


@dataclass(frozen=True)
class Sampling:
    """How activations are sampled.

    Attributes:
      points: Points a stage. A stage of h × w positions takes ceil(points / (h w))
        images; from more positions than wanted, that many are drawn.
      channels: Channels a stage, drawn at random, the same ones in every model;
        None takes all. Stages with fewer channels give all they have.
      pooled: Whether to average each image over its positions first: then a point
        is an image, and `points` images are wanted.
      min_images: Images a stage at least. 1 is the paper's; then a stage with more
        positions than `points` is read from a single image.
    """

    points: int = 10_000
    channels: int | None = 64
    pooled: bool = False
    min_images: int = 1

    def __post_init__(self) -> None:
        for name in ("points", "channels", "min_images"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} must be 1 or more, got {value}")


class Readable(Protocol):
    """What drawing needs to know of a model: see `activations.StageReader`."""

    names: tuple[str, ...]

    def positions(self, name: str) -> int:
        """Number of positions an image has at a stage."""

    def channels(self, name: str) -> int:
        """Number of channels of a stage."""


@dataclass(frozen=True)
class Plan:
    """How many points each stage takes, and from how many images.

    Attributes:
      points: Points a stage.
      positions: Positions an image has at each stage; 1 if pooled.
      images: Images each stage takes.
    """

    points: int
    positions: dict[str, int]
    images: dict[str, int]

    @staticmethod
    def of(reader: Readable, sampling: Sampling) -> "Plan":
        """What the sampling asks of a model's stages."""
        positions = {
            name: 1 if sampling.pooled else reader.positions(name)
            for name in reader.names
        }
        images = {
            name: max(math.ceil(sampling.points / count), sampling.min_images)
            for name, count in positions.items()
        }
        return Plan(sampling.points, positions, images)

    def draw_points(
        self, rng: np.random.Generator, available_images: int
    ) -> dict[str, np.ndarray]:
        """A stage's points, ascending: image × positions + position."""
        return {
            name: draw(
                rng,
                min(self.images[name], available_images) * positions,
                self.points,
            )
            for name, positions in self.positions.items()
        }

    def points_between(
        self, rows: dict[str, np.ndarray], first: int, stop: int
    ) -> dict[str, np.ndarray]:
        """The points in images first to stop, counted from the first."""
        between = {}
        for name, positions in self.positions.items():
            low, high = first * positions, stop * positions
            inside = slice(*np.searchsorted(rows[name], (low, high)))
            between[name] = rows[name][inside] - low
        return between


class ImageSupply:
    """Hands each repeat its images, batch by batch."""

    def __init__(
        self, images: Any, wanted: int, repeats: int, rng: np.random.Generator
    ):
        self._total = repeats * wanted
        self._given = 0
        self._rng = rng
        self.per_repeat = wanted
        self._array = images if hasattr(images, "shape") else None
        if self._array is None:
            self._stream = (image for batch in images for image in np.asarray(batch))
            return
        if len(self._array.shape) != 4:
            raise UserError(
                f"images has shape {tuple(self._array.shape)}; expected "
                "[images, height, width, 3]"
            )
        count = len(self._array)
        if count < wanted:
            warnings.warn(
                f"the points asked for need {wanted} images, {count} are given: some "
                "stages have fewer points",
                RepresentationWarning,
                stacklevel=4,
            )
            self.per_repeat = count
        self._order = np.zeros(0, np.int64)

    def batches(self, batch_size: int) -> Iterator[np.ndarray]:
        """The next repeat's images."""
        if self._array is not None:
            # Every image serves once before one serves again.
            if len(self._order) < self.per_repeat:
                self._order = self._rng.permutation(len(self._array))
            chosen = self._order[: self.per_repeat]
            self._order = self._order[self.per_repeat :]
            for start in range(0, self.per_repeat, batch_size):
                # Sorted: HDF5 and memory maps read in order.
                index = np.sort(chosen[start : start + batch_size])
                yield np.asarray(self._array[index])
            return
        for start in range(0, self.per_repeat, batch_size):
            size = min(batch_size, self.per_repeat - start)
            batch = [image for _, image in zip(range(size), self._stream, strict=False)]
            self._given += len(batch)
            if len(batch) < size:
                raise UserError(
                    f"images ran out after {self._given}; the points and repeats "
                    f"asked for need {self._total}. Give more images, fewer repeats "
                    "or fewer points; or one array, from which repeats draw again"
                )
            yield np.stack(batch)


def draw(rng: np.random.Generator, available: int, wanted: int) -> np.ndarray:
    """Some of so many, none twice, ascending; all of them where there are too few."""
    if available <= wanted:
        return np.arange(available)
    return np.sort(rng.choice(available, wanted, replace=False))


def draw_channels(
    rng: np.random.Generator, readers: Sequence[Readable], sampling: Sampling
) -> list[dict[str, np.ndarray]]:
    """The same channels in every model that has as many as the first."""
    drawn: list[dict[str, np.ndarray]] = []
    for reader in readers:
        channels = {}
        for name in reader.names:
            available = reader.channels(name)
            if drawn and available == readers[0].channels(name):
                channels[name] = drawn[0][name]
            else:
                channels[name] = draw(rng, available, sampling.channels or available)
        drawn.append(channels)
    return drawn
