"""What holds for the time of a run: the profiler, Keras's precision policy."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import tensorflow as tf


@contextlib.contextmanager
def profiler(
    span: tuple[int, int] | None, folder: Path
) -> Iterator[Callable[[int], None]]:
    """A function of the step that starts and stops TensorBoard's profiler.

    It also marks where each step begins and ends, without which the profiler's
    overview knows no step time.
    """
    running = False
    mark = contextlib.ExitStack()

    def at(step: int) -> None:
        nonlocal running
        mark.close()
        if span and step == span[0] and not running:
            tf.profiler.experimental.start(str(folder))
            running = True
        elif span and running and step >= span[1]:
            tf.profiler.experimental.stop()
            running = False
        if running:
            mark.enter_context(
                tf.profiler.experimental.Trace("train", step_num=step, _r=1)
            )

    try:
        yield at
    finally:
        mark.close()
        if running:
            tf.profiler.experimental.stop()


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
