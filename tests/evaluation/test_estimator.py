"""One estimator, against the closed forms that it stands for, and under its null."""

import itertools

import numpy as np
import pytest
import textbook
from scipy import stats
from sklearn.datasets import make_moons
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.svm import SVC

from transfusion_tf.evaluation import estimate, estimate_mean

REPEATS, SEEDS = 1500, 5


def left(left_out, count=SEEDS, source="seed"):
    """The levels that are left."""
    return [level for level in range(count) if (source, level) != left_out]


def over_seeds(statistic, count, **more):
    """An effect whose statistic takes the seeds that are left."""
    seeds = {"seed": list(range(count))}
    return estimate(lambda left_out: statistic(left(left_out, count)), seeds, **more)


def ends(found):
    return found.estimate, found.low, found.high


def test_of_a_mean_it_is_student_s_interval():
    values = np.array([0.81, 0.84, 0.79, 0.86])
    found = over_seeds(lambda seeds: values[seeds].mean(), 4)
    assert ends(found) == pytest.approx(textbook.seeds(values))
    assert found.values == pytest.approx(tuple(values))
    assert ends(estimate_mean(values)) == ends(found)
    assert found.patient_variance is None


def test_of_a_difference_it_is_that_of_the_paired_t_test():
    ours, theirs = np.random.default_rng(0).normal(size=(2, 6))
    found = over_seeds(lambda seeds: ours[seeds].mean() - theirs[seeds].mean(), 6)
    expected = stats.ttest_rel(ours, theirs)
    assert found.p_value == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_of_a_ratio_of_means_it_is_nearly_fieller_s():
    """Fieller (1954): all ratios that a t-test of top - ratio bottom allows."""
    top, bottom = np.random.default_rng(1).normal([[0.9], [0.7]], 0.03, (2, SEEDS))
    found = over_seeds(lambda seeds: top[seeds].mean() / bottom[seeds].mean(), SEEDS)
    assert found.estimate == pytest.approx(top.mean() / bottom.mean())
    for end in (found.low, found.high):
        statistic = stats.ttest_1samp(top - end * bottom, 0).statistic
        assert abs(statistic) == pytest.approx(stats.t.ppf(0.975, 4), rel=0.1)


def test_patients_add_their_variance_and_degrees_of_freedom():
    generator = np.random.default_rng(0)
    values = generator.normal(0.8, 0.02, SEEDS)
    draws = generator.normal(0.8, 0.03, 500) + generator.normal(0, 0.01, (SEEDS, 500))
    found = estimate_of_draws(values, draws)
    assert ends(found) == pytest.approx(textbook.seeds_and_patients(values, draws, 40))
    assert found.patient_variance == pytest.approx(textbook.patient_variance(draws))
    assert found.patients == 40


def estimate_of_draws(values, draws):
    return over_seeds(
        lambda seeds: values[seeds].mean() if seeds else np.nan,
        len(values),
        draws=lambda left_out: draws[left(left_out, len(values))].mean(axis=0),
        patients=40,
    )


def test_samples_in_which_an_effect_is_undefined_are_left_out():
    values, draws = np.array([0.7, 0.8, 0.6]), np.random.default_rng(0).random((3, 50))
    with_gaps = np.column_stack([draws, np.full((3, 3), np.nan)])
    assert ends(estimate_of_draws(values, with_gaps)) == ends(
        estimate_of_draws(values, draws)
    )


def test_one_seed_has_the_patients_part_only():
    found = estimate_of_draws(np.array([0.8]), np.array([[0.7, 0.8, 0.9]]))
    low, high = stats.t.interval(0.95, 39, loc=0.8, scale=0.1)
    assert ends(found) == pytest.approx((0.8, low, high))
    assert (found.seeds, found.seed_variance) == (1, None)


def test_two_seeds_have_variances_but_no_interval():
    found = estimate_of_draws(np.array([0.6, 0.8]), np.full((2, 50), 0.7))
    assert np.isnan([found.low, found.high, found.p_value]).all()
    assert found.seed_variance == pytest.approx(0.01)
    assert found.caveat == "two seeds: too few for an interval"


def test_folds_share_training_images():
    values = [0.06, 0.02, 0.05, 0.06, 0.0]
    found = estimate_mean(values, 0.25)
    assert ends(found) == pytest.approx(textbook.folds(values, 0.25))
    assert (found.over, found.seeds, found.patient_variance) == ("fold", 5, None)
    assert estimate_mean(values).p_value < 0.05 < found.p_value


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
    found = estimate_mean(curved - straight, 10 / 90)
    statistic = found.estimate / np.sqrt(found.seed_variance)
    assert round(statistic, 3) == 0.750
    assert round(found.p_value / 2, 3) == 0.227


