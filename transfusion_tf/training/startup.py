"""Where a run goes on from, in order: own saved state before fresh weights."""

import dataclasses
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import pandas as pd
from tqdm import tqdm

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.initialization import InitializationReport
from transfusion_tf.input_pipeline import train_batches
from transfusion_tf.models import table1_parameter_count
from transfusion_tf.training import provenance
from transfusion_tf.training.config import RunConfig
from transfusion_tf.training.dataset_summary import dataset_summary, sample_images
from transfusion_tf.training.resolved_config import augmentation_of
from transfusion_tf.training.run_directory import RunDirectory
from transfusion_tf.training.run_options import RunOptions
from transfusion_tf.training.state import Progress, StateFiles
from transfusion_tf.training.trainer import Trainer
from transfusion_tf.training.weights import (
    first_kernel,
    initialize_run,
    save_weights,
    weights_sha256,
)
from transfusion_tf.training.workers import Batch, Workers


@dataclasses.dataclass(frozen=True)
class Start:
    """Where a run goes on from.

    Attributes:
      state: where states are saved.
      progress: of the saved state, or none yet.
      batches_from: a step, to the batches from it on, this worker's part of each.
      epoch_steps: how many steps see every training example once.
    """

    state: StateFiles
    progress: Progress
    batches_from: Callable[[int], Iterator[Batch]]
    epoch_steps: float


def start_up(
    trainer: Trainer,
    config: RunConfig,
    prepared: PreparedDataset,
    directory: RunDirectory,
    options: RunOptions,
    workers: Workers,
) -> Start:
    """Gives the trainer the run's weights; its folder becomes a run directory.

    Raises:
      UserError: a donor that does not fit; workers that differ.
    """
    # 1. Own saved state before fresh weights.
    state = StateFiles(directory.state)
    progress, report = _load_or_initialize(trainer, config, state, workers)
    if trainer.schedule is not None:
        trainer.schedule.set_plateaus(progress.plateaus)
    workers.check_same(
        lambda: {"step": progress.step, "weights": _checksum(trainer.variables)}
    )

    # 2. The folder says what runs here.
    directory.write_config(config)
    facts = {}
    if report is not None:
        _write_start(trainer.model, report, config, prepared, directory, options)
        facts["initial_sha256"] = weights_sha256(trainer.model)
    status = _running_status(trainer.model, workers)
    directory.update_status(step=progress.step, **status, **facts)

    # 3. The data.
    def batches_from(step: int) -> Iterator[Batch]:
        batches = train_batches(
            prepared,
            config.batch_size,
            seed=config.seed,
            train_examples=config.train_examples,
            augmentation=augmentation_of(config),
            start_step=step,
            part=(workers.index, workers.count),
        )
        return workers.distribute(batches)

    examples = len(prepared.examples("train", config.train_examples))
    return Start(
        state,
        progress,
        batches_from=batches_from,
        epoch_steps=examples / config.batch_size,
    )


def _running_status(model: keras.Model, workers: Workers) -> dict[str, Any]:
    """What trains, and on which machine."""
    return {
        "state": "running",
        "message": "",
        "started": provenance.now(),
        "parameters": model.count_params(),
        "parameters_table1": _table1_count(model),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "workers": workers.count,
        "devices": workers.strategy.num_replicas_in_sync,
        "commit": provenance.commit(),
    }


def _load_or_initialize(
    trainer: Trainer, config: RunConfig, state: StateFiles, workers: Workers
) -> tuple[Progress, InitializationReport | None]:
    """Weights of the saved state, or fresh ones and the report on them."""
    saved, message = state.load(trainer.variables)
    if message:
        tqdm.write(f"{config.run_id}: {message}")
    if saved is None:
        with workers.strategy.scope():
            return Progress(), initialize_run(trainer.model, config)
    if saved.best_step == saved.step:
        state.keep_as_best()  # Or a kill came between the state and its mark.
    return saved, None


def _write_start(
    model: keras.Model,
    report: InitializationReport,
    config: RunConfig,
    prepared: PreparedDataset,
    directory: RunDirectory,
    options: RunOptions,
) -> None:
    """What the folder says of a run that begins."""
    directory.write_table("initialization.csv", pd.DataFrame(report.to_rows()))
    directory.write_dataset(dataset_summary(prepared, str(config.metric)))
    directory.write_arrays("samples", **sample_images(prepared))
    directory.write_arrays("first_layer", initial=first_kernel(model))
    if options.keep_initial_weights:
        save_weights(model, directory.initial_weights)


def _checksum(variables: list[keras.Variable]) -> int:
    checksum = 0
    for variable in variables:
        checksum = zlib.crc32(keras.ops.convert_to_numpy(variable).tobytes(), checksum)
    return checksum


def _table1_count(model: keras.Model) -> int | None:
    try:
        return table1_parameter_count(model)
    except ValueError:
        return None
