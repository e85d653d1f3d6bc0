import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    roc_auc_score,
)

from transfusion_tf.errors import UserError
from transfusion_tf.evaluation import (
    METRICS,
    accuracy,
    balanced_accuracy,
    chance_level,
    class_auc,
    compute_metrics,
    expected_calibration_error,
    mean_auc,
    metric,
    prior_weighted_auc,
    quadratic_kappa,
    referable_auc,
    referable_score,
    top5_accuracy,
    weighted_auc,
)
from transfusion_tf.evaluation.units import metric_unit, unit

GRADES = ("0", "1", "2", "3", "4")


def graded(n=400, seed=0):
    """Grades, one-hot labels and sigmoid outputs that know something of them."""
    generator = np.random.default_rng(seed)
    grades = generator.integers(5, size=n)
    logits = generator.normal(size=(n, 5)) + 1.5 * np.eye(5)[grades]
    return grades, np.eye(5, dtype=np.float32)[grades], 1 / (1 + np.exp(-logits))


def test_weighted_auc_agrees_with_scikit_learn_on_ties_and_weights():
    generator = np.random.default_rng(1)
    scores = generator.integers(10, size=300) / 10
    positive = generator.random(300) < 0.3
    weights = generator.integers(4, size=(20, 300))
    expected = [roc_auc_score(positive, scores, sample_weight=w) for w in weights]
    np.testing.assert_allclose(
        weighted_auc(positive, scores, weights), expected, rtol=1e-12
    )


def test_weighted_auc_is_undefined_without_both_sides():
    scores, weights = np.array([0.1, 0.9]), np.array([[1, 0], [0, 1], [1, 1]])
    values = weighted_auc(np.array([False, True]), scores, weights)
    np.testing.assert_array_equal(values, [np.nan, np.nan, 1.0])


def test_referable_score_is_the_upper_grades_share_of_all_outputs():
    outputs = np.array([[0.1, 0.1, 0.4, 0.1, 0.1], [0.5, 0.5, 0.0, 0.0, 0.0]])
    np.testing.assert_allclose(referable_score(outputs), [0.6 / 0.8, 0.0])


def test_referable_score_does_not_change_with_the_level_of_all_outputs():
    _, _, outputs = graded()
    np.testing.assert_allclose(
        referable_score(outputs * 0.2), referable_score(outputs), rtol=1e-12
    )


def test_referable_score_of_outputs_that_are_all_zero_is_one_half():
    assert referable_score(np.zeros((1, 5))) == [0.5]


def test_referable_auc_counts_grades_from_two_up_as_positive():
    grades, one_hot, outputs = graded()
    expected = roc_auc_score(grades >= 2, referable_score(outputs))
    assert referable_auc(one_hot, outputs) == pytest.approx(expected, abs=1e-12)


def test_referable_auc_takes_grades_and_one_hot_alike():
    grades, one_hot, outputs = graded()
    assert referable_auc(grades, outputs) == referable_auc(one_hot, outputs)


def test_referable_auc_leaves_unlabelled_examples_out():
    grades, one_hot, outputs = graded()
    one_hot[:100] = np.nan
    expected = referable_auc(grades[100:], outputs[100:])
    assert referable_auc(one_hot, outputs) == expected


def test_class_auc_agrees_with_scikit_learn_and_skips_unlabelled_entries():
    generator = np.random.default_rng(2)
    labels = (generator.random((200, 3)) < 0.4).astype(np.float32)
    outputs = generator.random((200, 3))
    labels[generator.random((200, 3)) < 0.3] = np.nan
    known = ~np.isnan(labels)
    expected = [
        roc_auc_score(labels[known[:, c], c], outputs[known[:, c], c]) for c in range(3)
    ]
    np.testing.assert_allclose(class_auc(labels, outputs), expected, rtol=1e-12)


def test_class_auc_is_nan_for_a_class_that_nobody_or_everybody_has():
    labels = np.array([[0, 1, 0], [0, 1, 1]], dtype=np.float32)
    values = class_auc(labels, np.array([[0.2, 0.3, 0.1], [0.6, 0.7, 0.9]]))
    np.testing.assert_array_equal(values, [np.nan, np.nan, 1.0])


def test_mean_auc_averages_the_defined_classes():
    labels = np.array([[0, 1], [0, 0], [0, 1]], dtype=np.float32)
    outputs = np.array([[0.5, 0.9], [0.5, 0.5], [0.5, 0.1]])
    assert mean_auc(labels, outputs) == 0.5


def test_prior_weighted_auc_agrees_with_scikit_learn():
    generator = np.random.default_rng(4)
    classes = generator.choice(3, size=500, p=[0.81, 0.11, 0.08])
    logits = generator.normal(size=(500, 3)) + np.eye(3)[classes]
    outputs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = roc_auc_score(classes, outputs, multi_class="ovr", average="weighted")
    found = prior_weighted_auc(np.eye(3)[classes], outputs)
    assert found == pytest.approx(expected, abs=1e-12)
    assert found != pytest.approx(mean_auc(np.eye(3)[classes], outputs), abs=1e-3)


