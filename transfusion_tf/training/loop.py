"""One run from its first step to its end: the whole loop, readable in one sitting."""

import time
from collections.abc import Callable

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.errors import UserError
from transfusion_tf.training import performance, provenance
from transfusion_tf.training.config import RunConfig
from transfusion_tf.training.hparams import write_hparams, write_results
from transfusion_tf.training.profiling import profiler
from transfusion_tf.training.run_directory import RunDirectory
from transfusion_tf.training.run_options import RunOptions
from transfusion_tf.training.selection import (
    count_evaluation,
    ends_early,
    ends_head,
    selection_metric,
)
from transfusion_tf.training.split_evaluation import SplitEvaluation, evaluate_split
from transfusion_tf.training.startup import Start
from transfusion_tf.training.termination import Terminated, Termination
from transfusion_tf.training.trainer import Trainer
from transfusion_tf.training.weights import first_kernel, save_model, save_weights
from transfusion_tf.training.workers import Batch

# Adam keeps weights finite at any rate; a cross-entropy this high is no training.
_DIVERGED = 1e6


class NonFiniteError(UserError):
    """The loss diverged, or a weight is NaN or infinite; the run was stopped."""


class Loop:
    """One training: steps, evaluations and saved states, to the end."""

    def __init__(
        self,
        trainer: Trainer,
        start: Start,
        config: RunConfig,
        prepared: PreparedDataset,
        directory: RunDirectory,
        options: RunOptions,
        termination: Termination,
    ):
        self.trainer = trainer
        self.model = trainer.model
        self.state = start.state
        self.progress = start.progress
        self.batches_from = start.batches_from
        self.batches = start.batches_from(start.progress.step)
        self.epoch_steps = start.epoch_steps
        self.config = config
        self.prepared = prepared
        self.directory = directory
        self.options = options
        self.termination = termination
        # Of the best weights, where this process has evaluated them.
        self.best_validation: SplitEvaluation | None = None
        self.clock = performance.Clock(start.progress)

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
        with bar, writer.as_default():
            examples = self.prepared.examples("train", config.train_examples)
            write_hparams(config, len(examples))
            with profiler(self.options.profile_steps, self.directory.events) as profile:
                self._train_to_the_end(bar, profile)
            # An early stop leaves steps that a study's bar still counts.
            self.options.on_step(config.steps - progress.step)
            self._finish()

    def _train_to_the_end(self, bar: tqdm, profile: Callable[[int], None]) -> None:
        progress, config = self.progress, self.config
        if self._evaluation_is_due():
            self._evaluate(bar)
        while progress.step < config.steps and not ends_early(progress, config):
            if ends_head(progress, config):
                self._skip_to(config.head_steps, bar)
            target = min(
                (progress.step // config.eval_every + 1) * config.eval_every,
                config.steps,
            )
            self._train_until(target, bar, profile)
            self._evaluate(bar)

    def _skip_to(self, step: int, bar: tqdm) -> None:
        """Goes on with another step, as a run that resumes there would."""
        bar.update(step - self.progress.step)
        self.options.on_step(step - self.progress.step)
        self.progress.step = step
        self.batches = self.batches_from(step)

    def _evaluation_is_due(self) -> bool:
        """At the start, and where a run was stopped between a step and its evaluation.

        Early stopping ends a run right after an evaluation, so never between.
        """
        step, config = self.progress.step, self.config
        metrics = self.progress.metrics
        if metrics and metrics[-1]["step"] == step:
            return False
        return step % config.eval_every == 0 or step == config.steps

    def _train_until(
        self, target: int, bar: tqdm, profile: Callable[[int], None]
    ) -> None:
        """Runs the steps before an evaluation; their losses go to the progress."""
        progress, clock = self.progress, self.clock
        every = self.options.save_every_steps
        pending: list[tf.Tensor] = []
        clock.start()
        while progress.step < target:
            if progress.step == self.config.head_steps and clock.warm:
                self._collect(pending)
                clock.stop()
                clock.cool()
            profile(progress.step)
            with clock.waiting():
                batch = next(self.batches)
            pending.append(self._train_step(batch))
            progress.step += 1
            bar.update()
            self.options.on_step(1)
            stop = self.termination.is_due()
            due = every and progress.step % every == 0 and progress.step < target
            if due or stop or not clock.warm:
                self._collect(pending)
                clock.stop()
            if due or stop:
                self._check_weights()
                self._save()
                self.directory.update_status(step=progress.step)
            if stop:
                raise Terminated
        self._collect(pending)
        clock.stop()

    def _train_step(self, batch: Batch) -> tf.Tensor:
        steps = self.trainer.steps
        step = steps.train
        if self.progress.step < self.config.head_steps:
            assert steps.train_head is not None
            step = steps.train_head
        try:
            return step(batch)
        except tf.errors.UnimplementedError as error:
            if not self.config.xla:
                raise
            reason = str(error.message).partition("\n")[0].strip()
            raise UserError(
                f"XLA cannot compile the training step of {self.config.model} "
                f"({reason.rstrip('.')}): leave --xla out"
            ) from error

    def _collect(self, pending: list[tf.Tensor]) -> None:
        """Moves losses from the device to the progress, if they make sense."""
        values = np.array([loss.numpy() for loss in pending], np.float64)
        bad = np.flatnonzero(~(values < _DIVERGED))
        if len(bad):
            step = self.progress.step - len(values) + int(bad[0]) + 1
            raise NonFiniteError(
                f"the training loss became {values[bad[0]]:.3g} at step {step} of "
                f"{self.config.run_id}; a lower --learning_rate than "
                f"{self.config.learning_rate:g} may help. The last good state is kept"
            )
        self.progress.losses.extend(values.tolist())
        pending.clear()

    def _evaluate(self, bar: tqdm) -> None:
        """Measures the validation split, keeps the best weights, saves the state."""
        progress, directory = self.progress, self.directory
        start = time.perf_counter()
        self._check_weights()
        self._settle_batch_norm()
        try:
            measured = self._evaluate_split("validation")
            shown = self._evaluate_split("test") if self.config.test_curve else None
        except Terminated:
            # Nothing has changed yet: the run goes on with this evaluation.
            self._save()
            raise
        self._note(measured.metrics, {} if shown is None else shown.metrics)
        if count_evaluation(progress, self.config, measured.metrics):
            self.best_validation = measured
        if self.trainer.schedule is not None:
            self.trainer.schedule.set_plateaus(progress.plateaus)
        progress.evaluation_seconds += time.perf_counter() - start
        progress.timing.append(
            {
                "step": progress.step,
                "train_seconds": round(progress.train_seconds, 3),
                "evaluation_seconds": round(progress.evaluation_seconds, 3),
            }
        )
        self._save()
        if progress.best_step == progress.step:
            self.state.keep_as_best()
        directory.write_lines("metrics.jsonl", progress.metrics)
        directory.write_lines("timing.jsonl", progress.timing)
        directory.update_status(step=progress.step)
        name = selection_metric(self.config)
        bar.set_postfix({name: f"{measured.metrics[name]:.3f}"})
        if self.termination.is_due_now():
            raise Terminated

    def _note(self, measured: dict[str, float], shown: dict[str, float]) -> None:
        """Adds a line of metrics to the progress, of validation and perhaps of test."""
        progress = self.progress
        for name in (str(self.config.metric), selection_metric(self.config)):
            if name not in measured:
                raise UserError(
                    f"{name} is undefined on the validation split of "
                    f"{self.prepared.card.name}: it needs examples with and without"
                )
        values = {f"validation/{name}": value for name, value in measured.items()}
        values |= {f"test/{name}": value for name, value in shown.items()}
        epoch = round(progress.step / self.epoch_steps, 4)
        line: dict[str, float] = {"step": progress.step, "epoch": epoch}
        if progress.losses:
            line["train/loss"] = float(np.mean(progress.losses))
        line["train/learning_rate"] = self._learning_rate()
        progress.losses = []
        progress.metrics.append(line | values)
        for name, value in progress.metrics[-1].items():
            if "/" in name:
                tf.summary.scalar(name, value, step=progress.step)

    def _learning_rate(self) -> float:
        """Of the optimizer that made the last steps."""
        optimizer = self.trainer.optimizer
        head_optimizer = self.trainer.head_optimizer
        if head_optimizer and self.progress.step <= self.config.head_steps:
            optimizer = head_optimizer
        return float(keras.ops.convert_to_numpy(optimizer.learning_rate))

    def _check_weights(self) -> None:
        for variable in self.model.weights:
            if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
                raise NonFiniteError(
                    f"weight {variable.path} is not finite after step "
                    f"{self.progress.step} of {self.config.run_id}; a lower "
                    f"--learning_rate than {self.config.learning_rate:g} may help. The "
                    "last good state is kept"
                )

    def _settle_batch_norm(self) -> None:
        config = self.config
        # While the head is trained alone, what is below it keeps the donor's.
        in_head = config.head_steps and self.progress.step <= config.head_steps
        if config.batch_norm_images and not in_head:
            # What compares networks takes a while to import, and few runs need it.
            from transfusion_tf.training.settled_batch_norm import settle_batch_norm

            settle_batch_norm(self.trainer.graph, config, self.prepared)

    def _evaluate_split(self, split: str) -> SplitEvaluation:
        with self.termination.at_once():
            result = evaluate_split(
                self.trainer.steps,
                self.prepared,
                split,
                4 * self.config.batch_size,
                self._end_if_asked,
            )
        if not result.finite:
            raise NonFiniteError(
                f"the model's output on the {split} split is not finite after step "
                f"{self.progress.step} of {self.config.run_id}"
            )
        return result

    def _end_if_asked(self) -> None:
        if self.termination.is_due():
            raise Terminated

    def _save(self) -> None:
        performance.note_peak_memory(self.progress)
        self.state.save(self.trainer.variables, self.progress)

    def _finish(self) -> None:
        """Last weights, then predictions and metrics of the best ones."""
        progress, directory, model = self.progress, self.directory, self.model
        save_model(model, directory.final_model)
        final = first_kernel(model).copy()
        if progress.best_step != progress.step:
            self.state.load_best(self.trainer.variables)
            save_weights(model, directory.best_weights)
        initial = directory.first_layer()[0]
        best = first_kernel(model)
        directory.write_arrays("first_layer", initial=initial, best=best, final=final)
        # What a run that was stopped in between knew of its best weights is gone.
        start = time.perf_counter()
        results = [
            self.best_validation or self._evaluate_split("validation"),
            self._evaluate_split("test"),
        ]
        progress.evaluation_seconds += time.perf_counter() - start
        metrics = {result.split: result.metrics for result in results}
        write_results(str(self.config.metric), metrics, progress.best_step)
        directory.write_table(
            "predictions.parquet", pd.concat([result.table for result in results])
        )
        performance.note_peak_memory(progress)
        directory.update_status(
            state="finished",
            step=progress.step,
            best_step=progress.best_step,
            best_validation=self._best_line()[f"validation/{self.config.metric}"],
            validation=metrics["validation"],
            test=metrics["test"],
            train_seconds=round(progress.train_seconds, 2),
            evaluation_seconds=round(progress.evaluation_seconds, 2),
            **performance.speed(progress, self.config.batch_size),
            **progress.peak_memory,
            ended=provenance.now(),
        )
        self.state.remove()

    def _best_line(self) -> dict[str, float]:
        """The metrics of the evaluation that had the best weights."""
        best = self.progress.best_step
        return next(line for line in self.progress.metrics if line["step"] == best)
