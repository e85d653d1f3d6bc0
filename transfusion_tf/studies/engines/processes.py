"""Processes of this machine, through loky; each trains one run after another.

Each has a loky executor of its own: loky ends all processes of an executor when one of
them is killed, and the others are not to lose their steps by that.
"""

import contextlib
import dataclasses
import os
import platform
import queue
import re
import signal
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from joblib.externals.loky import ProcessPoolExecutor

from transfusion_tf.studies.engines import worker_process
from transfusion_tf.studies.engines.engine import Event, Listener, Outcome
from transfusion_tf.training import RunConfig, RunOptions


@dataclasses.dataclass(frozen=True)
class _Ended:
    """The call in this slot came to its end."""

    slot: "_Slot"
    future: Future


class Processes:
    """An `Engine` of so many processes on this machine."""

    in_this_process = False

    def __init__(
        self,
        environments: Sequence[Mapping[str, str]],
        options: RunOptions,
        root: Path,
        logs: Path,
        listener: Listener,
    ):
        """Starts nothing yet.

        Args:
          environments: variables that each process has beside this one's; as many
            as there are processes at most.
          options: how runs are carried out.
          root: runs go to `<root>/runs/`.
          logs: the folder for what libraries write.
          listener: told of events, by the process that waits.
        """
        self.slots = len(environments)
        # loky says so when it starts a process anew whose memory has grown.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs")
        self._listener = listener
        self._happened: queue.SimpleQueue[Event | _Ended] = queue.SimpleQueue()
        logs.mkdir(parents=True, exist_ok=True)
        self._slots = [
            _Slot(
                (options, root),
                logs / f"{platform.node()}_{number}.log",
                environment,
                self._happened.put,
            )
            for number, environment in enumerate(environments, start=1)
        ]

    def submit(self, config: RunConfig) -> None:
        """Takes over a resolved run; one slot must be free."""
        free = [slot for slot in self._slots if slot.run_id is None]
        # Those that run already have models that are compiled.
        free.sort(key=lambda slot: not slot.running)
        free[0].submit(config)

    def wait(self, seconds: float) -> list[Outcome]:
        """See `Engine`."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                what = self._happened.get(timeout=left)
            except queue.Empty:
                break
            if isinstance(what, _Ended):
                return [what.slot.outcome(what.future)]
            self._listener(what)
        return []

    def stop(self) -> list[Outcome]:
        """See `Engine`. Where a process has not begun yet, it just ends."""
        outcomes: list[Outcome] = []
        asked: set[int] = set()
        while busy := [slot for slot in self._slots if slot.run_id is not None]:
            for slot in busy:
                if slot.process is not None and slot.process not in asked:
                    asked.add(slot.process)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(slot.process, signal.SIGTERM)
            outcomes += self.wait(0.2)
        return outcomes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for slot in self._slots:
            slot.close()


class _Slot:
    """One process, another one after it where that was killed.

    Attributes:
      run_id: of the run that is trained; None where it is free.
      process: the process's number; None before it has told it.
    """

    def __init__(
        self,
        how: tuple[RunOptions, Path],
        log: Path,
        environment: Mapping[str, str],
        happened: Callable[[Event | _Ended], None],
    ):
        self.run_id: str | None = None
        self.process: int | None = None
        self._options, self._root = how
        self._log = log
        quiet = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3")
        self._environment = {"TF_CPP_MIN_LOG_LEVEL": quiet, **environment}
        self._happened = happened
        self._executor: ProcessPoolExecutor | None = None
        self._sending: Connection | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._executor is not None

    def submit(self, config: RunConfig) -> None:
        """Trains the run in the process, which is started if need be."""
        if self._executor is None:
            self._start()
        assert self._executor is not None
        self.run_id = config.run_id
        future = self._executor.submit(
            worker_process.carry_out_here, config, self._root, self._options
        )
        future.add_done_callback(lambda future: self._happened(_Ended(self, future)))

    def outcome(self, future: Future) -> Outcome:
        """What became of the run; the slot is free again."""
        assert self.run_id is not None
        error = future.exception()
        if error is not None:
            self.close()
        run_id, self.run_id = self.run_id, None
        if error is None:
            return future.result()
        if not isinstance(error, BrokenProcessPool):
            raise error
        found = re.search(r"SIG[A-Z]+", str(error))
        how = f"was killed ({found[0]})" if found else "has ended"
        return Outcome(run_id, "lost", f"its process {how}; see {self._log}")

    def close(self) -> None:
        """Ends the process, whatever it does."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=self.run_id is not None)
            self._executor = None
        if self._sending is not None:
            # What reads at the other end sees that nobody writes any more.
            self._sending.close()
            self._sending = None
        self.process = None

    def _start(self) -> None:
        receiving, sending = Pipe(duplex=False)
        threading.Thread(target=self._receive, args=(receiving,), daemon=True).start()
        # Kept open here, as loky may start the process anew when its memory grows.
        self._sending = sending
        self._executor = ProcessPoolExecutor(
            max_workers=1,
            initializer=_beginning(),
            initargs=(str(self._log), sending),
            env=self._environment,
        )

    def _receive(self, receiving: Connection) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                what = receiving.recv()
                if isinstance(what, int):
                    self.process = what
                else:
                    self._happened(what)


def _beginning() -> Callable[[str, Connection], None]:
    """What a process does first.

    A function within a function, which is sent by its code: one that is sent by its
    name makes the process import TensorFlow, which writes lines to the terminal.
    """

    def begin(log: str, connection: Connection) -> None:
        import os

        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(file, 1)
        os.dup2(file, 2)
        connection.send(os.getpid())
        from transfusion_tf.studies.engines import worker_process

        worker_process.begin(connection)

    return begin
