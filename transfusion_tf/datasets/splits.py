"""Which patient is in which split, and which examples are in a small subset.

Both are pure functions of a seed and an id, so that they do not change when rows
are added, removed or put in another order.
"""

import hashlib
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np

from transfusion_tf.datasets.card import SPLITS, Splits
from transfusion_tf.errors import UserError


def stable_hash(*parts: object) -> int:
    """An unsigned 64-bit hash of the parts, the same on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def split_by_patient(
    patient_ids: Sequence[str], splits: Splits | None = None
) -> np.ndarray:
    """Names the split of each row; all rows of a patient share one.

    Args:
      patient_ids: one id a row.
      splits: shares and seed; 70/15/15 with seed 0 by default. The shares are
        expectations: each patient is drawn on its own.

    Returns:
      Array of `train`, `validation` or `test`, one a row.
    """
    splits = splits or Splits()
    limits = np.cumsum([splits.train, splits.validation, splits.test])
    draws = np.array(
        [stable_hash("split", splits.seed, patient) / 2**64 for patient in patient_ids]
    )
    return np.array(SPLITS)[np.searchsorted(limits[:2], draws, side="right")]


def subset_order(example_ids: Sequence[str], seed: int = 0) -> np.ndarray:
    """Row numbers in the order in which small subsets take them.

    The first 500 of this order are among the first 1 000, and an example that is
    added later does not change the order of the others.
    """
    keys = [stable_hash("subset", seed, example) for example in example_ids]
    return np.argsort(np.array(keys, dtype=np.uint64), kind="stable")


def patient_folds(
    patient_ids: Sequence[str],
    labels: np.ndarray,
    folds: int = 5,
    seed: int = 0,
) -> np.ndarray:
    """Deals patients into folds for cross-validation, alike in their classes.

    scikit-learn's StratifiedGroupKFold, over rows that are first put into an order
    of their own, so that the folds do not depend on the order given.

    Args:
      patient_ids: one id a row.
      labels: [rows] of class numbers or names, or [rows, classes] of 0, 1 and NaN;
        rows with the same findings count as one class, and classes of fewer rows
        than folds as one together.
      folds: at least 2, at most as many as there are patients.
      seed: draws another deal.

    Returns:
      int64 [rows], from 0 to folds - 1; the rows of a patient share one.

    Raises:
      UserError: the lengths differ, or there are fewer patients than folds.
    """
    patients = [str(patient) for patient in patient_ids]
    kinds = _label_kinds(labels)
    counts = Counter(kinds)
    # The rare together, as scikit-learn needs a row of a class for each fold.
    kinds = [kind if counts[kind] >= folds else "" for kind in kinds]
    if len(kinds) != len(patients):
        raise UserError(f"{len(patients)} patient ids, but {len(kinds)} labels")
    if not 2 <= folds <= len(set(patients)):
        raise UserError(
            f"folds should be from 2 to the number of patients, {len(set(patients))}, "
            f"got {folds}"
        )
    from sklearn.model_selection import StratifiedGroupKFold

    keys = [stable_hash("fold", seed, patient) for patient in patients]
    order = sorted(range(len(patients)), key=lambda i: (keys[i], patients[i], kinds[i]))
    _, classes = np.unique(np.array(kinds)[order], return_inverse=True)
    groups = np.array(patients)[order]
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    result = np.empty(len(patients), np.int64)
    with warnings.catch_warnings():
        # A class of fewer rows than folds can't be in all of them.
        warnings.filterwarnings("ignore", message="The least populated class")
        for number, (_, held_out) in enumerate(
            splitter.split(np.zeros((len(order), 1)), classes, groups)
        ):
            result[np.array(order)[held_out]] = number
    return result


def _label_kinds(labels: np.ndarray) -> list[str]:
    values = np.asarray(labels)
    if values.ndim == 1:
        return [str(value) for value in values.tolist()]
    return [" ".join(f"{value:g}" for value in row) for row in values.tolist()]
