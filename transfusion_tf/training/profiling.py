"""TensorBoard's profiler over some steps of a run."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

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
