"""What benchmarks compare with: the least that trains or runs a Keras model."""

import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from transfusion_tf.models import logits_model
from transfusion_tf_experiments.benchmarks.interleaved import Work

CLASSES = 5


def random_batch(batch: int, size: int) -> dict[str, tf.Tensor]:
    """A batch in memory, as `train_batches` and `eval_batches` give them."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (batch, size, size, 3), np.uint8)
    labels = np.eye(CLASSES, dtype=np.float32)[generator.integers(0, CLASSES, batch)]
    return {
        "image": tf.constant(pixels),
        "label": tf.constant(labels),
        "color": tf.constant(np.tile([0.01, 1.1, 0, 1, 1, 0], (batch, 1)), tf.float32),
        "seed": tf.zeros([batch, 2], tf.int64),
        "index": tf.range(batch, dtype=tf.int64),
        "mask": tf.ones([batch]),
    }


def built_adam(
    model: keras.Model, kind: type[keras.optimizers.Adam] = keras.optimizers.Adam
) -> keras.optimizers.Optimizer:
    """Adam, Keras's or ours, with its variables made, as `tf.function` wants them."""
    optimizer = kind(0.001)
    optimizer.build(model.trainable_variables)
    return optimizer


def bare_step(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Callable:
    """A plain `tf.function` of uint8 images and labels: moves weights, gives the loss.

    The model is called as Keras calls it; nothing of `transfusion_tf.training`.
    """
    with_logits = logits_model(model)

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = with_logits(tf.cast(images, tf.float32), training=True)
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    return step


def bare_forward(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """A plain `tf.function` of uint8 images that gives the model's output."""

    @tf.function
    def forward(images: tf.Tensor) -> tf.Tensor:
        return model(tf.cast(images, tf.float32), training=False)

    return forward


def keras_fit(
    model: keras.Model, batches: tf.data.Dataset, steps: int, left_out: int = 1
) -> Work:
    """Keras's own loop over pairs of images and labels, forever.

    Args:
      model: is compiled here.
      batches: the pairs.
      steps: of a repetition that count.
      left_out: steps before them, in which a `fit` starts and a pipeline fills.
    """
    model.compile(keras.optimizers.Adam(0.001), "binary_crossentropy")
    ends: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda number, logs: ends.append(time.perf_counter())
    )

    def run() -> float:
        ends.clear()
        model.fit(
            batches,
            steps_per_epoch=steps + left_out,
            callbacks=[clock],
            verbose=0,
            shuffle=False,
        )
        return ends[-1] - ends[left_out - 1]

    return run
