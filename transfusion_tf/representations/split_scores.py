"""A split's metrics of a model in memory, as often as its weights change."""

import keras
import numpy as np
import tensorflow as tf

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.errors import UserError
from transfusion_tf.evaluation import compute_metrics
from transfusion_tf.input_pipeline import eval_batches
from transfusion_tf.models import logits_model
from transfusion_tf.training.steps import probabilities_of

# Decoded images up to so many bytes are kept between evaluations.
_CACHE_BYTES = 2**30


class SplitScorer:
    """Evaluates one model on one split, whatever its weights are by then.

    The graph is traced once and the images are decoded once, where they fit into 1 GiB
    of memory; else at each evaluation.

    Attributes:
        images: How many images the split has.

    Raises:
        UserError: If the split has none.
    """

    def __init__(
        self,
        model: keras.Model,
        prepared: PreparedDataset,
        split: str,
        *,
        head: str = "sigmoid",
        batch_size: int = 32,
    ):
        rows = prepared.examples(split)
        if rows.empty:
            raise UserError(
                f"data set {prepared.card.name!r} has no {split} examples: its "
                "card's [splits] leave none"
            )
        size = prepared.card.image_size
        self._card = prepared.card.labels
        self._labels = prepared.labels(rows)
        self._head = head
        self.images = len(rows)
        self._batches = eval_batches(prepared, split, batch_size)
        if len(rows) * size * size * 3 <= _CACHE_BYTES:
            self._batches = self._batches.cache()
        with_logits = logits_model(model)
        self._logits = tf.function(
            lambda images: with_logits(tf.cast(images, tf.float32), training=False)
        )

    def __call__(self) -> dict[str, float]:
        """All metrics that apply, by name; see `compute_metrics`."""
        logits = np.zeros(self._labels.shape, np.float32)
        for batch in self._batches:
            keep = batch["mask"].numpy() > 0
            rows = batch["index"].numpy()[keep]
            logits[rows] = self._logits(batch["image"]).numpy()[keep]
        return compute_metrics(
            self._labels,
            probabilities_of(logits, self._head),
            self._card.classes,
            self._card.kind,
            self._card.referable_from,
        )
