"""Activations of a model's stages: read in one forward pass, sampled, streamed.

The sampling is Transfusion's, appendix C: p points a stage, from as many images as
give that many positions, and d channels.
"""

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from transfusion_tf.errors import UserError
from transfusion_tf.representations.moments import RepresentationWarning
from transfusion_tf.representations.outputs import named_outputs

# Max pooling turns NaN into the lowest float32, -3.4e38: finite, and as wrong.
_ABSURD = 1e36


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

    def __post_init__(self):
        for name in ("points", "channels", "min_images"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} must be 1 or more, got {value}")


class StageReader:
    """Reads all stages of a model in one forward pass, in inference mode.

    Memory: one batch's activations of the stages, beside what the model's own
    forward pass needs.
    """

    def __init__(self, model: keras.Model, stage_names: Sequence[str] | None = None):
        """Builds the graph that ends in every stage.

        Args:
            model: A model with known stages, or any whose layers are named.
            stage_names: Stages to read, in any order, or layers; None reads all
                stages. See `named_outputs`.

        Raises:
            UserError: If the model has neither a stage nor a layer of a name; the
                message lists those it has. If a weight is NaN or infinite.
        """
        found = named_outputs(model, stage_names)
        self.names = tuple(found)
        _check_weights(model)
        self.model_name = model.name
        self._outputs = keras.Model(
            model.inputs, {name: found[name] for name in self.names}
        )
        self.shapes = {name: tuple(found[name].shape[1:]) for name in self.names}
        self._read = tf.function(self._forward, reduce_retracing=True)
        index = tf.TensorSpec([None], tf.int32)
        self._sample = tf.function(
            self._forward_sampled,
            input_signature=[
                tf.TensorSpec([None, *model.input_shape[1:]], tf.float32),
                dict.fromkeys(self.names, index),
                dict.fromkeys(self.names, index),
            ],
        )
        self._sample_pooled = tf.function(
            self._forward_pooled, input_signature=self._sample.input_signature
        )

    def positions(self, name: str) -> int:
        """Number of positions an image has at a stage: height × width, or tokens."""
        spatial = self.shapes[name][:-1]
        if None in spatial:
            raise UserError(
                f"the input size of model {self.model_name!r} is open, and so is the "
                f"number of positions of {name}: build it with a fixed image size"
            )
        return math.prod(spatial)

    def channels(self, name: str) -> int:
        """Number of channels of a stage."""
        return self.shapes[name][-1]

    def read(self, images) -> dict[str, tf.Tensor]:
        """Whole activations of all stages, each [n, ..., channels].

        Args:
            images: [n, height, width, 3], RGB in [0, 255].
        """
        return self._read(tf.cast(images, tf.float32))

    def sample(
        self,
        images,
        rows: dict[str, np.ndarray],
        channels: dict[str, np.ndarray],
        *,
        pooled: bool = False,
    ) -> dict[str, np.ndarray]:
        """Some points and channels of all stages, each [rows, channels].

        Only these leave the device.

        Args:
            images: [n, height, width, 3], RGB in [0, 255].
            rows: A stage's points: image × positions + position; if pooled, image.
            channels: A stage's channels.
            pooled: Whether to average over positions first.
        """
        read = self._sample_pooled if pooled else self._sample
        index = [
            {name: tf.constant(part[name], tf.int32) for name in self.names}
            for part in (rows, channels)
        ]
        sampled = read(tf.cast(images, tf.float32), *index)
        return {name: value.numpy() for name, value in sampled.items()}

    def _forward(self, images):
        return self._outputs(images, training=False)

    def _forward_sampled(self, images, rows, channels):
        sampled = {}
        for name, output in self._forward(images).items():
            points = tf.reshape(output, [-1, self.channels(name)])
            chosen = tf.gather(points, rows[name])
            sampled[name] = tf.gather(chosen, channels[name], axis=1)
        return sampled

    def _forward_pooled(self, images, rows, channels):
        sampled = {}
        for name, output in self._forward(images).items():
            shape = [tf.shape(output)[0], -1, self.channels(name)]
            points = tf.reduce_mean(tf.reshape(output, shape), axis=1)
            chosen = tf.gather(points, rows[name])
            sampled[name] = tf.gather(chosen, channels[name], axis=1)
        return sampled


def sample_activations(
    readers: Sequence[StageReader],
    images: np.ndarray | Iterable,
    sampling: Sampling = Sampling(),
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
    _check_positions(readers, sampling)
    rng = np.random.default_rng(seed)
    plan = _Plan.of(readers[0], sampling)
    supply = _ImageSupply(images, max(plan.images.values()), repeats, rng)
    with tqdm(
        total=repeats * supply.per_repeat,
        desc="reading activations",
        unit="image",
        disable=not progress,
    ) as bar:
        for _ in range(repeats):
            rows = plan.draw_points(rng, supply.per_repeat)
            channels = _draw_channels(rng, readers, sampling)
            parts: list[list[dict[str, np.ndarray]]] = [[] for _ in readers]
            first = 0
            for batch in supply.batches(batch_size):
                here = plan.points_between(rows, first, first + len(batch))
                for reader, own, part in zip(readers, channels, parts, strict=True):
                    sampled = reader.sample(batch, here, own, pooled=sampling.pooled)
                    _check_finite(sampled, reader)
                    part.append(sampled)
                first += len(batch)
                bar.update(len(batch))
            yield [
                {name: np.concatenate([part[name] for part in model]) for name in rows}
                for model in parts
            ]


@dataclass(frozen=True)
class _Plan:
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
    def of(reader: StageReader, sampling: Sampling) -> "_Plan":
        positions = {
            name: 1 if sampling.pooled else reader.positions(name)
            for name in reader.names
        }
        images = {
            name: max(math.ceil(sampling.points / count), sampling.min_images)
            for name, count in positions.items()
        }
        return _Plan(sampling.points, positions, images)

    def draw_points(self, rng, available_images: int) -> dict[str, np.ndarray]:
        """A stage's points, ascending: image × positions + position."""
        return {
            name: _draw(
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


class _ImageSupply:
    """Hands each repeat its images, batch by batch."""

    def __init__(self, images: Any, wanted: int, repeats: int, rng):
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


def _check_weights(model: keras.Model) -> None:
    # Fused ReLUs turn NaN into 0 on some devices: a broken model would look dead.
    for variable in model.variables:
        values = keras.ops.convert_to_numpy(variable)
        if not np.isfinite(values).all():
            raise UserError(
                f"model {model.name!r} is broken: {variable.path} holds NaN or infinity"
            )


def _check_finite(sampled: dict[str, np.ndarray], reader: StageReader) -> None:
    for name, values in sampled.items():
        if not (np.abs(values) < _ABSURD).all():
            raise UserError(
                f"activations of {name} in model {reader.model_name!r} are NaN or "
                "infinite"
            )


def _draw(rng, available: int, wanted: int) -> np.ndarray:
    if available <= wanted:
        return np.arange(available)
    return np.sort(rng.choice(available, wanted, replace=False))


def _draw_channels(
    rng, readers: Sequence[StageReader], sampling: Sampling
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
                channels[name] = _draw(rng, available, sampling.channels or available)
        drawn.append(channels)
    return drawn
