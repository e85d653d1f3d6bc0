"""SIGTERM, as SLURM, Kubernetes and spot machines send before a kill, and Ctrl-C.

The step that runs is finished and the state saved; then the process ends.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

# A wrapper may pass on the Ctrl-C that the terminal has sent to all: one press.
_ONE_PRESS_SECONDS = 0.5


class Terminated(SystemExit):
    """The process was asked to end, and the run's state is saved.

    Where nobody catches it, the process ends with exit code 143, as shells say of one
    that SIGTERM has ended (128 + 15).
    """

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)

    def __str__(self) -> str:
        return "the process was asked to end (SIGTERM or Ctrl-C)"


class Termination:
    """Whether the process was asked to end, and when it may.

    Attributes:
      signal: the first that asked for it; None before.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._at_once = False
        self._when = 0.0

    @property
    def requested(self) -> bool:
        """Whether SIGTERM or Ctrl-C has come."""
        return self.signal is not None

    def is_due(self) -> bool:
        """Whether the training is to end after this step; asked after every one."""
        return self.requested

    def is_due_now(self) -> bool:
        """As `is_due`, which many workers ask each other only every few seconds."""
        return self.requested

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

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        again = self.requested and number == signal.SIGINT
        again = again and now - self._when > _ONE_PRESS_SECONDS
        if not self.requested:
            self.signal, self._when = number, now
        if again:
            # Whoever presses Ctrl-C twice does not want to wait for the state.
            raise KeyboardInterrupt
        if self._at_once:
            raise Terminated


@contextlib.contextmanager
def holding_back_signals() -> Iterator[Termination]:
    """For the time of the block, SIGTERM and Ctrl-C are noted and no more.

    The training asks for them where it can be ended. A signal that came too late for
    that ends the process with the block. A second Ctrl-C ends it at once. Python
    handles signals in its main thread: a training in another one is not told of any.
    A process that ignores Ctrl-C, as the workers of a study do, goes on ignoring it.

    Raises:
      Terminated: SIGTERM has come.
      KeyboardInterrupt: Ctrl-C has; as after SIGTERM, the state is saved.
    """
    termination = Termination()
    if threading.current_thread() is not threading.main_thread():
        yield termination
        return
    before = _replace_handlers(termination._on_signal)
    try:
        yield termination
        termination.check()
    except (Exception, Terminated) as error:
        if termination.signal == signal.SIGINT:
            raise KeyboardInterrupt from error
        if termination.requested and not isinstance(error, Terminated):
            # Or a study would go on with its next run.
            raise Terminated from error
        raise
    finally:
        for number, handler in before.items():
            # None is a handler that Python did not set, and cannot set again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _replace_handlers(
    handler: Callable[[int, FrameType | None], None],
) -> dict[int, Any]:
    """Sets the handler for both signals; returns those that stood before."""
    before: dict[int, Any] = {signal.SIGTERM: signal.signal(signal.SIGTERM, handler)}
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        before[signal.SIGINT] = signal.signal(signal.SIGINT, handler)
    return before
