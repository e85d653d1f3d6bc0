"""Predictions kept a row an example."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from transfusion_tf.errors import UserError


def prediction_table(
    example_ids: Sequence[str],
    patient_ids: Sequence[str],
    split: str,
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
) -> pd.DataFrame:
    """The frame that a run directory keeps as `predictions.parquet`.

    Args:
      example_ids: [n], unique.
      patient_ids: [n].
      split: `validation` or `test`.
      labels: float [n, classes] in {0, 1}, NaN where unlabelled.
      probabilities: float [n, classes] in [0, 1].
      classes: their names, in order.

    Returns:
      Columns `example_id patient_id split`, then `label/<class>` for every class,
      then `probability/<class>`; float32.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    expected = (len(example_ids), len(classes))
    if labels.shape != expected or probabilities.shape != expected:
        raise ValueError(
            f"labels {labels.shape} and probabilities {probabilities.shape} must both "
            f"be {expected}: a row an example, a column a class"
        )
    table = pd.DataFrame(
        {
            "example_id": [str(name) for name in example_ids],
            "patient_id": [str(name) for name in patient_ids],
            "split": split,
        }
    )
    if not table["example_id"].is_unique:
        twice = table["example_id"][table["example_id"].duplicated()].iloc[0]
        raise ValueError(f"example {twice!r} was predicted more than once")
    values = np.concatenate([labels, probabilities], axis=1).astype(np.float32)
    return table.join(pd.DataFrame(values, columns=_columns(classes)))


def labels_and_probabilities(
    table: pd.DataFrame, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The arrays that `prediction_table` was made from: two of float32 [n, classes].

    Raises:
      UserError: the table lacks the columns of a class.
    """
    columns = _columns(classes)
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise UserError(f"predictions have no column {', '.join(missing)}")
    values = table[columns].to_numpy(dtype=np.float32)
    return values[:, : len(classes)], values[:, len(classes) :]


def _columns(classes: Sequence[str]) -> list[str]:
    return [f"label/{name}" for name in classes] + [
        f"probability/{name}" for name in classes
    ]
