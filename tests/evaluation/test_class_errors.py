"""Which images of a class are missed most confidently."""

import numpy as np
import pytest

from transfusion_tf.evaluation.class_errors import confident_errors

CLASSES = ("none", "mild", "severe")
GRADES = np.eye(3)[[0, 0, 1, 1, 1, 2]]
OUTPUTS = np.array(
    [
        [0.8, 0.1, 0.1],
        [0.2, 0.7, 0.6],
        [0.6, 0.3, 0.1],
        [0.1, 0.2, 0.9],
        [0.3, 0.4, 0.3],
        [0.1, 0.1, 0.5],
    ]
)


def test_errors_of_a_class_come_by_the_output_of_what_was_predicted():
    none, mild, severe = confident_errors(GRADES, OUTPUTS, CLASSES, "grade")
    assert (none.images, none.missed, none.rows) == (2, 1, (1,))
    assert (mild.images, mild.missed, mild.rows) == (3, 2, (3, 2))
    assert mild.predicted == ("severe", "none")
    assert mild.probability == (0.9, 0.6)
    # The logit of the prediction less that of the truth.
    assert mild.directions.tolist() == [[0, -1, 1], [1, -1, 0]]
    assert (severe.missed, severe.rows, severe.directions.shape) == (0, (), (0, 3))


def test_only_so_many_are_named_and_all_are_counted():
    mild = confident_errors(GRADES, OUTPUTS, CLASSES, "class", most=1)[1]
    assert (mild.missed, mild.rows) == (2, (3,))


def test_images_without_a_label_are_no_errors():
    unlabelled = GRADES.copy()
    unlabelled[3] = np.nan
    mild = confident_errors(unlabelled, OUTPUTS, CLASSES, "class")[1]
    assert (mild.images, mild.rows) == (2, (2,))


def test_a_finding_is_missed_below_one_half_where_it_is_labelled():
    labels = np.array([[1, 0], [1, 1], [np.nan, 1], [1, 0]])
    outputs = np.array([[0.1, 0.9], [0.4, 0.2], [0.0, 0.7], [0.8, 0.1]])
    edema, mass = confident_errors(labels, outputs, ("edema", "mass"), "findings")
    assert (edema.images, edema.rows) == (3, (0, 1))
    assert edema.predicted == ("no edema", "no edema")
    assert edema.probability == pytest.approx((0.9, 0.6))
    assert edema.directions.tolist() == [[-1, 0], [-1, 0]]
    assert (mass.images, mass.rows) == (2, (1,))


def test_one_finding_alone_has_false_alarms_too():
    labels, outputs = np.array([[1], [0], [0]]), np.array([[0.3], [0.8], [0.2]])
    missed, raised = confident_errors(labels, outputs, ("tumour",), "findings")
    assert (missed.name, missed.rows) == ("tumour", (0,))
    assert (raised.name, raised.images, raised.rows) == ("no tumour", 2, (1,))
    assert raised.predicted == ("tumour",)
    assert raised.directions.tolist() == [[1]]
