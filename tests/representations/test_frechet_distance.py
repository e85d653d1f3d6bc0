"""Fréchet distance against the formula with SciPy's matrix square root."""

import numpy as np
import pytest
from scipy import linalg

from transfusion_tf.errors import UserError
from transfusion_tf.representations import (
    FeatureMoments,
    RepresentationWarning,
    frechet_distance,
)
from transfusion_tf.representations.frechet_distance import (
    block_rows,
    fitting_blocks,
    pooled,
)

# Few images are warned about, which one test is about.
pytestmark = pytest.mark.filterwarnings("ignore:.*for 12 features:UserWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((400, 12)) @ RNG.standard_normal((12, 12)) + 2
Y = RNG.standard_normal((300, 12)) @ RNG.standard_normal((12, 12))


def by_scipy(x, y):
    x, y = np.float64(x), np.float64(y)
    product = linalg.sqrtm(np.cov(x.T) @ np.cov(y.T)).real
    apart = np.sum((x.mean(0) - y.mean(0)) ** 2)
    return apart + np.trace(np.cov(x.T) + np.cov(y.T) - 2 * product)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_agrees_with_scipys_matrix_square_root(dtype):
    x, y = X.astype(dtype), Y.astype(dtype)
    found = frechet_distance(x, y)
    assert found.value == pytest.approx(by_scipy(x, y), rel=1e-9)
    assert (found.images_x, found.images_y, found.features) == (400, 300, 12)


def test_fewer_images_than_features_are_exact():
    x, y = RNG.standard_normal((20, 100)), 2 * RNG.standard_normal((30, 100)) + 1
    # tr (Σx Σy)^½ is the nuclear norm of the centred images' products.
    x_about, y_about = x - x.mean(0), y - y.mean(0)
    products = x_about @ y_about.T / np.sqrt(19 * 29)
    expected = (
        np.sum((x.mean(0) - y.mean(0)) ** 2)
        + np.trace(np.cov(x.T) + np.cov(y.T))
        - 2 * np.linalg.svd(products, compute_uv=False).sum()
    )
    assert frechet_distance(x, y, blocks=0).value == pytest.approx(expected, rel=1e-9)


def test_duplicated_and_dead_features_are_no_trouble():
    def widened(z):
        return np.concatenate([z, z[:, :3], np.full((len(z), 2), 0.1)], axis=1)

    found = frechet_distance(widened(X), widened(Y), blocks=0).value
    # The limit that a little noise on every feature tends to.
    noisy = [np.cov(widened(z).T) + 1e-9 * np.eye(17) for z in (X, Y)]
    product = linalg.sqrtm(noisy[0] @ noisy[1]).real
    apart = np.sum((widened(X).mean(0) - widened(Y).mean(0)) ** 2)
    expected = apart + np.trace(noisy[0] + noisy[1] - 2 * product)
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_set_is_at_no_distance_from_itself_and_the_order_does_not_matter():
    assert frechet_distance(X, X, blocks=0).value == pytest.approx(0, abs=1e-9)
    there, back = frechet_distance(X, Y).value, frechet_distance(Y, X).value
    assert there == pytest.approx(back, rel=1e-12)


def test_a_shift_alone_is_its_squared_length():
    shift = np.linspace(0, 1, 12)
    found = frechet_distance(X, X + shift, blocks=0).value
    assert found == pytest.approx(np.sum(shift**2), rel=1e-9)


def test_few_images_bias_the_value_and_not_the_corrected_one():
    """Two samples of one distribution, whose distance is 0, sixty times."""
    rng = np.random.default_rng(1)
    found = [
        frechet_distance(*rng.standard_normal((2, 200, 8)), blocks=5) for _ in range(60)
    ]
    value, corrected = (
        np.array([getattr(each, name) for each in found])
        for name in ("value", "corrected")
    )
    assert value.mean() > 0.1
    assert abs(corrected.mean()) < 0.15 * value.mean()


def test_intervals_hold_the_distance_of_the_distributions():
    """Normal distributions a known distance apart, sixty times."""
    rng = np.random.default_rng(2)
    shift, scale = 0.7, 1.5
    truth = 6 * (shift**2 + (scale - 1) ** 2)
    found = [
        frechet_distance(
            rng.standard_normal((300, 6)),
            scale * rng.standard_normal((300, 6)) + shift,
            level=0.9,
        )
        for _ in range(60)
    ]
    inside = np.mean([each.low <= truth <= each.high for each in found])
    # 90 % of sixty, give or take three standard errors of such a share.
    assert inside > 0.78
    errors = np.array([each.standard_error for each in found])
    spread = np.std([each.corrected for each in found])
    assert errors.mean() == pytest.approx(spread, rel=0.35)


def test_blocks_together_are_all_images():
    parts = []
    for rows in block_rows(len(X), 7):
        moments = FeatureMoments()
        moments.update(X[rows])
        parts.append(moments.gaussian())
    whole = pooled(parts)
    assert whole.count == len(X)
    np.testing.assert_allclose(whole.mean, X.mean(0))
    np.testing.assert_allclose(whole.covariance, np.cov(X.T), atol=1e-12)


def test_images_of_one_patient_stay_in_one_block():
    patients = np.repeat(np.arange(30), 3)
    blocks = block_rows(90, 4, patients)
    held = [set(patients[rows]) for rows in blocks]
    assert set.union(*held) == set(range(30))
    assert sum(len(names) for names in held) == 30
    assert max(map(len, held)) - min(map(len, held)) <= 1


def test_without_blocks_there_is_no_interval():
    found = frechet_distance(X, Y, blocks=0)
    assert np.isnan([found.corrected, found.low, found.high]).all()


@pytest.mark.parametrize("name", ["x", "y"])
def test_no_more_images_than_features_are_warned_about(name):
    sides = {"x": X, "y": Y} | {name: X[:12]}
    with pytest.warns(RepresentationWarning, match=f"{name}: 12 images for 12 feat"):
        frechet_distance(**sides, blocks=0)


@pytest.mark.parametrize("x", [X[:5], X[:2]])
def test_a_few_images_have_a_distance(x):
    found = frechet_distance(x, Y[:7])
    whole = frechet_distance(x, Y[:7], blocks=0).value
    assert found.value == pytest.approx(whole, rel=1e-9)
    assert (found.images_x, found.images_y) == (len(x), 7)


def test_one_feature_has_its_closed_form():
    x, y = X[:, :1], Y[:, :1]
    expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert frechet_distance(x, y).value == pytest.approx(expected, rel=1e-9)


def test_blocks_are_as_many_as_there_are_images_for_unless_asked_for():
    assert fitting_blocks([(400, None), (300, None)]) == 10
    assert fitting_blocks([(400, None), (7, None)]) == 3
    assert fitting_blocks([(400, None), (3, None)]) == 0
    assert fitting_blocks([(90, np.repeat(np.arange(6), 15)), (300, None)]) == 6
    by_three = frechet_distance(X, Y[:7], blocks=3)
    assert frechet_distance(X, Y[:7]) == by_three
    assert by_three.low < by_three.corrected < by_three.high


def test_images_too_few_for_two_blocks_have_no_interval():
    found = frechet_distance(X[:3], Y)
    assert np.isnan([found.corrected, found.low, found.high]).all()


@pytest.mark.parametrize("blocks", [0, 10])
@pytest.mark.parametrize("name", ["x", "y"])
def test_a_feature_that_is_not_finite_is_named_with_its_set(name, blocks):
    sides = {"x": X.copy(), "y": Y.copy()}
    sides[name][200, 4] = np.nan
    with pytest.raises(UserError, match=f"feature 4 of {name} is NaN or infinite"):
        frechet_distance(**sides, blocks=blocks)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (X[:9], {"blocks": 10}, "9 images are too few for 10 blocks"),
        (
            X[:4],
            {"blocks": 2, "groups_x": [1, 1, 1, 2]},
            "4 images of .* 2 blocks of 2",
        ),
        (X, {"blocks": -1}, "whole number from 0 up, got -1"),
        (X, {"blocks": 2.5}, "whole number from 0 up, got 2.5"),
        (X[:1], {}, "needs 2 images a side, got 1"),
        (X[:, :5], {}, "5 features and 12 features"),
        (X[:, 0], {}, r"features of x have shape \(400,\); expected"),
        (X, {"level": 95}, "between 0 and 1, got 95"),
        (X, {"groups_x": [1, 2]}, "2 groups for 400 images"),
    ],
)
def test_mistakes_are_named(x, options, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(x, Y, **options)
