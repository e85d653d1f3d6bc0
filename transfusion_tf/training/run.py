"""One run in its folder: begun, gone on with, or read when it is finished."""

import contextlib
import dataclasses
from pathlib import Path

import keras

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.errors import UserError
from transfusion_tf.training.config import RunConfig
from transfusion_tf.training.contexts import precision
from transfusion_tf.training.loop import Loop, now
from transfusion_tf.training.options import Options
from transfusion_tf.training.resolve import resolve
from transfusion_tf.training.run_directory import RunDirectory
from transfusion_tf.training.run_lock import LOCK_FILE, run_lock
from transfusion_tf.training.state import StateFiles
from transfusion_tf.training.termination import Termination, holding_back_sigterm


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What a finished run came to.

    Attributes:
      run_id: names the run by its content.
      directory: where its files are.
      best_step: the evaluation with the best validation metric.
      validation, test: metrics of the best weights, by name.
    """

    run_id: str
    directory: RunDirectory
    best_step: int
    validation: dict[str, float]
    test: dict[str, float]


def train(
    config: RunConfig,
    run_dir: str | Path,
    options: Options | None = None,
    *,
    prepared: PreparedDataset | None = None,
) -> RunResult:
    """Trains one model, or goes on with it, or returns what it came to before.

    A run that was stopped at any moment goes on from its last saved state and ends
    with the same weights and metrics as one that was not (on the same kind of
    machine). The best weights are chosen on the validation split; the test split
    is read once, at the end.

    Args:
      config: what to train; open fields take the card's values.
      run_dir: the run's folder; made if need be.
      options: where data lies and how the run is carried out.
      prepared: the config's data set, where the caller has it open already.

    Raises:
      UserError: bad config, data or donor, a folder that holds another run.
      RunHeldError: another process trains this run now.
      NonFiniteError: the loss became NaN; the last good state is kept.
      Terminated: SIGTERM asked the process to end; the state is saved.
    """
    options = options or Options()
    config, prepared = resolve(
        config, options.data_root, progress=options.progress, prepared=prepared
    )
    directory = RunDirectory(run_dir)
    _check_same_run(directory, config)
    if directory.finished():
        _tidy(directory)
    else:
        with run_lock(directory.path), holding_back_sigterm() as termination:
            # Another process may have been here since we looked.
            _check_same_run(directory, config)
            if not directory.finished():
                _train(config, prepared, directory, options, termination)
                return load_result(directory)
    options.on_step(config.steps)
    return load_result(directory)


def _check_same_run(directory: RunDirectory, config: RunConfig) -> None:
    if directory.exists() and directory.config().run_id != config.run_id:
        raise UserError(
            f"{directory.path} holds another run ({directory.config().run_id}); "
            "choose another folder"
        )


def _train(
    config: RunConfig,
    prepared: PreparedDataset,
    directory: RunDirectory,
    options: Options,
    termination: Termination,
) -> None:
    """Trains to the end, or leaves in the status why not."""
    try:
        with precision(config.mixed_precision):
            with termination.at_once():
                loop = Loop(config, prepared, directory, options, termination)
            loop.train()
    except BaseException as error:
        # What was wrong from the start leaves nothing behind.
        if directory.exists() and not directory.finished():
            with contextlib.suppress(OSError, UserError):
                reason = str(error) or type(error).__name__
                stopped = not isinstance(error, Exception)
                state = "stopped" if stopped else "failed"
                directory.update_status(state=state, message=reason, ended=now())
        raise
    finally:
        keras.backend.clear_session()


def _tidy(directory: RunDirectory) -> None:
    """Removes what a process left that was killed when the run was just finished."""
    if directory.state.exists() or (directory.path / LOCK_FILE).exists():
        with contextlib.suppress(OSError, UserError), run_lock(directory.path):
            StateFiles(directory.state).remove()


def load_result(directory: RunDirectory) -> RunResult:
    """The result of a finished run, read from its folder."""
    status = directory.status()
    return RunResult(
        directory.config().run_id,
        directory,
        status["best_step"],
        status["validation"],
        status["test"],
    )
