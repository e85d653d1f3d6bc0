import numpy as np
import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.evaluation import labels_and_probabilities, prediction_table
from transfusion_tf.training.run_directory import RunDirectory

CLASSES = ("edema", "mass")
LABELS = np.array([[1, np.nan], [0, 1], [0, 0]], dtype=np.float32)
OUTPUTS = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.4]], dtype=np.float32)


def table():
    return prediction_table("xyz", ["p1", "p1", 2], "test", LABELS, OUTPUTS, CLASSES)


def test_columns_are_those_of_the_run_directory():
    assert list(table().columns) == [
        *("example_id", "patient_id", "split"),
        *("label/edema", "label/mass", "probability/edema", "probability/mass"),
    ]


def test_arrays_come_back_from_the_table_that_a_run_keeps(tmp_path):
    run = RunDirectory(tmp_path)
    run.write_table("predictions.parquet", table())
    labels, outputs = labels_and_probabilities(run.predictions("test"), CLASSES)
    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_array_equal(outputs, OUTPUTS)
    assert labels.dtype == outputs.dtype == np.float32


def test_an_example_predicted_twice_is_refused():
    with pytest.raises(ValueError, match="'x' was predicted more than once"):
        prediction_table("xyx", "ppp", "test", LABELS, OUTPUTS, CLASSES)


def test_arrays_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"must both be \(3, 1\)"):
        prediction_table("xyz", "ppp", "test", LABELS, OUTPUTS, ("edema",))


def test_a_class_without_columns_is_named():
    with pytest.raises(UserError, match="label/effusion"):
        labels_and_probabilities(table(), ("edema", "effusion"))
