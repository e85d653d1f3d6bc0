"""Where nothing has an effect, a contrast is zero, whatever it is made of."""

import itertools

import numpy as np
import pytest
from studies.measured import names, run_name, scores, table

from transfusion_tf.evaluation import (
    mean_while_learning,
    steps_to_threshold,
    threshold_between,
)
from transfusion_tf.evaluation.convergence import steps_to_thresholds
from transfusion_tf.evaluation.estimator import estimate
from transfusion_tf.evaluation.units import unit
from transfusion_tf.representations import cca, noise_floor
from transfusion_tf.studies.contrasts import (
    Average,
    ByDistance,
    Constant,
    Mean,
    PairAverage,
    RankCorrelation,
    Ratio,
    Scaled,
    Slope,
    above_chance,
    measure_effect,
    on_test,
)

# So many that their mean is the null's, to a tenth of the margins.
SEEDS, SETTINGS = 300, 6
ALL = range(SEEDS)


def noise(*starts, level=0.8, spread=0.02, seeds=SEEDS, seed=0):
    """Test scores of starts that do not differ."""
    generator = np.random.default_rng(seed)
    drawn = generator.normal(level, spread, (len(starts), seeds))
    return [
        row
        for start, own in zip(starts, drawn, strict=True)
        for row in scores(start, own)
    ]


def of(start, seeds=SEEDS):
    """The test score from a start."""
    return on_test(names(start, range(seeds)))


def gain_and_reuse(place, seeds=SEEDS):
    """WT / RI and (WT - ST) / WT of one setting."""
    weights, statistics, random = (
        of(f"{start}{place}", seeds) for start in ("wt", "st", "ri")
    )
    return Ratio(weights, random), Ratio(weights - statistics, weights)


def settings(spread=0.02, seeds=SEEDS, count=SETTINGS):
    starts = [f"{start}{k}" for k in range(count) for start in ("wt", "st", "ri")]
    points = tuple(gain_and_reuse(k, seeds) for k in range(count))
    return table(*noise(*starts, seeds=seeds, spread=spread)), points


def everything(data):
    return set(data.runs.index)


@pytest.mark.parametrize(
    ("contrast", "name"),
    [
        (of("a") - of("b"), "AUC"),
        (Ratio(of("a"), of("b")) - Constant(1.0), "of RI"),
        (Ratio(of("a") - of("b"), of("a")), "of ST"),
        (Scaled(of("a"), 2.0) - of("b") - of("c"), "AUC"),
        (of("b") - Scaled(of("a"), 0.3) - Scaled(of("c"), 0.7), "AUC"),
        (Mean((of("a") - of("b"), of("b") - of("c"))), "AUC"),
    ],
)
def test_differences_and_ratios_of_scores_are_zero(contrast, name):
    data = table(*noise("a", "b", "c", spread=0.02))
    found = contrast.value(data, everything(data))
    assert abs(found) < unit(name).margin / 10


def test_a_ratio_of_three_noisy_seeds_is_not_far_from_zero():
    """Of the most that seeds differ by where images are few: 0.05 at an AUC of 0.7."""
    scores_ = np.random.default_rng(1).normal(0.7, 0.05, (2, 100_000, 3)).mean(axis=2)
    assert 0 < (scores_[0] / scores_[1] - 1).mean() < unit("of RI").margin / 10


def test_the_nearest_data_set_gains_no_more_than_the_farthest():
    distances = [
        {"quantity": "frechet_distance", "dataset": name, "value": value}
        for name, value in (("near", 30.0), ("far", 80.0))
    ]
    rows = noise("a", "b", spread=0.005)
    own = [
        row | {"dataset": "near" if row["run"].startswith("a") else "far"}
        for row in rows
    ]
    data = table(*own, *distances)
    options = (of("a"), of("b"))
    contrast = ByDistance(options) - ByDistance(options, farthest=True)
    assert abs(contrast.value(data, everything(data))) < 0.002


