"""A run's models and images: what comparisons over run directories read."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from transfusion_tf.datasets import PreparedDataset, prepare
from transfusion_tf.errors import UserError, one_of
from transfusion_tf.initialization.weight_files import check_weight_file
from transfusion_tf.models import build
from transfusion_tf.representations.image_sources import SplitImages
from transfusion_tf.representations.moments import RepresentationWarning
from transfusion_tf.training import RunConfig, RunDirectory
from transfusion_tf.training.resolve import card_of, in_fold_of

WEIGHTS = ("initial", "best")


def load_run_model(run: str | Path, weights: str = "best") -> keras.Model:
    """A run's model: built from code, then its weights and nothing else are loaded.

    Args:
        run: A run directory.
        weights: `initial` or `best`.

    Raises:
        UserError: If there is no run, the run left no such weights, they are damaged
            or of another model, or one is NaN or infinite.

    Warns:
        RepresentationWarning: If the run is not finished.
    """
    if weights not in WEIGHTS:
        raise one_of("weights", weights, WEIGHTS)
    directory = RunDirectory(run)
    config = directory.config()
    path = getattr(directory, f"{weights}_weights")
    status = directory.status()
    reached = f"state {status.get('state')!r}, step {status.get('step', 0)}"
    if not path.is_file():
        raise UserError(
            f"run {directory.path} has no {path.name} ({reached} of {config.steps}): "
            "train it to its end, or restore the file"
        )
    if not directory.finished():
        warnings.warn(
            f"run {directory.path.name} is not finished ({reached} of "
            f"{config.steps}): its best weights may change",
            RepresentationWarning,
            stacklevel=2,
        )
    size = _image_size(directory, config)
    model = build(
        config.model,
        (size, size, 3),
        len(directory.dataset()["classes"]),
        pixel_statistics=config.pixel_statistics,
        head=config.head or "sigmoid",
    )
    check_weight_file(directory.intact(path))
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path} does not hold the weights of {config.model} at {size} × {size} "
            f"pixels: {str(error).splitlines()[0]}"
        ) from error
    _check_finite(model, path)
    return model


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
    directory = RunDirectory(run)
    config = directory.config()
    config = config.replace(image_size=_image_size(directory, config))
    card = card_of(config)
    stored = Path(data_root) / card.name / f"{card.stored_size}px-{config.data}"
    for index in sorted(stored.glob("*/index.parquet")):
        prepared = PreparedDataset(
            card, index.parent, str(config.data), pd.read_parquet(index)
        )
        return SplitImages(in_fold_of(config, prepared), "validation")
    prepared = prepare(card, data_root)
    if prepared.fingerprint != config.data:
        raise UserError(
            f"data set {card.name!r} is no longer what run {directory.path.name} was "
            f"trained on (fingerprint {prepared.fingerprint}, then {config.data}): "
            "its validation images may have been training images. Give the run's "
            f"own data, {stored}, by --data_root, or other images by --images"
        )
    return SplitImages(in_fold_of(config, prepared), "validation")


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


def _image_size(directory: RunDirectory, config: RunConfig) -> int:
    return int(config.image_size or directory.dataset()["image_size"])


def _check_finite(model: keras.Model, path: Path) -> None:
    for variable in model.variables:
        if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
            raise UserError(f"{path} is broken: {variable.path} holds NaN or infinity")
