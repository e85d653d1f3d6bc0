"""A model's stages, read in one forward pass, on one device or on several."""

import contextlib
import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from transfusion_tf.errors import UserError
from transfusion_tf.representations.outputs import named_outputs


class StageReader:
    """Reads all stages of a model in one forward pass, in inference mode.

    Memory: one batch's activations of the stages, beside what the model's own
    forward pass needs; and a copy of the model on each device but the first.

    Attributes:
        names: The stages.
        shapes: The shape of an image's activations at each of them.
        model_name: The model's.
        devices: Number of devices that share the work.
    """

    def __init__(
        self,
        model: keras.Model,
        stage_names: Sequence[str] | None = None,
        strategy: tf.distribute.Strategy | None = None,
    ):
        """Builds the graph that ends in every stage.

        Args:
            model: A model with known stages, or any whose layers are named.
            stage_names: Stages to read, in any order, or layers; None reads all
                stages. See `named_outputs`.
            strategy: Whose devices of this host share the work; None takes all GPUs.

        Raises:
            UserError: If the model has neither a stage nor a layer of a name; the
                message lists those it has. If a weight is NaN or infinite.
        """
        found = named_outputs(model, stage_names)
        self.names = tuple(found)
        _check_weights(model)
        self.model_name = model.name
        self.shapes = {name: tuple(found[name].shape[1:]) for name in self.names}
        self._replicas = [
            _Replica(_copy(model, device) if number else model, self.names, device)
            for number, device in enumerate(_local_devices(strategy))
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

    def read(self, images) -> dict[str, tf.Tensor]:
        """Whole activations of all stages, each [n, ..., channels].

        Args:
            images: [n, height, width, 3], RGB in [0, 255].
        """
        return self._replicas[0].read(images)

    def sample(
        self,
        images,
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

    def __init__(self, model: keras.Model, names: Sequence[str], device: str | None):
        found = named_outputs(model, names)
        self._names = tuple(names)
        self._device = device
        self._outputs = keras.Model(model.inputs, found)
        self._read = tf.function(self._forward, reduce_retracing=True)
        index = dict.fromkeys(names, tf.TensorSpec([None], tf.int32))
        images = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32)
        signature = [images, index, index]
        self._sample = tf.function(self._forward_sampled, input_signature=signature)
        self._pooled = tf.function(self._forward_pooled, input_signature=signature)

    def on_device(self) -> contextlib.AbstractContextManager:
        return tf.device(self._device) if self._device else contextlib.nullcontext()

    def read(self, images) -> dict[str, tf.Tensor]:
        with self.on_device():
            return self._read(tf.cast(images, tf.float32))

    def sample(self, images, rows, channels, pooled: bool) -> dict[str, tf.Tensor]:
        read = self._pooled if pooled else self._sample
        with self.on_device():
            index = [
                {name: tf.constant(part[name], tf.int32) for name in self._names}
                for part in (rows, channels)
            ]
            return read(tf.cast(images, tf.float32), *index)

    def _forward(self, images):
        return self._outputs(images, training=False)

    def _forward_sampled(self, images, rows, channels):
        sampled = {}
        for name, output in self._forward(images).items():
            points = tf.reshape(output, [-1, output.shape[-1]])
            chosen = tf.gather(points, rows[name])
            sampled[name] = tf.gather(chosen, channels[name], axis=1)
        return sampled

    def _forward_pooled(self, images, rows, channels):
        sampled = {}
        for name, output in self._forward(images).items():
            shape = [tf.shape(output)[0], -1, output.shape[-1]]
            points = tf.reduce_mean(tf.reshape(output, shape), axis=1)
            chosen = tf.gather(points, rows[name])
            sampled[name] = tf.gather(chosen, channels[name], axis=1)
        return sampled


def _check_weights(model: keras.Model) -> None:
    # Fused ReLUs turn NaN into 0 on some devices: a broken model would look dead.
    for variable in model.variables:
        values = keras.ops.convert_to_numpy(variable)
        if not np.isfinite(values).all():
            raise UserError(
                f"model {model.name!r} is broken: {variable.path} holds NaN or infinity"
            )


def _local_devices(strategy: tf.distribute.Strategy | None) -> Sequence[str | None]:
    """Devices of this host that share the work; None alone is where a model is."""
    if strategy is not None:
        devices = strategy.extended.worker_devices
    else:
        devices = [device.name for device in tf.config.list_logical_devices("GPU")]
    return devices if len(devices) > 1 else (None,)


def _copy(model: keras.Model, device: str | None) -> keras.Model:
    with tf.device(device):
        copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy
