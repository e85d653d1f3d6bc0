import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import make_moons
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.svm import SVC

from transfusion_tf.evaluation import (
    RunScore,
    estimate_over_folds,
    fold_difference,
)


def scores(values, patients=20):
    """One score a fold, each on a test set of its own."""
    return {
        fold: RunScore(value, np.zeros(0), patients, 100 + fold)
        for fold, value in enumerate(values)
    }


LEFT, RIGHT = (
    scores([0.91, 0.88, 0.93, 0.90, 0.87]),
    scores([0.85, 0.86, 0.88, 0.84, 0.87]),
)


@pytest.mark.slow
def test_the_published_example_of_the_corrected_test():
    """scikit-learn's example on comparing models: t = 0.750, one-sided p = 0.227."""
    features, classes = make_moons(noise=0.352, random_state=1, n_samples=100)
    splits = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    curved, straight = (
        cross_val_score(
            SVC(kernel=kernel, random_state=0),
            features,
            classes,
            scoring="roc_auc",
            cv=splits,
        )
        for kernel in ("rbf", "linear")
    )
    found = estimate_over_folds(curved - straight, 10 / 90)
    statistic = found.estimate / np.sqrt(found.seed_variance)
    assert round(statistic, 3) == 0.750
    assert round(found.p_value / 2, 3) == 0.227


def test_the_variance_and_the_interval_follow_the_formula():
    found = fold_difference(LEFT, RIGHT, 0.25)
    values = np.array([0.06, 0.02, 0.05, 0.06, 0.0])
    error = np.sqrt((1 / 5 + 0.25) * values.var(ddof=1))
    low, high = stats.t.interval(0.95, 4, loc=values.mean(), scale=error)
    assert found.values == pytest.approx(values)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.p_value == pytest.approx(2 * stats.t.sf(values.mean() / error, 4))


def test_folds_that_share_their_training_data_say_less_than_seeds_would():
    found = fold_difference(LEFT, RIGHT, 0.25)
    plain = stats.ttest_rel(
        [0.91, 0.88, 0.93, 0.90, 0.87], [0.85, 0.86, 0.88, 0.84, 0.87]
    )
    assert plain.pvalue < 0.05 < found.p_value


@pytest.mark.parametrize("corrected", [True, False])
def test_folds_that_share_data_are_covered_with_the_correction_only(corrected):
    """Values with the correlation, a fifth, that the correction is made for."""
    generator = np.random.default_rng(2)
    shared = generator.normal(size=(2000, 1)) * np.sqrt(0.2)
    values = shared + generator.normal(size=(2000, 5)) * np.sqrt(0.8)
    found = [estimate_over_folds(row, 0.25 if corrected else 1e-12) for row in values]
    covered = np.mean([one.low <= 0 <= one.high for one in found])
    # Without it the error is taken to be two thirds of what it is.
    narrow = 1 if corrected else 1.5
    expected = 1 - 2 * stats.t.sf(stats.t.ppf(0.975, 4) / narrow, 4)
    assert covered == pytest.approx(expected, abs=0.02)


def test_only_folds_that_both_sides_have_are_paired():
    part = {fold: LEFT[fold] for fold in (1, 3)}
    assert fold_difference(part, RIGHT, 0.25).values == pytest.approx((0.02, 0.06))
    assert fold_difference({9: LEFT[1]}, RIGHT, 0.25) is None


def test_repeats_are_paired_by_seed_and_fold():
    left = {(seed, fold): LEFT[fold] for seed in (0, 1) for fold in range(5)}
    right = {(seed, fold): RIGHT[fold] for seed in (0, 1) for fold in range(5)}
    assert fold_difference(left, right, 0.25).seeds == 10


def test_a_fold_scored_on_different_patients_is_refused():
    with pytest.raises(ValueError, match=r"fold 2: .* same test set"):
        fold_difference(LEFT, {**RIGHT, 2: RIGHT[3]}, 0.25)


def test_it_says_that_it_is_over_folds():
    found = fold_difference(LEFT, RIGHT, 0.25)
    assert (found.over, found.seeds, found.patient_variance) == ("fold", 5, None)
    assert found.caveat is None


def test_one_fold_has_no_interval_and_says_so():
    found = estimate_over_folds([0.9], 0.25)
    assert np.isnan([found.low, found.high, found.p_value]).all()
    assert found.caveat == "one fold: there is no interval"


def test_a_ratio_that_is_none_is_refused():
    with pytest.raises(ValueError, match="test_to_train"):
        estimate_over_folds([0.9, 0.8], 0)
