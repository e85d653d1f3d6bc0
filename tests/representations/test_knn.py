"""Nearest neighbours against scikit-learn's."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.neighbors import KNeighborsClassifier

from transfusion_tf.errors import UserError
from transfusion_tf.models import build
from transfusion_tf.representations import (
    KNNSettings,
    Neighbours,
    RepresentationWarning,
    knn_by_part,
    knn_predict,
)

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 4, 3000)
CENTRES = RNG.standard_normal((4, 24))
TRAIN = (CENTRES[CLASSES] + 2 * RNG.standard_normal((3000, 24))).astype(np.float32)
QUERIES = (CENTRES[CLASSES[:150]] + 2 * RNG.standard_normal((150, 24))).astype("f4")


def scikit_learn(k, **options):
    return KNeighborsClassifier(k, metric="cosine", algorithm="brute", **options).fit(
        TRAIN, CLASSES
    )


@pytest.mark.parametrize("k", [1, 5, 200])
def test_majority_votes_are_scikit_learns(k):
    shares = knn_predict(TRAIN, CLASSES, QUERIES, k)
    np.testing.assert_allclose(shares, scikit_learn(k).predict_proba(QUERIES))


def test_neighbours_are_scikit_learns_nearest_first():
    neighbours = Neighbours(QUERIES, 20)
    neighbours.update(TRAIN)
    distances, rows = scikit_learn(20).kneighbors(QUERIES)
    np.testing.assert_array_equal(neighbours.rows, rows)
    np.testing.assert_allclose(neighbours.similarities, 1 - distances, atol=1e-6)


def test_softmax_votes_are_scikit_learns_with_these_weights():
    def weights(distances):
        return np.exp((1 - distances) / 0.07)

    shares = knn_predict(TRAIN, CLASSES, QUERIES, 200, vote="softmax")
    expected = scikit_learn(200, weights=weights).predict_proba(QUERIES)
    np.testing.assert_allclose(shares, expected, atol=1e-5)


@pytest.mark.parametrize("size", [7, 900, 2500])
def test_the_size_of_batches_changes_nothing(size):
    neighbours = Neighbours(QUERIES, 50)
    for start in range(0, len(TRAIN), size):
        neighbours.update(TRAIN[start : start + size])
    whole = Neighbours(QUERIES, 50)
    whole.update(TRAIN)
    np.testing.assert_array_equal(neighbours.rows, whole.rows)


def test_equally_near_features_count_in_their_order():
    neighbours = Neighbours(np.ones((1, 3)), 3)
    for _ in range(3):
        neighbours.update(np.ones((1000, 3)))
    assert neighbours.rows.tolist() == [[0, 1, 2]]


def test_a_features_length_does_not_matter_and_zeros_are_like_nothing():
    train = np.array([[1e20, 0], [0, 1e-20], [0, 0]])
    neighbours = Neighbours(np.array([[0, 5.0]]), 3)
    neighbours.update(train)
    assert neighbours.rows.tolist() == [[1, 0, 2]]
    np.testing.assert_allclose(neighbours.similarities, [[1, 0, 0]], atol=1e-7)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_features_close_together_and_far_from_0_are_told_apart(dtype):
    rng = np.random.default_rng(1)
    train, queries = (
        (10 + 1e-3 * rng.standard_normal((n, 24))).astype(dtype) for n in (400, 30)
    )
    neighbours = Neighbours(queries, 20)
    neighbours.update(train)
    reference = KNeighborsClassifier(20, metric="cosine", algorithm="brute")
    reference.fit(np.float64(train), np.zeros(400))
    expected = reference.kneighbors(np.float64(queries), return_distance=False)
    shared = sum(map(np.isin, expected, neighbours.rows))
    assert np.mean(shared / 30) > 0.999


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_features_of_half_precision_are_compared_as_they_are(dtype):
    train, queries = tf.cast(TRAIN, dtype), tf.cast(QUERIES, dtype)
    found, expected = Neighbours(queries, 20), Neighbours(np.float64(queries), 20)
    found.update(train)
    expected.update(np.float64(train))
    np.testing.assert_allclose(found.similarities, expected.similarities, atol=1e-14)


def test_batches_may_differ_in_precision():
    neighbours = Neighbours(QUERIES, 20)
    neighbours.update(TRAIN[:50])
    neighbours.update(np.float64(TRAIN[50:]))
    whole = Neighbours(QUERIES, 20)
    whole.update(TRAIN)
    np.testing.assert_array_equal(neighbours.rows, whole.rows)


def test_lists_are_taken():
    shares = knn_predict([[1.0, 0], [0, 1]], [0, 1], [[2, 1]], 1)
    assert shares.tolist() == [[1, 0]]


def test_classes_may_be_whole_numbers_in_floating_point():
    classes = CLASSES.astype(np.float32)
    np.testing.assert_array_equal(
        knn_predict(TRAIN, classes, QUERIES, 5), knn_predict(TRAIN, CLASSES, QUERIES, 5)
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[0], [2], [1]], r"label 2 in row 1, column 0: give classes, .* 0, 1 and NaN"),
        ([[0, 1], [1, 0.5], [0, 0]], "label 0.5 in row 1, column 1"),
        ([[0, 1], [1, 0], [-1, 0]], "label -1 in row 2, column 0"),
        ([0, 1.5, 1], "label 1.5 in row 1: give classes, whole numbers"),
        ([0, 1, np.nan], "label nan in row 2"),
        ([0, np.inf, 1], "label inf in row 1"),
        ([0, -1, 1], "label -1 in row 1"),
        (["a", "b", "a"], "labels are no numbers"),
        (["0", "1", "1"], "labels are <U1 of shape"),
        ([[0, 1], [1], [0, 1]], "labels are no numbers"),
        ([[], [], []], r"of shape \(3, 0\)"),
    ],
)
def test_labels_that_are_no_labels_are_named(labels, message):
    with pytest.raises(UserError, match=message):
        knn_predict(TRAIN[:3], labels, QUERIES, 1)


def test_a_training_feature_that_is_not_finite_is_named_by_its_row():
    train = TRAIN[:30].copy()
    train[17, 3] = np.inf
    neighbours = Neighbours(QUERIES, 5)
    neighbours.update(train[:10])
    with pytest.raises(UserError, match="features hold NaN or infinity in row 17"):
        neighbours.update(train[10:])


def test_findings_are_voted_on_one_by_one_and_unknown_ones_do_not_count():
    train = np.array([[1.0, 0], [1, 0.1], [1, 0.2], [0, 1]])
    labels = np.array([[1, 0], [np.nan, 1], [0, np.nan], [1, 1]])
    shares = knn_predict(train, labels, [[1.0, 0.0]], 3)
    np.testing.assert_allclose(shares, [[0.5, 0.5]])
    shares = knn_predict(train[1:2], labels[1:2], [[1.0, 0.0]], 1)
    np.testing.assert_allclose(shares, [[0.5, 1.0]])


def test_more_neighbours_than_training_images_is_all_of_them_with_a_warning():
    with pytest.warns(RepresentationWarning, match="k = 200 .* 30 training images"):
        shares = knn_predict(TRAIN[:30], CLASSES[:30], QUERIES, 200)
    expected = np.bincount(CLASSES[:30], minlength=4) / 30
    np.testing.assert_allclose(shares, np.tile(expected, (150, 1)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k must be a whole number, 1 or more, got 0"),
        ({"k": 2.5}, "k must be a whole number, 1 or more, got 2.5"),
        ({"vote": "median"}, "majority, softmax"),
        ({"vote": "softmax", "temperature": 0.0}, "temperature must be above 0"),
        ({"features": QUERIES[:, :5]}, "24 channels, the queries 5"),
        ({"features": np.full((2, 24), np.nan)}, "queries hold NaN .* in row 0"),
        ({"features": np.full((2, 24), "a")}, "queries are .*; expected real numbers"),
        ({"features": QUERIES[0]}, r"expected \[images, channels\]"),
        ({"train_labels": CLASSES[1:]}, "2999 training labels for 3000"),
    ],
)
def test_mistakes_are_named(arguments, message):
    given = {"train_features": TRAIN, "train_labels": CLASSES, "features": QUERIES}
    with pytest.raises(ValueError, match=message):
        knn_predict(**(given | {"k": 5} | arguments))


def test_voting_without_training_features_is_an_error():
    for labels in (np.zeros((0, 4)), []):
        with pytest.raises(UserError, match="no training images"):
            Neighbours(QUERIES, 5).vote(labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k must be a whole number"),
        ({"vote": "median"}, "majority, softmax"),
        ({"vote": "softmax", "temperature": 0.0}, "temperature must be above 0"),
    ],
)
def test_settings_are_checked_before_any_image_is_read(options, message):
    with pytest.raises(UserError, match=message):
        KNNSettings(**options)


# Part by part.


def batches(images, rows, size):
    """Batches of equal size, the last filled up."""
    for start in range(0, len(rows), size):
        own = np.array(rows[start : start + size])
        padding = np.zeros(size - len(own), int)
        yield own, tf.constant(images[np.concatenate([own, padding])])


def test_every_part_votes_with_its_own_features_in_the_order_of_the_rows():
    model = build("cbr_tiny", (64, 64, 3), 2, seed=0)
    train, images = (RNG.integers(0, 256, (n, 64, 64, 3), np.uint8) for n in (9, 5))
    labels = np.eye(2)[RNG.integers(0, 2, 9)]
    labels[4] = np.nan
    seen = []

    def score(shares):
        seen.append(shares)
        return 0.5

    table = knn_by_part(
        model,
        batches(train, range(9), 4),
        labels,
        batches(images, [4, 3, 2, 1, 0], 3),
        score,
        KNNSettings(k=3, progress=False),
    )
    assert table["part"].tolist() == ["pool1", "pool2", "pool3", "pool4", "head"]
    assert set(table["value"]) == {0.5}
    assert set(table["train_images"]) == {8}
    read = keras.Model(model.inputs, model.get_layer("pool2").output)
    known, asked = (
        np.asarray(read(np.float32(i))).mean((1, 2)) for i in (train, images)
    )
    kept = np.arange(9) != 4
    expected = knn_predict(known[kept], labels[kept], asked, 3)
    np.testing.assert_allclose(seen[1], expected)
