"""Which patient is in which split or fold, and which examples are in a small subset.

Splits and subsets are pure functions of a seed and an id, so that they do not change
when rows are added, removed or put in another order. Folds are alike in their classes,
so they depend on all rows together; the order of the rows does not matter.
"""

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np

from transfusion_tf.datasets.card import SPLITS, Splits
from transfusion_tf.errors import UserError, one_of

# What the weights of a fold are chosen on: patients of the other folds, or, as in the
# hidden representations paper, the fold that they are then tested on.
PROTOCOLS = ("separate", "paper")

# With five folds an eighth of the others is a tenth of all patients.
_VALIDATION_PARTS = 8

# Of moving patients between folds; two to five are what it takes.
_MOST_PASSES = 20


@dataclasses.dataclass(frozen=True)
class Fold:
    """The example ids of one fold of a cross-validation, sorted.

    Attributes:
      train: trained on.
      validation: what the best weights are chosen by.
      test: the fold.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


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

    Greedy, as in iterative stratification (Sechidis et al., 2011), but by whole
    patients: those that weigh most in some class are dealt first, each to the fold
    that has least of what they bring; then each may move, until none does.
    scikit-learn's StratifiedGroupKFold knows one class a row, which will not do for
    findings: with 14 of them in 601 images of 200 patients, a fold's share of one was
    6.7 points off, and is 1.6 here.

    Args:
      patient_ids: one id a row.
      labels: [rows] of class numbers or names, or [rows, classes] of 0, 1 and NaN.
      folds: at least 2, at most as many as there are patients.
      seed: draws another deal.

    Returns:
      int64 [rows], from 0 to folds - 1; the rows of a patient share one.

    Raises:
      UserError: the lengths differ, or there are fewer patients than folds.
    """
    patients, member = np.unique(
        np.array([str(patient) for patient in patient_ids], dtype=object),
        return_inverse=True,
    )
    if len(member) != len(labels):
        raise UserError(f"{len(member)} patient ids, but {len(labels)} labels")
    if not 2 <= folds <= len(patients):
        raise UserError(
            f"folds should be from 2 to the number of patients, {len(patients)}, "
            f"got {folds}"
        )
    brought = np.stack(
        [np.bincount(member, column) for column in _counted(labels).T], axis=1
    ).astype(np.int64)
    # Whole numbers, so that every machine deals alike; 2 ** 50 leaves the sums room.
    weights = 2**50 // np.maximum(brought.sum(axis=0), 1) ** 2
    keys = [stable_hash("fold", seed, patient) for patient in patients]
    order = np.lexsort((np.array(keys, np.uint64), -(brought**2 @ weights)))
    dealt = np.zeros((folds, len(weights)), np.int64)
    result = np.full(len(patients), -1)
    for _ in range(_MOST_PASSES):
        before = result.copy()
        for patient in order:
            if before[patient] >= 0:
                dealt[before[patient]] -= brought[patient]
            # Of all folds this one adds least to the sum of squared shares.
            fold = int(np.argmin(dealt @ (weights * brought[patient])))
            result[patient] = fold
            dealt[fold] += brought[patient]
        if (result == before).all():
            break
    return result[member]


def fold_examples(
    example_ids: Sequence[str],
    patient_ids: Sequence[str],
    labels: np.ndarray,
    fold: int,
    folds: int = 5,
    protocol: str = "separate",
    seed: int = 0,
) -> Fold:
    """Which examples one fold of a cross-validation trains, chooses and tests on.

    Every example is tested on in exactly one of the folds, and no patient is on two
    sides of any.

    Args:
      example_ids: one id a row, unique.
      patient_ids: one id a row.
      labels: as for `patient_folds`.
      fold: which one, from 0 to folds - 1.
      folds: how many there are.
      protocol: `separate` holds an eighth of the other folds' patients out of the
        training, alike in their classes, to choose the weights by. `paper` trains on
        all other folds, and chooses by the very fold that is tested: so did the hidden
        representations paper (Juodelyte et al., 2023, section 4.3), whose AUCs are the
        higher for it.
      seed: draws another deal.

    Raises:
      UserError: no such fold or protocol, ids that are not unique, lengths that
        differ, or too few patients.
    """
    if protocol not in PROTOCOLS:
        raise one_of("fold protocol", protocol, PROTOCOLS)
    if not 0 <= fold < folds:
        raise UserError(f"fold should be from 0 to {folds - 1}, got {fold}")
    examples = np.array([str(example) for example in example_ids], dtype=object)
    if len(examples) != len(patient_ids):
        raise UserError(
            f"{len(examples)} example ids, but {len(patient_ids)} patient ids"
        )
    if len(set(examples)) != len(examples):
        raise UserError("example ids should be unique to be dealt into folds")
    labels = np.asarray(labels)
    tested = patient_folds(patient_ids, labels, folds, seed) == fold
    chosen_by = tested
    if protocol == "separate":
        chosen_by = _held_out(~tested, patient_ids, labels, seed)
    return Fold(
        train=tuple(sorted(examples[~(tested | chosen_by)])),
        validation=tuple(sorted(examples[chosen_by])),
        test=tuple(sorted(examples[tested])),
    )


def _held_out(
    outside: np.ndarray, patient_ids: Sequence[str], labels: np.ndarray, seed: int
) -> np.ndarray:
    """Which rows are of the patients outside the fold that choose its weights."""
    rows = np.flatnonzero(outside)
    patients = [str(patient_ids[int(row)]) for row in rows]
    parts = min(_VALIDATION_PARTS, len(set(patients)))
    if parts < 2:
        raise UserError(
            "to choose weights by patients of their own takes at least 2 outside "
            f"the fold, got {parts}; give more data, or the protocol paper"
        )
    dealt = patient_folds(patients, labels[rows], parts, seed)
    held_out = np.zeros(len(outside), dtype=bool)
    held_out[rows[dealt == 0]] = True
    return held_out


def _counted(labels: np.ndarray) -> np.ndarray:
    """What folds share out evenly, float [rows, columns]: rows, and those of a class.

    For findings the rows known to be without one count as well: unknown ones are
    neither.
    """
    values = np.asarray(labels)
    if values.ndim == 1:
        names, number = np.unique(values.astype(str), return_inverse=True)
        kinds = np.eye(len(names))[number]
    else:
        kinds = np.column_stack([values == 1, values == 0]).astype(np.float64)
    return np.column_stack([np.ones(len(values)), kinds])
