"""Mean attended distance of runs: how locally each block of a DeiT looks.

Feature reuse, appendix E.
"""

from pathlib import Path

import pandas as pd

from transfusion_tf.representations.model_attention import model_attention
from transfusion_tf.studies.measurements.run_images import run_images
from transfusion_tf.studies.measurements.run_labels import labelled, run_labels
from transfusion_tf.studies.measurements.run_models import run_snapshot


def run_attention(
    run: str | Path,
    data_root: str | Path,
    *,
    trained: str = "final",
    most_images: int = 512,
) -> pd.DataFrame:
    """`model_attention` of a run, on validation images.

    Args:
      run: A run directory of a DeiT.
      data_root: Where prepared data lie.
      trained: The weights after training: `final` or `best`.
      most_images: Images at most, drawn at random.

    Returns:
      `run`, `model`, `initialization`, `weights`, and the columns of
      `AttentionMeans.table`.

    Raises:
      UserError: As `model_attention` and `load_run_model`.
    """
    table = model_attention(
        run_snapshot(run, trained).restore(),
        run_images(run, data_root),
        most_images=most_images,
        progress=False,
    )
    return labelled(table, run_labels(run) | {"weights": trained})
