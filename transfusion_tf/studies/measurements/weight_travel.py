"""How far each weight of a run travelled in training."""

from pathlib import Path

import pandas as pd

from transfusion_tf.representations.travel import model_travel
from transfusion_tf.studies.measurements.run_labels import labelled, run_labels
from transfusion_tf.studies.measurements.run_models import run_snapshot


def run_travel(
    run: str | Path, *, trained: str = "final", kind: str = "unit"
) -> pd.DataFrame:
    """Distance travelled by each tensor from a run's initial weights.

    Args:
      run: A run directory.
      trained: The weights after training: `final` or `best`.
      kind: What averages are to be taken over, as `average_travel` says.

    Returns:
      `run`, `model`, `initialization`, `kind`, and the columns of `model_travel`.

    Raises:
      UserError: As `load_run_model`.

    Warns:
      RepresentationWarning: If the run is not finished.
    """
    initial, end = (run_snapshot(run, weights) for weights in ("initial", trained))
    table = model_travel(initial, end)
    return labelled(table, run_labels(run) | {"kind": kind})
