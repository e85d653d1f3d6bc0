import numpy as np
import pytest
from scipy import stats

from transfusion_tf.evaluation import (
    RunScore,
    cell_interval,
    difference,
    prediction_table,
    referable_auc,
    score_run,
    seed_interval,
)

CLASSES = ("0", "1", "2", "3", "4")


def predictions(signal=1.0, seed=0, patients=120, shuffle=False, test_set=0):
    """Test predictions whose AUC grows with `signal`; patients are the same."""
    shared = np.random.default_rng(test_set)
    severity = np.repeat(shared.normal(size=patients), 2)
    grades = np.digitize(severity, [0, 0.5, 1, 1.5])
    own = np.random.default_rng(1000 + seed)
    score = signal * severity + own.normal(size=len(severity))
    outputs = 1 / (1 + np.exp(-score[:, None] * np.linspace(-1, 1, 5)))
    table = prediction_table(
        [f"e{i}" for i in range(2 * patients)],
        [f"p{i // 2}" for i in range(2 * patients)],
        "test",
        np.eye(5)[grades],
        outputs,
        CLASSES,
    )
    return table.sample(frac=1, random_state=seed) if shuffle else table


def scores(signal, seeds, **options):
    return {
        seed: score_run(
            predictions(signal, seed, **options), CLASSES, "referable_auc", 2
        )
        for seed in seeds
    }


def synthetic(values, replicates, patients=100):
    return {
        seed: RunScore(value, np.asarray(row), patients, 0)
        for seed, (value, row) in enumerate(zip(values, replicates, strict=True))
    }


def test_a_score_is_the_metric_on_the_test_set():
    table = predictions()
    labels = table.filter(like="label/").to_numpy()
    outputs = table.filter(like="probability/").to_numpy()
    score = score_run(table, CLASSES, "referable_auc", 2, samples=10)
    assert score.value == referable_auc(labels, outputs)
    assert score.patients == 120
    assert len(score.replicates) == 10


def test_the_order_of_the_rows_does_not_matter():
    straight, mixed = scores(1, [3]), scores(1, [3], shuffle=True)
    np.testing.assert_array_equal(straight[3].replicates, mixed[3].replicates)
    assert difference(straight, mixed).estimate == 0


def test_both_parts_of_the_variance_and_the_degrees_of_freedom_follow_the_formula():
    generator = np.random.default_rng(0)
    values = np.array([0.80, 0.84, 0.85])
    replicates = values[:, None] + generator.normal(size=500) * 0.02
    cell = cell_interval(synthetic(values, replicates))
    seed_part = values.var(ddof=1) / 3
    patient_part = replicates.mean(axis=0).var(ddof=1)
    freedom = (seed_part + patient_part) ** 2 / (
        seed_part**2 / 2 + patient_part**2 / 99
    )
    half = stats.t.ppf(0.975, freedom) * np.sqrt(seed_part + patient_part)
    assert cell.estimate == pytest.approx(values.mean())
    assert cell.degrees_of_freedom == pytest.approx(freedom)
    assert (cell.low, cell.high) == pytest.approx(
        (values.mean() - half, values.mean() + half)
    )
    assert cell.std == pytest.approx(values.std(ddof=1))


def test_noise_that_both_sides_share_cancels_in_the_difference():
    generator = np.random.default_rng(1)
    patients = generator.normal(size=400) * 0.05
    left = synthetic([0.9, 0.9], [0.9 + patients] * 2)
    right = synthetic([0.8, 0.8], [0.8 + patients] * 2)
    assert difference(left, right).patient_variance == pytest.approx(0, abs=1e-12)
    assert cell_interval(left).patient_variance == pytest.approx(0.0025, rel=0.2)


def test_a_clear_difference_is_decided_and_has_the_sign_of_left_minus_right():
    strong, weak = scores(3, range(3)), scores(0.5, range(3, 6))
    weak = {seed - 3: score for seed, score in weak.items()}
    assert difference(strong, weak).decided == "higher"
    assert difference(weak, strong).decided == "lower"


