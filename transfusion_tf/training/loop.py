"""One run from start to end: the whole loop, readable in one sitting."""

import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from transfusion_tf import files
from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.errors import UserError
from transfusion_tf.initialization import initialize, load_donor
from transfusion_tf.input_pipeline import Augmenter, train_batches
from transfusion_tf.models import (
    build,
    freeze_through,
    set_synchronized_batch_norm,
    table1_parameter_count,
)
from transfusion_tf.training import artifacts
from transfusion_tf.training.config import RunConfig
from transfusion_tf.training.contexts import profiler
from transfusion_tf.training.measurement import Measurement, measure
from transfusion_tf.training.options import Options
from transfusion_tf.training.resolve import (
    augmentation_of,
    donor_file,
    donor_input_scaling,
)
from transfusion_tf.training.run_directory import RunDirectory
from transfusion_tf.training.schedules import make_optimizer
from transfusion_tf.training.state import Progress, StateFiles
from transfusion_tf.training.steps import Steps, make_steps
from transfusion_tf.training.strategy import make_strategy
from transfusion_tf.training.termination import Terminated, Termination


class NonFiniteError(UserError):
    """The loss or a weight became NaN or infinite; the run was stopped."""


class Loop:
    """The state of one training: model, optimizer, steps, progress."""

    def __init__(
        self,
        config: RunConfig,
        prepared: PreparedDataset,
        directory: RunDirectory,
        options: Options,
        termination: Termination,
    ):
        self.config = config
        self.prepared = prepared
        self.directory = directory
        self.options = options
        self.termination = termination
        self.metric = f"validation/{config.metric}"

        # 1. Everything random hangs on the seed.
        keras.utils.set_random_seed(config.seed)
        tf.config.experimental.enable_op_determinism()
        strategy = make_strategy(options.strategy)

        # 2. Model, weights, optimizer, all under the strategy.
        labels = prepared.card.labels
        with strategy.scope():
            shape = (prepared.card.image_size, prepared.card.image_size, 3)
            self.model = build(
                config.model,
                shape,
                len(labels.classes),
                dropout=config.dropout,
                seed=config.seed,
                batch_norm_momentum=config.batch_norm_momentum,
                head=config.head or "sigmoid",
            )
            if strategy.num_replicas_in_sync > 1:
                set_synchronized_batch_norm(self.model)
            initialization = self._initialize()
            if config.freeze:
                freeze_through(self.model, config.freeze)
            train_rows = prepared.examples("train", config.train_examples)
            self.optimizer = make_optimizer(config, len(train_rows))
            if config.mixed_precision and tf.config.list_physical_devices("GPU"):
                self.optimizer = keras.optimizers.LossScaleOptimizer(self.optimizer)
            self.optimizer.build(self.model.trainable_variables)
            augmentation = augmentation_of(config)
            self.steps: Steps = make_steps(
                self.model,
                self.optimizer,
                Augmenter(augmentation),
                strategy,
                config.batch_size,
                xla=config.xla,
                head=config.head or "sigmoid",
            )
        self.epoch_steps = len(train_rows) / config.batch_size

        self.weight_bytes = sum(4 * int(np.prod(w.shape)) for w in self.model.weights)

        # 3. Own saved state before fresh weights.
        self.state = StateFiles(directory.state)
        self.variables = [*self.model.variables, *self.optimizer.variables]
        saved, message = self.state.load(self.variables)
        if message:
            tqdm.write(f"{config.run_id}: {message}")
        self.progress = saved or Progress()
        directory.write_config(config)
        if saved is None:
            directory.write_table("initialization.csv", initialization)
            directory.write_dataset(
                artifacts.dataset_summary(prepared, str(config.metric))
            )
            directory.write_arrays("samples", **artifacts.sample_images(prepared))
            self._save_weights(directory.initial_weights)
        directory.update_status(
            state="running",
            message="",
            step=self.progress.step,
            started=now(),
            parameters=self.model.count_params(),
            parameters_table1=_table1_count(self.model),
            versions=artifacts.versions(),
            machine=artifacts.machine(),
            commit=artifacts.commit(),
        )

        # 4. The data, from the step that comes next.
        self.batches = self.steps.distribute(
            train_batches(
                prepared,
                config.batch_size,
                seed=config.seed,
                train_examples=config.train_examples,
                augmentation=augmentation,
                start_step=self.progress.step,
            )
        )

    def _initialize(self) -> pd.DataFrame:
        config = self.config
        donor = None
        if config.donor is not None:
            donor = load_donor(
                donor_file(config.donor),
                self.model,
                input_scaling=donor_input_scaling(config.donor),
            )
        report = initialize(self.model, config.initialization, donor, config.seed)
        return pd.DataFrame(report.to_rows())

    def train(self) -> None:
        """The loop: steps up to the next evaluation, evaluate, save."""
        config, progress = self.config, self.progress
        writer = tf.summary.create_file_writer(str(self.directory.events))
        bar = tqdm(
            total=config.steps,
            initial=progress.step,
            desc=f"{config.model} {config.initialization} seed {config.seed}",
            unit="step",
            leave=False,
            disable=not self.options.progress,
            dynamic_ncols=True,
        )
        self.options.on_step(progress.step)
        with (
            bar,
            writer.as_default(),
            profiler(self.options.profile_steps, self.directory.events) as profile,
        ):
            if self._evaluation_is_due():
                self._evaluate(bar)
            while progress.step < config.steps and not self._stopped_early():
                target = min(
                    (progress.step // config.eval_every + 1) * config.eval_every,
                    config.steps,
                )
                self._train_until(target, bar, profile)
                self._evaluate(bar)
            # An early stop leaves steps that a study's bar still counts.
            self.options.on_step(config.steps - progress.step)
        self._finish()

    def _evaluation_is_due(self) -> bool:
        """At the start, and where a run was stopped between a step and its evaluation.

        Early stopping ends a run right after an evaluation, so never between.
        """
        step, config = self.progress.step, self.config
        metrics = self.progress.metrics
        if metrics and metrics[-1]["step"] == step:
            return False
        return step % config.eval_every == 0 or step == config.steps

    def _stopped_early(self) -> bool:
        patience = self.config.early_stopping
        return 0 < patience <= self.progress.evaluations_without_gain

    def _train_until(
        self, target: int, bar: tqdm, profile: Callable[[int], None]
    ) -> None:
        """Runs the steps before an evaluation; their losses go to the progress."""
        progress = self.progress
        every = self.options.save_every_steps
        pending: list[tf.Tensor] = []
        start = time.perf_counter()
        while progress.step < target:
            profile(progress.step)
            asked = time.perf_counter()
            batch = next(self.batches)
            progress.wait_seconds += time.perf_counter() - asked
            pending.append(self.steps.train(batch))
            progress.step += 1
            bar.update()
            self.options.on_step(1)
            due = every and progress.step % every == 0 and progress.step < target
            if due or self.termination.requested:
                self._collect(pending)
                self._check_weights()
                now = time.perf_counter()
                progress.train_seconds += now - start
                start = now
                self.state.save(self.variables, progress)
                self.directory.update_status(step=progress.step)
                self.termination.check()
        self._collect(pending)
        progress.train_seconds += time.perf_counter() - start

    def _collect(self, pending: list[tf.Tensor]) -> None:
        """Moves losses from the device to the progress, if they are finite."""
        values = np.array([loss.numpy() for loss in pending], np.float64)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            step = self.progress.step - len(values) + int(bad[0]) + 1
            raise NonFiniteError(
                f"the training loss became {values[bad[0]]} at step {step} of "
                f"{self.config.run_id}; a lower --learning_rate than "
                f"{self.config.learning_rate:g} may help. The last good state is kept"
            )
        self.progress.losses.extend(values.tolist())
        pending.clear()

    def _evaluate(self, bar: tqdm) -> None:
        """Measures the validation split, keeps the best weights, saves the state."""
        config, progress = self.config, self.progress
        start = time.perf_counter()
        self._check_weights()
        try:
            measured = self._measure("validation").metrics
        except Terminated:
            # Nothing has changed yet: the run goes on with this evaluation.
            self.state.save(self.variables, progress)
            raise
        values = {f"validation/{name}": value for name, value in measured.items()}
        if self.metric not in values:
            raise UserError(
                f"{config.metric} is undefined on the validation split of "
                f"{self.prepared.card.name}: it needs examples with and without"
            )
        line: dict[str, Any] = {
            "step": progress.step,
            "epoch": round(progress.step / self.epoch_steps, 4),
        }
        if progress.losses:
            line["train/loss"] = float(np.mean(progress.losses))
        line["train/learning_rate"] = float(
            keras.ops.convert_to_numpy(self.optimizer.learning_rate)
        )
        progress.losses = []
        progress.metrics.append(line | values)
        if values[self.metric] > progress.best_metric:
            progress.best_metric = values[self.metric]
            progress.best_step = progress.step
            progress.evaluations_without_gain = 0
            self._save_weights(self.directory.best_weights)
        else:
            progress.evaluations_without_gain += 1
        for name, value in progress.metrics[-1].items():
            if "/" in name:
                tf.summary.scalar(name, value, step=progress.step)
        progress.evaluation_seconds += time.perf_counter() - start
        progress.timing.append(
            {
                "step": progress.step,
                "train_seconds": round(progress.train_seconds, 3),
                "evaluation_seconds": round(progress.evaluation_seconds, 3),
            }
        )
        self.state.save(self.variables, progress)
        self.directory.write_lines("metrics.jsonl", progress.metrics)
        self.directory.write_lines("timing.jsonl", progress.timing)
        self.directory.update_status(step=progress.step)
        bar.set_postfix({str(config.metric): f"{values[self.metric]:.3f}"})
        self.termination.check()

    def _check_weights(self) -> None:
        for variable in self.model.weights:
            if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
                raise NonFiniteError(
                    f"weight {variable.path} is not finite after step "
                    f"{self.progress.step} of {self.config.run_id}; the last good "
                    "state is kept"
                )

    def _measure(self, split: str) -> Measurement:
        with self.termination.at_once():
            result = measure(
                self.steps, self.prepared, split, 4 * self.config.batch_size
            )
        if not result.finite:
            raise NonFiniteError(
                f"the model's output on the {split} split is not finite after step "
                f"{self.progress.step} of {self.config.run_id}"
            )
        return result

    def _finish(self) -> None:
        """Last weights, then predictions and metrics of the best ones."""
        config, progress, directory = self.config, self.progress, self.directory
        files.require_space(directory.final_model, self.weight_bytes)
        with files.replacing(directory.final_model) as temporary:
            self.model.save(temporary)
        self.model.load_weights(directory.initial_weights)
        initial = artifacts.first_kernel(self.model)
        self.model.load_weights(directory.best_weights)
        best = artifacts.first_kernel(self.model)
        directory.write_arrays("first_layer", initial=initial, best=best)
        results = [self._measure(split) for split in ("validation", "test")]
        metrics = {result.split: result.metrics for result in results}
        directory.write_table(
            "predictions.parquet", pd.concat([result.table for result in results])
        )
        images = progress.step * config.batch_size
        seconds = max(progress.train_seconds, 1e-9)
        directory.update_status(
            state="finished",
            step=progress.step,
            best_step=progress.best_step,
            best_validation=progress.best_metric,
            validation=metrics["validation"],
            test=metrics["test"],
            train_seconds=round(progress.train_seconds, 2),
            evaluation_seconds=round(progress.evaluation_seconds, 2),
            images_per_second=round(images / seconds, 2),
            input_wait_share=round(progress.wait_seconds / seconds, 4),
            peak_memory_mib=artifacts.peak_memory_mib(),
            ended=now(),
        )
        self.state.remove()

    def _save_weights(self, path: Path) -> None:
        files.require_space(path, self.weight_bytes)
        with files.replacing(path) as temporary:
            self.model.save_weights(temporary)


def _table1_count(model: keras.Model) -> int | None:
    try:
        return table1_parameter_count(model)
    except ValueError:
        return None


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
