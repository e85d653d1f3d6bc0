"""Splits depend on (seed, patient) and nothing else."""

import dataclasses

import numpy as np
import pytest

from transfusion_tf.datasets import Splits, patient_folds, split_by_patient
from transfusion_tf.datasets.splits import fold_examples, subset_order
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


def test_folds_are_of_one_size(rows):
    sizes = np.bincount(patient_folds(*rows))
    assert sizes.max() - sizes.min() <= 2


def test_folds_are_alike_in_findings_that_are_not_all_known():
    generator = np.random.default_rng(0)
    prevalence = np.linspace(0.02, 0.5, 14)
    labels = (generator.random((1500, 14)) < prevalence).astype(float)
    labels[generator.random(labels.shape) < 0.3] = np.nan
    folds = patient_folds([f"p{i // 3}" for i in range(1500)], labels)
    overall = np.nanmean(labels, axis=0)
    shares = [np.nanmean(labels[folds == fold], axis=0) for fold in range(5)]
    assert np.abs(np.array(shares) - overall).max() < 0.02


def test_class_names_are_dealt_as_their_numbers_are(rows):
    patients, labels = rows
    names = np.array([f"grade {label}" for label in labels])
    np.testing.assert_array_equal(
        patient_folds(patients, names), patient_folds(patients, labels)
    )


def test_more_folds_than_patients_are_refused():
    with pytest.raises(UserError, match="number of patients, 2"):
        patient_folds(["a", "a", "b"], np.array([0, 1, 0]), folds=3)


def test_labels_of_other_rows_are_refused():
    with pytest.raises(UserError, match="3 patient ids, but 2 labels"):
        patient_folds(["a", "b", "c"], np.array([0, 1]), folds=2)


@pytest.fixture
def examples(rows):
    patients, labels = rows
    return [f"e{i}" for i in range(len(patients))], patients, labels


def patients_of(ids, examples):
    owner = dict(zip(examples[0], examples[1], strict=True))
    return {owner[name] for name in ids}


@pytest.mark.parametrize("number", range(5))
def test_a_fold_keeps_every_patient_on_one_side(examples, number):
    fold = fold_examples(*examples, fold=number)
    assert sorted(fold.train + fold.validation + fold.test) == sorted(examples[0])
    sides = [patients_of(ids, examples) for ids in dataclasses.astuple(fold)]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 300


def test_every_example_is_tested_on_in_one_fold(examples):
    tested = [name for k in range(5) for name in fold_examples(*examples, fold=k).test]
    assert sorted(tested) == sorted(examples[0])


def test_a_tenth_of_all_patients_is_held_out_to_choose_the_weights_by(examples):
    fold = fold_examples(*examples, fold=2)
    assert len(fold.test) / len(examples[0]) == pytest.approx(0.2, abs=0.01)
    assert len(fold.validation) / len(examples[0]) == pytest.approx(0.1, abs=0.01)


def test_the_parts_of_a_fold_are_alike_in_their_classes(examples):
    names, _, labels = examples
    label = dict(zip(names, labels, strict=True))
    fold = fold_examples(*examples, fold=1)
    for ids in dataclasses.astuple(fold):
        part = np.array([label[name] for name in ids])
        for number in range(5):
            assert abs(np.mean(part == number) - np.mean(labels == number)) < 0.02


def test_the_papers_protocol_chooses_by_the_fold_that_it_tests(examples):
    ours = fold_examples(*examples, fold=3)
    papers = fold_examples(*examples, fold=3, protocol="paper")
    assert papers.validation == papers.test == ours.test
    assert set(papers.train) == set(ours.train) | set(ours.validation)


def test_a_fold_does_not_depend_on_the_order_of_rows(examples):
    names, patients, labels = examples
    order = np.random.default_rng(2).permutation(len(names))
    shuffled = fold_examples(
        [names[i] for i in order], [patients[i] for i in order], labels[order], fold=4
    )
    assert shuffled == fold_examples(*examples, fold=4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fold": 5}, "from 0 to 4, got 5"),
        ({"fold": 0, "protocol": "test"}, "separate, paper"),
        ({"fold": 0, "folds": 301}, "number of patients, 300"),
    ],
)
def test_a_fold_that_does_not_exist_is_refused(examples, options, message):
    with pytest.raises(UserError, match=message):
        fold_examples(*examples, **options)


def test_too_few_patients_to_hold_any_out_are_refused():
    rows = (["x", "y"], ["a", "b"], np.array([0, 1]))
    with pytest.raises(UserError, match="at least 2 outside the fold, got 1"):
        fold_examples(*rows, fold=0, folds=2)


def test_examples_of_one_name_are_refused():
    rows = (["x", "x", "y"], ["a", "b", "c"], np.array([0, 1, 0]))
    with pytest.raises(UserError, match="unique"):
        fold_examples(*rows, fold=0, folds=3)
