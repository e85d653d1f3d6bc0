import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from transfusion_tf.evaluation import (
    delong_test,
    patient_weights,
    percentile_interval,
    weighted_auc,
)
from transfusion_tf.evaluation.delong import auc_covariance

# 43 patients of DeLong, DeLong and Clarke-Pearson (1988) with all three tests known:
# albumin, total protein, Krebs-Goplerud score (high is bad), and the outcome.
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0
2.5 5.7 8 0   1.6 5.6 5 1  3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1
4.1 6.6 5 1   3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0   3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
3.1 6.6 6 1   4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1
3.3 6.8 6 0   1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0   2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1
3.6 6.6 5 1
"""


@pytest.fixture
def ovarian():
    rows = np.array(OVARIAN.split(), dtype=float).reshape(-1, 4)
    albumin, protein, score, outcome = rows.T
    return outcome, {"albumin": albumin, "protein": protein, "score": -score}


def two_models(n=200, seed=0, ties=False):
    """Labels and the scores of two models that share some of their noise."""
    generator = np.random.default_rng(seed)
    labels = generator.random(n) < 0.35
    shared = generator.normal(size=n)
    left, right = (
        strength * labels + shared + generator.normal(size=n) for strength in (1.5, 1.0)
    )
    return (labels, np.round(left), np.round(right)) if ties else (labels, left, right)


def two_eyes(patients=150, seed=0):
    """The same of two images a patient, alike in label and noise."""
    generator = np.random.default_rng(seed)
    owners = np.repeat(np.arange(patients), 2)
    severity = generator.normal(size=patients)[owners]
    labels = severity + 0.2 * generator.normal(size=2 * patients) > 0.5
    left, right = (
        severity
        + generator.normal(size=patients)[owners]
        + 0.2 * generator.normal(size=2 * patients)
        for _ in range(2)
    )
    return owners, labels, left, right


def covariance_by_pairs(labels, scores):
    """DeLong's covariance from all pairs of cases, as the paper writes it down."""
    positives, negatives = scores[:, labels], scores[:, ~labels]
    above = positives[:, :, None] > negatives[:, None, :]
    won = above + 0.5 * (positives[:, :, None] == negatives[:, None, :])
    first, second = won.mean(axis=2), won.mean(axis=1)
    return won.mean(axis=(1, 2)), (
        np.cov(first) / labels.sum() + np.cov(second) / (~labels).sum()
    )


def bootstrap(owners, labels, left, right):
    """Percentile interval of the difference, patients drawn with replacement."""
    (weights,) = patient_weights(owners, samples=2000)
    replicates = weighted_auc(labels, left, weights)
    replicates -= weighted_auc(labels, right, weights)
    difference = roc_auc_score(labels, left) - roc_auc_score(labels, right)
    return percentile_interval(difference, replicates)


def test_areas_and_errors_are_those_published_for_the_papers_own_data(ovarian):
    """SAS/STAT, PROC LOGISTIC, the example on comparing ROC curves."""
    outcome, tests = ovarian
    areas, covariance = auc_covariance(outcome, np.stack(list(tests.values())))
    np.testing.assert_array_equal(areas.round(4), [0.7366, 0.6478, 0.7258])
    errors = np.sqrt(np.diag(covariance))
    np.testing.assert_array_equal(errors.round(4), [0.0927, 0.1000, 0.1028])


@pytest.mark.parametrize(
    ("name", "difference", "error", "chi_square", "p_value"),
    [
        ("albumin", 0.0108, 0.0953, 0.0127, 0.9102),
        ("protein", -0.0780, 0.1046, 0.5554, 0.4561),
    ],
)
def test_differences_are_those_published_for_the_papers_own_data(
    ovarian, name, difference, error, chi_square, p_value
):
    outcome, tests = ovarian
    found = delong_test(outcome, tests[name], tests["score"])
    assert round(found.difference, 4) == difference
    assert round(np.sqrt(found.variance), 4) == error
    assert round(found.statistic**2, 4) == chi_square
    assert round(found.p_value, 4) == p_value


@pytest.mark.parametrize("ties", [False, True])
def test_midranks_give_what_all_pairs_of_cases_give(ties):
    labels, left, right = two_models(ties=ties)
    areas, covariance = auc_covariance(labels, np.stack([left, right]))
    expected = covariance_by_pairs(labels, np.stack([left, right]))
    np.testing.assert_allclose(areas, expected[0], rtol=1e-13)
    np.testing.assert_allclose(covariance, expected[1], rtol=1e-11)


