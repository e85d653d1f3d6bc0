"""A run's metric from its nearest training images, part by part.

Feature reuse, figure 6 and appendix B.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from transfusion_tf.datasets import PreparedDataset
from transfusion_tf.errors import UserError
from transfusion_tf.evaluation import compute_metrics
from transfusion_tf.input_pipeline import kept_eval_batches
from transfusion_tf.representations.knn_by_part import (
    Batch,
    KNNSettings,
    knn_by_part,
)
from transfusion_tf.representations.snapshots import Model
from transfusion_tf.studies.measurements.run_images import run_dataset
from transfusion_tf.studies.measurements.run_labels import labelled, run_labels
from transfusion_tf.studies.measurements.run_models import run_snapshot
from transfusion_tf.training import RunDirectory

_DEFAULT = KNNSettings()


def run_knn(
    run: str | Path,
    data_root: str | Path,
    *,
    weights: str = "final",
    split: str = "test",
    settings: KNNSettings = _DEFAULT,
) -> pd.DataFrame:
    """`knn_of_split` of a run, with the run's metric and training images.

    Args:
      run: A run directory.
      data_root: Where prepared data lie.
      weights: `initial`, `best` or `final`.
      split: `test` or `validation`.
      settings: How neighbours are found and vote.

    Returns:
      `run`, `model`, `initialization`, `weights`, `split`, and the columns of
      `knn_of_split`.

    Raises:
      UserError: As `knn_of_split`, `load_run_model` and `run_dataset`.
    """
    config = RunDirectory(run).config()
    table = knn_of_split(
        run_snapshot(run, weights),
        run_dataset(run, data_root),
        str(config.metric),
        split=split,
        train_examples=config.train_examples,
        settings=settings,
    )
    return labelled(table, run_labels(run) | {"weights": weights, "split": split})


def knn_of_split(
    model: Model,
    prepared: PreparedDataset,
    metric: str,
    *,
    split: str = "test",
    train_examples: int | None = None,
    settings: KNNSettings = _DEFAULT,
) -> pd.DataFrame:
    """A split's metric from the nearest training images; see `knn_by_part`.

    Training images are seen as in evaluation, without augmentation.

    Args:
      model: A model with known stages, for images of the data set's size.
      prepared: The data set.
      metric: One of `transfusion_tf.evaluation.METRICS`.
      split: Whose images are classified: `test` or `validation`.
      train_examples: Size of the nested subset of training images; None is all.
      settings: How neighbours are found and vote.

    Returns:
      The columns of `knn_by_part`, whose `value` is of the metric (missing where it
      is undefined), and `metric`.

    Raises:
      UserError: As `knn_by_part`; if the split is empty, or the training split has
        fewer examples than asked for.
    """
    rows = prepared.examples(split)
    if rows.empty:
        raise UserError(
            f"data set {prepared.card.name!r} has no {split} examples: its "
            "card's [splits] leave none"
        )
    labels, card = prepared.labels(rows), prepared.card.labels

    def score(shares: np.ndarray) -> float:
        metrics = compute_metrics(
            labels, shares, card.classes, card.kind, card.referable_from
        )
        return metrics.get(metric, np.nan)

    table = knn_by_part(
        model,
        _batches(prepared, "train", settings, train_examples),
        prepared.labels(prepared.examples("train", train_examples)),
        _batches(prepared, split, settings),
        score,
        settings,
    )
    table.insert(list(table.columns).index("train_images"), "metric", metric)
    return table


def _batches(
    prepared: PreparedDataset,
    split: str,
    settings: KNNSettings,
    limit: int | None = None,
) -> Iterator[Batch]:
    for batch in kept_eval_batches(prepared, split, settings.batch_size, limit=limit):
        # What fills up the last batch stands at its end.
        count = int(np.sum(batch["mask"].numpy() > 0))
        yield batch["index"].numpy()[:count], batch["image"]
