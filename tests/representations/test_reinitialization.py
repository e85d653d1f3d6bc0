"""Setting parts back: exactly those, and everything as before afterwards."""

import numpy as np
import pytest

from transfusion_tf.models import build
from transfusion_tf.representations import model_parts, reinitialize_parts


@pytest.fixture
def trained():
    return build("cbr_tiny", (64, 64, 3), 5, seed=1)


@pytest.fixture(scope="module")
def initial():
    return build("cbr_tiny", (64, 64, 3), 5, seed=0)


def weights(model):
    return [np.array(variable) for variable in model.weights]


class Recorder:
    """An evaluation that keeps the weights it was given."""

    def __init__(self, model):
        self.model = model
        self.seen = []

    def __call__(self):
        self.seen.append(weights(self.model))
        return float(len(self.seen))


@pytest.mark.parametrize("kind", ["layer", "unit", "branch", "stage"])
def test_each_evaluation_sees_one_part_set_back_and_no_other(kind, trained, initial):
    # Random weights of two seeds differ in kernels alone: make all of them differ.
    for variable in trained.weights:
        variable.assign(variable + 1.0)
    before, start = weights(trained), weights(initial)
    evaluate = Recorder(trained)
    reinitialize_parts(
        trained, initial, evaluate, kind=kind, unchanged=0.0, progress=False
    )
    parts = [part for part in model_parts(trained, kind) if part.weights]
    for part, seen in zip(parts, evaluate.seen, strict=True):
        own = {id(variable) for variable in part.weights}
        for variable, value, trained_value, initial_value in zip(
            trained.weights, seen, before, start, strict=True
        ):
            expected = initial_value if id(variable) in own else trained_value
            np.testing.assert_array_equal(value, expected, err_msg=variable.path)


def test_a_scan_costs_one_evaluation_a_part_and_one_of_the_model_as_it_is(
    trained, initial
):
    evaluate = Recorder(trained)
    table = reinitialize_parts(trained, initial, evaluate, progress=False)
    assert len(evaluate.seen) == 5 + 1
    assert table["unchanged"].tolist() == [1.0] * 5
    assert table["value"].tolist() == [2.0, 3.0, 4.0, 5.0, 6.0]
    assert table["drop"].tolist() == [-1.0, -2.0, -3.0, -4.0, -5.0]
    assert table["part"].tolist() == ["conv1", "conv2", "conv3", "conv4", "logits"]
    evaluate = Recorder(trained)
    reinitialize_parts(trained, initial, evaluate, unchanged=0.9, progress=False)
    assert len(evaluate.seen) == 5


def test_the_model_is_as_before_after_a_scan_and_after_a_failure(trained, initial):
    before = weights(trained)
    reinitialize_parts(trained, initial, lambda: 0.5, progress=False)
    for value, expected in zip(weights(trained), before, strict=True):
        np.testing.assert_array_equal(value, expected)

    def fails():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        reinitialize_parts(trained, initial, fails, unchanged=0.5, progress=False)
    for value, expected in zip(weights(trained), before, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_weights_of_another_architecture_are_refused(trained):
    other = build("cbr_small", (64, 64, 3), 5)
    with pytest.raises(ValueError, match="not of one architecture"):
        reinitialize_parts(trained, other, lambda: 0.5, progress=False)
