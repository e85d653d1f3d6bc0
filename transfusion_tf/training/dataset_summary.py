"""What a run's folder says of its data set, for reports to show."""

from typing import Any

import numpy as np
import tensorflow as tf

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.input_pipeline.record_reader import record_reader

_SAMPLES_A_CLASS = 4
# Of ImageNet's 1000 classes, four images each would take 0.8 GB.
_MOST_SAMPLES = 256


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
        "stored_size": card.stored_size,
        "aspect": card.aspect,
        "preprocessing": card.preprocessing,
        "counts": prepared.counts(),
        "source_note": card.note,
        "choices": list(card.choices),
        "left_out": prepared.left_out_counts(),
        "excluded": dict(prepared.excluded),
        # Where they are about names files.
        "remarks": [remark.reason for remark in prepared.remarks],
    }


def sample_images(prepared: PreparedDataset) -> dict[str, np.ndarray]:
    """A few training images of each class, as stored, and their labels."""
    rows = prepared.examples("train")
    labels = prepared.labels(rows)
    picked: list[int] = []
    for column in labels.T:
        if len(picked) >= _MOST_SAMPLES:
            break
        fresh = [i for i in np.flatnonzero(column == 1) if i not in picked]
        picked += [int(i) for i in fresh[:_SAMPLES_A_CLASS]]
    jpegs = record_reader(prepared, rows)(tf.constant(picked, tf.int64))
    images = [tf.io.decode_jpeg(jpeg, channels=3).numpy() for jpeg in jpegs]
    return {"images": np.stack(images), "labels": labels[picked]}
