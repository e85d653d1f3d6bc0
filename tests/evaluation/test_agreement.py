import numpy as np
import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.evaluation import estimate_mean, prediction_similarity


def outputs(predicted, classes=2):
    """Outputs whose largest is at the predicted class."""
    return np.where(np.eye(classes)[predicted] > 0, 0.8, 0.3)


def erring(labels, rate, seed):
    """Predictions of two classes that are wrong at a rate, by chance."""
    wrong = np.random.default_rng(seed).random(len(labels)) < rate
    return np.where(wrong, 1 - labels, labels)


def test_both_right_and_both_wrong_count_and_one_alone_does_not():
    labels = np.array([0, 0, 0, 1, 2])
    left = np.array([0, 1, 1, 1, 0])
    right = np.array([0, 2, 0, 0, 1])
    found = prediction_similarity(labels, outputs(left, 3), outputs(right, 3))
    # Right and right; wrong and wrong, in other ways; then two that differ; both wrong.
    assert found.similarity == 3 / 5
    assert found.accuracies == (2 / 5, 2 / 5)
    assert found.independent == pytest.approx(0.4 * 0.4 + 0.6 * 0.6)


def test_the_baseline_takes_both_accuracies():
    labels = np.arange(1000) % 2
    left, right = labels.copy(), labels.copy()
    left[:100] = 1 - left[:100]
    right[100:400] = 1 - right[100:400]
    found = prediction_similarity(labels, left, right)
    assert found.accuracies == (0.9, 0.7)
    assert found.independent == pytest.approx(0.9 * 0.7 + 0.1 * 0.3)
    assert found.similarity == pytest.approx(0.6)
    assert found.excess.high < 0


def test_models_that_err_independently_are_as_alike_as_the_baseline():
    labels = np.arange(20_000) % 2
    left, right = erring(labels, 0.1, 0), erring(labels, 0.3, 1)
    found = prediction_similarity(labels, left, right, samples=200)
    assert found.similarity == pytest.approx(found.independent, abs=0.01)
    assert found.excess.low < 0 < found.excess.high


def test_a_model_is_wholly_like_itself_and_more_than_chance_would_have_it():
    labels = np.arange(300) % 2
    predicted = erring(labels, 0.2, 0)
    found = prediction_similarity(labels, predicted, predicted)
    assert (found.similarity, found.interval.low, found.interval.high) == (1, 1, 1)
    assert found.excess.low > 0.2


def test_the_interval_is_the_normal_one_of_a_share():
    labels = np.arange(2000) % 2
    found = prediction_similarity(
        labels, erring(labels, 0.1, 0), erring(labels, 0.3, 1)
    )
    half = 1.96 * np.sqrt(found.similarity * (1 - found.similarity) / 2000)
    width = found.interval.high - found.interval.low
    assert width == pytest.approx(2 * half, rel=0.1)


def test_copies_of_an_image_do_not_narrow_the_interval():
    labels = np.arange(200) % 2
    left, right = erring(labels, 0.1, 0), erring(labels, 0.3, 1)
    once = prediction_similarity(labels, left, right)
    copied = [np.repeat(rows, 5) for rows in (labels, left, right)]
    owners = np.repeat(np.arange(200), 5)
    assert prediction_similarity(*copied, owners).interval == once.interval


def test_findings_are_predicted_at_one_half_each():
    labels = np.array([[1, 0], [1, np.nan], [np.nan, np.nan]])
    left = np.array([[0.9, 0.4], [0.2, 0.9], [0.1, 0.1]])
    right = np.array([[0.6, 0.7], [0.1, 0.1], [0.9, 0.9]])
    found = prediction_similarity(labels, left, right, kind="findings", samples=20)
    # Of the first, right and right, then wrong and wrong; of the second, one alone.
    assert found.similarity == pytest.approx((2 / 2 + 0 / 1) / 2)
    assert found.accuracies == pytest.approx(((1 / 2 + 1) / 2, (1 / 2 + 0) / 2))


def test_mistakes_that_are_independent_in_each_finding_are_so_in_all():
    """Of an easy and a hard one, pooled first, they exceeded the baseline by 0.08."""
    labels = np.stack([np.arange(20_000) % 2] * 2, axis=1).astype(float)
    left, right = (
        np.stack([erring(labels[:, 0], rate, seed) for rate, seed in errors], axis=1)
        for errors in (((0.05, 0), (0.45, 1)), ((0.05, 2), (0.45, 3)))
    )
    found = prediction_similarity(labels, left, right, kind="findings", samples=200)
    pooled = np.mean([found.accuracies[0] ** 2 + (1 - found.accuracies[0]) ** 2])
    assert found.similarity - pooled > 0.05
    assert abs(found.excess.estimate) < 0.01
    assert found.excess.low < 0 < found.excess.high


def test_a_finding_of_few_labels_counts_like_any_other():
    labels = np.array([[1.0, 1.0]] + [[1.0, np.nan]] * 9)
    left = np.full((10, 2), 0.9)
    right = np.array([[0.9, 0.1]] + [[0.9, 0.9]] * 9)
    found = prediction_similarity(labels, left, right, kind="findings", samples=20)
    assert found.similarity == pytest.approx((1 + 0) / 2)


def test_labels_and_predictions_come_as_classes_or_as_columns():
    labels, left, right = np.array([0, 2, 1]), np.array([0, 1, 1]), np.array([2, 2, 1])
    by_class = prediction_similarity(labels, left, right)
    one_hot = np.eye(3)[labels]
    assert prediction_similarity(one_hot, left, right) == by_class
    by_output = prediction_similarity(one_hot, outputs(left, 3), outputs(right, 3))
    assert by_output == by_class


def test_unlabelled_examples_are_left_out():
    labels = np.array([0, 1, np.nan])
    found = prediction_similarity(labels, np.array([0, 1, 0]), np.array([0, 0, 1]))
    assert found.similarity == 0.5


def test_over_folds_the_mean_has_the_corrected_interval():
    folds = []
    for seed in range(5):
        labels = np.arange(100) % 2
        predicted = erring(labels, 0.1, seed), erring(labels, 0.3, 10 + seed)
        folds.append(prediction_similarity(labels, *predicted, samples=20))
    found = estimate_mean([fold.excess.estimate for fold in folds], 0.25)
    assert found.estimate == pytest.approx(
        np.mean([fold.similarity - fold.independent for fold in folds])
    )
    assert found.low < found.estimate < found.high


def test_probabilities_of_one_column_are_not_taken_for_classes():
    with pytest.raises(ValueError, match=r"probabilities as \[n, classes\]"):
        prediction_similarity(np.array([0, 1]), np.array([0.2, 0.9]), np.array([0, 1]))


def test_nothing_labelled_is_refused():
    with pytest.raises(ValueError, match="no example is labelled"):
        prediction_similarity(np.array([np.nan]), np.array([0]), np.array([0]))


def test_an_unknown_kind_is_an_error_that_lists_the_valid_ones():
    with pytest.raises(UserError, match="grade, class, findings"):
        prediction_similarity(
            np.array([0]), np.array([0]), np.array([0]), kind="binary"
        )
