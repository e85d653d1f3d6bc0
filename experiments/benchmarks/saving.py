"""Saving a run's state and weights: seconds and bytes, against a training step.

Command: python -m transfusion_tf_experiments.benchmarks.saving
Cost: about 1 minute on 2 quiet cores.

The state is what resuming needs: weights, Adam's two moments, progress. It is
flushed to the disk before it takes the old one's place.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics
import tempfile
from pathlib import Path

import keras

from transfusion_tf import files
from transfusion_tf.datasets import Augmentation
from transfusion_tf.input_pipeline import Augmenter
from transfusion_tf.models import build
from transfusion_tf.training.fused_adam import FusedAdam
from transfusion_tf.training.state import Progress, StateFiles
from transfusion_tf.training.steps import make_steps
from transfusion_tf.training.strategy import make_strategy
from transfusion_tf_experiments.benchmarks.bare import (
    CLASSES,
    built_adam,
    random_batch,
)
from transfusion_tf_experiments.benchmarks.benchmark_results import Result, print_result
from transfusion_tf_experiments.benchmarks.interleaved import measure, ratios

_MODELS = ("cbr_tiny", "cbr_small", "resnet50")
_SIZE, _BATCH = 224, 8
_ROUNDS = 5


def main() -> list[Result]:
    """Measures three models."""
    results = []
    for name in _MODELS:
        with tempfile.TemporaryDirectory() as folder:
            results += _measure(name, Path(folder))
        keras.backend.clear_session()
    return results


def _measure(name: str, folder: Path) -> list[Result]:
    model = build(name, (_SIZE, _SIZE, 3), CLASSES, seed=0)
    optimizer = built_adam(model, FusedAdam)
    steps = make_steps(
        model, optimizer, Augmenter(Augmentation()), make_strategy("one"), _BATCH
    )
    batch = random_batch(_BATCH, _SIZE)
    variables = [*model.variables, *optimizer.variables]
    state, progress = StateFiles(folder / "state"), Progress()
    weights = folder / "best.weights.h5"

    def step() -> None:
        steps.train(batch).numpy()

    def save_weights() -> None:
        with files.replacing(weights) as temporary:
            model.save_weights(temporary)

    seconds = measure(
        {
            "step": step,
            "state": lambda: state.save(variables, progress),
            "weights": save_weights,
        },
        rounds=_ROUNDS,
    )
    megabytes = 4 * model.count_params() / 1e6
    print(f"\nSaving, {name} ({megabytes:.1f} MB of weights, {_ROUNDS} rounds)")
    sizes = {"state": folder / "state" / "latest.npz", "weights": weights}
    return [
        print_result(
            Result.of(
                f"saving the {what}, {name}",
                ratios(seconds[what], seconds["step"]),
                against=f"the time of a step at {_SIZE} px, batch {_BATCH}",
                detail=(
                    f"{statistics.median(seconds[what]):.3f} s, "
                    f"{file.stat().st_size / 1e6:.1f} MB, "
                    f"{file.stat().st_size / 1e6 / megabytes:.2f} × the weights"
                ),
            )
        )
        for what, file in sizes.items()
    ]


if __name__ == "__main__":
    main()
