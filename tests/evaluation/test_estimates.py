"""What is concluded from an estimate and its interval."""

import numpy as np
import pytest
from scipy import stats

from transfusion_tf.evaluation import estimate_mean
from transfusion_tf.evaluation.estimates import NO_SPREAD, freedom_of_sum, student
from transfusion_tf.evaluation.units import unit


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.30, 0.31, 0.29], "higher"),
        ([-0.30, -0.31, -0.29], "lower"),
        ([0.3, -0.3, 0.1], "undecided"),
        ([0.3], "undecided"),
    ],
)
def test_an_effect_is_decided_where_its_interval_leaves_zero_out(values, expected):
    assert estimate_mean(values).decided == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.001, 0.0, -0.001], "within"),
        ([-0.10, -0.101, -0.102], "worse"),
        ([-0.2, 0.2, 0.0], "undecided"),
        ([-0.010, -0.0101, -0.0102], "within"),
    ],
)
def test_non_inferiority_needs_the_whole_interval_above_the_margin(values, expected):
    assert estimate_mean(values).within_margin(0.02) == expected


def test_without_a_correction_a_difference_is_called_by_its_own_interval():
    clear = estimate_mean([0.050, 0.051, 0.052])
    assert clear.adjusted_p_value is None
    assert clear.decided_among_all == clear.decided == "higher"


def test_one_repetition_has_a_caveat_and_no_spread():
    assert estimate_mean([0.9]).caveat == (
        "one seed: the interval lacks the spread between seeds"
    )
    assert estimate_mean([0.9], 0.25).caveat == "one fold: there is no interval"
    assert np.isnan(estimate_mean([0.9]).std)


def test_more_repetitions_have_their_spread_and_no_caveat():
    found = estimate_mean([0.8, 0.9, 0.7])
    assert found.caveat is None
    assert found.std == pytest.approx(0.1)


def test_the_p_value_is_student_s():
    values = [0.02, 0.05, 0.035]
    expected = stats.ttest_1samp(values, 0).pvalue
    assert estimate_mean(values).p_value == pytest.approx(expected)


def test_the_p_value_is_small_just_where_the_interval_leaves_zero_out():
    for shift in np.linspace(-0.2, 0.2, 41):
        found = estimate_mean(shift + np.array([-0.05, 0.01, 0.04]))
        assert (found.p_value < 0.05) == (found.decided != "undecided")


@pytest.mark.parametrize("values", [[0.1] * 3, [0.0] * 3, [0.1, 0.1, 0.1 + 2e-17]])
def test_what_does_not_vary_but_by_rounding_has_no_interval(values):
    """It had a p value of 1e-32, or an interval of width 0 within any margin."""
    found = estimate_mean(values)
    assert np.isnan([found.low, found.high, found.p_value]).all()
    assert found.caveat == NO_SPREAD


def test_an_undefined_interval_has_no_p_value():
    assert np.isnan(estimate_mean([0.1]).p_value)
    assert np.isnan(estimate_mean([0.1, np.nan]).p_value)


@pytest.mark.parametrize("level", [0.5, 0.99])
@pytest.mark.parametrize("freedom", [1, 3.7, 120])
def test_the_interval_has_the_level_that_was_asked_for(level, freedom):
    expected = stats.t.interval(level, freedom, loc=0.3, scale=0.2)
    assert student(0.3, 0.04, freedom, level)[:2] == pytest.approx(expected)


def test_a_level_is_a_share():
    with pytest.raises(ValueError, match="level must be between 0 and 1, got 95"):
        student(0.3, 0.04, 4, level=95)


def test_an_estimate_reads_as_a_difference_with_its_ends():
    assert str(estimate_mean([0.1, 0.1, 0.1003])) == "+0.100 [+0.100, +0.101]"


def satterthwaite(variances, freedoms):
    return np.sum(variances, axis=0) ** 2 / sum(
        np.square(own) / freedom
        for own, freedom in zip(variances, freedoms, strict=True)
    )


@pytest.mark.parametrize("share", [0.8, 0.9, 0.98])
def test_few_seeds_of_most_of_the_variance_hold_the_truth_as_often_as_they_say(share):
    """Two degrees of freedom beside 49, where Satterthwaite's are too many."""
    generator, count = np.random.default_rng(0), 40_000
    freedoms = np.array([[2], [49]])
    meant = np.array([[share], [1 - share]])
    variances = meant * generator.chisquare(freedoms, (2, count)) / freedoms
    errors = np.abs(generator.normal(size=count))

    def held(freedom):
        half = stats.t.ppf(0.975, freedom) * np.sqrt(variances.sum(axis=0))
        return np.mean(errors < half)

    assert held(satterthwaite(variances, freedoms)) < 0.935
    assert 0.935 < held(freedom_of_sum(variances, freedoms)) < 0.96


def test_degrees_of_freedom_are_no_more_than_satterthwaite_s():
    variances = np.random.default_rng(1).random((3, 200))
    freedoms = np.array([[2], [4], [30]])
    found = freedom_of_sum(variances, freedoms)
    assert (found <= satterthwaite(variances, freedoms) + 1e-9).all()
    assert (found >= 2).all()
    turned = freedom_of_sum(variances[::-1], freedoms[::-1])
    assert turned == pytest.approx(found)
    assert freedom_of_sum([0.3], [7]) == pytest.approx(7)
    assert freedom_of_sum([0.3, 0.0], [7, 20]) == pytest.approx(7)


def test_an_open_end_can_be_anything():
    small = estimate_mean([-0.06, -0.07, -0.05])
    assert small.within_margin(0.15) == "within"
    assert small.opened({"lower"}).within_margin(0.15) != "within"
    assert small.opened({"lower"}).decided == "lower"
    assert small.opened({"higher"}).decided == "undecided"
    assert small.opened(()) == small
    two = estimate_mean([-0.06, -0.07])
    assert np.isnan(two.opened({"lower"}).low) == np.isnan(two.low)


def test_a_level_cannot_be_what_its_unit_cannot():
    found = estimate_mean([78.0, 22.0, 48.0])
    assert found.low < 0
    level = found.of_a_level(unit("steps").limits)
    assert (level.low, level.high) == (0.0, found.high)
    assert level.estimate == found.estimate
    assert np.isnan(level.p_value)
