"""Comparisons over run directories: before against after training, run against run.

Transfusion, figure 3: how much of a run's start is left in it, stage by stage.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from transfusion_tf.errors import UserError
from transfusion_tf.representations.activations import Sampling
from transfusion_tf.representations.compare import MEASURES, compare_models
from transfusion_tf.representations.run_models import (
    check_same_data,
    run_images,
    run_snapshot,
)
from transfusion_tf.representations.snapshots import Model, architecture

_PER_REPEAT = ("repeat", "value", "noise_floor", "rank_x", "rank_y", "points")


@dataclass(frozen=True)
class Settings:
    """How models are compared; the defaults are the papers'.

    Attributes:
        stages: Stages, or layers; None takes all that the models have in common.
        measures: Any of `MEASURES`.
        sampling: Points and channels a stage.
        repeats: Samples, each of new images and channels.
        seed: Seed of everything drawn.
        batch_size: Images a forward pass.
        progress: Whether to show a progress bar.
    """

    stages: tuple[str, ...] | None = None
    measures: tuple[str, ...] = tuple(MEASURES)
    sampling: Sampling = field(default_factory=Sampling)
    repeats: int = 5
    seed: int = 0
    batch_size: int = 16
    progress: bool = True

    def __post_init__(self):
        for name in ("repeats", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be 1 or more, got {getattr(self, name)}")


def compare_before_and_after(
    run: str | Path,
    data_root: str | Path,
    *,
    images: Any = None,
    settings: Settings = Settings(),
) -> pd.DataFrame:
    """A run's initial weights against its best ones, a stage at a time.

    Args:
        run: A run directory.
        data_root: Where prepared data lie.
        images: RGB in [0, 255], as `compare_models` takes them; None takes the
            validation split of the run's data.
        settings: How they are compared; PWCCA's weights come from the initial side.

    Returns:
        `run`, and the columns of `compare_models`.

    Raises:
        UserError: If there is no run, weights are missing, damaged or NaN, a stage
            is unknown, or the data are not the run's.
    """
    models = [run_snapshot(run, weights) for weights in ("initial", "best")]
    if images is None:
        images = run_images(run, data_root)
    table = compare_pair(models[0], models[1], images, settings)
    table.insert(0, "run", os.path.basename(os.path.abspath(run)))
    return table


def compare_runs(
    run_a: str | Path,
    run_b: str | Path,
    data_root: str | Path,
    *,
    weights: str = "best",
    images: Any = None,
    settings: Settings = Settings(),
) -> pd.DataFrame:
    """Two runs against each other, a stage at a time.

    Their numbers of classes may differ; the head is in no stage.

    Args:
        run_a: A run directory; PWCCA's weights come from its side.
        run_b: Another.
        data_root: Where prepared data lie.
        weights: `initial` or `best`, of both.
        images: RGB in [0, 255], as `compare_models` takes them; None takes the
            validation split of the first run's data.
        settings: How they are compared.

    Returns:
        `run_a`, `run_b`, and the columns of `compare_models`.

    Raises:
        UserError: As `compare_before_and_after`; if the runs' image sizes differ.

    Warns:
        RepresentationWarning: If the runs saw different versions of a data set.
    """
    names = run_names([run_a, run_b])
    models = [run_snapshot(run, weights) for run in (run_a, run_b)]
    check_image_sizes(dict(zip(names, models, strict=True)))
    if images is None:
        check_same_data([run_a, run_b])
        images = run_images(run_a, data_root)
    table = compare_pair(models[0], models[1], images, settings)
    table.insert(0, "run_a", names[0])
    table.insert(1, "run_b", names[1])
    return table


def compare_pair(
    model_a: Model, model_b: Model, images: Any, settings: Settings
) -> pd.DataFrame:
    """`compare_models` with its arguments in one `Settings`."""
    sampling = settings.sampling
    return compare_models(
        model_a,
        model_b,
        images,
        stages=settings.stages,
        points=sampling.points,
        channels=sampling.channels,
        repeats=settings.repeats,
        seed=settings.seed,
        measures=settings.measures,
        pooled=sampling.pooled,
        min_images=sampling.min_images,
        batch_size=settings.batch_size,
        progress=settings.progress,
    )


def over_repeats(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread over the repeats of any comparison here.

    Args:
        table: From one of the comparisons: a row a repeat.

    Returns:
        The other columns, and `value` (mean), `std` (over repeats, divided by
        repeats - 1; missing for one), `noise_floor` (mean), `noise_floor_std`,
        `rank_x`, `rank_y` (means), `points`, `repeats`.
    """
    names = [name for name in table.columns if name not in _PER_REPEAT]
    groups = table.groupby(names, sort=False)
    return groups.agg(
        value=("value", "mean"),
        std=("value", "std"),
        noise_floor=("noise_floor", "mean"),
        noise_floor_std=("noise_floor", "std"),
        rank_x=("rank_x", "mean"),
        rank_y=("rank_y", "mean"),
        points=("points", "first"),
        repeats=("repeat", "size"),
    ).reset_index()


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


def check_image_sizes(models: Mapping[str, Model]) -> None:
    """Raises UserError unless all models take images of the same size."""
    first, *others = models.items()
    for name, model in others:
        sizes = [
            " × ".join(
                str(side or "any") for side in architecture(each).input_shape[1:3]
            )
            for each in (first[1], model)
        ]
        if sizes[0] != sizes[1]:
            raise UserError(
                f"{first[0]} takes images of {sizes[0]} pixels and {name} of "
                f"{sizes[1]}: they cannot be given the same images. Compare models "
                "of one image size"
            )
