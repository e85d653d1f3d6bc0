import numpy as np
import pytest

from transfusion_tf.representations import cca, cka, noise_floor, pwcca

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3000, 16))
Y = X + 0.1 * RNG.standard_normal((3000, 16))


def test_the_floor_is_what_unrelated_activations_score():
    unrelated = cca(X, RNG.standard_normal((3000, 16))).mean
    floor = noise_floor(cca, X, Y)
    assert floor.mean == pytest.approx(unrelated, abs=0.01)
    assert cca(X, Y).mean > 0.99


@pytest.mark.parametrize("measure", [cka, pwcca, lambda x, y: float(x[0, 0])])
def test_any_measure_can_be_asked(measure):
    assert len(noise_floor(measure, X, Y, repeats=3).values) == 3


def test_the_spread_is_that_of_the_repeats():
    floor = noise_floor(cca, X, Y, repeats=4)
    assert floor.mean == pytest.approx(np.mean(floor.values))
    assert floor.std == pytest.approx(np.std(floor.values, ddof=1))
    assert floor.std > 0


def test_a_seed_repeats_the_floor():
    assert noise_floor(cca, X, Y, seed=3) == noise_floor(cca, X, Y, seed=3)
    assert noise_floor(cca, X, Y, seed=3) != noise_floor(cca, X, Y, seed=4)


def test_permuting_images_keeps_what_neighbouring_positions_share():
    smooth_x, smooth_y = (
        np.repeat(RNG.standard_normal((60, 16)), 50, axis=0)
        + 0.1 * RNG.standard_normal((3000, 16))
        for _ in range(2)
    )
    by_point = noise_floor(cca, smooth_x, smooth_y).mean
    by_image = noise_floor(cca, smooth_x, smooth_y, points_per_image=50).mean
    assert by_image > 3 * by_point
    assert cca(smooth_x, smooth_y).mean == pytest.approx(by_image, abs=0.05)


def test_too_few_points_do_not_warn_again(recwarn):
    noise_floor(cca, X[:20], Y[:20])
    assert not recwarn


@pytest.mark.parametrize("points_per_image", [7, 3000])
def test_points_that_are_not_whole_images_are_an_error(points_per_image):
    with pytest.raises(ValueError, match="two or more images"):
        noise_floor(cca, X, Y, points_per_image=points_per_image)
