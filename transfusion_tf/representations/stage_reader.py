"""A model's stages, read in one forward pass, on one device or on several."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from transfusion_tf.errors import UserError
from transfusion_tf.representations.outputs import named_outputs
from transfusion_tf.representations.snapshots import (
    Graph,
    Model,
    Snapshot,
    check_finite,
)


class StageReader:
    """Reads all stages of a model in one forward pass, in inference mode.

    Memory: one batch's activations of the stages, beside what the model's own
    forward pass needs; and the model's weights on each device.

    Attributes:
      names: The stages.
      shapes: The shape of an image's activations at each of them.
      model_name: The model's.
      devices: Number of devices that share the work.
    """

    def __init__(
        self,
        model: Model,
        stage_names: Sequence[str] | None = None,
        strategy: tf.distribute.Strategy | None = None,
    ):
        """Builds the graph that ends in every stage.

        Args:
          model: A model with known stages, or any whose layers are named; it is read
            as it is now. Snapshots of one graph share what is traced.
          stage_names: Stages to read, in any order, or layers; None reads all
            stages. See `named_outputs`.
          strategy: Whose devices of this host share the work; None takes all GPUs.

        Raises:
          UserError: If the model has neither a stage nor a layer of a name; the
            message lists those it has. If a weight is NaN or infinite.
        """
        snapshot = Snapshot.of(model)
        found = named_outputs(snapshot.model, stage_names)
        self.names = tuple(found)
        if snapshot is not model:
            check_finite(snapshot, f"model {snapshot.model.name!r}")
        self.model_name = snapshot.model.name
        self.shapes = {name: tuple(found[name].shape[1:]) for name in self.names}
        self._replicas = [
            _Replica(snapshot, self.names, device)
            for device in _local_devices(strategy)
        ]
        self.devices = len(self._replicas)

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

    def read(self, images: Any) -> dict[str, tf.Tensor]:
        """Whole activations of all stages, each [n, ..., channels].

        Args:
          images: [n, height, width, 3], RGB in [0, 255].
        """
        return self._replicas[0].read(images)

    def sample(
        self,
        images: Any,
        rows: dict[str, np.ndarray],
        channels: dict[str, np.ndarray],
        *,
        pooled: bool = False,
        device: int = 0,
    ) -> dict[str, tf.Tensor]:
        """Some points and channels of all stages, each [rows, channels].

        They stay on the device, which may still be at work when this returns.

        Args:
          images: [n, height, width, 3], RGB in [0, 255].
          rows: A stage's points: image × positions + position; if pooled, image.
          channels: A stage's channels.
          pooled: Whether to average over positions first.
          device: Which of the `devices`, from 0.
        """
        return self._replicas[device].sample(images, rows, channels, pooled)

    def on_device(self, device: int) -> contextlib.AbstractContextManager:
        """A block whose TensorFlow ops run on one of the `devices`."""
        return self._replicas[device].on_device()


class _Replica:
    """A model that ends in every stage, on one device; None is where it is."""

    def __init__(self, snapshot: Snapshot, names: Sequence[str], device: str | None):
        self._names = tuple(names)
        self._device = device
        with self.on_device():
            self._weights = [tf.identity(value) for value in snapshot.weights]
        self._graph = snapshot.graph.once(
            ("stages", self._names), lambda: _StageGraph(snapshot.graph, self._names)
        )

    def on_device(self) -> contextlib.AbstractContextManager:
        return tf.device(self._device) if self._device else contextlib.nullcontext()

    def read(self, images: Any) -> dict[str, tf.Tensor]:
        with self.on_device():
            return self._graph.read(self._weights, tf.cast(images, tf.float32))

    def sample(
        self,
        images: Any,
        rows: Mapping[str, tf.Tensor],
        channels: Mapping[str, tf.Tensor],
        pooled: bool,
    ) -> dict[str, tf.Tensor]:
        read = self._graph.pooled if pooled else self._graph.sample
        with self.on_device():
            index = [
                {name: tf.constant(part[name], tf.int32) for name in self._names}
                for part in (rows, channels)
            ]
            return read(self._weights, tf.cast(images, tf.float32), *index)


class _StageGraph:
    """Functions from weights and images to all stages, whole or sampled."""

    def __init__(self, graph: Graph, names: Sequence[str]):
        model = graph.model
        self._outputs = keras.Model(model.inputs, named_outputs(model, names))
        self.read = graph.function(self._forward)
        index = dict.fromkeys(names, tf.TensorSpec([None], tf.int32))
        images = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32)
        signature = [images, index, index]
        self.sample = graph.function(self._forward_sampled, signature)
        self.pooled = graph.function(self._forward_pooled, signature)

    def _forward(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._outputs(images, training=False)

    def _forward_sampled(
        self,
        images: tf.Tensor,
        rows: Mapping[str, tf.Tensor],
        channels: Mapping[str, tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        points = {
            name: tf.reshape(output, [-1, output.shape[-1]])
            for name, output in self._forward(images).items()
        }
        return _chosen(points, rows, channels)

    def _forward_pooled(
        self,
        images: tf.Tensor,
        rows: Mapping[str, tf.Tensor],
        channels: Mapping[str, tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        points = {}
        for name, output in self._forward(images).items():
            shape = [tf.shape(output)[0], -1, output.shape[-1]]
            points[name] = tf.reduce_mean(tf.reshape(output, shape), axis=1)
        return _chosen(points, rows, channels)


def _chosen(
    points: Mapping[str, tf.Tensor],
    rows: Mapping[str, tf.Tensor],
    channels: Mapping[str, tf.Tensor],
) -> dict[str, tf.Tensor]:
    return {
        name: tf.gather(tf.gather(own, rows[name]), channels[name], axis=1)
        for name, own in points.items()
    }


def _local_devices(strategy: tf.distribute.Strategy | None) -> Sequence[str | None]:
    """Devices of this host that share the work; None alone is where a model is."""
    if strategy is not None:
        devices = strategy.extended.worker_devices
    else:
        devices = [device.name for device in tf.config.list_logical_devices("GPU")]
    return devices if len(devices) > 1 else (None,)
