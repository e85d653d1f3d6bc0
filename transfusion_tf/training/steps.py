"""What runs on the devices: one training step, one prediction step.

Nothing in them branches on a tensor in Python. To convert them for it, as `tf.function`
does by itself, is 2 of the 5 s that a process takes to its first step.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy import special

from transfusion_tf.errors import UserError
from transfusion_tf.input_pipeline import Augmenter
from transfusion_tf.models import body_frozen, logits_model
from transfusion_tf.training.fused_batch_norm import fuse_batch_norm
from transfusion_tf.training.gradients import clipped, penalized
from transfusion_tf.training.workers import Batch, Workers


def softmax_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy over exclusive classes, float32 [batch]; 0 without a label."""
    known = tf.reduce_all(tf.math.is_finite(labels), axis=-1)
    targets = tf.where(tf.math.is_finite(labels), labels, 0.0)
    losses = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
    return losses * tf.cast(known, tf.float32)


def masked_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy of one sigmoid a class, float32 [batch].

    The mean over an image's known labels (NaN is unknown); 0 where none is known.
    Transfusion, appendix A: "sigmoid activation at the top [...] multi-label binary
    classification framework".
    """
    known = tf.math.is_finite(labels)
    targets = tf.where(known, labels, 0.0)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
    weights = tf.cast(known, tf.float32)
    total = tf.reduce_sum(losses * weights, axis=-1)
    return tf.math.divide_no_nan(total, tf.reduce_sum(weights, axis=-1))


def loss_function(head: str) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The loss of each example [batch] that a head is trained with."""
    return softmax_loss if head == "softmax" else masked_loss


