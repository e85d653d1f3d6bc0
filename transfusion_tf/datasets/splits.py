"""Which patient is in which split, and which examples are in a small subset.

Both are pure functions of a seed and an id, so that they do not change when rows
are added, removed or put in another order.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from transfusion_tf.datasets.card import SPLITS, Splits


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
