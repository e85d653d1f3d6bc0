"""What a run leaves: weights, and what reports and people want to know."""

import datetime
import functools
import hashlib
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import transfusion_tf
from transfusion_tf import files
from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.input_pipeline.records import record_reader
from transfusion_tf.models import input_scaling_of

_SAMPLES_A_CLASS = 4


def dataset_summary(prepared: PreparedDataset, metric: str) -> dict[str, Any]:
    """`dataset.json`: the card's words and the counts."""
    card = prepared.card
    return {
        "name": card.name,
        "title": card.title,
        "kind": card.labels.kind,
        "classes": list(card.labels.classes),
        "referable_from": card.labels.referable_from,
        "metric": metric,
        "image_size": card.image_size,
        "counts": prepared.counts(),
        "source_note": card.note,
        "choices": list(card.choices),
        "left_out": prepared.left_out_counts(),
        "excluded": dict(prepared.excluded),
        "remarks": [f"{r.where}: {r.reason}" for r in prepared.remarks],
    }


def sample_images(prepared: PreparedDataset) -> dict[str, np.ndarray]:
    """A few training images of each class, as stored, and their labels."""
    rows = prepared.examples("train")
    labels = prepared.labels(rows)
    picked: list[int] = []
    for column in labels.T:
        fresh = [i for i in np.flatnonzero(column == 1) if i not in picked]
        picked += [int(i) for i in fresh[:_SAMPLES_A_CLASS]]
    jpegs = record_reader(prepared, rows)(tf.constant(picked, tf.int64))
    images = [tf.io.decode_jpeg(jpeg, channels=3).numpy() for jpeg in jpegs]
    return {"images": np.stack(images), "labels": labels[picked]}


def first_kernel(model: keras.Model) -> np.ndarray:
    """The first convolution's kernel, float32 [height, width, RGB, out]."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel = keras.ops.convert_to_numpy(layer.kernel)
            # Caffe's scalings hand the channels over as BGR.
            reverse = (input_scaling_of(model) or "").startswith("caffe")
            return kernel[:, :, ::-1] if reverse else kernel
    raise ValueError(f"{model.name} has no convolution")


def machine() -> str:
    """Processor, cores and devices, in words."""
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    processor = platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0))
    parts = [f"{platform.system()}, {processor}, {cores} CPU cores", *gpus]
    return ", ".join(parts)


def versions() -> dict[str, str]:
    """Of everything that numbers depend on."""
    return {
        "transfusion_tf": transfusion_tf.__version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


@functools.cache
def commit() -> str | None:
    """The commit of the source tree, `-dirty` where it was changed; None outside."""
    folder = Path(transfusion_tf.__file__).parent
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None


def source_fingerprint() -> str:
    """What tells one state of this package's source from another."""
    folder = Path(transfusion_tf.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def save_weights(model: keras.Model, path: Path) -> None:
    """Replaces a `.weights.h5`, where there is room for it."""
    files.require_space(path, _weight_bytes(model))
    with files.replacing(path) as temporary:
        model.save_weights(temporary)


def save_model(model: keras.Model, path: Path) -> None:
    """Replaces a `.keras` file, where there is room for it."""
    files.require_space(path, _weight_bytes(model))
    with files.replacing(path) as temporary:
        model.save(temporary)


def _weight_bytes(model: keras.Model) -> int:
    return sum(4 * int(np.prod(weight.shape)) for weight in model.weights)


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
