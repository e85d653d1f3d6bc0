"""A split's metrics of a model in memory, as often as its weights change."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.errors import UserError
from transfusion_tf.evaluation import compute_metrics
from transfusion_tf.input_pipeline import kept_eval_batches
from transfusion_tf.models import logits_model
from transfusion_tf.training.steps import probabilities_of


def logits_function(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Logits of images, whatever the model's weights are by then; traced once."""
    with_logits = logits_model(model)
    return tf.function(
        lambda images: with_logits(tf.cast(images, tf.float32), training=False),
        autograph=False,
    )


class SplitScorer:
    """Evaluates one model on one split, whatever its weights are by then.

    The graph is traced once, and the images are decoded as `kept_eval_batches` says.

    Attributes:
      images: How many images the split has.

    Raises:
      UserError: If the split has none.
    """

    def __init__(
        self,
        logits: Callable[[tf.Tensor], tf.Tensor],
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
        self._card = prepared.card.labels
        self._labels = prepared.labels(rows)
        self._head = head
        self.images = len(rows)
        self._batches = kept_eval_batches(prepared, split, batch_size)
        self._logits = logits

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