@pytest.mark.parametrize("ratio", [0, -0.25, np.nan])
def test_a_share_of_test_images_that_is_none_is_refused(ratio):
    with pytest.raises(ValueError, match="test_to_train must be above 0"):
        estimate_mean([0.9, 0.8], ratio)


def test_folds_are_not_taken_for_seeds():
    with pytest.raises(ValueError, match="test_to_train must be above 0, got None"):
        estimate(lambda left_out: 0.5, {"fold": [0, 1]})


def test_nothing_has_no_estimate():
    with pytest.raises(ValueError, match="no seed to estimate from"):
        estimate_mean([])


def test_one_repetition_has_no_interval():
    for found in (estimate_mean([0.4]), estimate_mean([0.4], 0.25)):
        assert (found.estimate, found.seeds) == (0.4, 1)
        assert np.isnan([found.low, found.high, found.p_value]).all()


def test_what_is_undefined_without_one_of_two_has_no_interval_either():
    # A mean over pairs of runs: two runs are one pair.
    found = over_seeds(lambda seeds: 0.5 if len(seeds) > 1 else np.nan, 2)
    assert (found.estimate, found.seeds) == (0.5, 1)
    assert np.isnan(found.low)


def test_a_second_source_adds_its_variance():
    table = np.random.default_rng(1).normal(0, 1, (4, 3))  # seeds × donors

    def statistic(left_out):
        return table[np.ix_(left(left_out, 4), left(left_out, 3, "donor_seed"))].mean()

    seeds = {"seed": list(range(4))}
    alone = estimate(statistic, seeds)
    both = estimate(statistic, {**seeds, "donor_seed": list(range(3))})
    own = table.mean(axis=0).var(ddof=1) / 3
    assert both.seed_variance == pytest.approx(alone.seed_variance + own)
    assert both.seeds == 4


# Simulations: each draws its numbers and returns the statistic, of all repeats at once.


def mean(generator):
    values = generator.normal(size=(REPEATS, SEEDS))
    return lambda left_out: values[:, left(left_out)].mean(axis=1)


def difference_of_means(generator):
    ours = generator.normal(size=(REPEATS, SEEDS))
    theirs = 0.5 * ours + 2 * generator.normal(size=(REPEATS, SEEDS))
    return lambda left_out: (ours - theirs)[:, left(left_out)].mean(axis=1)


def ratio_of_means_minus_one(generator):
    top, bottom = 0.8 + np.array([[[0.03]], [[0.05]]]) * generator.normal(
        size=(2, REPEATS, SEEDS)
    )

    def statistic(left_out):
        kept = left(left_out)
        return top[:, kept].mean(axis=1) / bottom[:, kept].mean(axis=1) - 1

    return statistic


def pairs_within(generator, runs=1.0, own=0.5):
    """Of one start: all pairs of its runs."""
    run = runs * generator.normal(size=(REPEATS, SEEDS))
    pair = own * generator.normal(size=(REPEATS, SEEDS, SEEDS))
    values = run[:, :, None] + run[:, None] + pair

    def statistic(left_out):
        rows, columns = zip(*itertools.combinations(left(left_out), 2), strict=True)
        return values[:, rows, columns].mean(axis=1)

    return statistic


def pairs_between(generator, runs=1.0, own=0.5):
    """Of two starts: pairs of other seeds, whose seeds give their order of the data."""
    ours, theirs = runs * generator.normal(size=(2, REPEATS, SEEDS))
    pair = own * generator.normal(size=(REPEATS, SEEDS, SEEDS))
    values = ours[:, :, None] + theirs[:, None] + pair

    def statistic(left_out):
        rows, columns = zip(*itertools.permutations(left(left_out), 2), strict=True)
        return values[:, rows, columns].mean(axis=1)

    return statistic


def rank_correlation(generator, settings=6):
    sides = generator.normal(size=(2, REPEATS, SEEDS, settings))
    ranks = sides.argsort(axis=-1).argsort(axis=-1) - (settings - 1) / 2
    each = (ranks[0] * ranks[1]).sum(axis=-1) / (ranks[0] ** 2).sum(axis=-1)
    return lambda left_out: each[:, left(left_out)].mean(axis=1)


def slope(generator, settings=4):
    x = np.arange(settings) + 0.3 * generator.normal(size=(REPEATS, SEEDS, settings))
    y = generator.normal(size=x.shape) + generator.normal(size=(REPEATS, SEEDS, 1))

    def statistic(left_out):
        kept = left(left_out)
        ours, theirs = (side[:, kept].reshape(REPEATS, -1) for side in (x, y))
        ours = ours - ours.mean(axis=1, keepdims=True)
        return (ours * theirs).sum(axis=1) / (ours**2).sum(axis=1)

    return statistic


