"""Re-initialization robustness of runs: what each part's training is worth.

Feature reuse, section 2, "Resilience of the transfer", and figure 5.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from transfusion_tf.representations.reinitialization import reinitialize_parts
from transfusion_tf.studies.measurements.run_images import run_dataset
from transfusion_tf.studies.measurements.run_labels import labelled, run_labels
from transfusion_tf.studies.measurements.run_models import run_snapshot
from transfusion_tf.studies.measurements.split_scores import (
    SplitScorer,
    logits_function,
)
from transfusion_tf.training import RunDirectory


def reinitialization_robustness(
    run: str | Path,
    data_root: str | Path,
    *,
    kind: str = "unit",
    split: str = "test",
) -> pd.DataFrame:
    """A run's metric with each part in turn at its initial weights: figure 5.

    The best weights' metric is taken from a finished run's record.

    Args:
      run: A run directory.
      data_root: Where prepared data lie.
      kind: What is set back at a time: `layer`, `unit`, `branch` or `stage`.
      split: `test` or `validation`.

    Returns:
      `run`, `model`, `initialization`, `split`, `metric` (the run's), the columns of
      `reinitialize_parts`, and `images`.

    Raises:
      UserError: As `load_run_model` and `run_dataset`.
    """
    directory = RunDirectory(run)
    config = directory.config()
    metric = str(config.metric)
    initial, trained = (run_snapshot(run, weights) for weights in ("initial", "best"))
    # Both may be of one graph, whose model is what is evaluated.
    model = trained.restore()
    scorer = SplitScorer(
        trained.graph.once("logits", lambda: logits_function(model)),
        run_dataset(run, data_root),
        split,
        head=config.head or "sigmoid",
    )
    table = reinitialize_parts(
        model,
        initial,
        lambda: scorer().get(metric, np.nan),
        kind=kind,
        unchanged=_recorded(directory, split, metric),
        progress=False,
    )
    table = table.assign(images=scorer.images)
    return labelled(table, run_labels(run) | {"split": split, "metric": metric})


def _recorded(directory: RunDirectory, split: str, metric: str) -> float | None:
    if not directory.finished():
        return None
    return directory.status().get(split, {}).get(metric)
