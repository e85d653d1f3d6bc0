import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from transfusion_tf.errors import UserError
from transfusion_tf.evaluation import (
    expected_calibration_error,
    forecasts,
    reliability,
)


def events(n=2000, power=1.0, seed=0):
    """Whether things came true, and forecasts; calibrated where power is 1."""
    generator = np.random.default_rng(seed)
    probability = generator.beta(0.7, 1.2, size=n)
    return generator.random(n) < probability**power, probability


@pytest.mark.parametrize(
    ("binning", "strategy"), [("equal_width", "uniform"), ("equal_mass", "quantile")]
)
def test_bins_agree_with_scikit_learn(binning, strategy):
    happened, forecast = events()
    found = reliability(happened, forecast, 10, binning)
    frequency, confidence = calibration_curve(
        happened, forecast, n_bins=10, strategy=strategy
    )
    filled = found.counts > 0
    np.testing.assert_allclose(found.frequency[filled], frequency, rtol=1e-12)
    np.testing.assert_allclose(found.confidence[filled], confidence, rtol=1e-12)
    gaps = np.abs(frequency - confidence)
    expected = (gaps * found.counts[filled]).sum() / 2000
    assert found.expected_calibration_error == pytest.approx(expected, rel=1e-12)


def test_the_error_of_calibrated_forecasts_falls_with_their_number():
    few, many = (reliability(*events(n)) for n in (100, 100_000))
    assert many.expected_calibration_error < 0.01 < few.expected_calibration_error


def test_the_error_of_forecasts_that_are_off_is_by_how_much_they_are():
    generator = np.random.default_rng(1)
    forecast = np.full(100_000, 0.8)
    found = reliability(generator.random(100_000) < 0.6, forecast)
    assert found.expected_calibration_error == pytest.approx(0.2, abs=0.01)


def test_bins_of_equal_mass_hold_about_as_many_examples_each():
    counts = reliability(*events(), 10, "equal_mass").counts
    assert counts.min() >= 199
    assert counts.max() <= 201


def test_equal_forecasts_share_a_bin_whatever_the_order():
    forecast = np.repeat([0.2, 0.2, 0.2, 0.7], 5)
    happened = np.arange(20) % 3 == 0
    found = reliability(happened, forecast, 4, "equal_mass")
    mixed = np.random.default_rng(0).permutation(20)
    again = reliability(happened[mixed], forecast[mixed], 4, "equal_mass")
    assert sorted(found.counts[found.counts > 0]) == [5, 15]
    np.testing.assert_array_equal(found.frequency, again.frequency)


def test_the_confidence_of_exclusive_classes_is_the_largest_output():
    outputs = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.9], [0.2, 0.5, 0.1]])
    right, confidence = forecasts(np.eye(3)[[0, 1, 1]], outputs, "class")
    assert right.tolist() == [True, False, True]
    assert confidence.tolist() == [0.7, 0.9, 0.5]
    # Gaps of 0.3, 0.9 and 0.5, in bins of their own.
    error = expected_calibration_error(np.array([0, 1, 1]), outputs)
    assert error == pytest.approx((0.3 + 0.9 + 0.5) / 3)


def test_the_error_of_findings_is_the_mean_of_their_own():
    rated = np.full((1000, 2), 0.5)
    labels = np.zeros((1000, 2))
    labels[:300, 0] = labels[:700, 1] = 1
    assert expected_calibration_error(labels, rated, "findings") == pytest.approx(0.2)
    # Together one would make up for the other.
    pooled = reliability(*forecasts(labels, rated, "findings"))
    assert pooled.expected_calibration_error == pytest.approx(0)


def test_one_output_is_one_finding():
    happened, forecast = events()
    error = expected_calibration_error(
        happened[:, None].astype(float), forecast[:, None], "findings"
    )
    assert error == reliability(happened, forecast).expected_calibration_error


def test_unlabelled_examples_are_left_out():
    happened, forecast = events()
    labels = happened.astype(float)
    labels[1000:] = np.nan
    error = expected_calibration_error(labels[:, None], forecast[:, None], "findings")
    known = reliability(happened[:1000], forecast[:1000])
    assert error == known.expected_calibration_error


def test_without_labels_the_error_is_undefined():
    outputs = np.full((3, 2), 0.5)
    nothing = np.full((3, 2), np.nan)
    assert np.isnan(expected_calibration_error(nothing, outputs, "class"))
    assert np.isnan(expected_calibration_error(nothing, outputs, "findings"))


def test_an_unknown_binning_is_an_error_that_lists_the_valid_ones():
    with pytest.raises(UserError, match="equal_width, equal_mass"):
        reliability(*events(10), binning="quantile")


def test_forecasts_that_are_no_probabilities_are_refused():
    with pytest.raises(ValueError, match="sigmoid"):
        reliability(np.array([True]), np.array([1.3]))
