"""All pairs of several models, a stage at a time."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from transfusion_tf.errors import UserError
from transfusion_tf.representations.activations import StageReader, sample_activations
from transfusion_tf.representations.similarity_by_stage import (
    Settings,
    common_stages,
    score_pair,
)
from transfusion_tf.representations.snapshots import Model, check_image_sizes


def compare_all_pairs(
    models: Mapping[str, Model], images: Any, settings: Settings
) -> pd.DataFrame:
    """Similarity of every model with every other, a stage at a time.

    One forward pass per model and repeat serves all pairs. Memory: all weights, and
    the sampled activations of one repeat, 4 bytes times models × stages × points ×
    channels (256 MB for twenty models of five stages at the default sampling).

    Args:
      models: What the table calls them -> two or more models of one image size.
      images: RGB in [0, 255], as `compare_models` takes them.
      settings: How they are compared.

    Returns:
      One row per pair, stage, repeat and measure: `model_a`, `model_b`, and the
      columns of `compare_models`. PWCCA's weights come from `model_a`, the earlier
      one.

    Raises:
      UserError: As `compare_models`; if there are fewer than two models, or they
        take images of different sizes.
    """
    if len(models) < 2:
        raise UserError(f"pairs need 2 models or more, got {len(models)}")
    check_image_sizes(models)
    stages = settings.stages or common_stages(list(models.values()))
    samples = sample_activations(
        [StageReader(model, stages) for model in models.values()],
        images,
        settings.sampling,
        repeats=settings.repeats,
        seed=settings.seed,
        batch_size=settings.batch_size,
        progress=settings.progress,
    )
    pairs = list(itertools.combinations(range(len(models)), 2))
    names = list(models)
    rows = []
    total = settings.repeats * len(pairs)
    with tqdm(
        total=total, desc="comparing", unit="pair", disable=not settings.progress
    ) as bar:
        for repeat, activations in enumerate(samples):
            for a, b in pairs:
                sides = {"model_a": names[a], "model_b": names[b], "repeat": repeat}
                for scores in _scores(
                    activations[a], activations[b], settings, settings.seed + repeat
                ):
                    rows.append(sides | scores)
                bar.update()
    table = pd.DataFrame(rows)
    return table.astype({"rank_x": "Int64", "rank_y": "Int64"})


def _scores(
    activations_a: dict[str, np.ndarray],
    activations_b: dict[str, np.ndarray],
    settings: Settings,
    seed: int,
) -> Iterator[dict]:
    for stage in activations_a:
        for measure in settings.measures:
            scores = score_pair(
                measure, activations_a[stage], activations_b[stage], seed=seed
            )
            yield {"stage": stage, **scores}