def test_prior_weighted_auc_takes_the_priors_from_the_labelled_examples():
    labels = np.array([[1, 0], [1, 0], [0, 1], [0, np.nan], [0, np.nan]])
    outputs = np.array([[0.9, 0.2], [0.1, 0.6], [0.5, 0.4], [0.2, 0.5], [0.3, 0.9]])
    first, second = class_auc(labels, outputs)
    expected = (2 / 5 * first + 1 / 3 * second) / (2 / 5 + 1 / 3)
    assert prior_weighted_auc(labels, outputs) == pytest.approx(expected)


def test_prior_weighted_auc_leaves_out_classes_without_an_auc():
    labels = np.array([[0, 1, 0], [0, 1, 1]], dtype=np.float32)
    outputs = np.array([[0.2, 0.3, 0.1], [0.6, 0.7, 0.9]])
    assert prior_weighted_auc(labels, outputs) == 1
    assert np.isnan(prior_weighted_auc(labels[:, :2], outputs[:, :2]))


def test_accuracy_compares_the_largest_output_with_the_class():
    labels = np.eye(3)[[0, 1, 2, 2]]
    outputs = np.array([[0.9, 0, 0], [0, 0.2, 0.1], [0.3, 0.2, 0.1], [0, 0, 0.4]])
    assert accuracy(labels, outputs) == 0.75


def test_accuracy_of_findings_is_refused():
    labels = np.array([[1.0, 1.0]])
    with pytest.raises(ValueError, match="exactly one class"):
        accuracy(labels, np.full((1, 2), 0.5))


def test_top5_accuracy_looks_at_the_five_largest():
    outputs = np.linspace(1, 0, 8)[None].repeat(2, axis=0)
    assert top5_accuracy(np.array([4, 5]), outputs) == 0.5


def test_quadratic_kappa_agrees_with_scikit_learn():
    grades, one_hot, outputs = graded()
    predicted = outputs.argmax(axis=1)
    expected = cohen_kappa_score(grades, predicted, weights="quadratic")
    assert quadratic_kappa(one_hot, outputs) == pytest.approx(expected, abs=1e-12)


def test_quadratic_kappa_is_undefined_where_there_is_one_grade_only():
    assert np.isnan(quadratic_kappa(np.eye(5)[[1, 1]], np.eye(5)[[1, 1]]))


def test_quadratic_kappa_punishes_a_distance_by_more_than_its_length():
    labels = np.eye(5)[[0, 0, 4, 4]]
    near = quadratic_kappa(labels, np.eye(5)[[1, 0, 4, 4]])
    far = quadratic_kappa(labels, np.eye(5)[[2, 0, 4, 4]])
    assert 1 - far > 2 * (1 - near)


def test_balanced_accuracy_agrees_with_scikit_learn():
    grades, one_hot, outputs = graded()
    keep = (grades > 0) | (np.arange(len(grades)) % 7 == 0)
    expected = balanced_accuracy_score(grades[keep], outputs[keep].argmax(axis=1))
    found = balanced_accuracy(one_hot[keep], outputs[keep])
    assert found == pytest.approx(expected, abs=1e-12)


def test_balanced_accuracy_leaves_out_classes_without_examples_and_unlabelled_rows():
    labels = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [np.nan] * 3])
    outputs = np.eye(3)[[0, 2, 1, 1]]
    assert balanced_accuracy(labels, outputs) == 0.75


@pytest.mark.parametrize("name", METRICS)
def test_a_weight_is_a_number_of_copies(name):
    _, labels, outputs = graded(60)
    counts = np.random.default_rng(3).integers(3, size=(4, 60))
    weighted = METRICS[name](labels, outputs, referable_from=2, weights=counts)
    copied = [
        METRICS[name](
            np.repeat(labels, count, axis=0),
            np.repeat(outputs, count, axis=0),
            referable_from=2,
        )
        for count in counts
    ]
    np.testing.assert_allclose(weighted, copied, rtol=1e-12)


def test_compute_metrics_of_grades():
    _, labels, outputs = graded()
    values = compute_metrics(labels, outputs, GRADES, "grade", 2)
    assert list(values) == [
        "referable_auc",
        "mean_auc",
        "accuracy",
        "balanced_accuracy",
        "quadratic_kappa",
        "prior_weighted_auc",
        "expected_calibration_error",
        *(f"auc/{name}" for name in GRADES),
    ]
    assert values["referable_auc"] == referable_auc(labels, outputs)
    assert values["mean_auc"] == pytest.approx(class_auc(labels, outputs).mean())
    error = expected_calibration_error(labels, outputs, "grade")
    assert values["expected_calibration_error"] == error


