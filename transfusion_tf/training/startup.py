"""What a run trains with, made in order: own saved state before fresh weights."""

import dataclasses
import zlib
from collections.abc import Iterator

import keras
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.initialization import initialize, load_donor
from transfusion_tf.input_pipeline import Augmenter, train_batches
from transfusion_tf.models import (
    build,
    freeze_through,
    head_layers,
    set_synchronized_batch_norm,
    table1_parameter_count,
)
from transfusion_tf.training import artifacts
from transfusion_tf.training.config import RunConfig
from transfusion_tf.training.resolve import (
    augmentation_of,
    donor_file,
    donor_input_scaling,
)
from transfusion_tf.training.run_directory import RunDirectory
from transfusion_tf.training.schedules import (
    PlateauSchedule,
    decay_kernels_only,
    make_head_optimizer,
    make_optimizer,
    plateau_schedule,
)
from transfusion_tf.training.state import Progress, StateFiles
from transfusion_tf.training.steps import Batch, Steps, make_steps
from transfusion_tf.training.workers import Workers


@dataclasses.dataclass(frozen=True)
class Parts:
    """What the loop works on.

    Attributes:
      model, optimizer: under the workers' strategy, with the weights to go on from.
      head_optimizer: of the steps that train the head alone, if there are any.
      schedule: what is told of plateaus; None where nothing asks.
      steps: compiled for them.
      variables: all that a state holds, in order.
      state: where states are saved.
      progress: of the saved state, or none yet.
      batches: from the step that comes next, this worker's part of each.
      epoch_steps: how many steps see every training example once.
    """

    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    head_optimizer: keras.optimizers.Optimizer | None
    schedule: PlateauSchedule | None
    steps: Steps
    variables: list[keras.Variable]
    state: StateFiles
    progress: Progress
    batches: Iterator[Batch]
    epoch_steps: float


def start_up(
    config: RunConfig,
    prepared: PreparedDataset,
    directory: RunDirectory,
    workers: Workers,
) -> Parts:
    """Makes all that the run trains with; its folder becomes a run directory.

    Raises:
      UserError: a model, donor or batch size that does not fit; workers that differ.
    """
    # 1. Everything random hangs on the seed.
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    train_examples = len(prepared.examples("train", config.train_examples))
    augmentation = augmentation_of(config)

    # 2. Model, weights, optimizer, all under the strategy.
    with workers.strategy.scope():
        model = _build(config, prepared, workers)
        initialization = _initialize(model, config)
        if config.freeze:
            freeze_through(model, config.freeze)
        optimizer = make_optimizer(config, train_examples)
        schedule = plateau_schedule(optimizer)
        optimizer = _built(optimizer, config, model.trainable_variables)
        head_optimizer = None
        if config.head_steps:
            head = [v for x in head_layers(model) for v in x.trainable_variables]
            head_optimizer = _built(make_head_optimizer(config), config, head)
        steps = make_steps(
            model,
            optimizer,
            Augmenter(augmentation),
            workers.strategy,
            config.batch_size,
            workers=workers,
            xla=config.xla,
            head=config.head or "sigmoid",
            head_optimizer=head_optimizer,
            gradient_clipping=config.gradient_clipping,
            l2_penalty=0.0 if config.optimizer == "adamw" else config.weight_decay,
        )

    # 3. Own saved state before fresh weights.
    state = StateFiles(directory.state)
    variables = [*model.variables, *optimizer.variables]
    if head_optimizer is not None:
        variables += head_optimizer.variables
    saved, message = state.load(variables)
    if message:
        tqdm.write(f"{config.run_id}: {message}")
    progress = saved or Progress()
    if schedule is not None:
        schedule.set_plateaus(progress.plateaus)
    if workers.count > 1:
        workers.check_same({"step": progress.step, "weights": _checksum(variables)})
    directory.write_config(config)
    if saved is None:
        directory.write_table("initialization.csv", initialization)
        directory.write_dataset(artifacts.dataset_summary(prepared, str(config.metric)))
        directory.write_arrays("samples", **artifacts.sample_images(prepared))
        artifacts.save_weights(model, directory.initial_weights)
    directory.update_status(
        state="running",
        message="",
        step=progress.step,
        started=artifacts.now(),
        parameters=model.count_params(),
        parameters_table1=_table1_count(model),
        versions=artifacts.versions(),
        machine=artifacts.machine(),
        workers=workers.count,
        devices=workers.strategy.num_replicas_in_sync,
        commit=artifacts.commit(),
    )

    # 4. The data, from the step that comes next.
    batches = train_batches(
        prepared,
        config.batch_size,
        seed=config.seed,
        train_examples=config.train_examples,
        augmentation=augmentation,
        start_step=progress.step,
        part=(workers.index, workers.count),
    )
    return Parts(
        model,
        optimizer,
        head_optimizer,
        schedule,
        steps,
        variables,
        state,
        progress,
        batches=steps.distribute(batches),
        epoch_steps=train_examples / config.batch_size,
    )


def _build(
    config: RunConfig, prepared: PreparedDataset, workers: Workers
) -> keras.Model:
    size = prepared.card.image_size
    model = build(
        config.model,
        (size, size, 3),
        len(prepared.card.labels.classes),
        dropout=config.dropout,
        seed=config.seed,
        pixel_statistics=config.pixel_statistics,
        batch_norm_momentum=config.batch_norm_momentum,
        head=config.head or "sigmoid",
    )
    if workers.strategy.num_replicas_in_sync > 1:
        set_synchronized_batch_norm(model)
    return model


def _initialize(model: keras.Model, config: RunConfig) -> pd.DataFrame:
    """Gives the model its weights; a row a tensor of how."""
    donor = None
    if config.donor is not None:
        donor = load_donor(
            donor_file(config.donor),
            model,
            input_scaling=donor_input_scaling(config.donor),
        )
    report = initialize(model, config.initialization, donor, config.seed)
    return pd.DataFrame(report.to_rows())


def _built(
    optimizer: keras.optimizers.Optimizer,
    config: RunConfig,
    variables: list[keras.Variable],
) -> keras.optimizers.Optimizer:
    """The optimizer, or what scales the loss for it, with a state for the variables."""
    decay_kernels_only(optimizer, variables)
    if config.mixed_precision and tf.config.list_physical_devices("GPU"):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(variables)
    return optimizer


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
