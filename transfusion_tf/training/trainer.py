"""A model with its optimizers and compiled steps: built once, used by many runs.

Building and tracing CBR-Tiny takes as long as dozens of its steps. So runs of one
shape, which differ in seed, data, initialization or learning rate, take turns with one
trainer: each sets weights, optimizers and seeds to its own start, and computes what it
would have computed with a fresh one, bit for bit.
"""

import contextlib
import functools
import gc
import json
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.input_pipeline import Augmenter
from transfusion_tf.models import (
    build,
    freeze_through,
    head_layers,
    seed_random_layers,
    set_synchronized_batch_norm,
)
from transfusion_tf.recent import Recent
from transfusion_tf.training.config import RunConfig
from transfusion_tf.training.resolved_config import augmentation_of
from transfusion_tf.training.schedules import (
    decay_kernels_only,
    make_head_optimizer,
    make_optimizer,
    plateau_schedule,
)
from transfusion_tf.training.steps import make_steps
from transfusion_tf.training.workers import Workers

if TYPE_CHECKING:
    from transfusion_tf.representations.snapshots import Graph

# What a trainer does not depend on; all else is compiled into its steps.
_OF_ONE_RUN = (
    "dataset",
    "source",
    "train_examples",
    "fold",
    "folds",
    "fold_protocol",
    "initialization",
    "donor",
    "donor_steps",
    "seed",
    "steps",
    "eval_every",
    "test_curve",
    "early_stopping",
    "early_stopping_metric",
    "metric",
    "head_learning_rate",
    "data",
    "donor_weights",
)
# Trainers that wait for a run hold at most so many bytes of variables and, by a rough
# estimate, graphs.
_MOST_WAITING_BYTES = 1 << 30
_GRAPH_BYTES = 1 << 25


class Trainer:
    """What a run trains with.

    Attributes:
      model, optimizer: under the workers' strategy.
      head_optimizer: of the steps that train the head alone; None where there are none.
      schedule: what is told of plateaus; None where nothing asks.
      steps: compiled for them.
      variables: all that a run's state holds, in order.
    """

    def __init__(
        self, config: RunConfig, num_classes: int, train_examples: int, workers: Workers
    ):
        """Builds everything that `config` asks for; call `start` before the first step.

        Args:
          config: a resolved one.
          num_classes: width of the head.
          train_examples: how many there are; with the batch size, an epoch's length.
          workers: whose devices train.

        Raises:
          UserError: a model, stage or batch size that does not fit.
        """
        with workers.strategy.scope():
            self.model = _model(config, num_classes, workers)
            if config.freeze:
                freeze_through(self.model, config.freeze)
            optimizer = make_optimizer(config, train_examples)
            self.schedule = plateau_schedule(optimizer)
            self.optimizer = _built(optimizer, config, self.model.trainable_variables)
            self.head_optimizer = None
            if config.head_steps:
                head = [
                    variable
                    for layer in head_layers(self.model)
                    for variable in layer.trainable_variables
                ]
                self.head_optimizer = _built(make_head_optimizer(config), config, head)
            self.steps = make_steps(
                self.model,
                self.optimizer,
                Augmenter(augmentation_of(config)),
                workers.strategy,
                config.batch_size,
                workers=workers,
                xla=config.xla,
                head=config.head or "sigmoid",
                head_optimizer=self.head_optimizer,
                gradient_clipping=config.gradient_clipping,
                l2_penalty=0.0 if config.optimizer == "adamw" else config.weight_decay,
            )
        own = [*self.optimizer.variables]
        if self.head_optimizer is not None:
            own += self.head_optimizer.variables
        self.variables = [*self.model.variables, *own]
        # Moments are zeros; a step or a loss scale, a number or two, may be none.
        values = [(v, keras.ops.convert_to_numpy(v)) for v in own]
        self._optimizer_start = [(v, x if x.any() else None) for v, x in values]

    @functools.cached_property
    def graph(self) -> "Graph":
        """What is traced of the model beside the steps."""
        from transfusion_tf.representations.snapshots import Graph

        return Graph(self.model)

    @property
    def size(self) -> int:
        """Bytes that it holds, roughly."""
        sizes = [int(np.prod(v.shape)) * 4 for v in self.variables]
        return sum(sizes) + _GRAPH_BYTES

    def start(self, config: RunConfig) -> None:
        """Readies all but the weights for a run: the caller initializes those."""
        random.seed(config.seed)
        np.random.seed(config.seed)  # noqa: NPY002
        seed_random_layers(self.model, config.seed)
        for variable, value in self._optimizer_start:
            variable.assign(np.zeros(variable.shape) if value is None else value)
        if _has_constant_rate(config):
            self.optimizer.learning_rate = config.learning_rate
        if self.head_optimizer is not None:
            rate = config.head_learning_rate or config.learning_rate
            self.head_optimizer.learning_rate = rate
        if self.schedule is not None:
            self.schedule.set_plateaus(0)


