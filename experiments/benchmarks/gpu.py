"""On a GPU: images a second of every model, mixed precision and XLA on and off.

Command: python -m transfusion_tf_experiments.benchmarks.gpu
Cost: seconds where there is no GPU; about 15 minutes on one, most of them compiling.

Steps take a batch that lies in the device's memory. Then one real input pipeline
feeds the fastest of ResNet50's variants at 587 px: what is missing from its speed is
the time that the device waits for input.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import dataclasses
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator

import keras
import tensorflow as tf

from transfusion_tf.datasets import AUGMENTATIONS, load_card, prepare
from transfusion_tf.input_pipeline import Augmenter, train_batches
from transfusion_tf.models import build
from transfusion_tf.training.fused_adam import FusedAdam
from transfusion_tf.training.precision import precision
from transfusion_tf.training.steps import make_steps
from transfusion_tf.training.strategy import make_strategy
from transfusion_tf_experiments.benchmarks.bare import (
    CLASSES,
    built_adam,
    random_batch,
)
from transfusion_tf_experiments.benchmarks.benchmark_results import Result, print_result
from transfusion_tf_experiments.benchmarks.interleaved import measure, ratios

_MODELS = (
    "cbr_tiny",
    "cbr_small",
    "cbr_large_w",
    "cbr_large_t",
    "resnet50",
    "inception_v3",
)
# Pixels and batch.
_SIZES = ((224, 64), (587, 16))
_ROUNDS = 5


@dataclasses.dataclass(frozen=True)
class _Variant:
    """How a model is computed."""

    mixed_precision: bool
    xla: bool

    def __str__(self) -> str:
        numbers = "mixed precision" if self.mixed_precision else "float32"
        return f"{numbers}, XLA" if self.xla else numbers


_PLAIN = _Variant(mixed_precision=False, xla=False)
_VARIANTS = tuple(
    _Variant(mixed_precision, xla)
    for mixed_precision, xla in itertools.product((False, True), repeat=2)
)


def main() -> list[Result]:
    """Measures all models, then what waiting for input costs the largest."""
    if not tf.config.list_physical_devices("GPU"):
        print("no GPU here")
        return []
    results = []
    for name, (size, batch) in itertools.product(_MODELS, _SIZES):
        results += model_speeds(name, size, batch)
    return [*results, waiting(*_SIZES[1])]


def model_speeds(
    name: str, size: int, batch: int, *, steps: int = 10, rounds: int = _ROUNDS
) -> list[Result]:
    """Images a second of every variant, and its speed against plain float32."""
    print(f"\n{name} at {size} px, batch {batch}")
    held = random_batch(batch, size)
    loops = {}
    for variant in _VARIANTS:
        try:
            loops[variant] = _Loop(name, size, batch, variant, itertools.repeat(held))
            loops[variant].run(steps)
        except tf.errors.ResourceExhaustedError:
            print(f"  {variant}: does not fit into the device's memory")
            loops.pop(variant, None)
    seconds = measure(
        {
            str(variant): lambda loop=loop: loop.run(steps)
            for variant, loop in loops.items()
        },
        rounds=rounds,
    )
    keras.backend.clear_session()
    results = []
    for label, values in seconds.items():
        speeds = [steps * batch / value for value in values]
        what = f"training step, {name} at {size} px, batch {batch}, {label}"
        results.append(print_result(Result.of(what, speeds, unit="images/s")))
        if label != str(_PLAIN) and str(_PLAIN) in seconds:
            gains = ratios(seconds[str(_PLAIN)], values)
            against = f"speed of {_PLAIN}"
            results.append(print_result(Result.of(what, gains, against=against)))
    return results


def waiting(size: int, batch: int, *, steps: int = 20, patients: int = 320) -> Result:
    """The share of the time that ResNet50 waits for the pipeline, 0 to 1."""
    variant = _Variant(mixed_precision=True, xla=False)
    card = load_card("phantom_retina")
    card = card.replace(
        image_size=size, reader={**card.reader, "patients": patients, "seed": 0}
    )
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(card, folder, progress=False)
        batches = iter(train_batches(prepared, batch))
        fed = _Loop("resnet50", size, batch, variant, batches)
        held = itertools.repeat(next(batches))
        full = _Loop("resnet50", size, batch, variant, held)
        seconds = measure(
            {"fed": lambda: fed.run(steps), "full": lambda: full.run(steps)},
            rounds=_ROUNDS,
            warm_up=2,
        )
    shares = [max(0.0, 1 - share) for share in ratios(seconds["full"], seconds["fed"])]
    rate = steps * batch / statistics.median(seconds["fed"])
    return print_result(
        Result.of(
            f"the device waits for input, ResNet50 at {size} px, {variant}",
            shares,
            unit="of the time",
            detail=f"{rate:.1f} images/s from the pipeline",
        )
    )


class _Loop:
    """A model of its own with its compiled step, and the batches that it takes."""

    def __init__(
        self, name: str, size: int, batch: int, variant: _Variant, batches: Iterator
    ):
        with precision(variant.mixed_precision):
            model = build(name, (size, size, 3), CLASSES, seed=0)
            optimizer = built_adam(model, FusedAdam)
            on_gpu = bool(tf.config.list_physical_devices("GPU"))
            if variant.mixed_precision and on_gpu:
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
                optimizer.build(model.trainable_variables)
        self._batches = batches
        self._step = make_steps(
            model,
            optimizer,
            Augmenter(AUGMENTATIONS["retina"]),
            make_strategy("one"),
            batch,
            xla=variant.xla,
        ).train

    def run(self, steps: int) -> float:
        """Seconds of so many steps, the device's work included."""
        start = time.perf_counter()
        for _ in range(steps):
            loss = self._step(next(self._batches))
        loss.numpy()
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
