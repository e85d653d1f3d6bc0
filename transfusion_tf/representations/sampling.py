"""Which points, images and channels are drawn from models' stages.

Transfusion's sampling, appendix C: "Pick p, the total number of image patches to
compute activation vectors and CCA over, and d, the maximum number of neuron activation
vectors [...]. Pick the number of datapoints n so that n h w = p. Sample d of the c
channels". So images are whole, and no p is below h w. Neither p nor d is said there; a
follow-up (Juodelyte et al., 2023) takes 10 000 and 64, n rounded, and five repeats.
"""

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
      points: Points a stage, p: what whole images have at the stage with the most
        positions, as near as may be to this, and one image's at least. A stage of
        h × w positions takes n = round(p / (h w)) whole images.
      channels: Channels a stage, drawn at random, the same ones in every model;
        None takes all. Stages with fewer channels give all they have.
      pooled: Whether to average each image over its positions first: then a point
        is an image, and `points` images are wanted.
      min_images: Images a stage at least. 1 is the paper's; a stage that would take
        fewer has its points drawn from so many images.
      equal_points: Whether all stages have p points, or as near to that as whole
        images allow. If not, `points` stands as it is, and a stage of more positions
        takes one image all the same: the follow-up's code.
    """

    points: int = 10_000
    channels: int | None = 64
    pooled: bool = False
    min_images: int = 1
    equal_points: bool = True

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
      points: Points each stage takes.
      positions: Positions an image has at each stage; 1 if pooled.
      images: Images each stage takes.
    """

    points: dict[str, int]
    positions: dict[str, int]
    images: dict[str, int]

    @staticmethod
    def of(
        reader: Readable, sampling: Sampling, available_images: int | None = None
    ) -> "Plan":
        """What the sampling asks of a model's stages.

        Args:
          reader: Says how many positions the stages have.
          sampling: What is asked for.
          available_images: How many there are; None for a stream, which has to have
            enough. Where some stage needs more, all take fewer points: CCA's values of
            different numbers of points do not compare.

        Warns:
          RepresentationWarning: If there are too few images.
        """
        positions = {
            name: 1 if sampling.pooled else reader.positions(name)
            for name in reader.names
        }
        largest, points = max(positions.values()), sampling.points
        if sampling.equal_points:
            points = max(round(points / largest), 1) * largest
        plan = Plan._whole_images(positions, points, sampling.min_images)
        wanted = max(plan.images.values())
        if available_images is None or wanted <= available_images:
            return plan
        fewer = available_images * min(positions.values())
        fewer = min(points, fewer // largest * largest or fewer)
        warnings.warn(
            f"{points} points a stage need {wanted} images, {available_images} are "
            f"given: stages have {fewer} points, or one image's where these are more",
            RepresentationWarning,
            stacklevel=4,
        )
        min_images = min(sampling.min_images, available_images)
        return Plan._whole_images(positions, fewer, min_images)

    @staticmethod
    def _whole_images(
        positions: dict[str, int], points: int, min_images: int
    ) -> "Plan":
        images = {
            name: max(round(points / count), 1) for name, count in positions.items()
        }
        return Plan(
            {
                name: points if min_images > count else count * positions[name]
                for name, count in images.items()
            },
            positions,
            {name: max(count, min_images) for name, count in images.items()},
        )

    def draw_points(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """A stage's points, ascending: image × positions + position."""
        return {
            name: draw(rng, self.images[name] * positions, self.points[name])
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
                index = chosen[start : start + batch_size]
                # Read sorted, as HDF5 and memory maps are, and handed out as drawn: of
                # some stages the first image is the only one.
                order = np.argsort(index)
                yield np.asarray(self._array[index[order]])[np.argsort(order)]
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
