"""Splits depend on (seed, patient) and nothing else."""

import numpy as np
import pytest

from transfusion_tf.datasets import Splits, patient_folds, split_by_patient
from transfusion_tf.datasets.splits import subset_order
from transfusion_tf.errors import UserError

PATIENTS = [f"p{i}" for i in range(5000)]


def test_shares_are_met():
    names, counts = np.unique(split_by_patient(PATIENTS), return_counts=True)
    shares = dict(zip(names, counts / len(PATIENTS), strict=True))
    assert abs(shares["train"] - 0.7) < 0.02
    assert abs(shares["validation"] - 0.15) < 0.02


def test_all_rows_of_a_patient_share_a_split():
    both = split_by_patient([*PATIENTS, *PATIENTS])
    assert (both[:5000] == both[5000:]).all()


def test_other_rows_and_their_order_do_not_matter():
    alone = dict(zip(PATIENTS, split_by_patient(PATIENTS), strict=True))
    more = ["new", *PATIENTS[::-1]]
    again = dict(zip(more, split_by_patient(more), strict=True))
    assert all(again[name] == alone[name] for name in PATIENTS)


def test_another_seed_draws_another_split():
    assert (
        split_by_patient(PATIENTS) != split_by_patient(PATIENTS, Splits(seed=1))
    ).any()


def test_a_share_of_zero_stays_empty():
    drawn = split_by_patient(PATIENTS, Splits(train=0.8, validation=0.2, test=0.0))
    assert set(drawn) == {"train", "validation"}


def test_small_subsets_are_nested_and_stable():
    names = np.array(PATIENTS)
    order = names[subset_order(PATIENTS)]
    assert set(order[:500]) < set(order[:1000])
    fewer = names[: len(names) // 2]
    kept = [name for name in order if name in set(fewer)]
    assert kept == list(fewer[subset_order(list(fewer))])


@pytest.fixture
def rows():
    generator = np.random.default_rng(0)
    patients = [f"p{i}" for i in range(300) for _ in range(generator.integers(1, 5))]
    labels = generator.choice(5, len(patients), p=[0.5, 0.2, 0.15, 0.1, 0.05])
    return patients, labels


def test_no_patient_is_in_two_folds(rows):
    patients, labels = rows
    folds = patient_folds(patients, labels)
    assert set(folds) == {0, 1, 2, 3, 4}
    assert len(set(zip(patients, folds, strict=True))) == len(set(patients))


def test_folds_are_alike_in_their_classes(rows):
    patients, labels = rows
    folds = patient_folds(patients, labels)
    for label in range(5):
        shares = [np.mean(labels[folds == fold] == label) for fold in range(5)]
        assert max(abs(share - np.mean(labels == label)) for share in shares) < 0.02


def test_folds_do_not_depend_on_the_order_of_rows(rows):
    patients, labels = rows
    order = np.random.default_rng(1).permutation(len(patients))
    shuffled = patient_folds([patients[i] for i in order], labels[order])
    np.testing.assert_array_equal(shuffled, patient_folds(patients, labels)[order])


def test_another_seed_deals_other_folds(rows):
    assert (patient_folds(*rows, seed=1) != patient_folds(*rows, seed=0)).any()


def test_folds_take_findings_that_are_not_all_known():
    generator = np.random.default_rng(0)
    labels = generator.choice([0.0, 1.0, np.nan], (200, 14))
    folds = patient_folds([f"p{i // 2}" for i in range(200)], labels, folds=4)
    assert np.bincount(folds).min() >= 40


def test_more_folds_than_patients_are_refused():
    with pytest.raises(UserError, match="number of patients, 2"):
        patient_folds(["a", "a", "b"], np.array([0, 1, 0]), folds=3)