def test_compute_metrics_of_findings_has_an_accuracy_per_finding_alone():
    labels = np.array([[0, 1], [1, 1], [1, 0], [1, 0]], dtype=np.float32)
    values = compute_metrics(labels, np.full((4, 2), 0.5), ("a", "b"), "findings")
    assert values == {
        "mean_auc": 0.5,
        "finding_accuracy": 0.375,
        "expected_calibration_error": 0.125,
        "auc/a": 0.5,
        "auc/b": 0.5,
    }


@pytest.mark.parametrize("kind", ["class", "grade", "findings"])
def test_auc_and_acc_are_those_that_medmnist_defines(kind):
    """Its AUC and ACC (Yang et al. 2023), from scikit-learn."""
    rng = np.random.default_rng(0)
    outputs = rng.dirichlet(np.ones(4), 200)
    labels = np.eye(4)[rng.integers(0, 4, 200)]
    if kind == "findings":
        labels = rng.integers(0, 2, (200, 4)).astype(float)
        acc = np.mean(
            [accuracy_score(labels[:, k], outputs[:, k] > 0.5) for k in range(4)]
        )
    else:
        acc = accuracy_score(labels.argmax(1), outputs.argmax(1))
    auc = np.mean([roc_auc_score(labels[:, k], outputs[:, k]) for k in range(4)])
    values = compute_metrics(labels, outputs, GRADES[:4], kind)
    assert values["mean_auc"] == pytest.approx(auc)
    name = "finding_accuracy" if kind == "findings" else "accuracy"
    assert values[name] == pytest.approx(acc)


def test_the_auc_of_two_exclusive_classes_is_that_of_the_second():
    rng = np.random.default_rng(0)
    second = rng.random(100)
    labels = np.eye(2)[rng.integers(0, 2, 100)]
    values = compute_metrics(labels, np.stack([1 - second, second], 1), "ab", "class")
    assert values["mean_auc"] == pytest.approx(roc_auc_score(labels[:, 1], second))


def test_compute_metrics_leaves_out_what_is_undefined():
    labels = np.array([[1, 0], [1, 0]], dtype=np.float32)
    values = compute_metrics(labels, np.full((2, 2), 0.5), ("a", "b"), "class")
    assert values == {
        "accuracy": 1.0,
        "balanced_accuracy": 1.0,
        "expected_calibration_error": 0.5,
    }


def test_top5_accuracy_applies_from_six_classes_up():
    labels = np.eye(6)
    names = tuple("abcdef")
    assert "top5_accuracy" in compute_metrics(labels, labels, names, "class")
    assert "top5_accuracy" not in compute_metrics(
        labels[:5, :5], labels[:5, :5], names[:5], "class"
    )


def test_an_unknown_metric_is_an_error_that_lists_the_valid_ones():
    with pytest.raises(UserError, match=r"'auroc'.*referable_auc, mean_auc, prior_w"):
        metric("auroc")


def test_an_unknown_kind_is_an_error_that_lists_the_valid_ones():
    with pytest.raises(UserError, match=r"grade, class, findings"):
        compute_metrics(np.eye(2), np.eye(2), ("a", "b"), "stage")


def test_probabilities_that_are_not_finite_are_refused_with_their_row():
    outputs = np.full((3, 2), 0.5)
    outputs[1, 0] = np.nan
    with pytest.raises(ValueError, match="not finite in 1 of 3 rows, first in row 1"):
        compute_metrics(np.eye(3)[:, :2], outputs, ("a", "b"), "findings")


@pytest.mark.parametrize("wrong", [-1, -3, 1.5, 5, np.inf])
@pytest.mark.parametrize(
    "function", [accuracy, balanced_accuracy, quadratic_kappa, referable_auc]
)
def test_labels_that_are_no_class_are_refused_with_their_row(function, wrong):
    labels = np.array([0, np.nan, wrong, 4])
    with pytest.raises(ValueError, match=f"label {wrong:g} in row 2.* 0 to 4, or NaN"):
        function(labels, np.eye(5)[:4])


@pytest.mark.parametrize("name", METRICS)
def test_the_worst_outputs_lie_within_the_limits_of_their_unit(name):
    labels = np.eye(5)[[0, 0, 4, 4]]
    low, high = unit(metric_unit(name)).limits
    assert low <= metric(name)(labels, labels[::-1], referable_from=2) <= high


def test_logits_are_refused():
    with pytest.raises(ValueError, match="sigmoid"):
        class_auc(np.eye(2), np.array([[3.0, -1.0], [0.0, 2.0]]))


def test_chance_is_one_half_for_auc_a_share_of_classes_for_accuracy_none_for_kappa():
    levels = [chance_level(name, [3] * 20) for name in METRICS]
    assert levels == [0.5, 0.5, 0.5, 0.05, 0.25, 0.05, 0.0]


def test_the_most_frequent_class_alone_is_no_accuracy_above_chance():
    counts = [900, 60, 40]
    assert chance_level("accuracy", counts) == 0.9
    assert chance_level("balanced_accuracy", counts) == 1 / 3
