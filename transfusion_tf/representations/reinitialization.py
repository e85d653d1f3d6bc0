"""Re-initialization robustness: what a trained model loses without one part's training.

Feature reuse, section 2, "Resilience of the transfer", and figure 5, after Zhang,
Bengio, Singer, "Are all layers created equal?": one part at a time is set back to its
initial weights, the others stay trained. A part that can be set back without loss has
reused what it was given; a critical one has not.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from transfusion_tf.representations.parts import Part, paired_parts
from transfusion_tf.representations.run_data import (
    labelled,
    run_dataset,
    run_labels,
)
from transfusion_tf.representations.run_models import run_snapshot
from transfusion_tf.representations.snapshots import Model, Snapshot
from transfusion_tf.representations.split_scores import SplitScorer, logits_function
from transfusion_tf.training import RunDirectory


def reinitialize_parts(
    model: keras.Model,
    initial: Model,
    evaluate: Callable[[], float],
    *,
    kind: str = "unit",
    unchanged: float | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Evaluates a model with each part in turn at its initial weights.

    One evaluation a part with weights, and one of the model as it is if `unchanged` is
    not given. Parts are exchanged in memory, by object: a part's own variables and no
    others. Afterwards the model's weights are exactly what they were, also when an
    evaluation raises. Memory: both models, and a copy of one part.

    Args:
        model: The trained model.
        initial: The same architecture with the weights it began from.
        evaluate: Evaluates `model` with the weights that it has by then.
        kind: What is set back at a time: `layer`, `unit` or `stage`.
        unchanged: What `evaluate` gives for the trained model, if that is known.
        progress: Whether to show a progress bar.

    Returns:
        One row a part, from the input up, the head's last: `kind`, `part`, `stage`,
        `position` (from 0 at the input), `size` (numbers set back, moving statistics
        included), `value`, `unchanged`, `drop` (`unchanged` - `value`: what training
        this part is worth).

    Raises:
        UserError: If the architectures differ, there is no such kind of part, or the
            stages are not known.
    """
    start = Snapshot.of(initial)
    pairs = [pair for pair in paired_parts(model, start.model, kind) if pair[0].weights]
    if unchanged is None:
        unchanged = evaluate()
    rows: list[dict[str, Any]] = []
    for part, before in tqdm(
        pairs, desc="setting back", unit=kind, disable=not progress
    ):
        with set_back(part, [start.value(v) for v in before.weights]):
            value = evaluate()
        rows.append(
            {
                "kind": kind,
                "part": part.name,
                "stage": part.stage,
                "position": len(rows),
                "size": sum(int(np.prod(v.shape)) for v in part.weights),
                "value": value,
                "unchanged": unchanged,
                "drop": unchanged - value,
            }
        )
    return pd.DataFrame(rows)


def reinitialization_robustness(
    run: str | Path,
    data_root: str | Path,
    *,
    kind: str = "unit",
    split: str = "test",
    batch_size: int = 32,
    progress: bool = True,
) -> pd.DataFrame:
    """A run's metric with each part in turn at its initial weights: figure 5.

    The best weights' metric is taken from a finished run's record.

    Args:
        run: A run directory.
        data_root: Where prepared data lie.
        kind: What is set back at a time: `layer`, `unit` or `stage`.
        split: `test` or `validation`.
        batch_size: Images a forward pass.
        progress: Whether to show a progress bar.

    Returns:
        `run`, `model`, `initialization`, `split`, `metric` (the run's), the columns of
        `reinitialize_parts`, and `images`.

    Raises:
        UserError: As `load_run_model` and `run_dataset`.
    """
    directory = RunDirectory(run)
    config = directory.config()
    metric = str(config.metric)
    initial, trained = (run_snapshot(run, weights) for weights in ("initial", "best"))
    # Both may be of one graph, whose model is what is evaluated.
    model = trained.restore()
    scorer = SplitScorer(
        trained.graph.once("logits", lambda: logits_function(model)),
        run_dataset(run, data_root),
        split,
        head=config.head or "sigmoid",
        batch_size=batch_size,
    )
    table = reinitialize_parts(
        model,
        initial,
        lambda: scorer().get(metric, np.nan),
        kind=kind,
        unchanged=_recorded(directory, split, metric),
        progress=progress,
    )
    table = table.assign(images=scorer.images)
    return labelled(table, run_labels(run) | {"split": split, "metric": metric})


@contextlib.contextmanager
def set_back(part: Part, initial: Sequence[np.ndarray]) -> Iterator[None]:
    """Gives a part its initial weights for as long as the context lasts.

    Args:
        part: Of the trained model.
        initial: A value for each of its weights.
    """
    trained = [_copy(variable) for variable in part.weights]
    try:
        for variable, value in zip(part.weights, initial, strict=True):
            variable.assign(value)
        yield
    finally:
        for variable, value in zip(part.weights, trained, strict=True):
            variable.assign(value)


def _copy(variable: Any) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(variable))


def _recorded(directory: RunDirectory, split: str, metric: str) -> float | None:
    if not directory.finished():
        return None
    return directory.status().get(split, {}).get(metric)