def _model(config: RunConfig, num_classes: int, workers: Workers) -> keras.Model:
    size = config.image_size
    assert size is not None  # `resolve` saw to it
    model = build(
        config.model,
        (size, size, 3),
        num_classes,
        dropout=config.dropout,
        input_scaling=config.pixel_units,
        pixel_statistics=config.pixel_statistics,
        one_channel=config.one_channel,
        batch_norm_momentum=config.batch_norm_momentum,
        head=config.head or "sigmoid",
    )
    if workers.strategy.num_replicas_in_sync > 1:
        set_synchronized_batch_norm(model)
    return model


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


def _has_constant_rate(config: RunConfig) -> bool:
    return config.schedule == "constant" and not config.warmup_steps


# Trainers that wait for the next run of their shape. They alone outlive a run in its
# process, and no result depends on them.
_waiting: Recent[Trainer] = Recent(_MOST_WAITING_BYTES, lambda trainer: trainer.size)


@contextlib.contextmanager
def trainer_for(
    config: RunConfig, prepared: PreparedDataset, workers: Workers
) -> Iterator[Trainer]:
    """A trainer, started for the run, that another run may have used before.

    It goes back when the block ends well, and is forgotten when it does not. Where many
    processes train one run, each run has its own.
    """
    num_classes = len(prepared.card.labels.classes)
    train_examples = len(prepared.examples("train", config.train_examples))
    shape = _shape(config, num_classes, train_examples, workers)
    trainer = _waiting.take(shape) if workers.count == 1 else None
    if trainer is None:
        _begin_session(config.seed)
        trainer = Trainer(config, num_classes, train_examples, workers)
    trainer.start(config)
    yield trainer
    if workers.count == 1 and _waiting.put(shape, trainer):
        gc.collect()  # Models are cycles of references.


def _shape(
    config: RunConfig, num_classes: int, train_examples: int, workers: Workers
) -> str:
    """What runs must have in common to take turns with one trainer."""
    content: dict[str, Any] = {
        name: value
        for name, value in config.to_dict().items()
        if name not in _OF_ONE_RUN
    }
    content["head_steps"] = bool(config.head_steps)
    if config.schedule == "cosine":
        content["decay_steps"] = [config.steps, config.head_steps]
    content["num_classes"] = num_classes
    content["devices"] = [
        type(workers.strategy).__name__,
        *workers.strategy.extended.worker_devices,
    ]
    if _has_constant_rate(config):
        del content["learning_rate"]
    if config.schedule == "imagenet":
        content["train_examples"] = train_examples
    return json.dumps(content, sort_keys=True)


def _begin_session(seed: int) -> None:
    """Names of layers count from the start, as in a fresh process."""
    policy = keras.mixed_precision.dtype_policy()
    keras.backend.clear_session()
    keras.mixed_precision.set_dtype_policy(policy)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
