import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from transfusion_tf.evaluation import (
    Interval,
    bootstrap_interval,
    metric_replicates,
    patient_weights,
    referable_auc,
)


def eyes(patients=300, seed=0):
    """Two correlated eyes a patient: groups, grades, outputs [n, 5]."""
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(patients), 2)
    severity = generator.normal(size=patients)[groups]
    grades = np.digitize(
        severity + generator.normal(size=len(groups)) * 0.3, [0, 0.5, 1, 1.5]
    )
    noise = generator.normal(size=patients)[groups]
    logits = (severity + noise)[:, None] * np.linspace(-1, 1, 5)
    return groups, grades, 1 / (1 + np.exp(-logits))


def test_all_rows_of_a_patient_are_drawn_together():
    groups = np.array(["a", "b", "a", "c", "b", "a"])
    (weights,) = patient_weights(groups, samples=50)
    for patient in "abc":
        rows = weights[:, groups == patient]
        assert (rows == rows[:, :1]).all()


def test_every_sample_draws_as_many_patients_as_there_are():
    groups = np.arange(7)
    (weights,) = patient_weights(groups, samples=50)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.max() > 1


def test_the_draws_follow_the_patients_whatever_the_order_of_the_rows():
    groups = np.array(["a", "b", "a", "c"])
    order = np.array([3, 2, 0, 1])
    (weights,), (moved,) = patient_weights(groups), patient_weights(groups[order])
    np.testing.assert_array_equal(weights[:, order], moved)


def test_the_draws_of_other_patients_are_independent():
    # Of two test sets with 40 patients each, the difference of the patients' means.
    ours, theirs = (np.array([f"{name}{i:02d}" for i in range(40)]) for name in "ab")
    values = np.random.default_rng(0).normal(size=40)
    means, others = (
        next(patient_weights(groups, samples=2000)) @ values / 40
        for groups in (ours, theirs)
    )
    assert abs(np.corrcoef(means, others)[0, 1]) < 0.06
    both = means.var() + others.var()
    assert (means - others).var() == pytest.approx(both, rel=0.1)


def test_large_test_sets_are_drawn_in_blocks_that_make_the_same_draws(monkeypatch):
    groups = np.arange(20)
    (whole,) = patient_weights(groups, samples=11)
    monkeypatch.setattr("transfusion_tf.evaluation.intervals._CHUNK_CELLS", 60)
    blocks = list(patient_weights(groups, samples=11))
    assert [len(block) for block in blocks] == [3, 3, 3, 2]
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_the_estimate_is_the_statistic_on_all_rows():
    groups, grades, outputs = eyes()
    interval = bootstrap_interval(referable_auc, groups, grades, outputs, samples=50)
    assert interval.estimate == referable_auc(grades, outputs)
    assert interval.low < interval.estimate < interval.high


def test_the_interval_of_a_mean_is_that_of_the_central_limit():
    generator = np.random.default_rng(5)
    values = generator.normal(size=900)
    interval = bootstrap_interval(np.mean, np.arange(900), values, samples=2000)
    half = 1.96 * values.std() / 30
    assert interval.low == pytest.approx(values.mean() - half, abs=0.006)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.006)


def test_drawing_patients_gives_a_wider_interval_than_drawing_images():
    groups, grades, outputs = eyes()
    by_patient = bootstrap_interval(referable_auc, groups, grades, outputs)
    by_image = bootstrap_interval(
        referable_auc, np.arange(len(groups)), grades, outputs
    )
    width = by_patient.high - by_patient.low
    assert width > 1.15 * (by_image.high - by_image.low)


def test_the_same_seed_gives_the_same_interval_and_another_does_not():
    groups, grades, outputs = eyes(60)
    arguments = (referable_auc, groups, grades, outputs)
    first = bootstrap_interval(*arguments, samples=100, seed=1)
    assert bootstrap_interval(*arguments, samples=100, seed=1) == first
    assert bootstrap_interval(*arguments, samples=100, seed=2) != first


def test_the_level_sets_the_width():
    groups, grades, outputs = eyes(100)
    wide = bootstrap_interval(referable_auc, groups, grades, outputs, level=0.99)
    narrow = bootstrap_interval(referable_auc, groups, grades, outputs, level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_draws_with_one_class_only_are_left_out_and_counted():
    groups = np.arange(4)
    labels, scores = np.array([1, 0, 0, 0]), np.array([0.9, 0.1, 0.2, 0.95])
    (weights,) = patient_weights(groups, samples=400)
    one_class = ((weights[:, 0] == 0) | (weights[:, 1:].sum(axis=1) == 0)).sum()

    def statistic(labels, scores):
        if len(np.unique(labels)) < 2:
            raise ValueError("only one class")
        return roc_auc_score(labels, scores)

    interval = bootstrap_interval(statistic, groups, labels, scores, samples=400)
    assert interval.undefined == one_class > 50
    assert np.isfinite([interval.low, interval.high]).all()


def test_an_error_in_the_statistic_itself_is_not_hidden():
    with pytest.raises(ValueError, match="not finite"):
        bootstrap_interval(
            referable_auc, np.arange(2), np.array([0, 3]), np.full((2, 5), np.nan)
        )


def test_replicates_of_a_metric_are_those_of_resampled_rows():
    groups, grades, outputs = eyes(40)
    replicates = metric_replicates(
        "referable_auc", groups, np.eye(5)[grades], outputs, 2, samples=30
    )
    (weights,) = patient_weights(groups, samples=30)
    rows = [np.repeat(np.arange(80), count) for count in weights]
    expected = [referable_auc(grades[row], outputs[row]) for row in rows]
    np.testing.assert_allclose(replicates, expected, rtol=1e-12)


def test_a_thousand_samples_of_two_thousand_rows_take_seconds():
    groups, grades, outputs = eyes(1000)
    start = time.perf_counter()
    bootstrap_interval(referable_auc, groups, grades, outputs, samples=1000)
    assert time.perf_counter() - start < 10


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="3 groups for arrays of 2 rows"):
        bootstrap_interval(np.mean, np.arange(3), np.arange(2))


def test_an_interval_reads_as_estimate_and_ends():
    assert str(Interval(0.9123, 0.884, 0.941)) == "0.912 [0.88, 0.94]"
