"""Our training step against a bare `tf.function` step and `model.fit`.

Command: python -m transfusion_tf_experiments.benchmarks.training_step
Cost: about 3 minutes on 2 quiet cores.

All take the same uint8 batch from memory and train the same model with Adam. Ours
adds what a run needs: masked loss, the strategy, and colour augmentation (a row of
its own). Mixed precision is bfloat16 on CPUs: fast on those with units for it (AMX),
slow on others. `model.fit` runs with its defaults.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


import keras
import tensorflow as tf

from transfusion_tf.datasets import AUGMENTATIONS, Augmentation
from transfusion_tf.input_pipeline import Augmenter
from transfusion_tf.models import build
from transfusion_tf.training.fused_adam import FusedAdam
from transfusion_tf.training.precision import precision
from transfusion_tf.training.steps import make_steps
from transfusion_tf.training.strategy import make_strategy
from transfusion_tf_experiments.benchmarks.bare import (
    CLASSES,
    bare_step,
    built_adam,
    keras_fit,
    random_batch,
)
from transfusion_tf_experiments.benchmarks.benchmark_results import Result
from transfusion_tf_experiments.benchmarks.interleaved import (
    Work,
    measure,
    speed_results,
)

# Model, pixels, batch, steps a round, rounds.
_CASES = (
    ("cbr_tiny", 128, 8, 5, 7),
    ("cbr_small", 128, 8, 3, 5),
    ("resnet50", 128, 8, 1, 5),
    ("cbr_tiny", 587, 1, 1, 5),
)


def main() -> list[Result]:
    """Measures small models at small sizes, and one at the paper's."""
    results = []
    for name, size, batch, steps, rounds in _CASES:
        seconds = measure(_variants(name, size, batch, steps), rounds=rounds)
        results += speed_results(
            f"training step, {name} at {size} px, batch {batch}",
            seconds,
            baseline="a bare tf.function",
            images=steps * batch,
            targets={"ours": "at least 0.97"},
        )
        keras.backend.clear_session()
    return results


def _variants(name: str, size: int, batch_size: int, steps: int) -> dict[str, Work]:
    batch = random_batch(batch_size, size)

    def plain() -> Work:
        model = build(name, (size, size, 3), CLASSES, seed=0)
        step = bare_step(model, built_adam(model))

        def run() -> None:
            for _ in range(steps):
                loss = step(batch["image"], batch["label"])
            loss.numpy()

        return run

    def ours(augmentation: Augmentation, mixed_precision: bool = False) -> Work:
        with precision(mixed_precision):
            model = build(name, (size, size, 3), CLASSES, seed=0)
        compiled = make_steps(
            model,
            built_adam(model, FusedAdam),
            Augmenter(augmentation),
            make_strategy("one"),
            batch_size,
        )

        def run() -> None:
            for _ in range(steps):
                loss = compiled.train(batch)
            loss.numpy()

        return run

    return {
        "a bare tf.function": plain(),
        "model.fit": _fit(name, size, batch, steps),
        "ours": ours(Augmentation()),
        "ours, colour augmentation in the step": ours(AUGMENTATIONS["retina"]),
        "ours, mixed precision": ours(Augmentation(), mixed_precision=True),
    }


def _fit(name: str, size: int, batch: dict[str, tf.Tensor], steps: int) -> Work:
    """Keras's own loop on the batch; the start of each `fit` is left out."""
    model = build(name, (size, size, 3), CLASSES, seed=0)
    pairs = tf.data.Dataset.from_tensors((batch["image"], batch["label"])).repeat()
    return keras_fit(model, pairs, steps)


if __name__ == "__main__":
    main()
