"""One run in its folder: begun, gone on with, or read when it is finished."""

import contextlib
import dataclasses
from pathlib import Path

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.errors import UserError
from transfusion_tf.training import performance, provenance
from transfusion_tf.training.config import RunConfig
from transfusion_tf.training.distributed.cluster_workers import LostWorkerError
from transfusion_tf.training.loop import Loop
from transfusion_tf.training.precision import precision
from transfusion_tf.training.resolved_config import resolve
from transfusion_tf.training.run_directory import RunDirectory
from transfusion_tf.training.run_lock import LOCK_FILE, run_lock
from transfusion_tf.training.run_options import RunOptions
from transfusion_tf.training.startup import start_up
from transfusion_tf.training.state import StateFiles
from transfusion_tf.training.strategy import join
from transfusion_tf.training.termination import Termination, holding_back_signals
from transfusion_tf.training.trainer import trainer_for
from transfusion_tf.training.workers import Workers


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
    options: RunOptions | None = None,
    *,
    prepared: PreparedDataset | None = None,
) -> RunResult:
    """Trains one model, or goes on with it, or returns what it came to before.

    A run that was stopped at any moment goes on from its last saved state and ends
    with the same weights and metrics as one that was not (on the same kind of
    machine). The best weights are chosen on the validation split; the test split
    is read once, at the end.

    Many workers (see `RunOptions.cluster`) call this alike, with a `run_dir` that all
    of them see. The chief alone writes there.

    Args:
      config: what to train; open fields take the card's values.
      run_dir: the run's folder; made if need be.
      options: where data lies and how the run is carried out.
      prepared: the config's data set, where the caller has it open already.

    Raises:
      UserError: bad config, data or donor, a folder that holds another run.
      RunHeldError: another process trains this run now.
      NonFiniteError: the loss became NaN; the last good state is kept.
      LostWorkerError: another worker is gone; the last saved state is kept.
      Terminated: SIGTERM asked the process to end; the state is saved.
    """
    options = options or RunOptions()
    directory = RunDirectory(run_dir)
    workers = join(options)
    with workers.together(lambda: _goes_on_from(directory)):
        config, prepared = resolve(
            config, options.data_root, progress=options.progress, prepared=prepared
        )
        workers.check_same(config.to_dict)
        with contextlib.ExitStack() as stack:
            if workers.on_chief(lambda: _begin(directory, config, stack)):
                termination = stack.enter_context(holding_back_signals())
                own = stack.enter_context(workers.own_folder(directory.path))
                own_run = RunDirectory(own)
                _train(config, prepared, own_run, options, termination, workers)
            else:
                options.on_step(config.steps)
        # The chief has let go of the run where the others go on.
        workers.wait_for_all()
    workers.wait_until(directory.finished, directory.path)
    return load_result(directory)


def _begin(
    directory: RunDirectory, config: RunConfig, stack: contextlib.ExitStack
) -> bool:
    """Whether there is something to train; if so, the stack holds the run's lock."""
    _check_same_run(directory, config)
    if directory.finished():
        _tidy(directory)
        return False
    stack.enter_context(run_lock(directory.path))
    # Another process may have been here since we looked.
    _check_same_run(directory, config)
    return not directory.finished()


def _goes_on_from(directory: RunDirectory) -> str:
    step = directory.status().get("step")
    return f"it goes on from step {step}" if step else "it begins anew"


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
    options: RunOptions,
    termination: Termination,
    workers: Workers,
) -> None:
    """Trains to the end, or leaves in the status why not."""
    if not workers.is_chief:
        options = dataclasses.replace(options, progress=False, profile_steps=None)
    try:
        with (
            precision(config.mixed_precision),
            workers.together(lambda: _goes_on_from(directory)),
        ):
            performance.reset_peak_memory()
            with contextlib.ExitStack() as in_use:
                with termination.at_once():
                    trainer = in_use.enter_context(
                        trainer_for(config, prepared, workers)
                    )
                    start = start_up(
                        trainer, config, prepared, directory, options, workers
                    )
                Loop(
                    trainer,
                    start,
                    config,
                    prepared,
                    directory,
                    options,
                    workers.share_termination(termination),
                ).train()
    except BaseException as error:
        # What was wrong from the start leaves nothing behind.
        if directory.exists() and not directory.finished():
            with contextlib.suppress(OSError, UserError):
                reason = str(error) or type(error).__name__
                lost = isinstance(error, LostWorkerError)
                stopped = lost or not isinstance(error, Exception)
                state = "stopped" if stopped else "failed"
                directory.update_status(
                    state=state, message=reason, ended=provenance.now()
                )
        raise


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
