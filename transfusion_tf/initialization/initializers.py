"""Keras initializers that take what they know from one donor tensor.

All have one signature, `(donor_values, seed=None)`. They compute in NumPy, so that
the same seed gives the same float32 values on every Keras backend.
Transfusion, sections 5 and F.2 (mean var, sampling, shuffling) and F.3 (Gabor).
"""

import random
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from transfusion_tf.initialization.gabor import gabor_filters


class DonorInitializer(keras.initializers.Initializer):
    """What the initializers share.

    Called with a shape and a dtype, as any Keras initializer, it returns a tensor;
    `draw` returns the same values as a NumPy array. Two calls give the same values.

    Args:
      donor_values: The donor's tensor, any shape, not empty; kept as float32.
      seed: Of the draw. None takes one from Python's `random`, which
        `keras.utils.set_random_seed` seeds.
    """

    def __init__(self, donor_values: ArrayLike, seed: int | None = None):
        self.donor_values = np.array(donor_values, dtype=np.float32)
        if self.donor_values.size == 0:
            raise ValueError("donor_values must hold at least one value")
        self.seed = seed
        self._seed = random.randrange(2**31) if seed is None else seed

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Values of `shape`, as a backend tensor of `dtype` (None: Keras's floatx)."""
        return keras.ops.convert_to_tensor(
            self.draw(tuple(shape)), dtype=dtype or keras.config.floatx()
        )

    def draw(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Values of `shape`, float32."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Plain lists and numbers: `from_config` of it gives an equal initializer."""
        return {"donor_values": self.donor_values.tolist(), "seed": self.seed}

    def _generator(self) -> np.random.Generator:
        return np.random.default_rng(self._seed)

    def _check_same_shape(self, shape: tuple[int, ...]) -> None:
        if tuple(shape) != self.donor_values.shape:
            raise ValueError(
                f"{type(self).__name__} needs the donor's shape: the donor tensor is "
                f"{self.donor_values.shape}, the shape asked for is {tuple(shape)}"
            )


@keras.saving.register_keras_serializable(package="transfusion_tf")
class MeanVar(DonorInitializer):
    """Independent normal values with the donor tensor's mean and variance.

    Not truncated; the variance is the mean squared deviation. Any shape may be
    asked for.
    """

    def draw(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Values of `shape`, float32."""
        mean = self.donor_values.mean(dtype=np.float64)
        std = self.donor_values.std(dtype=np.float64)
        return self._generator().normal(mean, std, shape).astype(np.float32)


@keras.saving.register_keras_serializable(package="transfusion_tf")
class Sampled(DonorInitializer):
    """Each value drawn from the donor tensor's values, with replacement.

    Any shape may be asked for.
    """

    def draw(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Values of `shape`, float32."""
        return self._generator().choice(self.donor_values.ravel(), size=shape)


@keras.saving.register_keras_serializable(package="transfusion_tf")
class Shuffled(DonorInitializer):
    """The donor tensor's values in random order: sampling without replacement.

    The shape must be the donor's, or ValueError.
    """

    def draw(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Values of `shape`, float32."""
        self._check_same_shape(shape)
        return self._generator().permutation(self.donor_values.ravel()).reshape(shape)


@keras.saving.register_keras_serializable(package="transfusion_tf")
class Transferred(DonorInitializer):
    """The donor tensor itself. The shape must be the donor's, or ValueError."""

    def draw(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Values of `shape`, float32."""
        self._check_same_shape(shape)
        return self.donor_values.copy()


@keras.saving.register_keras_serializable(package="transfusion_tf")
class Gabor(DonorInitializer):
    """Synthetic Gabor filters with the magnitude of the donor's filters.

    One factor for all filters makes their root mean square the donor's. The shape
    must be that of a convolution kernel, (height, width, channels, filters), or
    ValueError; it need not be the donor's. Nothing is drawn: the seed is unused.
    """

    def draw(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Values of `shape`, float32."""
        if len(shape) != 4:
            raise ValueError(
                "Gabor fills the kernel of a 2-D convolution, of shape (height, "
                f"width, channels, filters), not {tuple(shape)}"
            )
        height, width, channels, count = shape
        bank = gabor_filters(count, (height, width))
        kernel = np.repeat(bank.transpose(1, 2, 0)[:, :, None, :], channels, axis=2)
        scale = _root_mean_square(self.donor_values) / _root_mean_square(kernel)
        return (kernel * scale).astype(np.float32)


def _root_mean_square(values: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
