import numpy as np
import pytest

from transfusion_tf.initialization import gabor_filter_bank
from transfusion_tf.representations import (
    filter_changes,
    fit_gabor,
    gabor_fits,
    weight_histograms,
)

RNG = np.random.default_rng(0)
COLOUR = np.array([0.3, 0.9, -0.3])


def gabor(orientation, frequency, phase=30.0, size=11, sigma=2.5):
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    angle = np.radians(orientation)
    across = x * np.cos(angle) + y * np.sin(angle)
    envelope = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    return envelope * np.cos(2 * np.pi * frequency * across + np.radians(phase))


@pytest.mark.parametrize("orientation", [0, 20, 90, 135, 175])
@pytest.mark.parametrize("frequency", [0.15, 0.3])
def test_a_gabor_is_found_again(orientation, frequency):
    fit = fit_gabor(gabor(orientation, frequency)[..., None] * COLOUR)
    assert fit.explained > 0.999
    turned = (fit.orientation - orientation + 90) % 180 - 90
    assert abs(turned) < 1
    assert fit.frequency == pytest.approx(frequency, abs=0.005)
    assert fit.sigma_across == pytest.approx(2.5, abs=0.1)


def test_the_phase_is_that_of_the_fitted_orientation():
    fit = fit_gabor(gabor(40, 0.2, phase=60))
    assert fit.phase == pytest.approx(60, abs=3)


def test_the_synthetic_bank_is_gabors():
    bank = np.moveaxis(gabor_filter_bank(4), 0, -1)[:, :, None]
    assert gabor_fits(bank)["explained"].min() > 0.9


def test_random_filters_explain_no_more_than_chance():
    fits = gabor_fits(RNG.standard_normal((7, 7, 3, 12)))
    assert fits["explained"].mean() == pytest.approx(fits["chance"].mean(), abs=0.05)
    assert fits["explained"].max() < 0.4


def test_colour_besides_the_pattern_is_unexplained():
    loud, quiet = gabor(0, 0.2), gabor(90, 0.2) / 2
    fit = fit_gabor(np.stack([loud, quiet, np.zeros_like(loud)], axis=-1))
    assert fit.explained == pytest.approx(0.8, abs=0.02)


def test_changes_say_which_gabors_were_erased():
    before = np.stack(
        [gabor(a, 0.2, size=7)[..., None] * COLOUR for a in (0, 45, 90)], axis=-1
    )
    after = before.copy()
    after[..., 1] = RNG.standard_normal(after[..., 1].shape)
    changes = filter_changes(before, after)
    assert (changes["explained_before"] > 0.95).all()
    assert (changes["explained_after"] > 0.95).tolist() == [True, False, True]
    np.testing.assert_allclose(changes["cosine"][[0, 2]], 1)
    np.testing.assert_allclose(changes["change"][[0, 2]], 0)
    assert abs(changes["cosine"][1]) < 0.4


def test_a_filter_of_zeros_has_no_gabor():
    assert fit_gabor(np.zeros((7, 7, 3))).explained == 0


def test_filters_of_three_pixels_are_an_error():
    with pytest.raises(ValueError, match="3 × 3 pixels is too small"):
        fit_gabor(np.ones((3, 3, 3)))


def test_kernels_of_different_shapes_are_an_error():
    with pytest.raises(ValueError, match="differ in shape"):
        filter_changes(np.ones((7, 7, 3, 4)), np.ones((7, 7, 3, 5)))


def test_histograms_share_bins_and_integrate_to_one():
    weights = {"random": RNG.standard_normal(500), "transfer": RNG.normal(0, 3, 400)}
    table = weight_histograms(weights, bins=20)
    parts = {name: part for name, part in table.groupby("initialization")}
    assert parts["random"]["left"].tolist() == parts["transfer"]["left"].tolist()
    for part in parts.values():
        area = part["density"] * (part["right"] - part["left"])
        assert area.sum() == pytest.approx(1)