def test_noise_of_scores_does_not_correlate_gain_with_reuse():
    """The score from transferred weights is in both; within a seed it makes +0.45."""
    data, points = settings()
    contrast = RankCorrelation(points)
    ranks = contrast._ranks(data, everything(data))
    within_seeds = np.einsum("rk,rk->r", *ranks).mean()
    assert within_seeds == pytest.approx(0.45, abs=0.05)
    assert abs(contrast.value(data, everything(data))) < 0.01


def test_a_design_does_not_correlate_with_noise():
    data, _ = settings()
    points = tuple((Constant(float(k)), of(f"wt{k}")) for k in range(SETTINGS))
    found = RankCorrelation(points).value(data, everything(data))
    assert abs(found) < 3 / np.sqrt((SETTINGS - 1) * SEEDS)


def test_ten_seeds_of_noise_do_not_make_a_gain_go_with_reuse():
    """Within seeds this was called in nearly every study of ten seeds."""
    data, points = settings(seeds=10)
    found = measure_effect(RankCorrelation(points), data)
    assert found.low < 0 < found.high
    assert found.seeds == 10


def test_one_seed_has_no_other_to_take_the_shared_score_from():
    data, points = settings(seeds=2)
    selected = set(names("wt0", (0,))) | {
        run_name(f"{start}{k}", 0) for start in ("wt", "st", "ri") for k in range(6)
    }
    assert np.isnan(RankCorrelation(points).value(data, selected))


def test_settings_are_permuted_under_the_null():
    """Against all 120 orders of five settings."""
    data, points = settings(seeds=3, count=5)
    contrast = RankCorrelation(points)
    x, y = contrast._ranks(data, everything(data))
    drawn = []
    for order in itertools.permutations(range(5)):
        pairs = x @ y[:, order].T
        drawn.append((pairs.sum() - np.trace(pairs)) / 6)
    assert contrast.null_variance(data, everything(data)) == pytest.approx(
        np.var(drawn)
    )


def test_four_settings_on_which_all_seeds_agree_decide_nothing():
    """One of 24 orders is as good: their agreement says nothing of other settings."""
    rows = [
        row
        for k in range(4)
        for start, level in (("wt", 0.8), ("st", 0.8 - 0.05 * k), ("ri", 0.7 - k / 20))
        for row in scores(f"{start}{k}", [level + 0.001 * s for s in range(3)])
    ]
    points = tuple(gain_and_reuse(k, 3) for k in range(4))
    found = measure_effect(RankCorrelation(points), table(*rows))
    assert found.estimate == pytest.approx(1.0)
    assert found.low < 0
    assert found.high - found.estimate == pytest.approx(1.96 / np.sqrt(3), abs=0.01)


def test_a_slope_over_noise_is_zero():
    generator = np.random.default_rng(3)
    rows = noise("transfer", "random", spread=0.02)
    rows += [
        {"quantity": "cca", "run": run, "value": value}
        for run, value in zip(
            names("transfer", ALL), generator.normal(0.5, 0.1, SEEDS), strict=True
        )
    ]
    kept = Average("cca", names("transfer", ALL))
    gain = Ratio(of("transfer"), of("random")) - Constant(1.0)
    data = table(*rows)
    slope = Slope(((kept, gain),)).value(data, everything(data))
    error = 0.02 * np.sqrt(2) / 0.8 / 0.1 / np.sqrt(SEEDS)
    assert abs(slope) < 3 * error


def test_pairs_of_one_start_are_as_alike_as_mixed_ones():
    generator, count = np.random.default_rng(4), 12
    runs = [run_name(start, s) for start in ("a", "b") for s in range(count)]
    own = dict(zip(runs, generator.normal(0, 0.02, len(runs)), strict=True))
    rows = [
        {"quantity": "cca", "run": one, "run_b": other, "stage": "conv1"}
        | {"weights": "trained", "weights_b": "trained", "position": 0}
        | {"value": 0.5 + own[one] + own[other] + 0.02 * generator.normal()}
        for one, other in itertools.combinations(runs, 2)
    ]
    a, b = (names(start, range(count)) for start in ("a", "b"))
    data = table(*rows, *noise("a", "b", seeds=count))
    found = (PairAverage("cca", a) - PairAverage("cca", a, b)).value(data, set(runs))
    # That a's own runs are by chance more alike counts for half in mixed pairs.
    assert abs(found) < 3 * 0.02 * np.sqrt(2 / count)


