"""What runs on the devices: one training step, one prediction step."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy import special

from transfusion_tf.errors import UserError
from transfusion_tf.input_pipeline import Augmenter
from transfusion_tf.models import logits_model

Batch = dict[str, tf.Tensor]


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
    """Compiled steps over a strategy.

    Attributes:
      train: global batch -> its mean loss, and the weights moved.
      predict: global batch -> per-replica index, mask, logits.
      head: what makes probabilities of logits.
    """

    strategy: tf.distribute.Strategy
    train: Callable[[Batch], tf.Tensor]
    predict: Callable[[Batch], tuple[Any, Any, Any]]
    head: str = "sigmoid"

    def distribute(self, dataset: tf.data.Dataset) -> Iterator[Batch]:
        """An iterator of global batches, laid onto the replicas."""
        if self.strategy.num_replicas_in_sync == 1:
            return iter(dataset)
        return iter(self.strategy.experimental_distribute_dataset(dataset))

    def predict_all(
        self, dataset: tf.data.Dataset, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Runs the model over `eval_batches`, each of `count` examples once.

        Returns:
          Logits float32 and probabilities float64, both [count, classes], in the
          order of the batches' `index`.
        """
        logits: np.ndarray | None = None
        seen = np.zeros(count, bool)
        for batch in self.distribute(dataset):
            parts = [
                self.strategy.experimental_local_results(values)
                for values in self.predict(batch)
            ]
            for index, mask, values in zip(*parts, strict=True):
                keep = mask.numpy() > 0
                rows = index.numpy()[keep]
                if logits is None:
                    logits = np.zeros((count, values.shape[-1]), np.float32)
                logits[rows] = values.numpy()[keep]
                seen[rows] = True
        if logits is None or not seen.all():
            raise RuntimeError("evaluation did not reach every example")
        return logits, _probabilities(logits.astype(np.float64), self.head)


def _probabilities(logits: np.ndarray, head: str) -> np.ndarray:
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
    xla: bool = False,
    head: str = "sigmoid",
) -> Steps:
    """Compiles the steps. Model and optimizer must be made under the strategy.

    The loss of a replica is divided by the global batch, and `optimizer.apply`
    already sums gradients over replicas: an all-reduce before it would count twice.

    Raises:
      UserError: the global batch can't be shared out evenly.
    """
    replicas = strategy.num_replicas_in_sync
    if global_batch % replicas:
        raise UserError(
            f"--batch_size={global_batch} can't be shared out evenly over {replicas} "
            "devices"
        )
    with_logits = logits_model(model)
    loss_of = loss_function(head)
    scale_loss = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)

    @tf.function(jit_compile=xla or None)
    def train_replica(batch: Batch) -> tf.Tensor:
        images = augmenter(batch["image"], batch["color"], batch["seed"])
        with tf.GradientTape() as tape:
            logits = with_logits(images, training=True)
            loss = tf.reduce_sum(loss_of(batch["label"], logits)) / global_batch
            scaled = optimizer.scale_loss(loss) if scale_loss else loss
        variables = model.trainable_variables
        gradients = tape.gradient(scaled, [v.value for v in variables])
        optimizer.apply(gradients, variables)
        return loss

    def predict_replica(batch: Batch) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        logits = with_logits(tf.cast(batch["image"], tf.float32), training=False)
        return batch["index"], batch["mask"], logits

    if replicas == 1:
        return Steps(strategy, train_replica, tf.function(predict_replica), head)

    @tf.function
    def train_all(batch: Batch) -> tf.Tensor:
        losses = strategy.run(train_replica, (batch,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    @tf.function
    def predict_all(batch: Batch) -> tuple[Any, Any, Any]:
        return strategy.run(predict_replica, (batch,))

    return Steps(strategy, train_all, predict_all, head)
