"""Evaluation of a split against bare forward passes over as many images in memory.

Command: python -m transfusion_tf_experiments.benchmarks.evaluation
Cost: about 2 minutes on 2 quiet cores, the drawing of the images included.

Evaluation reads and decodes every image once, predicts, and computes all metrics and
the table of predictions: what a run does every `--eval_every` steps.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import dataclasses
import tempfile

import keras

from transfusion_tf.datasets import PreparedDataset, Splits, load_card, prepare
from transfusion_tf.input_pipeline import Augmenter
from transfusion_tf.models import build
from transfusion_tf.training.fused_adam import FusedAdam
from transfusion_tf.training.split_evaluation import evaluate_split
from transfusion_tf.training.steps import make_steps
from transfusion_tf.training.strategy import make_strategy
from transfusion_tf_experiments.benchmarks.bare import (
    CLASSES,
    bare_forward,
    built_adam,
    random_batch,
)
from transfusion_tf_experiments.benchmarks.benchmark_results import Result
from transfusion_tf_experiments.benchmarks.interleaved import (
    Work,
    measure,
    speed_results,
)

# Model, pixels, patients (two images each), rounds.
_CASES = (
    ("cbr_tiny", 96, 240, 7),
    ("cbr_small", 224, 60, 5),
    ("resnet50", 224, 80, 5),
)
_BATCH = 32


def main() -> list[Result]:
    """Measures small and large images."""
    results = []
    for name, size, patients, rounds in _CASES:
        with tempfile.TemporaryDirectory() as folder:
            prepared = _eyes(patients, size, folder)
            images = len(prepared.examples("validation"))
            results += speed_results(
                f"evaluation, {name} at {size} px, {images} images",
                measure(_variants(name, prepared, images), rounds=rounds),
                baseline="bare forward passes",
                images=images,
                targets={"ours": "at least 0.95"},
            )
        keras.backend.clear_session()
    return results


def _eyes(patients: int, size: int, folder: str) -> PreparedDataset:
    """Drawn eyes, most of them for validation, in whole batches."""
    card = load_card("phantom_retina_few")
    card = card.replace(
        image_size=size,
        reader={**card.reader, "patients": patients},
        splits=Splits(train=0.1, validation=0.8, test=0.1),
    )
    prepared = prepare(card, folder, progress=False)
    rows = prepared.index
    validation = rows.index[rows["split"] == "validation"]
    surplus = validation[len(validation) // _BATCH * _BATCH :]
    return dataclasses.replace(prepared, index=rows.drop(surplus))


def _variants(name: str, prepared: PreparedDataset, images: int) -> dict[str, Work]:
    size = prepared.card.image_size
    batch = random_batch(_BATCH, size)["image"]
    forward = bare_forward(build(name, (size, size, 3), CLASSES, seed=0))
    model = build(name, (size, size, 3), CLASSES, seed=0)
    steps = make_steps(
        model,
        built_adam(model, FusedAdam),
        Augmenter(prepared.card.augmentation),
        make_strategy("one"),
        _BATCH,
    )

    def bare() -> None:
        for _ in range(images // _BATCH):
            output = forward(batch)
        output.numpy()

    def ours() -> None:
        evaluate_split(steps, prepared, "validation", _BATCH)

    return {"bare forward passes": bare, "ours": ours}


if __name__ == "__main__":
    main()
