"""A split run through a model: predictions a row an example, and their metrics."""

import dataclasses

import numpy as np
import pandas as pd

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.evaluation import compute_metrics, prediction_table
from transfusion_tf.input_pipeline import eval_batches
from transfusion_tf.training.steps import Steps, loss_function


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What a model makes of a split.

    Attributes:
      split: its name.
      finite: whether every output is; else there are no metrics and no table.
      metrics: all that apply, by name, and the mean `loss`.
      table: see `transfusion_tf.evaluation.prediction_table`.
    """

    split: str
    finite: bool
    metrics: dict[str, float]
    table: pd.DataFrame


def measure(
    steps: Steps, prepared: PreparedDataset, split: str, batch_size: int
) -> Measurement:
    """Predicts every example of the split once, with the steps' model."""
    rows = prepared.examples(split)
    batches = eval_batches(prepared, split, batch_size)
    logits, probabilities = steps.predict_all(batches, len(rows))
    if not np.isfinite(logits).all():
        return Measurement(split, False, {}, pd.DataFrame())
    labels = prepared.labels(rows)
    card = prepared.card.labels
    loss = float(loss_function(steps.head)(labels, logits).numpy().mean())
    metrics = compute_metrics(
        labels, probabilities, card.classes, card.kind, card.referable_from
    )
    table = prediction_table(
        list(rows["example_id"]),
        list(rows["patient_id"]),
        split,
        labels,
        probabilities,
        card.classes,
    )
    return Measurement(split, True, {"loss": loss, **metrics}, table)
