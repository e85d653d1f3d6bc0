"""Numbers of every seed are combined first; the interval comes last."""

import numpy as np
import pytest
from scipy import stats

from transfusion_tf.evaluation import (
    Quantity,
    RunScore,
    difference,
    jackknife,
    mean_quantity,
)


def scores(values, seed=0, patients=40, test_set=7):
    generator = np.random.default_rng(seed)
    return {
        number: RunScore(value, generator.normal(value, 0.05, 500), patients, test_set)
        for number, value in enumerate(values)
    }


LEFT, RIGHT = scores([0.80, 0.84, 0.83], seed=1), scores([0.75, 0.77, 0.79], seed=2)


def test_a_difference_of_two_is_that_of_evaluation_difference():
    ours = (Quantity.of_scores(LEFT) - Quantity.of_scores(RIGHT)).interval()
    assert ours == difference(LEFT, RIGHT)


def test_an_interval_without_patients_is_student_s():
    found = Quantity({0: 0.1, 1: 0.2, 2: 0.4}).interval()
    half = stats.t.ppf(0.975, 2) * np.std([0.1, 0.2, 0.4], ddof=1) / np.sqrt(3)
    assert found.estimate == pytest.approx(0.7 / 3)
    assert found.high - found.estimate == pytest.approx(half)


def test_what_seeds_and_patients_share_cancels():
    """A gain of gains is as sharp as the difference, not as the levels."""
    left, right = Quantity.of_scores(LEFT), Quantity.of_scores(RIGHT)
    nothing = (left - right) - (left - right)
    assert nothing.interval().estimate == 0
    assert nothing.interval().high == pytest.approx(0)


def test_only_seeds_that_all_have_count():
    some = Quantity({0: 1.0, 1: 2.0}) - Quantity({1: 0.5, 2: 9.0})
    assert some.values == {1: 1.5}


def test_a_mean_is_taken_seed_by_seed():
    found = mean_quantity([Quantity({0: 1.0, 1: 2.0}), Quantity({0: 3.0, 1: 6.0})])
    assert found.values == {0: 2.0, 1: 4.0}


def test_other_patients_do_not_mix():
    other = Quantity.of_scores(scores([0.7, 0.7, 0.7], test_set=8))
    with pytest.raises(ValueError, match="same test set"):
        _ = Quantity.of_scores(LEFT) - other


def test_no_seed_in_common_is_an_error():
    with pytest.raises(ValueError, match="no seed"):
        (Quantity({0: 1.0}) - Quantity({1: 1.0})).interval()


PAIRS = {
    frozenset(pair): value
    for pair, value in {(0, 1): 0.5, (0, 2): 0.7, (1, 2): 0.9}.items()
}


def mean_over_pairs(seeds):
    values = [value for pair, value in PAIRS.items() if pair <= set(seeds)]
    return float(np.mean(values)) if values else np.nan


def test_the_jackknife_keeps_the_mean_over_pairs():
    found = jackknife([0, 1, 2], mean_over_pairs)
    assert np.mean(list(found.values.values())) == pytest.approx(0.7)
    # Without seed 0, the pair (1, 2) is left: 3 * 0.7 - 2 * 0.9.
    assert found.values[0] == pytest.approx(0.3)


def test_the_jackknife_of_a_mean_over_seeds_is_the_seeds_themselves():
    values = {0: 0.2, 1: 0.5, 2: 0.8}
    found = jackknife(
        [0, 1, 2], lambda seeds: float(np.mean([values[s] for s in seeds]))
    )
    assert found.values == pytest.approx(values)


def test_the_jackknife_counts_that_pairs_share_runs():
    """Pairs of 8 runs are 28 numbers, but no 28 independent ones."""
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        runs = generator.normal(0, 1, 8)

        def statistic(seeds, runs=runs):
            values = [runs[a] + runs[b] for a in seeds for b in seeds if a < b]
            return float(np.mean(values))

        found = jackknife(range(8), statistic).interval()
        covered += found.low <= 0 <= found.high
    assert 0.90 <= covered / 200 <= 0.99


def test_two_seeds_give_one_number_and_no_interval():
    found = jackknife([0, 1], mean_over_pairs).interval()
    assert (found.estimate, found.seeds) == (0.5, 1)
    assert np.isnan(found.low)
