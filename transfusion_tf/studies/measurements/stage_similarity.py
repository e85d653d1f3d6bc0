"""How alike runs are, stage by stage: before and after training, and with one another.

Transfusion, figure 3: how much of a run's start is left in it. Table 5 and figure 2:
pairs of runs from pretrained weights, pairs from random weights, and mixed pairs.
Figure 4: whether runs that start alike end alike.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from transfusion_tf.representations.all_pairs import compare_all_pairs
from transfusion_tf.representations.similarity_by_stage import Settings, compare_pair
from transfusion_tf.studies.measurements.model_states import ModelStates
from transfusion_tf.studies.measurements.run_images import (
    check_same_data,
    held_out_images,
)
from transfusion_tf.studies.measurements.run_labels import start_names
from transfusion_tf.training import RunDirectory

_ALL_MEASURES = Settings()
# The papers' measure; all five take five times as long, and pairs are many.
_CCA_ALONE = Settings(measures=("cca",))
_STATES = ModelStates()


def compare_before_and_after(
    run: str | Path,
    data_root: str | Path,
    *,
    settings: Settings = _ALL_MEASURES,
    states: ModelStates = _STATES,
) -> pd.DataFrame:
    """A run before training against itself afterwards, a stage at a time.

    They are compared on the run's `held_out_images`.

    Args:
      run: A run directory.
      data_root: Where prepared data lie.
      settings: How they are compared; PWCCA's weights come from the initial side.
      states: Which weights, and batch norm statistics.

    Returns:
      `run`, and the columns of `compare_models`.

    Raises:
      UserError: If there is no run, weights are missing, damaged or NaN, a stage
        is unknown, or the data are not the run's.
    """
    images = held_out_images(run, data_root)
    models, _ = states.before_and_after(run, data_root, images)
    table = compare_pair(models["initial"], models["trained"], images, settings)
    table.insert(0, "run", os.path.basename(os.path.abspath(run)))
    return table


def compare_population(
    runs: Sequence[str | Path],
    data_root: str | Path,
    *,
    state: str = "trained",
    images: Any = None,
    settings: Settings = _CCA_ALONE,
    states: ModelStates = _STATES,
) -> pd.DataFrame:
    """All pairs of runs, a stage at a time; see `compare_all_pairs` for its memory.

    Args:
      runs: Run directories, two or more, none twice. Their numbers of classes may
        differ; the head is in no stage.
      data_root: Where prepared data lie.
      state: `initial` or `trained`, of all.
      images: RGB in [0, 255], as `compare_models` takes them; None takes the first
        run's `held_out_images`.
      settings: How they are compared; by default CCA alone.
      states: Which weights, and batch norm statistics.

    Returns:
      One row per pair, stage, repeat and measure: `run_a`, `run_b`, `model`,
      `pair` (their initializations, in alphabetical order, with the donor where the
      runs have several), and the columns of `compare_models`. PWCCA's weights come
      from `run_a`, the earlier one.

    Raises:
      UserError: As `compare_before_and_after` and `compare_all_pairs`.

    Warns:
      RepresentationWarning: If the runs saw different versions of a data set.
    """
    if images is None:
        check_same_data(runs)
        images = held_out_images(runs[0], data_root)
    models, images = states.of_runs(runs, state, data_root, images)
    table = compare_all_pairs(models, images, settings)
    table = table.rename(columns={"model_a": "run_a", "model_b": "run_b"})
    configs = [RunDirectory(run).config() for run in runs]
    architectures = dict(zip(models, (config.model for config in configs), strict=True))
    starts = dict(zip(models, start_names(configs), strict=True))
    pairs = list(zip(table["run_a"], table["run_b"], strict=True))
    of_models = [dict.fromkeys(architectures[run] for run in pair) for pair in pairs]
    of_starts = [sorted(starts[run] for run in pair) for pair in pairs]
    table.insert(2, "model", [" – ".join(found) for found in of_models])
    table.insert(3, "pair", [" – ".join(found) for found in of_starts])
    return table
