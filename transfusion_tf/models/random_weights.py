"""An architecture's own random initialization, reproducible tensor by tensor."""

import hashlib
from typing import Any

import keras
import numpy as np

from transfusion_tf.models.tensors import NamedTensor, named_tensors


def fold_seed(seed: int, path: str) -> int:
    """A seed in [0, 2**31) for one tensor: a pure function of `seed` and its path.

    Every tensor so has a stream of its own, and what one tensor draws does not
    depend on which others draw: two initializations that both leave a tensor
    random leave it with the same values.
    """
    digest = hashlib.sha256(f"{seed}/{path}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def random_values(
    tensor: NamedTensor, seed: int, kernel_initializer: str | None = None
) -> np.ndarray:
    """What the layer's own initializer gives this tensor, float32.

    Args:
      tensor: A weight of a model; its layer names the initializer, whatever the
        weight's present value.
      seed: The initialization's seed; the tensor's path is folded in here.
      kernel_initializer: Of Keras, by name, in place of a convolution kernel's own.

    Raises:
      ValueError: If the layer has no initializer for the variable.
    """
    initializer = _own_initializer(tensor)
    shape = tensor.shape
    if kernel_initializer and tensor.name.endswith("kernel") and len(shape) == 4:
        initializer = keras.initializers.get(kernel_initializer)
        if tensor.is_depthwise:  # A filter sees one channel, not all of them.
            shape = (*shape[:2], shape[3], shape[2])
    if initializer is None:
        raise ValueError(
            f"cannot draw {tensor.path!r}: its layer, a {type(tensor.owner).__name__}, "
            f"has no {tensor.name}_initializer"
        )
    config = initializer.get_config()
    if "seed" in config:
        config["seed"] = fold_seed(seed, tensor.path)
        initializer = type(initializer).from_config(config)
    values = initializer(shape, dtype="float32")
    values = np.array(keras.ops.convert_to_numpy(values), dtype=np.float32)
    return values.reshape(tensor.shape)


def _own_initializer(tensor: NamedTensor) -> Any:
    """Its layer's, or None; Keras has its own names for those of depthwise kernels."""
    name = tensor.name.removesuffix("_kernel")
    if tensor.is_depthwise:
        name = "depthwise"
    return getattr(tensor.owner, f"{name}_initializer", None)


def randomize(model: keras.Model, seed: int) -> None:
    """Gives every weight of a model the architecture's own random initialization."""
    for tensor in named_tensors(model):
        tensor.variable.assign(random_values(tensor, seed))


def seed_random_layers(model: keras.Model, seed: int) -> None:
    """Makes what dropout and its like draw a pure function of `seed`, from the start.

    Call before the model is traced or long after: the seeds are in variables.
    """
    for layer in model.layers:
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            own = fold_seed(seed, layer.name)
            fresh = keras.random.SeedGenerator(own)
            layer.seed = own  # What a saved model says of itself.
            generator.state.assign(fresh.state)
