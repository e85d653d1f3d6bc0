"""A split run through a model: one prediction per example, and their metrics."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.evaluation import compute_metrics, prediction_table
from transfusion_tf.input_pipeline import eval_batches, kept_eval_batches
from transfusion_tf.training.steps import Steps, loss_function, probabilities_of


@dataclasses.dataclass(frozen=True)
class SplitEvaluation:
    """What a model makes of a split.

    Attributes:
      split: its name.
      finite: whether every output is; else there are no metrics and no table.
      metrics: all that apply, by name, and the mean `loss`; none of a split without
        examples.
      table: see `transfusion_tf.evaluation.prediction_table`.
    """

    split: str
    finite: bool
    metrics: dict[str, float]
    table: pd.DataFrame


def evaluate_split(
    steps: Steps,
    prepared: PreparedDataset,
    split: str,
    batch_size: int,
    check: Callable[[], None] = lambda: None,
) -> SplitEvaluation:
    """Predicts every example of the split once, with the steps' model.

    Every worker predicts a part of the examples and returns the whole.

    Args:
      steps: the model's.
      prepared: the data set.
      split: which examples.
      batch_size: examples a batch, over all devices together.
      check: called after every batch, by all workers equally often; may end it all.
    """
    rows = prepared.examples(split)
    labels = prepared.labels(rows)
    logits = _logits(steps, prepared, split, batch_size, check)
    if not np.isfinite(logits).all():
        return SplitEvaluation(split, False, {}, pd.DataFrame())
    probabilities = probabilities_of(logits, steps.head)
    card = prepared.card.labels
    metrics = compute_metrics(
        labels, probabilities, card.classes, card.kind, card.referable_from
    )
    if len(rows):
        losses = loss_function(steps.head)(labels, logits).numpy()
        metrics = {"loss": float(losses.mean()), **metrics}
    table = prediction_table(
        list(rows["example_id"]),
        list(rows["patient_id"]),
        split,
        labels,
        probabilities,
        card.classes,
    )
    return SplitEvaluation(split, True, metrics, table)


def _logits(
    steps: Steps,
    prepared: PreparedDataset,
    split: str,
    batch_size: int,
    check: Callable[[], None],
) -> np.ndarray:
    """Logits float32 [examples, classes] of the whole split, on every worker."""
    workers = steps.workers
    rows = prepared.examples(split)
    ours = np.arange(len(rows))[workers.index :: workers.count]
    own_batch = batch_size // workers.count
    logits = np.zeros((len(rows), len(prepared.card.labels.classes)), np.float32)
    seen = np.zeros(len(rows), np.float32)
    batches = 0
    if len(ours):
        part = dataclasses.replace(prepared, index=rows.iloc[ours])
        read = kept_eval_batches if steps.on_one_device else eval_batches
        for index, values in steps.predict_all(read(part, split, own_batch)):
            logits[ours[index]] = values
            np.add.at(seen, ours[index], 1)
            batches += 1
            check()
    # The first worker has the most examples; all must be asked equally often.
    most = -(-len(rows) // workers.count)
    for _ in range(batches, -(-most // own_batch)):
        check()
    if (workers.total(seen) != 1).any():
        raise RuntimeError("evaluation did not reach every example once")
    return workers.total(logits)
