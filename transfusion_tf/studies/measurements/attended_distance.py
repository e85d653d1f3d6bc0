"""Mean attended distance of runs: how locally each block of a DeiT looks.

Feature reuse, appendix E.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from transfusion_tf.representations.model_attention import model_attention
from transfusion_tf.studies.measurements.run_images import run_images
from transfusion_tf.studies.measurements.run_labels import labelled, run_labels
from transfusion_tf.studies.measurements.run_models import run_snapshot


def run_attention(
    run: str | Path,
    data_root: str | Path,
    *,
    weights: str = "final",
    images: Any = None,
    most_images: int = 512,
    seed: int = 0,
    batch_size: int = 16,
    progress: bool = True,
) -> pd.DataFrame:
    """`model_attention` of a run.

    Args:
      run: A run directory of a DeiT.
      data_root: Where prepared data lie.
      weights: `initial`, `best` or `final`.
      images: As `model_attention` takes them; None takes the validation split of the
        run's data.
      most_images: Images at most, drawn at random.
      seed: Seed of the draw.
      batch_size: Images a forward pass.
      progress: Whether to show a progress bar.

    Returns:
      `run`, `model`, `initialization`, `weights`, and the columns of
      `AttentionMeans.table`.

    Raises:
      UserError: As `model_attention` and `load_run_model`.
    """
    table = model_attention(
        run_snapshot(run, weights).restore(),
        run_images(run, data_root) if images is None else images,
        most_images=most_images,
        seed=seed,
        batch_size=batch_size,
        progress=progress,
    )
    return labelled(table, run_labels(run) | {"weights": weights})
