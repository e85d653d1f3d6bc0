"""What a result is repeated over: the seeds of its runs, or folds and seeds.

Runs of several seeds are tested on the same patients, those of folds on different
ones: the two have intervals of their own kind, see `evaluation.comparison` and
`evaluation.folds`.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from transfusion_tf.evaluation import (
    Difference,
    RunScore,
    cell_interval,
    difference,
    estimate_over_folds,
    fold_difference,
    seed_interval,
)
from transfusion_tf.studies.study_folder import Run

# A seed; in a cross-validation, seed and fold.
RunKey = int | tuple[int, int]


def run_key(run: Run) -> RunKey:
    """What tells the runs of a cell apart: the seed, or seed and fold."""
    config = run.config
    return config.seed if config.fold is None else (config.seed, config.fold)


def test_to_train(runs: Iterable[Run]) -> float:
    """Test examples over training examples of folds, 0.25 for five of `paper`.

    Of what a fold could train on, for it is the share that two folds' training sets
    have in common that ties their results together: a subset of it shares as much.
    """
    counts = [run.dataset["counts"] for run in runs]
    test, train = (
        sum(int(count[split]["images"]) for count in counts)
        for split in ("test", "train")
    )
    return test / max(train, 1)


def mean_over_runs(
    values: Mapping[RunKey, float], runs: Mapping[RunKey, Run]
) -> Difference:
    """The mean of one number a run, with its interval over seeds, or folds if several.

    For what has no test patients in it: steps, areas under learning curves, and their
    paired differences.

    Args:
      values: by the keys of the runs.
      runs: of the cell, or of one of two cells that are compared.
    """
    if not folded(values):
        return seed_interval(list(values.values()))
    ratio = test_to_train(runs[key] for key in values)
    return estimate_over_folds(list(values.values()), ratio)


def mean_difference(
    left: Mapping[RunKey, Run], right: Mapping[RunKey, Run]
) -> Difference | None:
    """Left minus right on test; None when not comparable.

    Over the seeds of both, on the same test set; or over several folds of both, each on
    its own.
    """
    ours, theirs = scores_of(left), scores_of(right)
    keys = set(ours) & set(theirs)
    if not folded(keys):
        test_sets = {side[key].test_set for side in (ours, theirs) for key in keys}
        return difference(ours, theirs) if len(test_sets) == 1 else None
    if any(ours[key].test_set != theirs[key].test_set for key in keys):
        return None
    known = {
        key: ours[key]
        for key in keys
        if np.isfinite([ours[key].value, theirs[key].value]).all()
    }
    ratio = test_to_train(left[key] for key in known)
    return fold_difference(known, theirs, ratio)


def mean_on_test(runs: Mapping[RunKey, Run]) -> Difference | None:
    """The test metric over seeds, on one test set, or over folds; None without."""
    scores = scores_of(runs)
    if not folded(scores):
        same_test = len({score.test_set for score in scores.values()}) == 1
        return cell_interval(scores) if same_test else None
    values = {
        key: score.value for key, score in scores.items() if np.isfinite(score.value)
    }
    if not values:
        return None
    found = mean_over_runs(values, runs)
    low, high = np.clip([found.low, found.high], 0.0, 1.0)
    return dataclasses.replace(found, low=float(low), high=float(high), p_value=np.nan)


def folded(keys: Iterable[RunKey]) -> bool:
    """Whether runs of these keys are several folds of a cross-validation."""
    return len({key[1] for key in keys if isinstance(key, tuple)}) > 1


def training_sizes(runs: Sequence[Run]) -> dict[str, int]:
    """Training images of every run; folds that differ by a few count as one size."""
    by_setting: dict[tuple, list[Run]] = {}
    for run in runs:
        config = run.config
        if config.fold is not None:
            key = (config.data, config.folds, config.fold_protocol)
            by_setting.setdefault((*key, config.train_examples), []).append(run)
    sizes = {run.run_id: run.train_examples for run in runs}
    for alike in by_setting.values():
        mean = round(np.mean([sizes[run.run_id] for run in alike]))
        sizes |= {run.run_id: mean for run in alike}
    return sizes


def scores_of(runs: Mapping[RunKey, Run]) -> dict[RunKey, RunScore]:
    """Test scores of the runs that have any."""
    return {key: run.score for key, run in runs.items() if run.score is not None}
