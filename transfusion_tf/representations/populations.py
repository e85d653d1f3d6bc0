"""A population of runs: all pairs, by initialization, and before against after.

Transfusion, table 5 and figure 2: pairs of runs from pretrained weights, pairs from
random weights, and mixed pairs. Figure 4: whether runs that start alike end alike.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.representations.activations import StageReader, sample_activations
from transfusion_tf.representations.compare import (
    MEASURES,
    common_stages,
    score_pair,
)
from transfusion_tf.representations.run_comparisons import (
    Settings,
    check_image_sizes,
    over_repeats,
    run_names,
)
from transfusion_tf.representations.run_models import (
    check_same_data,
    run_images,
    run_snapshot,
)
from transfusion_tf.representations.run_starts import start_names
from transfusion_tf.training import RunConfig, RunDirectory

_MIN_PAIRS = 3
# The papers' measure; all five take five times as long, and pairs are many.
_SETTINGS = Settings(measures=("cca",))


def compare_population(
    runs: Sequence[str | Path],
    data_root: str | Path,
    *,
    weights: str = "best",
    images: Any = None,
    settings: Settings = _SETTINGS,
) -> pd.DataFrame:
    """All pairs of runs, a stage at a time.

    One forward pass a run and repeat serves all pairs. Memory: all weights, and the
    sampled activations of one repeat, 4 bytes times runs × stages × points ×
    channels (256 MB for twenty runs of five stages at the default sampling).

    Args:
        runs: Run directories, two or more, none twice.
        data_root: Where prepared data lie.
        weights: `initial` or `best`, of all.
        images: RGB in [0, 255], as `compare_models` takes them; None takes the
            validation split of the first run's data.
        settings: How they are compared; by default CCA alone.

    Returns:
        One row a pair, stage, repeat and measure: `run_a`, `run_b`, `model`,
        `pair` (their initializations, in alphabetical order, with the donor where the
        runs have several), and the columns of `compare_models`. PWCCA's weights come
        from `run_a`, the earlier one.

    Raises:
        UserError: As `compare_runs`; if there are fewer than two runs.

    Warns:
        RepresentationWarning: If the runs saw different versions of a data set.
    """
    for measure in settings.measures:
        if measure not in MEASURES:
            raise one_of("measure", measure, MEASURES)
    if len(runs) < 2:
        raise UserError(f"a population needs 2 runs or more, got {len(runs)}")
    names = run_names(list(runs))
    models = [run_snapshot(run, weights) for run in runs]
    check_image_sizes(dict(zip(names, models, strict=True)))
    if images is None:
        check_same_data(runs)
        images = run_images(runs[0], data_root)
    stages = settings.stages or common_stages(models)
    samples = sample_activations(
        [StageReader(model, stages) for model in models],
        images,
        settings.sampling,
        repeats=settings.repeats,
        seed=settings.seed,
        batch_size=settings.batch_size,
        progress=settings.progress,
    )
    pairs = list(itertools.combinations(range(len(runs)), 2))
    configs = [RunDirectory(run).config() for run in runs]
    starts = start_names(configs)
    labels = [_pair_labels(configs, starts, a, b) for a, b in pairs]
    rows = []
    total = settings.repeats * len(pairs)
    with tqdm(
        total=total, desc="comparing", unit="pair", disable=not settings.progress
    ) as bar:
        for repeat, activations in enumerate(samples):
            for (a, b), label in zip(pairs, labels, strict=True):
                sides = {"run_a": names[a], "run_b": names[b], **label}
                for scores in _scores(
                    activations[a], activations[b], settings, settings.seed + repeat
                ):
                    rows.append(sides | {"repeat": repeat} | scores)
                bar.update()
    table = pd.DataFrame(rows)
    return table.astype({"rank_x": "Int64", "rank_y": "Int64"})


def by_initializations(table: pd.DataFrame) -> pd.DataFrame:
    """A population's pairs, averaged by their initializations: Transfusion, table 5.

    Args:
        table: From `compare_population`.

    Returns:
        One row a model, pair of initializations, stage and measure: `model`,
        `pair`, `stage`, `measure`, `value` (mean over pairs), `std` (between pairs),
        `repeat_std` (between the repeats of a pair, on average), `noise_floor`,
        `pairs` (how many).
    """
    return (
        over_repeats(table)
        .groupby(["model", "pair", "stage", "measure"], sort=False)
        .agg(
            mean=("value", "mean"),
            between=("value", "std"),
            repeat_std=("std", "mean"),
            noise_floor=("noise_floor", "mean"),
            pairs=("value", "size"),
        )
        .rename(columns={"mean": "value", "between": "std"})
        .reset_index()
    )


def compare_start_and_end(
    runs: Sequence[str | Path],
    data_root: str | Path,
    *,
    images: Any = None,
    settings: Settings = _SETTINGS,
) -> pd.DataFrame:
    """Similarity at initialization beside similarity after training, all pairs.

    Both sides see the same images, points and channels.

    Args:
        runs: Run directories, two or more.
        data_root: Where prepared data lie.
        images: An array-like, RGB in [0, 255]; None takes the validation split of
            the first run's data.
        settings: How they are compared; by default CCA alone.

    Returns:
        One row a pair, stage and measure: `run_a`, `run_b`, `model`, `pair`,
        `stage`, `measure`, and for both `_at_start` and `_at_end` the columns
        `value`, `std` (over repeats) and `noise_floor`.

    Raises:
        UserError: As `compare_population`.
    """
    initial, best = (
        compare_population(
            runs, data_root, weights=weights, images=images, settings=settings
        )
        for weights in ("initial", "best")
    )
    return join_start_and_end(initial, best)


def join_start_and_end(initial: pd.DataFrame, best: pd.DataFrame) -> pd.DataFrame:
    """Two populations of the same runs side by side, averaged over repeats.

    Args:
        initial: From `compare_population` with `weights="initial"`.
        best: The same with `weights="best"`.

    Returns:
        As `compare_start_and_end`; what only one side has is left out.
    """
    keys = ["run_a", "run_b", "model", "pair", "stage", "measure"]
    sides = []
    for table, suffix in ((initial, "_at_start"), (best, "_at_end")):
        scores = over_repeats(table)[[*keys, "value", "std", "noise_floor"]]
        sides.append(scores.set_index(keys).add_suffix(suffix))
    return sides[0].join(sides[1], how="inner").reset_index()


def regress_end_on_start(table: pd.DataFrame) -> pd.DataFrame:
    """How far similarity at the start predicts similarity at the end: figure 4's R².

    Pairs that share a run are not independent, so R² is a description and no test.

    Args:
        table: From `compare_start_and_end`.

    Returns:
        One row a model, pair of initializations, stage and measure: `pairs`,
        `slope`, `intercept`, `r_squared` of the least squares line. Missing where
        there are fewer than three pairs, or all start equally alike (as runs from
        one donor do).
    """
    keys = ["model", "pair", "stage", "measure"]
    rows = []
    for key, part in table.groupby(keys, sort=False):
        start, end = part["value_at_start"], part["value_at_end"]
        rows.append(
            dict(zip(keys, key, strict=True)) | _line(start.to_numpy(), end.to_numpy())
        )
    return pd.DataFrame(rows)


def _line(start: np.ndarray, end: np.ndarray) -> dict[str, float]:
    missing = {"slope": np.nan, "intercept": np.nan, "r_squared": np.nan}
    # Equal but for rounding says nothing about a slope.
    if len(start) < _MIN_PAIRS or np.ptp(start) < 1e-9:
        return {"pairs": len(start), **missing}
    slope, intercept = np.polyfit(start, end, 1)
    total = float(np.sum((end - end.mean()) ** 2))
    left = float(np.sum((end - slope * start - intercept) ** 2))
    return {
        "pairs": len(start),
        "slope": float(slope),
        "intercept": float(intercept),
        "r_squared": 1 - left / total if total else np.nan,
    }


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


def _pair_labels(
    configs: Sequence[RunConfig], starts: Sequence[str], a: int, b: int
) -> dict[str, str]:
    models = dict.fromkeys(configs[index].model for index in (a, b))
    pair = sorted(starts[index] for index in (a, b))
    return {"model": " – ".join(models), "pair": " – ".join(pair)}
