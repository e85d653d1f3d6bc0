"""Re-initialization robustness: what a trained model loses without one part's training.

Feature reuse, section 2, "Resilience of the transfer", and figure 5, after Zhang,
Bengio, Singer, "Are all layers created equal?": one part at a time is set back to its
initial weights, the others stay trained. A part that can be set back without loss has
reused what it was given; a critical one has not.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from transfusion_tf.representations.parts import Part, paired_parts
from transfusion_tf.representations.snapshots import Model, Snapshot


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
      kind: What is set back at a time: `layer`, `unit`, `branch` (the paper's) or
        `stage`.
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
