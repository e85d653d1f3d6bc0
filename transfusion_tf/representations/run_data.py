"""The data set that a run was trained on, and what its tables call the run."""

import os
from pathlib import Path

import pandas as pd

from transfusion_tf.datasets import PreparedDataset, prepare
from transfusion_tf.errors import UserError
from transfusion_tf.training import RunDirectory
from transfusion_tf.training.resolve import card_of, in_fold_of


def run_dataset(run: str | Path, data_root: str | Path) -> PreparedDataset:
    """The prepared data of a run, found by the fingerprint that it recorded.

    They have the splits of the run's fold, where it has one. Where they are not below
    `data_root`, they are prepared again from the run's card.

    Args:
        run: A run directory.
        data_root: Where prepared data lie.

    Raises:
        UserError: If the card or the data are gone, or are no longer those the run
            was trained on.
    """
    directory = RunDirectory(run)
    config = directory.config()
    card = card_of(config)
    stored = Path(data_root) / card.name / f"{card.stored_size}px-{config.data}"
    for index in sorted(stored.glob("*/index.parquet")):
        prepared = PreparedDataset(
            card, index.parent, str(config.data), pd.read_parquet(index)
        )
        return in_fold_of(config, prepared)
    prepared = prepare(card, data_root)
    if prepared.fingerprint != config.data:
        raise UserError(
            f"data set {card.name!r} is no longer what run {directory.path.name} was "
            f"trained on (fingerprint {prepared.fingerprint}, then {config.data}): "
            "its test images may have been training images. Give the run's own data, "
            f"{stored}, by --data_root"
        )
    return in_fold_of(config, prepared)


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
