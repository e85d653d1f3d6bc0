"""One estimator, against the closed forms that it stands for, and under its null."""

import itertools

import numpy as np
import pytest

from transfusion_tf.evaluation import estimate_over_folds, seed_interval
from transfusion_tf.evaluation.comparison import estimate_over_seeds
from transfusion_tf.evaluation.estimator import estimate


def over_seeds(statistic, count, **more):
    """An effect whose statistic takes the seeds that are left."""

    def without(left_out):
        return statistic([s for s in range(count) if ("seed", s) != left_out])

    return estimate(without, {"seed": list(range(count))}, **more)


def ends(found):
    return found.estimate, found.low, found.high


def test_of_a_mean_it_is_student_s_interval():
    values = np.array([0.81, 0.84, 0.79, 0.86])
    found = over_seeds(lambda seeds: values[seeds].mean(), 4)
    assert ends(found) == pytest.approx(ends(seed_interval(values)))
    assert found.values == pytest.approx(tuple(values))
    assert found.p_value == pytest.approx(seed_interval(values).p_value)


def test_patients_add_their_variance():
    generator = np.random.default_rng(0)
    values, draws = (
        generator.normal(0.8, 0.02, 5),
        generator.normal(0.8, 0.03, (5, 500)),
    )
    found = over_seeds(
        lambda seeds: values[seeds].mean(), 5, draws=draws.mean(axis=0), patients=40
    )
    expected = estimate_over_seeds(values, draws, 40)
    assert ends(found) == pytest.approx(ends(expected))
    assert found.patient_variance == pytest.approx(expected.patient_variance)


def test_folds_share_training_images():
    values = np.array([0.7, 0.75, 0.8, 0.66, 0.71])
    found = estimate(
        lambda left_out: values[
            [f for f in range(5) if ("fold", f) != left_out]
        ].mean(),
        {"fold": list(range(5))},
        test_to_train=0.25,
    )
    assert ends(found) == pytest.approx(ends(estimate_over_folds(values, 0.25)))
    assert found.over == "fold"


def test_one_repetition_has_no_interval():
    found = over_seeds(lambda seeds: 0.4 if seeds else np.nan, 1)
    assert (found.estimate, found.seeds) == (0.4, 1)
    assert np.isnan([found.low, found.high]).all()


def test_what_is_undefined_without_one_of_two_has_no_interval_either():
    # A mean over pairs of runs: two runs are one pair.
    found = over_seeds(lambda seeds: 0.5 if len(seeds) > 1 else np.nan, 2)
    assert (found.estimate, found.seeds) == (0.5, 1)
    assert np.isnan(found.low)


def test_a_second_source_widens_the_interval():
    table = np.random.default_rng(1).normal(0, 1, (4, 3))  # seeds × donors

    def statistic(left_out):
        rows = [s for s in range(4) if ("seed", s) != left_out]
        columns = [d for d in range(3) if ("donor_seed", d) != left_out]
        return table[np.ix_(rows, columns)].mean()

    seeds = {"seed": list(range(4))}
    alone = estimate(statistic, seeds)
    both = estimate(statistic, {**seeds, "donor_seed": list(range(3))})
    own = table.mean(axis=0).var(ddof=1) / 3
    assert both.seed_variance == pytest.approx(alone.seed_variance + own)
    assert both.seeds == 4


def covered(statistic, draw, truth, repeats=400):
    """Share of intervals that hold the truth."""
    generator = np.random.default_rng(7)
    hits = 0
    for _ in range(repeats):
        found = draw(generator)
        interval = over_seeds(lambda seeds, x=found: statistic(x, seeds), len(found))
        hits += interval.low <= truth <= interval.high
    return hits / repeats


def pairs_mean(table, seeds):
    return np.mean([table[a][b] for a, b in itertools.combinations(seeds, 2)] or np.nan)


def test_intervals_of_a_ratio_of_means_hold_the_truth_as_often_as_they_say():
    def draw(generator):
        return np.column_stack(
            [generator.normal(0.85, 0.03, 5), generator.normal(0.75, 0.05, 5)]
        )

    share = covered(
        lambda x, seeds: x[seeds, 0].mean() / x[seeds, 1].mean(), draw, 0.85 / 0.75
    )
    assert 0.92 < share < 0.98


def test_intervals_over_pairs_that_share_runs_hold_the_truth_as_often_as_they_say():
    def draw(generator):
        own = generator.normal(0, 0.1, 6)
        return own[:, None] + own[None] + generator.normal(0, 0.02, (6, 6))

    assert 0.92 < covered(pairs_mean, draw, 0.0) < 0.98
