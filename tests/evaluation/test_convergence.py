import numpy as np
import pytest

from transfusion_tf.evaluation import (
    mean_while_learning,
    steps_to_threshold,
    threshold_between,
)
from transfusion_tf.evaluation.convergence import steps_to_thresholds

STEPS = [0, 100, 200, 300]


def test_the_crossing_is_interpolated_between_evaluations():
    assert steps_to_threshold(STEPS, [0.5, 0.6, 0.8, 0.9], 0.75) == pytest.approx(175)


def test_steps_of_evaluations_are_those_of_the_first_that_is_there():
    # Transfusion, figure 8: 25 425 steps are the mean of five multiples of 1 001.
    curve = ([0, 1_001, 2_002], [0.5, 0.9, 0.95])
    assert steps_to_threshold(*curve, 0.91, at_evaluations=True) == 2_002
    assert steps_to_threshold(*curve, 0.9, at_evaluations=True) == 1_001
    assert steps_to_threshold(*curve, 0.96, at_evaluations=True) is None


def test_the_first_crossing_counts_when_the_curve_falls_back():
    assert steps_to_threshold(STEPS, [0.5, 0.9, 0.6, 0.9], 0.9) == 100


def test_a_threshold_never_reached_has_no_steps():
    assert steps_to_threshold(STEPS, [0.5, 0.6, 0.7, 0.7], 0.8) is None


def test_a_threshold_met_before_training_takes_no_steps():
    assert steps_to_threshold(STEPS, [0.9, 0.6, 0.7, 0.7], 0.8) == 0


def test_evaluations_without_the_metric_are_skipped():
    assert steps_to_threshold(STEPS, [0.5, np.nan, 0.7, 0.7], 0.6) == 100


def test_the_area_is_the_mean_over_steps_not_over_evaluations():
    assert mean_while_learning([0, 100, 400], [0.5, 0.9, 0.9]) == pytest.approx(0.85)


def test_the_area_starts_before_the_first_step():
    early = mean_while_learning(STEPS, [0.9, 0.9, 0.9, 0.9])
    late = mean_while_learning(STEPS, [0.5, 0.9, 0.9, 0.9])
    assert early - late == pytest.approx(0.4 * 50 / 300)


def test_a_run_that_stopped_early_keeps_its_last_value():
    stopped = mean_while_learning([0, 100], [0.5, 0.9], until=300)
    assert stopped == pytest.approx(mean_while_learning(STEPS, [0.5, 0.9, 0.9, 0.9]))


def test_what_lies_beyond_the_common_end_is_left_out():
    longer = mean_while_learning(STEPS, [0.5, 0.7, 0.9, 0.1], until=150)
    assert longer == pytest.approx((0.6 * 100 + 0.75 * 50) / 150)


def test_the_threshold_is_nine_tenths_of_the_way_to_the_baselines_mean_best():
    assert threshold_between([0.8, 1.0]) == pytest.approx(0.5 + 0.9 * 0.4)


def test_steps_that_do_not_rise_are_refused():
    with pytest.raises(ValueError, match="rise"):
        steps_to_threshold([0, 200, 100], [0.1, 0.2, 0.3], 0.2)


def test_many_thresholds_are_reached_as_each_is():
    rng = np.random.default_rng(0)
    steps = np.cumsum(rng.integers(1, 9, 12))
    values, thresholds = rng.random(12), np.linspace(-0.1, 1.1, 40)
    found = steps_to_thresholds(steps, values, thresholds)
    for threshold, step in zip(thresholds, found, strict=True):
        first = next((i for i, value in enumerate(values) if value >= threshold), None)
        if first is None:
            assert np.isnan(step)
        elif first == 0:
            assert step == steps[0]
        else:
            share = (threshold - values[first - 1]) / (
                values[first] - values[first - 1]
            )
            expected = steps[first - 1] + share * (steps[first] - steps[first - 1])
            assert step == pytest.approx(expected)
    assert np.isnan(steps_to_thresholds([], [], thresholds)).all()
    assert steps_to_thresholds([7], [0.5], np.array([0.4, 0.6]))[0] == 7
