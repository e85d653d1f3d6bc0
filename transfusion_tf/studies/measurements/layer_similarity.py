"""CKA of every layer with every layer, before and after training and between runs.

Feature reuse, figure 3 and appendix A.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from transfusion_tf.representations.layer_cka import LayerSettings, layer_cka
from transfusion_tf.studies.measurements.model_states import ModelStates

_DEFAULT = LayerSettings()
_STATES = ModelStates()


def layer_cka_before_and_after(
    run: str | Path,
    data_root: str | Path,
    *,
    settings: LayerSettings = _DEFAULT,
    states: ModelStates = _STATES,
) -> pd.DataFrame:
    """A run's layers before training and after, all with all: figure 3, top.

    Compared on the validation split of the run's data.

    Args:
      run: A run directory.
      data_root: Where prepared data lie.
      settings: What is compared.
      states: Which weights, and batch norm statistics.

    Returns:
      `run`, and the columns of `layer_cka` with the models `initial` and
      `trained`.

    Raises:
      UserError: As `layer_cka` and `load_run_model`.
    """
    models, images = states.before_and_after(run, data_root)
    table = layer_cka(models, images, settings)
    table.insert(0, "run", os.path.basename(os.path.abspath(run)))
    return table


def layer_cka_of_runs(
    runs: Sequence[str | Path],
    data_root: str | Path,
    *,
    state: str = "trained",
    settings: LayerSettings = _DEFAULT,
    states: ModelStates = _STATES,
) -> pd.DataFrame:
    """Layers of several runs, all with all: figure 3, bottom, for two runs WT and ST.

    Args:
      runs: Run directories, of one image size, none twice.
      data_root: Where prepared data lie.
      state: `initial` or `trained`, of all.
      settings: What is compared.
      states: Which weights, and batch norm statistics.

    Returns:
      The columns of `layer_cka`; the models are called by their runs.

    Raises:
      UserError: As `layer_cka` and `load_run_model`.

    Warns:
      RepresentationWarning: If the runs saw different versions of a data set.
    """
    models, images = states.of_runs(runs, state, data_root)
    return layer_cka(models, images, settings)
