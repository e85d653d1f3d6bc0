"""What tables call runs, and what they started from."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from transfusion_tf.errors import UserError
from transfusion_tf.initialization import parse_spec
from transfusion_tf.training import RunConfig, RunDirectory


def run_labels(run: str | Path) -> dict[str, str]:
    """What tables say of a run: `run`, `model`, `initialization`."""
    config = RunDirectory(run).config()
    return {
        "run": os.path.basename(os.path.abspath(run)),
        "model": config.model,
        "initialization": config.initialization,
    }


def labelled(table: pd.DataFrame, labels: dict[str, str]) -> pd.DataFrame:
    """The table with the labels as its first columns."""
    for position, (name, value) in enumerate(labels.items()):
        table.insert(position, name, value)
    return table


def run_names(runs: list[str | Path]) -> list[str]:
    """What tables call the runs: their folders' names, where those differ.

    Raises:
      UserError: If a run is given twice.
    """
    paths = [os.path.abspath(run) for run in runs]
    twice = [path for path in paths if paths.count(path) > 1]
    if twice:
        raise UserError(
            f"run {twice[0]} is given twice; give different runs, or one alone to "
            "compare it before and after training"
        )
    names = [os.path.basename(path) for path in paths]
    return names if len(set(names)) == len(names) else paths


def donor_name(config: RunConfig) -> str | None:
    """What a run's donor is called, or None where nothing of it is used.

    A donor that was pretrained on a data set is called after it, a weight file without
    its ending.
    """
    if config.donor is None or parse_spec(config.initialization).scheme == "random":
        return None
    path = Path(config.donor)
    directory = RunDirectory(path)
    if directory.exists():
        return directory.dataset()["name"]
    return path.name.removesuffix(".h5").removesuffix(".keras").removesuffix(".weights")


def start_names(configs: Sequence[RunConfig]) -> list[str]:
    """The initialization of every run, with its donor where the runs have several.

    Returns:
      `transfer`, or `transfer from photographs`; one a run.
    """
    donors = [donor_name(config) for config in configs]
    several = len({name for name in donors if name is not None}) > 1
    return [
        f"{config.initialization} from {donor}"
        if several and donor is not None
        else config.initialization
        for config, donor in zip(configs, donors, strict=True)
    ]