def test_what_moved_all_the_way_moved_alike_whatever_its_channels():
    generator, rows = np.random.default_rng(5), []
    for start, channels in (("large", 64), ("small", 32)):
        for seed in range(3):
            before, after = generator.normal(size=(2, 1500, channels))
            floor = noise_floor(lambda x, y: cca(x, y).mean, before, after, repeats=1)
            where = {"run": run_name(start, seed), "run_b": run_name(start, seed)}
            rows += [
                where | {"quantity": name, "value": value}
                for name, value in (
                    ("cca", cca(before, after).mean),
                    ("cca_noise_floor", floor.mean),
                )
            ]
    data = table(*rows)
    large, small = (Average("cca", names(start)) for start in ("large", "small"))
    assert (large - small).value(data, everything(data)) > unit("CCA").margin
    corrected = above_chance(large) - above_chance(small)
    assert abs(corrected.value(data, everything(data))) < unit("CCA").margin / 10


def learning(generator, seeds, steps, spread=0.01):
    """Curves of runs that learn at rates and to levels of their own, with noise."""
    rates = 0.02 * np.exp(0.3 * generator.normal(size=(seeds, 1)))
    tops = generator.normal(0.88, spread, (seeds, 1))
    values = 0.5 + (tops - 0.5) * (1 - np.exp(-rates * steps))
    return values + generator.normal(0, 0.01, values.shape)


def raced_steps(generator, seeds, steps):
    """Steps of two equal starts to the threshold of the second, as in `speed.py`."""
    other, random = (learning(generator, seeds, steps, 0.03) for _ in range(2))
    threshold = np.array([threshold_between(random.max(axis=1))])
    found = [
        [steps_to_thresholds(steps, own, threshold)[0] for own in runs]
        for runs in (other, random)
    ]
    return np.nan_to_num(found, nan=steps[-1])


@pytest.mark.parametrize("seeds", [3, 10])
def test_of_two_equal_starts_neither_is_called_faster(seeds):
    """One run in seven never gets there; in one study of twenty one would be called."""
    generator, steps = np.random.default_rng(7), np.arange(0, 301, 30)
    studies = 3000 // seeds
    found = []
    for _ in range(studies):
        reached = raced_steps(generator, seeds, steps)

        def speed(left_out, reached=reached):
            kept = [k for k in range(seeds) if left_out != ("seed", k)]
            ours, theirs = reached[:, kept].mean(axis=1)
            return np.log2(theirs / ours)

        found.append(estimate(speed, {"seed": range(seeds)}))
    speeds = np.array([each.estimate for each in found])
    error = speeds.std() / np.sqrt(studies)
    assert abs(speeds.mean()) < unit("doublings of speed").margin / 10 + 2.6 * error
    called = np.mean([each.decided != "undecided" for each in found])
    assert called < 0.05 + 2.6 * np.sqrt(0.05 / studies)
    faster = np.mean([each.decided == "higher" for each in found])
    assert faster < 0.025 + 2.6 * np.sqrt(0.025 / studies)
    # The share of steps saved is not zero: a tenth of the steps that are its margin.
    if seeds == 3:
        assert (1 - 2.0**-speeds).mean() < -0.05


def test_no_start_leads_while_random_weights_learn():
    """Although those alone say for how long that is; formulas of `WhileLearning`."""
    generator, steps, leads = np.random.default_rng(6), np.arange(0, 301, 30), []
    for _ in range(400):
        random, other = (learning(generator, 3, steps) for _ in range(2))
        threshold = threshold_between(random.max(axis=1))
        reached = [steps_to_threshold(steps, own, threshold) for own in random]
        horizon = max(steps[-1] if step is None else step for step in reached)
        areas = [
            [mean_while_learning(steps, own, until=horizon) for own in runs]
            for runs in (other, random)
        ]
        leads.append(np.mean(areas[0]) - np.mean(areas[1]))
    error = np.std(leads) / np.sqrt(len(leads))
    assert error < unit("AUC").margin / 10
    assert abs(np.mean(leads)) < 2.6 * error
