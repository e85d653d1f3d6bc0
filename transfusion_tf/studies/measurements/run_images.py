"""The data set that a run was trained on, and its splits as image sequences."""

import functools
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from transfusion_tf.datasets import PreparedDataset, prepare
from transfusion_tf.datasets.contents import read_index
from transfusion_tf.errors import UserError
from transfusion_tf.recent import Recent
from transfusion_tf.representations.moments import RepresentationWarning
from transfusion_tf.studies.measurements.image_sources import SplitImages
from transfusion_tf.training import RunConfig, RunDirectory
from transfusion_tf.training.resolved_config import card_of, in_fold_of

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
        index = _indexes.get(_state(path), functools.partial(read_index, path.parent))
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


def run_split(run: str | Path, data_root: str | Path, *splits: str) -> SplitImages:
    """The images of some splits of `run_dataset`; those of the same are decoded once.

    Args:
      run: A run directory.
      data_root: Where prepared data lie.
      *splits: `train`, `validation` or `test`, or several of them.

    Raises:
      UserError: As `run_dataset`.
    """
    prepared = run_dataset(run, data_root)
    config = RunDirectory(run).config()
    key = (
        *_state(prepared.path / "index.parquet"),
        config.fold,
        config.folds,
        config.fold_protocol,
        *splits,
        prepared.card.stored_size,
        prepared.card.image_size,
    )
    return _splits.get(key, lambda: SplitImages(prepared, *splits, key=key))


def run_images(run: str | Path, data_root: str | Path) -> SplitImages:
    """The validation images of the data, and the fold, that a run was trained on.

    They are opened by the fingerprint that the run recorded; where they are not
    below `data_root`, they are prepared again from the run's card. Never the
    training split: similarity on memorised images says little.

    Args:
      run: A run directory.
      data_root: Where prepared data lie.

    Raises:
      UserError: If the card or the data are gone, or are no longer those the run
        was trained on.
    """
    return run_split(run, data_root, "validation")


def held_out_images(run: str | Path, data_root: str | Path) -> SplitImages:
    """All images that a run was not trained on: of its validation and test splits.

    For similarity by stage, to which a stage of few positions gives a whole image each
    few points. Nothing is chosen by it.

    Args:
      run: A run directory.
      data_root: Where prepared data lie.

    Raises:
      UserError: As `run_dataset`.
    """
    return run_split(run, data_root, "validation", "test")


def check_same_data(runs: Sequence[str | Path]) -> None:
    """Warns where a run saw another version of the first run's data set.

    Warns:
      RepresentationWarning: If so; the first run's validation images may be
        training images of that run.
    """
    seen = [
        (directory.dataset()["name"], _data_and_fold(directory.config()))
        for directory in map(RunDirectory, runs)
    ]
    name, data = seen[0]
    for run, (own_name, own_data) in zip(runs, seen, strict=True):
        if own_name == name and own_data != data:
            warnings.warn(
                f"run {Path(run).name} was trained on another version of {name} "
                f"({own_data}, not {data}): it may have trained on some of the "
                "images that are compared on",
                RepresentationWarning,
                stacklevel=2,
            )


def _data_and_fold(config: RunConfig) -> str:
    if config.fold is None:
        return str(config.data)
    return f"{config.data}, fold {config.fold} of {config.folds}"


def _state(path: Path) -> tuple:
    status = path.stat()
    return os.path.abspath(path), status.st_ino, status.st_size, status.st_mtime_ns
