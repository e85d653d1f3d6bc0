"""Our training step against a bare `tf.function` step of the same model.

Command: python -m transfusion_tf_experiments.benchmarks.training_step
Cost: about 2 minutes on 2 cores. Both take the same uint8 batch from memory; ours
adds what a run needs: colour augmentation (its own row), masked loss, the strategy.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from transfusion_tf.datasets import AUGMENTATIONS, Augmentation
from transfusion_tf.input_pipeline import Augmenter
from transfusion_tf.models import build, logits_model
from transfusion_tf.training.steps import make_steps
from transfusion_tf.training.strategy import make_strategy
from transfusion_tf_experiments.benchmarks.interleaved import measure, print_speeds

_STEPS = 10
_BATCH = 8
_CLASSES = 5


def main() -> None:
    """Measures CBR-Tiny and CBR-Small."""
    for model, size in (("cbr_tiny", 128), ("cbr_small", 128)):
        seconds = measure(_variants(model, size), rounds=7)
        print_speeds(
            f"Training step, {model} at {size} px, batch {_BATCH}",
            seconds,
            baseline="bare tf.function",
            images=_STEPS * _BATCH,
        )


def _variants(name: str, size: int) -> dict:
    batch = _batch(size)

    def bare() -> None:
        for _ in range(_STEPS):
            loss = bare_step(batch["image"], batch["label"])
        loss.numpy()

    def ours(augmentation: Augmentation):
        model = build(name, (size, size, 3), _CLASSES, seed=0)
        optimizer = keras.optimizers.Adam(0.001)
        optimizer.build(model.trainable_variables)
        steps = make_steps(
            model, optimizer, Augmenter(augmentation), make_strategy("one"), _BATCH
        )

        def run() -> None:
            for _ in range(_STEPS):
                loss = steps.train(batch)
            loss.numpy()

        return run

    bare_step = _bare_step(name, size)
    return {
        "bare tf.function": bare,
        "ours": ours(Augmentation()),
        "ours, colour augmentation in the step": ours(AUGMENTATIONS["retina"]),
    }


def _bare_step(name: str, size: int):
    model = build(name, (size, size, 3), _CLASSES, seed=0)
    with_logits = logits_model(model)
    optimizer = keras.optimizers.Adam(0.001)
    optimizer.build(model.trainable_variables)

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


def _batch(size: int) -> dict[str, tf.Tensor]:
    generator = np.random.default_rng(0)
    labels = np.eye(_CLASSES, dtype=np.float32)[generator.integers(0, 5, _BATCH)]
    return {
        "image": tf.constant(
            generator.integers(0, 256, (_BATCH, size, size, 3)), tf.uint8
        ),
        "label": tf.constant(labels),
        "color": tf.constant(np.tile([0.01, 1.1], (_BATCH, 1)), tf.float32),
        "seed": tf.zeros([_BATCH, 2], tf.int64),
    }


if __name__ == "__main__":
    main()
