"""Comparisons of models: one tidy table of similarities a stage."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.representations.activations import (
    Sampling,
    StageReader,
    sample_activations,
)
from transfusion_tf.representations.cca import cca
from transfusion_tf.representations.cka import cka
from transfusion_tf.representations.noise_floor import noise_floor, score
from transfusion_tf.representations.outputs import named_outputs
from transfusion_tf.representations.procrustes import procrustes
from transfusion_tf.representations.pwcca import pwcca
from transfusion_tf.representations.snapshots import Model, architecture
from transfusion_tf.representations.svcca import svcca

MEASURES: dict[str, Callable[[Any, Any], Any]] = {
    "cca": cca,
    "svcca": svcca,
    "pwcca": pwcca,
    "cka": cka,
    "procrustes": procrustes,
}
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

    def __post_init__(self) -> None:
        for name in ("repeats", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be 1 or more, got {getattr(self, name)}")
        for measure in self.measures:
            if measure not in MEASURES:
                raise one_of("measure", measure, MEASURES)


def compare_models(
    model_a: Model,
    model_b: Model,
    images: np.ndarray | Iterable,
    *,
    stages: Sequence[str] | None = None,
    points: int = 10_000,
    channels: int | None = 64,
    repeats: int = 5,
    seed: int = 0,
    measures: Sequence[str] = tuple(MEASURES),
    pooled: bool = False,
    min_images: int = 1,
    equal_points: bool = True,
    batch_size: int = 16,
    progress: bool = True,
) -> pd.DataFrame:
    """Similarity of two models, stage by stage, with a noise floor beside each score.

    One forward pass per model and repeat (Transfusion, appendix C). Defaults are those
    of hidden representations, section 4.3. Memory: see `sample_activations`.

    Args:
      model_a: A model with known stages, or a snapshot; PWCCA's weights come from it.
      model_b: Another, or the same before or after training.
      images: RGB in [0, 255]: an array [images, height, width, 3], or such batches.
      stages: Stage names; None takes all that both models have.
      points: Points a stage and repeat, of whole images; see `Sampling`.
      channels: Channels a stage, the same ones in both models; None takes all.
      repeats: Samples, each of new images and channels.
      seed: Seed of everything drawn.
      measures: Any of `MEASURES`.
      pooled: Whether to average each image over its positions first.
      min_images: Images a stage at least; see `Sampling`.
      equal_points: Whether all stages have as many points; see `Sampling`.
      batch_size: Images a forward pass.
      progress: Whether to show a progress bar.

    Returns:
      One row per stage, repeat and measure: `stage`, `repeat`, and the columns that
      `score_pair` returns.

    Raises:
      UserError: If a stage or measure is unknown, the stages' positions do not
        match, images run out, or an activation is NaN or infinite.

    Warns:
      RepresentationWarning: Where points are too few for the score to mean much.
    """
    _check_measures(measures)
    names = common_stages((model_a, model_b)) if stages is None else tuple(stages)
    readers = StageReader(model_a, names), StageReader(model_b, names)
    samples = sample_activations(
        readers,
        images,
        Sampling(points, channels, pooled, min_images, equal_points),
        repeats=repeats,
        seed=seed,
        batch_size=batch_size,
        progress=progress,
    )
    return _scores(samples, names, measures, seed)


def _check_measures(measures: Sequence[str]) -> None:
    for name in measures:
        if name not in MEASURES:
            raise one_of("measure", name, MEASURES)


def _scores(
    samples: Iterable[Sequence[Mapping[str, np.ndarray]]],
    stages: Sequence[str],
    measures: Sequence[str],
    seed: int,
) -> pd.DataFrame:
    rows = []
    for repeat, (x, y) in enumerate(samples):
        for stage in stages:
            for measure in measures:
                row = score_pair(measure, x[stage], y[stage], seed=seed + repeat)
                rows.append({"stage": stage, "repeat": repeat, **row})
    table = pd.DataFrame(rows)
    return table.astype({"rank_x": "Int64", "rank_y": "Int64"})


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
        equal_points=sampling.equal_points,
        batch_size=settings.batch_size,
        progress=settings.progress,
    )


def over_repeats(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread over the repeats of any comparison here.

    Args:
      table: From one of the comparisons: one row per repeat.

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


def score_pair(measure: str, x: np.ndarray, y: np.ndarray, *, seed: int) -> dict:
    """One score of x against y, [points, channels] each, and its noise floor.

    Returns:
      `measure`, `value`, `noise_floor` (the same measure on permuted points), `rank_x`,
      `rank_y` (missing where the measure has none), `points`.
    """
    compare = MEASURES[measure]
    result = compare(x, y)
    return {
        "measure": measure,
        "value": score(result),
        "noise_floor": noise_floor(compare, x, y, repeats=1, seed=seed).mean,
        "rank_x": getattr(result, "rank_x", pd.NA),
        "rank_y": getattr(result, "rank_y", pd.NA),
        "points": len(x),
    }


def common_stages(models: Sequence[Model]) -> tuple[str, ...]:
    """Names of the stages that all models have, from the input up.

    Raises:
      UserError: If there is none, or a model's stages are not known.
    """
    plain = [architecture(model) for model in models]
    names = [tuple(named_outputs(model)) for model in plain]
    common = tuple(
        name for name in names[0] if all(name in others for others in names[1:])
    )
    if not common:
        listed = "; ".join(
            dict.fromkeys(
                f"{model.name!r} has {', '.join(own)}"
                for model, own in zip(plain, names, strict=True)
            )
        )
        raise UserError(f"the models have no stage in common: {listed}")
    return common
