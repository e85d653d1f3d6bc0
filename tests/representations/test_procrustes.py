import numpy as np
import pytest
from scipy.spatial import procrustes as scipy_procrustes

from transfusion_tf.representations import RepresentationWarning, procrustes

RNG = np.random.default_rng(0)
X = RNG.standard_normal((500, 6)) + 2
Y = X @ RNG.standard_normal((6, 6)) + RNG.standard_normal((500, 6))
ROTATION = np.linalg.qr(RNG.standard_normal((6, 6)))[0]


def test_agrees_with_scipys_disparity():
    # SciPy also rescales y for the best fit; its disparity is 1 - similarity².
    disparity = scipy_procrustes(X, Y)[2]
    assert procrustes(X, Y).value == pytest.approx(np.sqrt(1 - disparity), abs=1e-12)


def test_rotation_shift_and_scale_change_nothing():
    moved = 7 * X @ ROTATION - 3
    assert procrustes(X, moved).value == pytest.approx(1, abs=1e-12)
    assert procrustes(moved, Y).value == pytest.approx(procrustes(X, Y).value)


def test_sides_may_differ_in_channels():
    padded = np.concatenate([Y, np.zeros((500, 3))], axis=1)
    assert procrustes(X, padded).value == pytest.approx(procrustes(X, Y).value)


def test_distance_is_that_of_unit_sides():
    found = procrustes(X, Y)
    assert found.distance == pytest.approx(2 - 2 * found.value)


def test_a_constant_side_scores_zero_with_a_warning():
    with pytest.warns(RepresentationWarning, match="y is constant"):
        assert procrustes(X, np.full((500, 2), 0.1)).value == 0
