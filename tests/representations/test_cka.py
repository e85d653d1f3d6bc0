"""CKA against the plain float64 formulas of the unbiased and the biased HSIC."""

from itertools import pairwise

import numpy as np
import pytest

from transfusion_tf.representations import PairwiseCKA, RepresentationWarning, cka

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 20)) @ RNG.standard_normal((20, 20)) + 3
Y = X[:, :9] @ RNG.standard_normal((9, 30)) + 5 * RNG.standard_normal((300, 30))
ROTATION = np.linalg.qr(RNG.standard_normal((20, 20)))[0]


def unbiased_hsic(x, y):
    """Song et al. 2012, equation 5, term by term."""
    n = len(x)
    k, m = (side @ side.T * (1 - np.eye(n)) for side in (x, y))
    ones = np.ones(n)
    return (
        np.trace(k @ m)
        + (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (ones @ k @ m @ ones)
    ) / (n * (n - 3))


def biased_hsic(x, y):
    centring = np.eye(len(x)) - 1 / len(x)
    return np.trace(x @ x.T @ centring @ y @ y.T @ centring)


def plain_cka(x, y, hsic=unbiased_hsic):
    x, y = np.float64(x), np.float64(y)
    return hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("points", [4, 10, 300])
def test_agrees_with_the_formula_with_few_and_with_many_points(points, dtype):
    x, y = X[:points].astype(dtype), Y[:points].astype(dtype)
    assert cka(x, y).value == pytest.approx(plain_cka(x, y), abs=1e-9)


def test_biased_agrees_with_its_formula():
    expected = plain_cka(X, Y, biased_hsic)
    assert cka(X, Y, biased=True).value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("points", [12, 300])
def test_rotation_scale_and_shift_change_nothing(points):
    x, y = X[:points], Y[:points]
    moved = 1e-4 * x @ ROTATION + 2
    assert cka(moved, y).value == pytest.approx(cka(x, y).value, abs=1e-6)
    assert cka(x, moved).value == pytest.approx(1, abs=1e-6)


def test_unbiased_scores_unrelated_wide_layers_about_zero_where_biased_does_not():
    x, y = RNG.standard_normal((2, 50, 2000))
    assert abs(cka(x, y).value) < 0.05
    assert cka(x, y, biased=True).value > 0.9


@pytest.mark.parametrize("points", [12, 300])
@pytest.mark.parametrize("constant", [0.0, 0.1])
def test_a_constant_side_scores_zero_with_a_warning(points, constant):
    with pytest.warns(RepresentationWarning, match="y is constant"):
        assert cka(X[:points], np.full((points, 40), constant)).value == 0


def test_three_points_are_an_error():
    with pytest.raises(ValueError, match="4 points or more, got 3"):
        cka(X[:3], Y[:3])


def test_nan_activations_are_an_error():
    y = Y.copy()
    y[4, 2] = np.nan
    with pytest.raises(ValueError, match="channel 2 of y"):
        cka(X, y)


LAYERS = {
    "early": RNG.standard_normal((300, 4, 4, 6)),
    "late": RNG.standard_normal((300, 10)),
    "copy": X,
    "wide": Y,
}


def accumulated(*edges, layers=LAYERS):
    pairs = PairwiseCKA(tuple(layers))
    for start, stop in pairwise(edges):
        pairs.update([values[start:stop] for values in layers.values()])
    return pairs


def test_one_batch_of_all_points_is_cka_of_every_pair():
    matrix = accumulated(0, 300).matrix()
    flat = [values.reshape(300, -1) for values in LAYERS.values()]
    expected = [[plain_cka(a, b) for b in flat] for a in flat]
    np.testing.assert_allclose(matrix, expected, atol=1e-9)


def test_batches_average_hsic_before_the_ratio():
    edges = range(0, 301, 50)
    hsics = np.mean(
        [
            [
                unbiased_hsic(a[start : start + 50], b[start : start + 50])
                for a, b in ((X, Y), (X, X), (Y, Y))
            ]
            for start in edges[:-1]
        ],
        axis=0,
    )
    found = accumulated(*edges).matrix()[2, 3]
    assert found == pytest.approx(hsics[0] / np.sqrt(hsics[1] * hsics[2]), abs=1e-9)


def test_a_small_last_batch_counts_for_its_points():
    pairs = accumulated(0, 290, 300)
    weighted = np.zeros(3)
    for start, stop in ((0, 290), (290, 300)):
        x, y = X[start:stop], Y[start:stop]
        weighted += (stop - start) * np.array(
            [unbiased_hsic(x, y), unbiased_hsic(x, x), unbiased_hsic(y, y)]
        )
    expected = weighted[0] / np.sqrt(weighted[1] * weighted[2])
    assert pairs.matrix()[2, 3] == pytest.approx(expected, abs=1e-9)


def test_merged_accumulators_equal_one():
    first, second = accumulated(0, 100), accumulated(100, 200, 300)
    first.merge(second)
    np.testing.assert_allclose(
        first.matrix(), accumulated(0, 100, 200, 300).matrix(), atol=1e-12
    )


def test_a_wide_float32_layer_keeps_its_digits():
    wide = RNG.standard_normal((16, 300_000), np.float32) + 10
    pairs = PairwiseCKA(("wide", "other"))
    pairs.update([wide, X[:16]])
    # The plain formula loses digits to a mean this large: centre first.
    centred = np.float64(wide) - np.float64(wide).mean(0)
    expected = plain_cka(centred, X[:16])
    assert pairs.matrix()[0, 1] == pytest.approx(expected, abs=1e-9)


def test_a_layer_that_never_varies_is_named_in_a_warning():
    layers = {"live": X, "dead": np.full((300, 5), 0.1)}
    with pytest.warns(RepresentationWarning, match="dead is constant"):
        matrix = accumulated(0, 150, 300, layers=layers).matrix()
    assert matrix[0, 1] == 0


def test_a_batch_of_three_points_is_an_error():
    with pytest.raises(ValueError, match="got 3 in batch 1"):
        accumulated(0, 100, 103)


def test_layers_of_unequal_points_are_an_error():
    with pytest.raises(ValueError, match="x: 300, y: 299"):
        PairwiseCKA(("x", "y")).update((X, Y[1:]))


def test_a_layer_with_nan_is_named():
    bad = Y.copy()
    bad[0, 0] = np.nan
    with pytest.raises(ValueError, match="bad holds NaN"):
        accumulated(0, 300, layers={"good": X, "bad": bad})
