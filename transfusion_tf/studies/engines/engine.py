"""A run as an engine sees it: a config goes in, events and an outcome come out."""

import contextlib
import dataclasses
import os
import platform
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol, Self

from transfusion_tf.errors import UserError
from transfusion_tf.studies.data_sets import DataSets
from transfusion_tf.training import (
    RunConfig,
    RunDirectory,
    RunHeldError,
    RunOptions,
    train,
)
from transfusion_tf.training.distributed.cluster_workers import LostWorkerError


@dataclasses.dataclass(frozen=True)
class Began:
    """A process has taken the run up; again, where it had done so before.

    Attributes:
      run_id: the run.
      host, process: who.
    """

    run_id: str
    host: str
    process: int


@dataclasses.dataclass(frozen=True)
class Advanced:
    """How far the run has come.

    Attributes:
      run_id: the run.
      step: steps made so far. The first such event of a process says where the run
        goes on from.
    """

    run_id: str
    step: int


@dataclasses.dataclass(frozen=True)
class Said:
    """Something that the user should read.

    Attributes:
      text: one line or more.
    """

    text: str


Event = Began | Advanced | Said
Listener = Callable[[Event], None]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a run that was submitted.

    Attributes:
      run_id: the run.
      state: `finished`; `failed`; `held` by another process; `stopped`, its state
        saved, as it was asked to; `lost`, as its process was killed.
      message: why, in one line; by whom it is held.
      traceback: of a failure that is a bug.
      error: the failure itself, where it happened in this process.
    """

    run_id: str
    state: Literal["finished", "failed", "held", "stopped", "lost"]
    message: str = ""
    traceback: str = ""
    error: Exception | None = None


class Engine(Protocol):
    """Trains runs that are handed to it, as many at once as it has slots.

    Attributes:
      slots: how many runs may be with it at once.
      in_this_process: whether runs are trained by the process that waits for them,
        which then hears of signals itself.
    """

    slots: int
    in_this_process: bool

    def submit(self, config: RunConfig) -> None:
        """Takes over a resolved run."""
        ...

    def wait(self, seconds: float) -> list[Outcome]:
        """What became of runs, as soon as one ended; nothing after so many seconds.

        Events of runs under way are passed to the listener meanwhile.
        """
        ...

    def stop(self) -> list[Outcome]:
        """Asks all runs under way to save their state and end; waits until they did."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None:
        """Ends all processes of its own, what they do included."""
        ...


def carry_out(
    config: RunConfig,
    runs: Path,
    options: RunOptions,
    data_sets: DataSets,
    listener: Listener,
    seconds_between: float = 0.0,
) -> Outcome:
    """Trains a run in this process, or says why not.

    Args:
      config: resolved.
      runs: the folder of the runs' folders.
      options: how it is carried out; progress goes to the listener alone.
      data_sets: where its data set is opened, or is open already.
      listener: told of how far the run has come.
      seconds_between: the least time between two such events but the first.

    Raises:
      LostWorkerError: another process of the same training is gone.
      Terminated, KeyboardInterrupt: the process was asked to end.
    """
    directory = RunDirectory(runs / config.run_id)
    listener(Began(config.run_id, platform.node(), os.getpid()))
    steps = _Steps(config.run_id, listener, seconds_between)
    try:
        options = dataclasses.replace(options, progress=False, on_step=steps)
        prepared = data_sets.of(config)
        train(config, directory.path, options, prepared=prepared)
    except RunHeldError as error:
        who = error.holder or "another process"
        return Outcome(config.run_id, "held", str(who))
    except LostWorkerError:
        raise
    except Exception as error:
        message = str(error) or type(error).__name__
        ours = not isinstance(error, UserError)
        if not directory.exists():
            # Training left nothing; shards know of each other by the folders.
            with contextlib.suppress(OSError, UserError):
                directory.update_status(state="failed", message=message)
        return Outcome(
            config.run_id,
            "failed",
            message,
            traceback.format_exc() if ours else "",
            error,
        )
    return Outcome(config.run_id, "finished")


class _Steps:
    """Counts a run's steps and tells the listener, not too often."""

    def __init__(self, run_id: str, listener: Listener, seconds_between: float):
        self._run_id = run_id
        self._listener = listener
        self._seconds_between = seconds_between
        self._step = 0
        self._told: float | None = None

    def __call__(self, count: int) -> None:
        self._step += count
        now = time.monotonic()
        if self._told is None or now - self._told >= self._seconds_between:
            self._told = now
            self._listener(Advanced(self._run_id, self._step))
