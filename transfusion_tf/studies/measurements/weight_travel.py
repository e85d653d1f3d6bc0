"""How far each weight of a run travelled, from the initial to the best weights."""

from pathlib import Path

import pandas as pd

from transfusion_tf.representations.travel import model_travel
from transfusion_tf.studies.measurements.run_labels import labelled, run_labels
from transfusion_tf.studies.measurements.run_models import run_snapshot


def run_travel(run: str | Path) -> pd.DataFrame:
    """Distance travelled by each tensor from a run's initial to its best weights.

    Args:
      run: A run directory.

    Returns:
      `run`, `model`, `initialization`, and the columns of `model_travel`.

    Raises:
      UserError: As `load_run_model`.

    Warns:
      RepresentationWarning: If the run is not finished.
    """
    initial, best = (run_snapshot(run, weights) for weights in ("initial", "best"))
    return labelled(model_travel(initial, best), run_labels(run))