def test_no_difference_is_undecided():
    left = scores(1, range(3))
    right = {seed: score for seed, score in enumerate(scores(1, range(5, 8)).values())}
    assert difference(left, right).decided == "undecided"


def test_only_seeds_that_both_sides_have_are_paired():
    left, right = scores(1, [0, 1, 2]), scores(2, [1, 2, 7])
    assert difference(left, right).seeds == 2
    assert difference(left, scores(2, [9])) is None


def test_one_seed_has_the_patients_part_only_and_says_so():
    single = difference(scores(3, [0]), scores(0.5, [0]))
    assert single.seeds == 1
    assert single.seed_variance is None
    assert single.low < single.estimate < single.high
    assert single.caveat == "one seed: the interval lacks the spread between seeds"


def test_more_seeds_have_no_caveat():
    assert difference(scores(1, [0, 1]), scores(2, [0, 1])).caveat is None


def test_different_test_sets_are_refused():
    with pytest.raises(ValueError, match="same test set"):
        difference(scores(1, [0]), scores(1, [0], patients=119))


def test_a_cells_interval_stays_in_the_metrics_range():
    cell = cell_interval(synthetic([0.5, 0.99], [[0.5, 0.51], [0.99, 1.0]]))
    assert cell.high == 1
    assert cell.low == 0


def test_the_interval_over_seeds_is_students():
    values = [10.0, 12.0, 17.0]
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    interval = seed_interval(values)
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert interval.patient_variance is None


def test_one_value_alone_has_no_interval_over_seeds():
    interval = seed_interval([3.0])
    assert np.isnan([interval.low, interval.high]).all()
    assert interval.decided == "undecided"


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
    assert seed_interval(values).within_margin(0.02) == expected


def test_intervals_of_ninety_five_per_cent_cover_about_that():
    """Linear metric: a seed effect, a patient effect, and their interaction."""
    generator = np.random.default_rng(7)
    truth, trials, seeds, patients = 0.03, 300, 3, 60
    covered = 0
    for _ in range(trials):
        by_seed = generator.normal(size=(seeds, 1)) * 0.02
        by_patient = generator.normal(size=patients) * 0.12
        noise = generator.normal(size=(seeds, patients)) * 0.05
        effects = truth + by_seed + by_patient + noise
        draws = generator.multinomial(patients, np.full(patients, 1 / patients), 200)
        left = synthetic(effects.mean(axis=1), effects @ draws.T / patients, patients)
        right = synthetic(np.zeros(seeds), np.zeros((seeds, 200)), patients)
        interval = difference(left, right)
        covered += interval.low <= truth <= interval.high
    assert 0.92 <= covered / trials <= 0.99


def test_the_p_value_of_seeds_is_students():
    values = [0.02, 0.05, 0.035]
    expected = stats.ttest_1samp(values, 0).pvalue
    assert seed_interval(values).p_value == pytest.approx(expected)


def test_the_p_value_is_small_just_where_the_interval_leaves_zero_out():
    generator = np.random.default_rng(4)
    for _ in range(50):
        left = synthetic(generator.normal(0.8, 0.03, 3), generator.normal(size=(3, 50)))
        right = synthetic([0.75] * 3, generator.normal(size=(3, 50)))
        found = difference(left, right, level=0.5)
        assert (found.p_value < 0.5) == (found.decided != "undecided")


def test_a_difference_without_any_spread_has_a_p_value_of_zero_or_one():
    assert seed_interval([0.1, 0.1]).p_value == pytest.approx(0)
    assert seed_interval([0.0, 0.0]).p_value == 1


def test_an_undefined_interval_has_no_p_value():
    assert np.isnan(seed_interval([0.1]).p_value)
    assert np.isnan(seed_interval([0.1, np.nan]).p_value)


def test_a_cell_is_no_difference_and_has_no_p_value():
    assert np.isnan(cell_interval(scores(1, [0, 1])).p_value)


def test_without_a_correction_a_difference_is_called_by_its_own_interval():
    clear = seed_interval([0.050, 0.051, 0.052])
    assert clear.adjusted_p_value is None
    assert clear.decided_among_all == clear.decided == "higher"
