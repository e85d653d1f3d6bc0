"""Augmentation layers by name (Keras's or KerasCV's), made a function of a seed.

Such layers draw from states of their own, which would make a run neither
repeatable nor resumable. Here every state is set from the batch's seed before use.
"""

import importlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from transfusion_tf.errors import UserError

MODULES = ("keras.layers", "keras_cv.layers")
# Layers that run code that they are given, or read files.
UNSAFE_LAYERS = (
    "FlaxLayer",
    "IndexLookup",
    "IntegerLookup",
    "JaxLayer",
    "Lambda",
    "StringLookup",
    "TFSMLayer",
    "TextVectorization",
    "TorchModuleWrapper",
)


class SeededLayers:
    """Layers in a row.

    Args:
      specs: `{"name": "keras.layers.RandomRotation", "factor": 0.05}`; what stands
        beside `name` are the layer's arguments.

    Raises:
      UserError: a layer is unknown, or its arguments are not what it takes.
    """

    def __init__(self, specs: Iterable[Mapping[str, Any]]):
        self._layers = [_make_layer(spec) for spec in specs]
        self._states = [s for layer in self._layers for s in _random_states(layer)]
        # Converted, unlike the steps around it: some of KerasCV's, such as
        # Equalization, branch on tensors in Python.
        self._applied = tf.function(self._apply)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Applies the layers to float32 [batch, height, width, 3] in [0, 255].

        Args:
          images: the batch.
          seed: int64 [2]; the same gives the same result.
        """
        return self._applied(images, seed) if self._layers else images

    def _apply(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        for state in self._states:
            # Two numbers for Keras; a counter of two and a key for tf.random.
            key = tf.cast(seed, state.dtype)[: state.shape[0]]
            padding = tf.zeros([state.shape[0] - key.shape[0]], state.dtype)
            state.assign(tf.concat([padding, key], axis=0))
        for layer in self._layers:
            images = tf.cast(layer(images, training=True), tf.float32)
        return tf.clip_by_value(images, 0.0, 255.0)


class _Sampler:
    """Stands in for KerasCV's UniformFactorSampler, which draws from no state."""

    def __init__(self, lower: float, upper: float):
        self._lower, self._upper = lower, upper
        self.generator = tf.random.Generator.from_seed(0)

    def __call__(self, shape: Sequence[int] = (), dtype: str = "float32") -> tf.Tensor:
        return self.generator.uniform(shape, self._lower, self._upper, dtype)


def _make_layer(spec: Mapping[str, Any]) -> keras.layers.Layer:
    arguments = dict(spec)
    name = arguments.pop("name")
    module, _, attribute = name.rpartition(".")
    if module not in MODULES:
        raise UserError(
            f"augmentation layer {name!r} should stand in {' or '.join(MODULES)}"
        )
    try:
        layer_class = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise UserError(
            f"augmentation layer {name!r} needs KerasCV: "
            "pip install 'transfusion_tf[keras-cv]'"
        ) from error
    except AttributeError:
        raise UserError(f"{module} has no layer {attribute!r}") from None
    is_layer = isinstance(layer_class, type) and issubclass(layer_class, keras.Layer)
    if not is_layer:
        raise UserError(f"{name} is no layer")
    if layer_class.__name__ in UNSAFE_LAYERS:
        raise UserError(
            f"augmentation layer {name!r} is refused: it runs code that it is given, "
            "or reads files"
        )
    takes = inspect.signature(layer_class.__init__).parameters
    if "value_range" in takes:
        arguments.setdefault("value_range", (0, 255))
    if module == "keras_cv.layers":
        # Without a seed (0 counts as none) it takes TensorFlow's global generator,
        # which op determinism forbids.
        arguments.setdefault("seed", 1)
    try:
        return layer_class(**arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"augmentation layer {name!r}: {error}") from error


def _random_states(layer: keras.layers.Layer) -> list[Any]:
    """The states that the layer and the layers inside it draw from."""
    states = {}
    for part in layer._flatten_layers():
        for attribute, value in list(vars(part).items()):
            if type(value).__name__ == "UniformFactorSampler":
                value = _Sampler(value.lower, value.upper)
                setattr(part, attribute, value)
            if isinstance(value, _Sampler):
                value = value.generator
            if isinstance(value, keras.random.SeedGenerator | tf.random.Generator):
                states[id(value)] = value.state
    return list(states.values())
