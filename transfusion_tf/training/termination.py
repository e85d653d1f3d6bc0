"""SIGTERM during training: what SLURM, Kubernetes and spot machines send before a kill.

The step that runs is finished and the state saved; then `Terminated` is raised.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class Terminated(SystemExit):
    """The process was asked to end, and the run's state is saved.

    Where nobody catches it, the process ends with exit code 143, as shells say of one
    that SIGTERM has ended (128 + 15).
    """

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)

    def __str__(self) -> str:
        return "the process was asked to end (SIGTERM)"


class Termination:
    """Whether the process was asked to end, and when it may.

    Attributes:
      requested: whether SIGTERM has come.
    """

    def __init__(self) -> None:
        self.requested = False
        self._at_once = False

    def check(self) -> None:
        """Ends the training here if it was asked for. Raises Terminated."""
        if self.requested:
            raise Terminated

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """A block that changes nothing and may take long: it is ended half-way."""
        self._at_once = True
        try:
            self.check()
            yield
        finally:
            self._at_once = False

    def _on_signal(self, *_: Any) -> None:
        self.requested = True
        if self._at_once:
            raise Terminated


@contextlib.contextmanager
def holding_back_sigterm() -> Iterator[Termination]:
    """For the time of the block, SIGTERM is noted and no more.

    The training asks for it where it can be ended. A signal that came too late for
    that ends the process with the block. Python handles signals in its main thread:
    a training in another one is not told of any.
    """
    termination = Termination()
    if threading.current_thread() is not threading.main_thread():
        yield termination
        return
    before = signal.signal(signal.SIGTERM, termination._on_signal)
    try:
        yield termination
    except Exception as error:
        if termination.requested:
            # Or a study would go on with its next run.
            raise Terminated from error
        raise
    finally:
        # None is a handler that Python did not set, and cannot set again.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
    termination.check()
