"""The data set that a run was trained on, and what its tables call the run."""

import functools
import os
from pathlib import Path

import pandas as pd

from transfusion_tf.datasets import PreparedDataset, prepare
from transfusion_tf.errors import UserError
from transfusion_tf.recent import Recent
from transfusion_tf.representations.image_sources import SplitImages
from transfusion_tf.training import RunDirectory
from transfusion_tf.training.resolve import card_of, in_fold_of

# A cache of this process: tables of prepared data, and decoded images, by the file
# that they come from.
_indexes: Recent[pd.DataFrame] = Recent(8)
_splits: Recent[SplitImages] = Recent(
    1 << 28, lambda images: max(images.kept_bytes, 1 << 24)
)


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
    if config.image_size is None:
        config = config.replace(image_size=int(directory.dataset()["image_size"]))
    card = card_of(config)
    stored = Path(data_root) / card.name / f"{card.stored_size}px-{config.data}"
    for path in sorted(stored.glob("*/index.parquet")):
        index = _indexes.get(_state(path), functools.partial(pd.read_parquet, path))
        prepared = PreparedDataset(card, path.parent, str(config.data), index)
        return in_fold_of(config, prepared)
    prepared = prepare(card, data_root)
    if prepared.fingerprint != config.data:
        raise UserError(
            f"data set {card.name!r} is no longer what run {directory.path.name} was "
            f"trained on (fingerprint {prepared.fingerprint}, then {config.data}): "
            "images that it is evaluated or compared on may have been training images. "
            f"Give the run's own data, {stored}, by --data_root, or, to "
            "transfusion-compare, other images by --images"
        )
    return in_fold_of(config, prepared)


def run_split(run: str | Path, data_root: str | Path, split: str) -> SplitImages:
    """The images of a split of `run_dataset`; those of one split are decoded once.

    Args:
        run: A run directory.
        data_root: Where prepared data lie.
        split: `train`, `validation` or `test`.

    Raises:
        UserError: As `run_dataset`.
    """
    prepared = run_dataset(run, data_root)
    config = RunDirectory(run).config()
    key = (
        *_state(prepared.path / "index.parquet"),
        *(config.fold, config.folds, config.fold_protocol),
        *(split, prepared.card.stored_size, prepared.card.image_size),
    )
    return _splits.get(key, lambda: SplitImages(prepared, split))


def _state(path: Path) -> tuple:
    status = path.stat()
    return os.path.abspath(path), status.st_ino, status.st_size, status.st_mtime_ns


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