@pytest.mark.parametrize(
    "simulate",
    [
        mean,
        difference_of_means,
        ratio_of_means_minus_one,
        pairs_within,
        pairs_between,
        rank_correlation,
        slope,
    ],
)
def test_intervals_hold_no_effect_as_often_as_they_say(simulate):
    statistic = simulate(np.random.default_rng(0))
    assert 0.92 < coverage(statistic, {"seed": range(SEEDS)}) < 0.98


@pytest.mark.parametrize("pairs", [pairs_within, pairs_between])
def test_where_pairs_have_nothing_in_common_intervals_are_too_wide(pairs):
    statistic = pairs(np.random.default_rng(0), runs=0.0)
    assert coverage(statistic, {"seed": range(SEEDS)}) > 0.97


def coverage(statistic, sources, draws=None, **options):
    """Share of 95 % intervals that hold zero; statistic and draws of every repeat."""
    levels = [(name, level) for name, own in sources.items() for level in own]
    values = {left_out: statistic(left_out) for left_out in (None, *levels)}
    drawn = {each: draws(each) for each in values} if draws else {}
    held = 0
    for repeat in range(REPEATS):
        found = estimate(
            lambda left_out, repeat=repeat: values[left_out][repeat],
            sources,
            draws=(lambda left_out, repeat=repeat: drawn[left_out][repeat])
            if drawn
            else None,
            **options,
        )
        held += found.low <= 0 <= found.high
    return held / REPEATS


@pytest.mark.parametrize("corrected", [True, False])
def test_folds_are_covered_with_the_correction_only(corrected):
    """Values with the correlation, a fifth, that the correction is made for."""
    generator = np.random.default_rng(2)
    shared = generator.normal(size=(REPEATS, 1)) * np.sqrt(0.2)
    values = shared + generator.normal(size=(REPEATS, 5)) * np.sqrt(0.8)
    found = coverage(
        lambda left_out: values[:, left(left_out, source="fold")].mean(axis=1),
        {"fold": range(5)},
        test_to_train=0.25 if corrected else 1e-12,
    )
    # Without it the error is taken to be two thirds of what it is.
    narrow = 1 if corrected else 1.5
    expected = 1 - 2 * stats.t.sf(stats.t.ppf(0.975, 4) / narrow, 4)
    assert found == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("own", "ends"), [(0.5, (0.92, 0.98)), (5.0, (0.97, 1))])
def test_donors_seeds_are_crossed_with_those_of_runs(own, ends):
    """Too wide where what one donor does to one seed is all there is."""
    generator = np.random.default_rng(3)
    seed = generator.normal(size=(REPEATS, SEEDS, 1))
    donor = generator.normal(size=(REPEATS, 1, SEEDS))
    values = seed + donor + own * generator.normal(size=(REPEATS, SEEDS, SEEDS))

    def statistic(left_out):
        kept = values[:, left(left_out)][:, :, left(left_out, source="donor_seed")]
        return kept.mean(axis=(1, 2))

    sources = {"seed": range(SEEDS), "donor_seed": range(SEEDS)}
    low, high = ends
    assert low < coverage(statistic, sources) < high


@pytest.mark.parametrize("both", [True, False])
def test_seeds_and_patients_are_covered_where_both_are_counted(both):
    """A metric that is linear in patients, with seeds that differ by patient."""
    generator, patients = np.random.default_rng(4), 60
    effects = (
        0.02 * generator.normal(size=(REPEATS, SEEDS, 1))
        + 0.12 * generator.normal(size=(REPEATS, 1, patients))
        + 0.05 * generator.normal(size=(REPEATS, SEEDS, patients))
    )
    weights = generator.multinomial(patients, np.full(patients, 1 / patients), 200)

    def draws(left_out):
        return effects[:, left(left_out)].mean(axis=1) @ weights.T / patients

    share = coverage(
        lambda left_out: effects[:, left(left_out)].mean(axis=(1, 2)),
        {"seed": range(SEEDS)},
        draws=draws if both else None,
        patients=patients,
    )
    assert (0.935 < share < 0.965) == both


def test_what_seeds_make_of_patients_is_not_counted_twice():
    """Nothing else varies: the seeds' variance has it all, and holds as often as said.

    In two terms, 99 % of these intervals held the truth.
    """
    generator, patients = np.random.default_rng(5), 60
    effects = 0.2 * generator.normal(size=(REPEATS, SEEDS, patients))
    weights = generator.multinomial(patients, np.full(patients, 1 / patients), 200)

    def draws(left_out):
        return effects[:, left(left_out)].mean(axis=1) @ weights.T / patients

    share = coverage(
        lambda left_out: effects[:, left(left_out)].mean(axis=(1, 2)),
        {"seed": range(SEEDS)},
        draws=draws,
        patients=patients,
    )
    assert 0.935 < share < 0.975