def test_the_areas_are_scikit_learns():
    labels, left, right = two_models(ties=True)
    found = delong_test(labels, left, right)
    assert found.left == pytest.approx(roc_auc_score(labels, left), abs=1e-13)
    assert found.right == pytest.approx(roc_auc_score(labels, right), abs=1e-13)
    assert found.difference == found.left - found.right


def test_the_interval_is_about_the_paired_bootstraps():
    labels, left, right = two_models(400)
    found = delong_test(labels, left, right).interval
    drawn = bootstrap(np.arange(400), labels, left, right)
    width = drawn.high - drawn.low
    assert found.estimate == pytest.approx(drawn.estimate)
    assert found.high - found.low == pytest.approx(width, rel=0.05)
    assert found.low == pytest.approx(drawn.low, abs=0.05 * width)


def test_images_of_one_patient_are_no_independent_cases():
    owners, labels, left, right = two_eyes()
    drawn = bootstrap(owners, labels, left, right)
    by_patient = delong_test(labels, left, right, owners).interval
    by_image = delong_test(labels, left, right).interval
    width = drawn.high - drawn.low
    assert by_patient.high - by_patient.low == pytest.approx(width, rel=0.05)
    assert by_image.high - by_image.low < 0.85 * width


def test_one_image_a_patient_is_delongs_own_test():
    labels, left, right = two_models()
    named = delong_test(labels, left, right, np.array([f"p{i}" for i in range(200)]))
    assert named.variance == pytest.approx(
        delong_test(labels, left, right).variance, rel=1e-12
    )


def test_five_per_cent_of_equal_models_are_called_different():
    called = []
    for seed in range(300):
        generator = np.random.default_rng(seed)
        labels = np.arange(120) < 50
        shared = labels + generator.normal(size=120)
        left, right = (shared + generator.normal(size=120) for _ in range(2))
        called.append(delong_test(labels, left, right).p_value < 0.05)
    assert 0.03 <= np.mean(called) <= 0.075


def test_the_p_value_and_the_interval_agree():
    for seed in range(20):
        found = delong_test(*two_models(80, seed))
        inside = found.interval.low <= 0 <= found.interval.high
        assert inside == (found.p_value >= 0.05)


def test_the_sides_can_be_exchanged():
    labels, left, right = two_models()
    one, other = delong_test(labels, left, right), delong_test(labels, right, left)
    assert other.statistic == pytest.approx(-one.statistic)
    assert other.p_value == pytest.approx(one.p_value)


def test_only_the_order_of_the_scores_matters():
    labels, left, right = two_models()
    moved = delong_test(labels, np.exp(left), 7 * right - 3)
    assert moved == delong_test(labels, left, right)


def test_models_that_order_the_cases_alike_do_not_differ():
    labels, left, _ = two_models()
    found = delong_test(labels, left, 2 * left)
    assert (found.difference, found.statistic, found.p_value) == (0, 0, 1)
    assert (found.interval.low, found.interval.high) == (0, 0)


def test_two_models_without_a_variance_are_not_called_different():
    labels = np.array([0, 0, 1, 1])
    found = delong_test(labels, labels, -labels)
    assert found.difference == 1
    assert np.isnan([found.p_value, found.interval.low, found.interval.high]).all()


def test_a_side_of_one_patient_tells_no_variance():
    owners = np.array(["a", "b", "c", "c"])
    found = delong_test([0, 0, 1, 1], [1, 4, 2, 3], [1, 2, 3, 4], owners)
    assert np.isnan([found.variance, found.p_value, found.interval.low]).all()


def test_unlabelled_cases_are_left_out():
    labels, left, right = two_models()
    partly = labels.astype(float)
    partly[:50] = np.nan
    expected = delong_test(labels[50:], left[50:], right[50:])
    assert delong_test(partly, left, right) == expected


@pytest.mark.parametrize(
    ("labels", "left", "message"),
    [
        ([0, 0], [0.1, 0.2], "positive and negative"),
        ([0, 2], [0.1, 0.2], "0, 1 or NaN"),
        ([0, 1], [0.1, np.nan], "finite"),
        ([0, 1, 1], [0.1, 0.2], "for labels"),
    ],
)
def test_what_has_no_area_is_refused(labels, left, message):
    with pytest.raises(ValueError, match=message):
        delong_test(labels, left, left)
