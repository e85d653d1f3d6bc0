"""The other end of an engine: a process that trains one run after another.

What it prints is forwarded to the process that waits; what libraries write to the file
descriptors goes to a log file, so that nothing tears the display there.
"""

import contextlib
import dataclasses
import functools
import io
import os
import platform
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from joblib.externals.loky import process_executor

from transfusion_tf.studies.data_sets import DataSets
from transfusion_tf.studies.engines.engine import (
    Event,
    Listener,
    Outcome,
    Said,
    carry_out,
)
from transfusion_tf.training import RunConfig, RunOptions

# Between two events of a run's progress.
_SECONDS_BETWEEN = 0.2
_PARENT_SECONDS = 1.0
# A state is saved within seconds of the step that runs.
_GRACE_SECONDS = 60.0


@functools.cache
def _data_sets(data_root: str | Path) -> DataSets:
    """Per process, so that runs that follow each other open their data set once."""
    return DataSets(RunOptions(data_root=data_root, progress=False))


def carry_out_job(
    config: RunConfig, root: Path, options: RunOptions, listener: Listener
) -> Outcome:
    """Trains a run for a process elsewhere, which may ask this one to end.

    Args:
      config: resolved.
      root: as that process sees it; `<root>/runs/<run id>/` is the run's folder.
      options: how it is carried out.
      listener: gets the events, and what is printed.
    """
    if not root.exists():
        return Outcome(
            config.run_id,
            "failed",
            f"{root} is not to be seen on {platform.node()}: --root should be a folder "
            "that all nodes share",
        )
    data_sets = _data_sets(options.data_root)
    try:
        with contextlib.redirect_stdout(_Forwarded(listener)):
            outcome = carry_out(
                config, root / "runs", options, data_sets, listener, _SECONDS_BETWEEN
            )
    except (SystemExit, KeyboardInterrupt):
        return Outcome(config.run_id, "stopped", "its process was asked to end")
    # The error itself may not be one that can be sent.
    return dataclasses.replace(outcome, error=None)


class Worker:
    """A process of this machine that trains for the one that started it.

    Ctrl-C, which a terminal sends to both, is left to that one; SIGTERM ends the run
    that is trained here, the state saved. So does the other process's end.
    """

    def __init__(self, connection: Connection):
        self._connection = connection
        self._busy = threading.Event()
        self._parent = os.getppid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _end)
        threading.Thread(target=self._watch_parent, daemon=True).start()

    def carry_out(self, config: RunConfig, root: Path, options: RunOptions) -> Outcome:
        """As `carry_out_job`, with events to the other process."""
        self._busy.set()
        try:
            return carry_out_job(config, root, options, self._send)
        finally:
            self._busy.clear()

    def _send(self, event: Event) -> None:
        # Without the other process, the run is ended by what watches for it.
        with contextlib.suppress(OSError):
            self._connection.send(event)

    def _watch_parent(self) -> None:
        while os.getppid() == self._parent:
            time.sleep(_PARENT_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        end = time.monotonic() + _GRACE_SECONDS
        while self._busy.is_set() and time.monotonic() < end:
            time.sleep(0.1)
        # Nobody is there to read what came of it.
        os._exit(128 + signal.SIGTERM)


# The one that this process is, made when it starts.
_workers: list[Worker] = []


def begin(connection: Connection) -> None:
    """Makes this process a worker that sends its events to the connection."""
    # loky replaces a process that has grown by 300 MB, as by leaks. Ours keep compiled
    # models, and bound themselves what they keep.
    process_executor._MAX_MEMORY_LEAK_SIZE = sys.maxsize
    _workers.append(Worker(connection))


def carry_out_here(config: RunConfig, root: Path, options: RunOptions) -> Outcome:
    """As `Worker.carry_out`, of the worker that this process is."""
    return _workers[0].carry_out(config, root, options)


def _end(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


class _Forwarded(io.TextIOBase):
    """Standard output whose lines the user reads elsewhere."""

    def __init__(self, listener: Listener):
        self._listener = listener
        self._line = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if line.strip():
                self._listener(Said(line))
        return len(text)
