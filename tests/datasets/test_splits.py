"""Splits depend on (seed, patient) and nothing else."""

import numpy as np

from transfusion_tf.datasets import Splits, split_by_patient
from transfusion_tf.datasets.splits import subset_order

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
