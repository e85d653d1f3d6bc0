"""Activations of models' stages, sampled or streamed: the same points of each model.

What is drawn is `sampling`'s matter. Where a host has several GPUs, batches go to them
in turn, each with a copy of the models: the same numbers as from one, sooner.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from transfusion_tf.errors import UserError
from transfusion_tf.representations.moments import Moments
from transfusion_tf.representations.sampling import (
    ImageSupply,
    Plan,
    Sampling,
    draw_channels,
)
from transfusion_tf.representations.stage_reader import StageReader

__all__ = ["Sampling", "StageReader", "sample_activations", "stage_moments"]

# Max pooling turns NaN into the lowest float32, -3.4e38: finite, and as wrong.
_ABSURD = 1e36
_DEFAULT = Sampling()
Points = dict[str, tf.Tensor]


def sample_activations(
    readers: Sequence[StageReader],
    images: np.ndarray | Iterable,
    sampling: Sampling = _DEFAULT,
    *,
    repeats: int = 1,
    seed: int = 0,
    batch_size: int = 16,
    progress: bool = True,
) -> Iterator[list[dict[str, np.ndarray]]]:
    """Samples the same points of the same images from every model.

    One forward pass a model and repeat reads all stages. Each repeat has new images
    and new channels. Memory beyond the models: one batch's activations, and 4 bytes
    times models × stages × points × channels (26 MB for two models' five stages at
    the default sampling).

    Args:
      readers: One a model, all with the same stages.
      images: RGB in [0, 255]: all as one array [images, height, width, 3], from
        which each repeat draws others; or an iterable of batches [n, height,
        width, 3], read once, which must hold enough for all repeats.
      sampling: What to sample.
      repeats: How many samples to draw.
      seed: Seed of images, positions and channels.
      batch_size: Images a forward pass.
      progress: Whether to show a progress bar.

    Yields:
      A repeat at a time, a dictionary for each model: stage name to
      [points, channels] float32.

    Raises:
      UserError: If the models' stages differ in positions (unless pooled), images
        run out, or an activation is NaN or infinite.

    Warns:
      RepresentationWarning: If an array holds fewer images than the points need.
    """
    names = readers[0].names
    sampler = _Sampler(readers, images, sampling, repeats, seed, batch_size)
    for batches in sampler.repeats(progress):
        parts: list[list[dict[str, np.ndarray]]] = [[] for _ in readers]
        for _, of_models in batches:
            for reader, sampled, part in zip(readers, of_models, parts, strict=True):
                _check_finite(sampled, reader)
                part.append({name: sampled[name].numpy() for name in names})
        yield [
            {name: np.concatenate([part[name] for part in model]) for name in names}
            for model in parts
        ]


def stage_moments(
    reader_a: StageReader,
    reader_b: StageReader,
    images: np.ndarray | Iterable,
    sampling: Sampling = _DEFAULT,
    *,
    repeats: int = 1,
    seed: int = 0,
    batch_size: int = 16,
    progress: bool = True,
) -> Iterator[dict[str, Moments]]:
    """Moments of the points that `sample_activations` takes, none of which is kept.

    For more points than memory holds: the result is what the `_from_moments` form of
    a measure takes. Where several devices share the work, each adds up what it has
    read itself, and their sums are merged.

    Args:
      reader_a: Of the model whose activations are x.
      reader_b: Of the other model, y; with the same stages and devices.
      images: See `sample_activations`, as the rest.
      sampling: What to sample.
      repeats: How many samples to draw.
      seed: Seed of images, positions and channels.
      batch_size: Images a forward pass, on one device.
      progress: Whether to show a progress bar.

    Yields:
      A repeat at a time: stage name to moments.

    Raises:
      UserError: See `sample_activations`.
    """
    readers = (reader_a, reader_b)
    names = reader_a.names
    sampler = _Sampler(readers, images, sampling, repeats, seed, batch_size)
    for batches in sampler.repeats(progress):
        shares = [{n: Moments() for n in names} for _ in range(reader_a.devices)]
        for device, (x, y) in batches:
            with reader_a.on_device(device):
                _check_finite(x, reader_a)
                _check_finite(y, reader_b)
                for name in names:
                    # A stage of many positions has its points in the first images.
                    if x[name].shape[0]:
                        shares[device][name].update(x[name], y[name])
        merged = shares[0]
        for share in shares[1:]:
            for name in names:
                merged[name].merge(share[name])
        yield merged


class _Sampler:
    """Draws points, and reads them from all models."""

    def __init__(
        self,
        readers: Sequence[StageReader],
        images: Any,
        sampling: Sampling,
        repeats: int,
        seed: int,
        batch_size: int,
    ):
        _check_positions(readers, sampling)
        self._readers = readers
        self._sampling = sampling
        self._repeats = repeats
        self._batch_size = batch_size
        self._rng = np.random.default_rng(seed)
        available = len(images) if len(getattr(images, "shape", ())) == 4 else None
        self._plan = Plan.of(readers[0], sampling, available)
        wanted = max(self._plan.images.values())
        self._supply = ImageSupply(images, wanted, repeats, self._rng)

    def repeats(self, progress: bool) -> Iterator[Iterator[tuple[int, list[Points]]]]:
        """A repeat's batches: the device that read one, and each model's points."""
        with tqdm(
            total=self._repeats * self._supply.per_repeat,
            desc="reading activations",
            unit="image",
            disable=not progress,
        ) as bar:
            for _ in range(self._repeats):
                rows = self._plan.draw_points(self._rng)
                channels = draw_channels(self._rng, self._readers, self._sampling)
                yield self._batches(rows, channels, bar)

    def _batches(
        self,
        rows: dict[str, np.ndarray],
        channels: list[dict[str, np.ndarray]],
        bar: tqdm,
    ) -> Iterator[tuple[int, list[Points]]]:
        devices = min(reader.devices for reader in self._readers)
        under_way: deque[tuple[int, list[Points]]] = deque()
        first = 0
        for number, batch in enumerate(self._supply.batches(self._batch_size)):
            here = self._plan.points_between(rows, first, first + len(batch))
            device = number % devices
            points = [
                reader.sample(
                    batch, here, own, pooled=self._sampling.pooled, device=device
                )
                for reader, own in zip(self._readers, channels, strict=True)
            ]
            under_way.append((device, points))
            first += len(batch)
            bar.update(len(batch))
            # A batch a device at a time, handed on in the order of the images.
            if len(under_way) == devices:
                yield under_way.popleft()
        yield from under_way


def _check_positions(readers: Sequence[StageReader], sampling: Sampling) -> None:
    first = readers[0]
    for other in readers[1:]:
        if other.names != first.names:
            raise UserError(
                f"stages differ: {first.names} of {first.model_name!r}, "
                f"{other.names} of {other.model_name!r}"
            )
        for name in first.names:
            if not sampling.pooled and (
                first.shapes[name][:-1] != other.shapes[name][:-1]
            ):
                raise UserError(
                    f"{name} is {first.shapes[name]} in model {first.model_name!r} "
                    f"and {other.shapes[name]} in {other.model_name!r}: their "
                    "positions do not match; compare them pooled"
                )


def _check_finite(points: Points, reader: StageReader) -> None:
    for name, values in points.items():
        if not bool(tf.reduce_all(tf.abs(values) < _ABSURD)):
            raise UserError(
                f"activations of {name} in model {reader.model_name!r} are NaN or "
                "infinite"
            )
