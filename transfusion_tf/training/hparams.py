"""What TensorBoard's HParams page says of a run: what sets it apart, what it came to.

A run's scalars have the names of `metrics.jsonl` (`train/loss`, `validation/<metric>`);
its end adds the main metric of the best weights, under one name for all data sets.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api

from transfusion_tf.training.config import RunConfig, recipe_fields
from transfusion_tf.training.run_directory import RunDirectory

# Of the best weights, by split.
RESULTS = {"validation": "result/validation", "test": "result/test"}

_APART = (
    *("dataset", "model", "initialization", "donor", "freeze", "image_size"),
    *("fold", "seed"),
)


def hparams(config: RunConfig, train_images: int) -> dict[str, str | bool | float]:
    """What sets a run apart, by flag, and its recipe; what is not used is left out.

    Args:
      config: a resolved one.
      train_images: how many there are to train on.
    """
    names = (*_APART, *recipe_fields([config]))
    values = {name: getattr(config, name) for name in names}
    values["dataset"] = _named(config.dataset)
    if config.donor is not None:
        donor = RunDirectory(config.donor)
        pretrained = donor.exists()
        values["donor"] = (
            donor.dataset()["name"] if pretrained else _named(config.donor)
        )
    values["train_images"] = train_images
    return {
        name: value if isinstance(value, bool | int | float) else str(value)
        for name, value in values.items()
        if value is not None
    }


def hparams_summary(config: RunConfig, train_images: int, began: float) -> Summary:
    """`hparams` as an event file holds them, of a run that began then (since 1970)."""
    values = hparams(config, train_images)
    return api.hparams_pb(values, trial_id=config.run_id, start_time_secs=began)


def write_hparams(config: RunConfig, train_images: int) -> None:
    """Writes `hparams` with the summary writer that is in use."""
    summary = hparams_summary(config, train_images, time.time())
    tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step=0)


def write_results(metric: str, metrics: Mapping[str, Any], step: int) -> None:
    """Writes the metric of each split, of the weights after so many steps."""
    for split, name in RESULTS.items():
        if metric in metrics[split]:
            tf.summary.scalar(name, metrics[split][metric], step=step)


def _named(place: str) -> str:
    """Of a path its end; of a card's file its folder."""
    path = Path(place)
    return path.parent.name if path.name == "dataset.toml" else path.name
