"""Keras's precision policy for the time of a run."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf


@contextlib.contextmanager
def precision(mixed: bool) -> Iterator[None]:
    """Keras's global policy for the time of a run: float16 on GPUs, else bfloat16."""
    before = keras.mixed_precision.dtype_policy()
    if mixed:
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        keras.mixed_precision.set_dtype_policy(
            "mixed_float16" if on_gpu else "mixed_bfloat16"
        )
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)