@dataclasses.dataclass(frozen=True)
class Steps:
    """Compiled steps over the devices of all workers.

    Attributes:
      workers: whose devices they are.
      train: global batch -> its mean loss, and the weights moved.
      predict: global batch -> per-replica index, mask, logits.
      head: what makes probabilities of logits.
      train_head: as `train`, but moves the head's weights alone, with an optimizer of
        its own; None where it was not asked for.
    """

    workers: Workers
    train: Callable[[Batch], tf.Tensor]
    predict: Callable[[Batch], tuple[Any, Any, Any]]
    head: str = "sigmoid"
    train_head: Callable[[Batch], tf.Tensor] | None = None

    @property
    def on_one_device(self) -> bool:
        """Whether batches need not be laid onto anything."""
        return self.workers.strategy.num_replicas_in_sync == 1

    def predict_all(
        self, batches: Iterable[Batch]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Runs the model over this worker's `eval_batches`.

        Args:
          batches: a dataset; on one device anything that gives batches.

        Yields:
          Of each batch, the `index` of its examples, int64 [examples], without those
          that only fill it up; and their logits, float32 [examples, classes].
        """
        for batch in self.workers.distribute_finite(batches):
            parts = [
                [value.numpy() for value in self._local(values)]
                for values in self.predict(batch)
            ]
            index, mask, logits = (np.concatenate(part) for part in parts)
            yield index[mask > 0], logits[mask > 0]

    def _local(self, values: Any) -> tuple[tf.Tensor, ...]:
        return self.workers.strategy.experimental_local_results(values)


def probabilities_of(logits: np.ndarray, head: str) -> np.ndarray:
    """Probabilities float64 [rows, classes] of float32 logits."""
    logits = logits.astype(np.float64)
    if head == "softmax":
        return special.softmax(logits, axis=-1)
    return special.expit(np.clip(logits, -60, 60))


def make_steps(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    augmenter: Augmenter,
    strategy: tf.distribute.Strategy,
    global_batch: int,
    *,
    workers: Workers | None = None,
    xla: bool = False,
    head: str = "sigmoid",
    head_optimizer: keras.optimizers.Optimizer | None = None,
    gradient_clipping: float | None = None,
    l2_penalty: float = 0.0,
) -> Steps:
    """Compiles the steps. Model and optimizers must be made under the strategy.

    Args:
      model: from `transfusion_tf.models.build`.
      optimizer: moves all trainable weights.
      augmenter: what is done to the batch on the device.
      strategy: whose devices train.
      global_batch: examples a step, over all devices together.
      workers: those whose strategy it is, where there are many.
      xla: whether XLA compiles the training step.
      head: `sigmoid` or `softmax`.
      head_optimizer: moves the head's weights in `train_head`, which is made with it.
      gradient_clipping: largest l2 norm of the global gradient, or None.
      l2_penalty: the loss has half of it times the sum of all squared kernels; the
        losses that are returned do not.

    Raises:
      UserError: the global batch can't be shared out evenly.
    """
    _check_shared_out(global_batch, strategy)
    if strategy.num_replicas_in_sync == 1:
        fuse_batch_norm(model)
    with_logits = logits_model(model)
    loss_of = _batch_loss(with_logits, augmenter, loss_function(head), global_batch)

    def train_with(
        own: keras.optimizers.Optimizer, frozen: Callable[[], Any]
    ) -> Callable[[Batch], tf.Tensor]:
        step = _training_step(model, own, loss_of, gradient_clipping, l2_penalty)
        return _compiled(step, strategy, xla, frozen)

    train_head = None
    if head_optimizer is not None:
        train_head = train_with(head_optimizer, lambda: body_frozen(model))
    return Steps(
        workers or Workers(strategy),
        train_with(optimizer, contextlib.nullcontext),
        _prediction_step(with_logits, strategy),
        head,
        train_head,
    )


def _check_shared_out(global_batch: int, strategy: tf.distribute.Strategy) -> None:
    replicas = strategy.num_replicas_in_sync
    if global_batch % replicas:
        raise UserError(
            f"--batch_size={global_batch} can't be shared out evenly over {replicas} "
            "devices"
        )


def _batch_loss(
    with_logits: keras.Model,
    augmenter: Augmenter,
    loss_of: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    global_batch: int,
) -> Callable[[Batch], tf.Tensor]:
    """A replica's part of the mean loss over the global batch.

    `optimizer.apply` already sums gradients over replicas: an all-reduce before it
    would count twice.
    """

    def loss_of_batch(batch: Batch) -> tf.Tensor:
        images = augmenter(batch["image"], batch["color"], batch["seed"])
        logits = with_logits(images, training=True)
        return tf.reduce_sum(loss_of(batch["label"], logits)) / global_batch

    return loss_of_batch


def _training_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss_of_batch: Callable[[Batch], tf.Tensor],
    gradient_clipping: float | None,
    l2_penalty: float,
) -> Callable[[Batch], tf.Tensor]:
    """A replica's training step: the weights moved, and its part of the loss."""

    def train_replica(batch: Batch) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_of_batch(batch)
            scaled = loss * _loss_scale(optimizer)
        variables = model.trainable_variables
        gradients = tape.gradient(scaled, [v.value for v in variables])
        if gradient_clipping:
            gradients = clipped(gradients, gradient_clipping, _loss_scale(optimizer))
        if l2_penalty:
            factor = l2_penalty * _loss_scale(optimizer)
            gradients = penalized(gradients, variables, factor)
        optimizer.apply(gradients, variables)
        return loss

    return train_replica


def _prediction_step(
    with_logits: keras.Model, strategy: tf.distribute.Strategy
) -> Callable[[Batch], tuple[Any, Any, Any]]:
    def predict_replica(batch: Batch) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        logits = with_logits(tf.cast(batch["image"], tf.float32), training=False)
        return batch["index"], batch["mask"], logits

    @tf.function(autograph=False)
    def predict_all(batch: Batch) -> tuple[Any, Any, Any]:
        return strategy.run(predict_replica, (batch,))

    one_device = strategy.num_replicas_in_sync == 1
    if not one_device:
        return predict_all
    return tf.function(predict_replica, autograph=False)


def _loss_scale(optimizer: keras.optimizers.Optimizer) -> Any:
    """What the optimizer takes gradients to be multiplied by."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return tf.convert_to_tensor(optimizer.dynamic_scale)
    return 1.0


def _compiled(
    replica: Callable[[Batch], tf.Tensor],
    strategy: tf.distribute.Strategy,
    xla: bool,
    frozen: Callable[[], Any],
) -> Callable[[Batch], tf.Tensor]:
    """A replica's step on all replicas, and the sum of their losses.

    What is frozen counts while the step is traced. Many replicas are traced in turns,
    so that it has to be frozen around all of them.
    """
    compiled = tf.function(replica, autograph=False, jit_compile=xla or None)

    @tf.function(autograph=False)
    def train_all(batch: Batch) -> tf.Tensor:
        with frozen():
            losses = strategy.run(compiled, (batch,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    @tf.function(autograph=False, jit_compile=xla or None)
    def train_one(batch: Batch) -> tf.Tensor:
        with frozen():
            return replica(batch)

    return train_one if strategy.num_replicas_in_sync == 1 else train_all
