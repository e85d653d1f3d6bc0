"""Trains many runs one after the other, beside other processes that do the same."""

import contextlib
import dataclasses
import time
import traceback
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.errors import UserError
from transfusion_tf.studies.data_sets import DataSets
from transfusion_tf.training import (
    Options,
    RunConfig,
    RunDirectory,
    RunHeldError,
    RunResult,
    train,
)

# Between two looks at a run that another process trains.
_POLL_SECONDS = 3.0


def train_all(
    configs: Iterable[RunConfig],
    data_sets: DataSets,
    runs: Path,
    options: Options,
    label: str,
    *,
    wait: bool,
) -> dict[str, str]:
    """Trains all that is not finished; one that fails does not stop the others.

    A run that another process trains is passed over. In the end it is waited for,
    or left to that process.

    Args:
      configs: resolved, in the order in which they are run.
      data_sets: where they were resolved.
      runs: the folder of the runs' folders.
      options: how runs are carried out.
      label: what the progress bar says.
      wait: whether to wait for runs that others hold.

    Returns:
      Run id -> message of what failed.
    """
    configs = list({config.run_id: config for config in configs}.values())
    todo = [config for config in configs if not _directory(runs, config).finished()]
    if not todo:
        return {}
    bar = tqdm(
        total=sum(config.steps for config in todo),
        desc=f"{label}: run 1/{len(todo)}",
        unit="step",
        disable=not options.progress,
        dynamic_ncols=True,
    )
    with bar:
        queue = _Queue(data_sets, runs, options, bar)
        held = []
        for number, config in enumerate(todo, start=1):
            bar.set_description(f"{label}: run {number}/{len(todo)}")
            try:
                queue.train(config, wait=False)
            except RunHeldError as error:
                who = error.holder or "another process"
                tqdm.write(f"{config.run_id} is held by {who}; going on with others")
                held.append(config)
        for config in held if wait else []:
            queue.train(config, wait=True)
    return queue.failed


def train_when_free(
    config: RunConfig,
    directory: RunDirectory,
    options: Options,
    prepared: PreparedDataset | None = None,
) -> RunResult:
    """Trains a run, or waits for the process that does.

    When that process dies or stops, this one takes over.

    Raises:
      UserError: as `transfusion_tf.training.train`; or the other process's, where
        the run failed there.
    """
    said = False
    while True:
        ended = directory.status().get("ended")
        try:
            return train(config, directory.path, options, prepared=prepared)
        except RunHeldError as error:
            if not said:
                tqdm.write(f"waiting: {error}")
                said = True
        time.sleep(_POLL_SECONDS)
        status = directory.status()
        if status["state"] == "failed" and status.get("ended") != ended:
            raise UserError(f"{config.run_id} failed elsewhere: {status['message']}")


class _Queue:
    """Runs of one bar; keeps what failed."""

    def __init__(self, data_sets: DataSets, runs: Path, options: Options, bar: tqdm):
        self.failed: dict[str, str] = {}
        self._data_sets = data_sets
        self._runs = runs
        self._bar = bar

        def on_step(count: int) -> None:
            bar.update(count)
            options.on_step(count)

        self._options = dataclasses.replace(options, on_step=on_step)

    def train(self, config: RunConfig, *, wait: bool) -> None:
        """Trains the run or records its failure. Raises RunHeldError."""
        directory = _directory(self._runs, config)
        prepared = self._data_sets.of(config)
        before = self._bar.n
        try:
            if wait:
                train_when_free(config, directory, self._options, prepared)
            else:
                train(config, directory.path, self._options, prepared=prepared)
        except RunHeldError:
            raise
        except Exception as error:
            message = str(error) or type(error).__name__
            self.failed[config.run_id] = message
            self._bar.write(f"{config.run_id} failed: {message}")
            if not isinstance(error, UserError):
                self._bar.write(traceback.format_exc())
            self._bar.update(config.steps - (self._bar.n - before))
            if not directory.exists():
                # Training left nothing; shards know of each other by the folders.
                with contextlib.suppress(OSError, UserError):
                    directory.update_status(state="failed", message=message)


def _directory(runs: Path, config: RunConfig) -> RunDirectory:
    return RunDirectory(runs / config.run_id)
