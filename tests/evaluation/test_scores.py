import numpy as np
import pytest

from transfusion_tf.evaluation import prediction_table, referable_auc, score_run
from transfusion_tf.evaluation.scores import rarer_patients

CLASSES = ("0", "1", "2", "3", "4")


def predictions(patients=120, photographs=("left", "right")):
    """Two photographs of every patient, whose name says little: p0, p1, ..."""
    generator = np.random.default_rng(0)
    severity = np.repeat(generator.normal(size=patients), 2)
    grades = np.digitize(severity, [0, 0.5, 1, 1.5])
    score = severity + generator.normal(size=2 * patients)
    return prediction_table(
        [f"p{i // 2}_{photographs[i % 2]}" for i in range(2 * patients)],
        [f"p{i // 2}" for i in range(2 * patients)],
        "test",
        np.eye(5)[grades],
        1 / (1 + np.exp(-score[:, None] * np.linspace(-1, 1, 5))),
        CLASSES,
    )


def score(table, **options):
    return score_run(table, CLASSES, "referable_auc", 2, samples=200, **options)


def test_a_score_is_the_metric_on_the_test_set():
    table = predictions()
    labels = table.filter(like="label/").to_numpy()
    outputs = table.filter(like="probability/").to_numpy()
    found = score(table)
    assert found.value == referable_auc(labels, outputs)
    assert found.patients == 120
    assert len(found.replicates) == 200
    assert found.replicates.mean() == pytest.approx(found.value, abs=0.01)


def test_the_order_of_the_rows_does_not_matter():
    table = predictions()
    found, mixed = score(table), score(table.sample(frac=1, random_state=0))
    np.testing.assert_array_equal(found.replicates, mixed.replicates)
    assert (found.value, found.test_set) == (mixed.value, mixed.test_set)


def test_two_test_sets_are_drawn_independently_though_their_patients_have_one_name():
    eyes, films = (
        score(predictions(photographs=names))
        for names in (("left", "right"), ("film1", "film2"))
    )
    assert eyes.test_set != films.test_set
    assert eyes.value == films.value
    correlation = np.corrcoef(eyes.replicates, films.replicates)[0, 1]
    assert abs(correlation) < 0.2


def test_a_test_set_is_told_by_its_examples_patients_and_seed():
    table = predictions()
    fewer, seeded = score(table.iloc[2:]), score(table, seed=1)
    assert len({score(table).test_set, fewer.test_set, seeded.test_set}) == 3


def rows(*counts):
    """Labels of so many patients of each class, two images each, and the patients."""
    classes = np.repeat(np.arange(len(counts)), counts)
    return np.repeat(np.eye(len(counts))[classes], 2, axis=0), np.arange(
        2 * len(classes)
    ) // 2


def test_an_auc_hangs_on_the_patients_of_its_rarer_side():
    labels, patients = rows(40, 5, 3, 2, 0)
    assert rarer_patients("referable_auc", labels, patients, referable_from=2) == 5
    assert rarer_patients("referable_auc", labels, patients, referable_from=1) == 10
    assert rarer_patients("mean_auc", labels[:, :1], patients) == 10
    # Two classes are two sides of one question.
    assert rarer_patients("mean_auc", *rows(40, 7)) == 7


def test_an_accuracy_hangs_on_all_patients():
    labels, patients = rows(40, 5)
    for name in ("accuracy", "quadratic_kappa"):
        assert rarer_patients(name, labels, patients) == 45


def test_a_mean_over_classes_has_the_degrees_of_freedom_of_them_all():
    """Of equal classes as many as they have together, of unequal ones fewer."""
    labels, patients = rows(20, 20, 20)
    assert rarer_patients("mean_auc", labels, patients) == 3 * 19 + 1
    labels, patients = rows(200, 200, 4)
    found = rarer_patients("mean_auc", labels, patients)
    assert 4 <= found < 10
    assert rarer_patients("prior_weighted_auc", labels, patients) > 100


def test_unlabelled_examples_are_on_neither_side():
    labels = np.array([[1.0], [np.nan], [0.0], [0.0], [np.nan]])
    assert rarer_patients("mean_auc", labels, np.arange(5)) == 1
