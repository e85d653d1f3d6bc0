"""Contrasts read measurements of runs, on numbers worked out by hand."""

import itertools

import numpy as np
import pytest
import textbook
from scipy import stats
from studies.measured import names, run_name, scores, table

from transfusion_tf.errors import UserError
from transfusion_tf.evaluation import mean_while_learning
from transfusion_tf.studies.contrasts import (
    Average,
    ByDistance,
    Constant,
    Mean,
    Minus,
    MissingMeasurementError,
    PairAverage,
    RankCorrelation,
    Ratio,
    RestrictedSteps,
    Scaled,
    Slope,
    StartEndRSquared,
    StepsToThreshold,
    Unavailable,
    WhileLearning,
    from_dict,
    measure_effect,
    on_test,
    open_end_in_words,
    speed_over,
    to_dict,
)
from transfusion_tf.studies.measurements.table import PatientDraws

STAGES = ("conv1", "block1", "block2", "head")


def test_a_difference_is_taken_over_the_seeds_that_both_have():
    found = measure_effect(
        on_test(names("transfer")) - on_test(names("random")),
        table(*scores("transfer", [0.9, 0.8, 0.7]), *scores("random", [0.6, 0.6])),
    )
    assert found.estimate == pytest.approx(0.25)
    assert found.values == pytest.approx((0.3, 0.2))


def test_no_seed_in_common_is_said():
    data = table(*scores("transfer", [0.9]), scores("random", [0.6, 0.5])[1])
    with pytest.raises(MissingMeasurementError, match="no seed has all of the runs"):
        measure_effect(on_test(["transfer-0"]) - on_test(["random-1"]), data)


def test_what_was_not_run_is_said_with_its_name():
    with pytest.raises(MissingMeasurementError, match="no run of"):
        on_test(["gone-0"]).value(table(*scores("random", [0.6])), {"gone-0"})


def test_test_patients_count_where_both_sides_have_the_same():
    data = table(
        *scores("transfer", [0.9, 0.8]),
        *scores("random", [0.7, 0.6]),
        patient_draws={
            run: PatientDraws(np.array([1.0, 2.0, 3.0]) * scale, 9, "set", 4)
            for scale, start in ((2.0, "transfer"), (1.0, "random"))
            for run in names(start, (0, 1))
        },
    )
    contrast = on_test(names("transfer")) - on_test(names("random"))
    found = measure_effect(contrast, data)
    assert found.patient_variance == pytest.approx(1.0)
    assert found.seed_variance == pytest.approx(0.0, abs=1e-12)


def test_several_folds_share_training_images_and_seeds_of_one_fold_do_not():
    rows, runs = scores("random", [0.9, 0.8, 0.6]), names("random")
    ratios = {"test_to_train": dict.fromkeys(runs, 0.25)}
    one = table(*(row | {"fold": 2} for row in rows), **ratios)
    folds = table(*(row | {"fold": k} for k, row in enumerate(rows)), **ratios)
    alone, several = (measure_effect(on_test(runs), data) for data in (one, folds))
    assert (alone.over, several.over) == ("seed", "fold")
    assert several.seed_variance == pytest.approx(alone.seed_variance * (1 + 3 / 4))


def test_a_ratio_is_of_means_and_not_a_mean_of_ratios():
    data = table(*scores("transfer", [0.9, 0.5]), *scores("random", [0.3, 0.5]))
    ratio = Ratio(on_test(names("transfer")), on_test(names("random")))
    assert measure_effect(ratio, data).estimate == pytest.approx(1.4 / 0.8)


def test_nothing_is_divided_by_zero_or_less():
    data = table(*scores("transfer", [0.9]), *scores("random", [0.0]))
    with pytest.raises(MissingMeasurementError, match="too few, or all alike"):
        measure_effect(
            Ratio(on_test(names("transfer")), on_test(names("random"))), data
        )


def of_stages(quantity, run, values, **more):
    return [
        {
            "quantity": quantity,
            "run": run,
            "stage": stage,
            "position": place,
            "value": value,
            **more,
        }
        for place, (stage, value) in enumerate(zip(STAGES, values, strict=True))
    ]


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (None, 0.3),
        ((0,), 0.1),
        ((-2, -1), 0.4),
        (0.0, 0.1),
        (0.5, 0.3),
        (1.0, 0.5),
        ("first half", 0.1),
        ("second half", 0.5),
    ],
)
def test_stages_are_chosen_by_place_and_never_the_head(stages, expected):
    data = table(*of_stages("knn_score", "random-0", [0.1, 0.3, 0.5, 9.0]))
    contrast = Average("knn_score", ("random-0",), stages=stages)
    assert contrast.value(data, {"random-0"}) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("reduce", "expected"), [("max", 0.5), ("min", 0.2), ("mean", 0.35)]
)
def test_several_rows_of_a_stage_become_one(reduce, expected):
    rows = [
        row | {"item": item, "value": value}
        for item, value in (("class", 0.2), ("spatial", 0.5))
        for row in of_stages("knn_score", "random-0", [0, 0, 0, 0])
    ]
    contrast = Average("knn_score", ("random-0",), reduce=reduce)
    assert contrast.value(table(*rows), {"random-0"}) == pytest.approx(expected)


def test_layers_are_compared_with_themselves_where_that_is_asked():
    rows = [
        {
            "quantity": "layer_cka",
            "run": "random-0",
            "run_b": "random-0",
            "stage": STAGES[i],
            "position": i,
            "position_b": j,
            "item": f"{i} – {j}",
            "value": 0.9 - 0.2 * i if i == j else 0.0,
        }
        for i in range(4)
        for j in range(4)
    ]
    contrast = Average("layer_cka", ("random-0",), same_stage=True, stages="first half")
    assert contrast.value(table(*rows), {"random-0"}) == pytest.approx(0.9)


def similarity(a, b, value):
    return {
        "quantity": "cca",
        "run": a,
        "run_b": b,
        "weights": "trained",
        "weights_b": "trained",
        "stage": "conv1",
        "position": 0,
        "value": value,
    }


def test_pairs_of_two_starts_have_different_seeds():
    rows = [
        similarity(
            run_name("random", a), run_name("transfer", b), 9.0 if a == b else 0.4
        )
        for a in range(3)
        for b in range(3)
    ]
    rows += scores("transfer", [0.5] * 3)  # So that they are runs of the study.
    contrast = PairAverage("cca", names("random"), names("transfer"))
    found = measure_effect(contrast, table(*rows))
    assert found.estimate == pytest.approx(0.4)


def test_pairs_of_donors_are_of_one_repetition():
    rows = [
        similarity(run_name("left", a), run_name("right", b), 0.7 if a == b else 9.0)
        for a in range(3)
        for b in range(3)
    ]
    rows += scores("right", [0.5] * 3)
    contrast = PairAverage("cca", names("left"), names("right"), match="same")
    assert measure_effect(contrast, table(*rows)).estimate == pytest.approx(0.7)


def test_pairs_of_one_start_count_whichever_side_comes_first():
    rows = [
        similarity("random-0", "random-1", 0.2),
        similarity("random-2", "random-0", 0.4),
        similarity("random-1", "random-2", 0.6),
    ]
    found = measure_effect(PairAverage("cca", names("random")), table(*rows))
    assert found.estimate == pytest.approx(0.4)
    # Tukey's pseudo-values: three times the mean, minus twice that of the pair left.
    assert sorted(found.values) == pytest.approx([0.0, 0.4, 0.8])


def test_an_interval_over_pairs_is_that_of_the_runs_behind_them():
    # Where a pair's value is the mean of its two runs' own, the pairs say nothing
    # that the runs do not: the interval must be Student's over the runs.
    own = [0.2, 0.5, 0.4, 0.9]
    rows = [
        similarity(run_name("random", a), run_name("random", b), (own[a] + own[b]) / 2)
        for a, b in itertools.combinations(range(4), 2)
    ]
    rows += scores("random", [0.5] * 4)  # So that they are runs of the study.
    contrast = PairAverage("cca", names("random", range(4)))
    found = measure_effect(contrast, table(*rows))
    assert (found.estimate, found.low, found.high) == pytest.approx(textbook.seeds(own))


def test_two_runs_of_a_start_give_no_interval():
    rows = table(similarity("random-0", "random-1", 0.3), *scores("random", [0.5] * 2))
    found = measure_effect(PairAverage("cca", names("random", (0, 1))), rows)
    assert found.estimate == 0.3
    assert np.isnan([found.low, found.high]).all()


def curve(run, values):
    rows = [
        {
            "quantity": "score",
            "split": "validation",
            "run": run,
            "step": 10 * index,
            "value": value,
        }
        for index, value in enumerate(values)
    ]
    rows.append({"quantity": "best_validation", "run": run, "value": max(values)})
    rows.append({"quantity": "chance", "run": run, "value": 0.5})
    return [*rows, {"quantity": "steps", "run": run, "value": 10 * len(values) - 10}]


def test_the_metric_while_learning_is_up_to_where_random_weights_have_learnt():
    # The threshold is 0.5 + 0.9 × 0.4 = 0.86; random weights are there at step 20.
    random, transfer = [0.5, 0.6, 0.86, 0.9], [0.5, 0.9, 0.9, 0.1]
    data = table(*curve("random-0", random), *curve("transfer-0", transfer))
    contrast = WhileLearning(("transfer-0",), ("random-0",))
    threshold, horizon = contrast.race(data)
    assert (threshold, horizon) == pytest.approx((0.86, 20))
    expected = mean_while_learning([0, 10, 20], transfer[:3])
    assert contrast.value(data, {"transfer-0"}) == pytest.approx(expected)


def test_curves_are_of_the_test_split_where_all_random_weights_have_them():
    # Transfusion, figures 6 to 8: "Test AUC" over training steps.
    def shown(run, values):
        rows = [row for row in curve(run, values) if row.get("split")]
        return [row | {"split": "test_curve"} for row in rows]

    random = [0.5, 0.6, 0.86, 0.9]
    data = [*curve("random-0", random), *curve("transfer-0", random)]
    data += [*shown("random-0", [0.5, 0.95, 1.0, 1.0]), *shown("transfer-0", [0.5] * 4)]
    contrast = WhileLearning(("transfer-0",), ("random-0",))
    # The threshold is that of the validation split, the horizon where test is there.
    assert contrast.race(table(*data)) == pytest.approx((0.86, 8))
    assert contrast.value(table(*data), {"transfer-0"}) == pytest.approx(0.5)
    # A seed of random weights without them: validation, for all.
    data += curve("random-1", random)
    contrast = WhileLearning(("transfer-0",), ("random-0", "random-1"))
    assert contrast.race(table(*data)) == pytest.approx((0.86, 20))


def similar(a, b, weights, value):
    """A row of a pair's similarity at the lowest stage."""
    return {
        "quantity": "cca",
        "run": a,
        "run_b": b,
        "weights": weights,
        "weights_b": weights,
        "stage": "conv1",
        "position": 0,
        "value": value,
    }


def pairs_of(seeds, values):
    """Pairs of random starts, similar as `values` say before and after training."""
    pairs = itertools.combinations(names("random", range(seeds)), 2)
    return scores("random", [0.8] * seeds) + [
        similar(*pair, weights, value)
        for pair, own in zip(pairs, values, strict=True)
        for weights, value in zip(("initial", "trained"), own, strict=True)
    ]


def test_what_pairs_share_at_the_end_is_told_by_what_they_shared_at_the_start():
    # Transfusion, figure 4: R² of CCA after training on CCA at initialization.
    start = np.linspace(0.5, 0.6, 6)
    noise = np.array([0.01, -0.02, 0.0, 0.02, -0.01, 0.01])
    end = 0.2 + 0.8 * start + noise
    contrast = StartEndRSquared("cca", names("random", range(4)), stages=(0,))
    data = table(*pairs_of(4, zip(start, end, strict=True)), seeds=range(4))
    found = contrast.value(data, names("random", range(4)))
    assert found == pytest.approx(np.corrcoef(start, end)[0, 1] ** 2)
    # Pairs of a run that is left out are left out; two pairs make no line.
    assert np.isnan(contrast.value(data, names("random", (0, 1))))


def test_r_squared_of_as_many_unrelated_pairs_differs_by_nothing_on_average():
    generator = np.random.default_rng(0)
    contrast = StartEndRSquared("cca", names("random", range(5)), stages=(0,))
    found = []
    for _ in range(60):
        data = table(*pairs_of(5, generator.normal(size=(10, 2))), seeds=range(5))
        found.append(contrast.value(data, names("random", range(5))))
    # Each has 1 / (pairs - 1), which a difference of two does not.
    assert np.mean(found) == pytest.approx(1 / 9, abs=0.05)
    assert np.mean(found[::2]) - np.mean(found[1::2]) == pytest.approx(0, abs=0.07)


def test_rank_correlation_is_spearman_s_of_each_seed():
    values = np.random.default_rng(0).normal(size=(4, 2))
    rows = [row for k in range(4) for row in scores(f"start{k}", values[k])]
    points = tuple(
        (Constant(float(k)), on_test(names(f"start{k}", (0, 1)))) for k in range(4)
    )
    found = measure_effect(RankCorrelation(points), table(*rows))
    each = [stats.spearmanr(range(4), values[:, seed]).statistic for seed in (0, 1)]
    assert found.estimate == pytest.approx(np.mean(each))
    assert found.values == pytest.approx(tuple(each))


def test_settings_that_are_all_alike_have_no_rank():
    rows = [row for k in range(4) for row in scores(f"start{k}", [0.5])]
    points = tuple((Constant(float(k)), on_test([f"start{k}-0"])) for k in range(4))
    with pytest.raises(MissingMeasurementError, match="all alike"):
        measure_effect(RankCorrelation(points), table(*rows))


def test_a_slope_is_through_the_points_of_all_repetitions():
    x, y = [0.1, 0.4, 0.2], [0.9, 0.5, 0.8]
    rows = [
        {"quantity": "cca", "run": run_name("transfer", seed), "value": value}
        for seed, value in enumerate(x)
    ]
    points = ((Average("cca", names("transfer")), on_test(names("transfer"))),)
    found = measure_effect(Slope(points), table(*rows, *scores("transfer", y)))
    assert found.estimate == pytest.approx(np.polyfit(x, y, 1)[0])


def test_within_settings_a_slope_leaves_out_what_settings_differ_in():
    x = {"transfer": [0.1, 0.4, 0.2], "sampled": [0.6, 0.9, 0.8]}
    # Falls within either, and rises from one to the other.
    y = {
        start: [2 * k - 0.5 * v for v in values]
        for k, (start, values) in enumerate(x.items())
    }
    rows = [
        {"quantity": "cca", "run": run_name(start, seed), "value": value}
        for start, values in x.items()
        for seed, value in enumerate(values)
    ]
    data = table(
        *rows, *scores("transfer", y["transfer"]), *scores("sampled", y["sampled"])
    )
    points = tuple((Average("cca", names(start)), on_test(names(start))) for start in x)
    assert measure_effect(Slope(points), data).estimate > 1
    within = Slope(points, within=True)
    assert measure_effect(within, data).estimate == pytest.approx(-0.5)
    assert from_dict(to_dict(within, {})).within


def test_the_data_set_nearest_to_the_source_is_found_when_it_is_measured():
    distances = [
        {"quantity": "frechet_distance", "dataset": name, "value": value}
        for name, value in (("retina", 30.0), ("chest", 80.0))
    ]
    data = table(
        *(row | {"dataset": "chest"} for row in scores("random", [0.6])),
        *(row | {"dataset": "retina"} for row in scores("transfer", [0.9])),
        *distances,
    )
    options = (on_test(["random-0"]), on_test(["transfer-0"]))
    runs = {"random-0", "transfer-0"}
    assert ByDistance(options).value(data, runs) == 0.9
    assert ByDistance(options, farthest=True).value(data, runs) == 0.6
    with pytest.raises(MissingMeasurementError, match="fewer than two data sets"):
        ByDistance(options[:1]).value(data, runs)


def test_what_a_study_cannot_have_says_why():
    contrast = Minus(Unavailable("this study has one donor alone"), Constant(0.0))
    with pytest.raises(MissingMeasurementError, match="one donor alone"):
        measure_effect(contrast, table(*scores("random", [0.6])))


def test_contrasts_are_read_as_they_are_written_and_runs_by_their_ids():
    contrast = Minus(
        Mean(
            (
                Scaled(on_test(["a", "b"]), 2.0),
                PairAverage("cca", ("a", "b"), ("c",), stages=(-2, -1)),
            )
        ),
        RankCorrelation(
            (
                (Constant(0.5), WhileLearning(("a",), ("c",))),
                (Constant(1.0), speed_over(("a",), ("c",), threshold=0.91)),
            )
        ),
    )
    ids = {"a": "run-a", "b": "run-b", "c": "run-c"}
    found = from_dict(to_dict(contrast, ids))
    assert found.groups()[0] == ("run-a", "run-b")
    same = {name: name for name in ids.values()}
    assert from_dict(to_dict(found, same)) == found


def test_what_is_no_contrast_is_refused():
    with pytest.raises(UserError, match="not a contrast"):
        from_dict({"kind": "Guess"})
    with pytest.raises(UserError, match="not a contrast"):
        from_dict({"kind": "Constant", "value": 3})


def drawn(values, rarer=20):
    """Bootstrap samples of one validation set."""
    return PatientDraws(np.asarray(values, float), 80, "validation", rarer)


def test_a_lead_while_learning_carries_the_validation_patients():
    """As the metric of the kept weights varies with them, at 20 of the rarer side."""
    rng, runs = np.random.default_rng(0), [*names("random"), *names("transfer")]
    rows = [
        row for run in runs for row in curve(run, [0.5, 0.6 + rng.random() / 9, 0.8])
    ]
    shared = 0.02 * rng.normal(size=(2, 1, 400))
    draws = (0.8 + shared + 0.005 * rng.normal(size=(2, 3, 400))).reshape(6, 400)
    sets = {run: drawn(own) for run, own in zip(runs, draws, strict=True)}
    baseline, transfer = names("random"), names("transfer")
    lead = WhileLearning(transfer, baseline) - WhileLearning(baseline, baseline)
    found = measure_effect(lead, table(*rows, validation_draws=sets))
    expected = textbook.patient_variance(draws[3:] - draws[:3])
    assert found.patient_variance == pytest.approx(expected)
    assert found.patient_variance > 0.0005
    assert found.patients == 20
    assert measure_effect(lead, table(*rows)).patient_variance is None


def test_steps_to_a_threshold_carry_the_validation_patients():
    """A metric 0.03 higher on others is there a third of ten steps earlier."""
    rows = [*curve("random-0", [0.5, 0.6, 0.9]), *curve("transfer-0", [0.5, 0.8, 0.9])]
    sets = {
        "random-0": drawn([0.9, 0.9]),
        "transfer-0": drawn([0.87, 0.93]),
    }
    data = table(*rows, validation_draws=sets)
    contrast = StepsToThreshold(("transfer-0",), ("random-0",))
    # The threshold is 0.86.
    assert contrast.value(data, {"transfer-0"}) == pytest.approx(16)
    found = contrast.draws(data, {"transfer-0"})
    assert found == pytest.approx([19, 13])


# Learns to 0.9 by step 30, up to 0.86 by step 20; twice as fast; not up to 0.86.
RANDOM, SOONER, NEVER = (
    [0.5, 0.6, 0.86, 0.9],
    [0.5, 0.86, 0.9, 0.9],
    [0.5, 0.6, 0.7, 0.8],
)


def raced(random, transfer):
    """Their measurements, and the speed of the one over the other."""
    rows = [
        row
        for start, own in (("random", random), ("transfer", transfer))
        for seed, values in enumerate(own)
        for row in curve(run_name(start, seed), values)
    ]
    runs, baseline = (
        names(start, range(len(own)))
        for start, own in (("transfer", transfer), ("random", random))
    )
    return table(*rows), speed_over(runs, baseline)


def test_half_the_steps_are_one_doubling_of_speed():
    data, contrast = raced([RANDOM], [SOONER])
    assert measure_effect(contrast, data).estimate == pytest.approx(1.0)
    assert open_end_in_words(contrast.open_ends(data)) == ""
    data, contrast = raced([SOONER], [RANDOM])
    assert measure_effect(contrast, data).estimate == pytest.approx(-1.0)


def test_a_run_that_never_learns_counts_with_the_last_step():
    # The threshold is 0.5 + 0.9 × (0.9 − 0.5); the slow one counts 30, 20 is the other.
    data, contrast = raced([RANDOM] * 2, [SOONER, NEVER])
    found = contrast.value(data, [*names("random"), *names("transfer")])
    assert found == pytest.approx(np.log2(20 / ((10 + 30) / 2)))
    assert open_end_in_words(contrast.open_ends(data)) == "at most"
    # Random weights of which one never gets there: the others' speed is at least that.
    low = [0.5, 0.6, 0.8, 0.8]
    data, contrast = raced([RANDOM, low], [SOONER] * 2)
    _, theirs = contrast.parts
    assert open_end_in_words(contrast.open_ends(data)) == "at least"
    assert open_end_in_words(Scaled(contrast, -1.0).open_ends(data)) == "at most"
    assert open_end_in_words((contrast - contrast).open_ends(data)) == ""
    assert theirs.never(data) == []


def test_there_is_no_speed_where_no_random_weights_get_to_the_threshold():
    data, _ = raced([RANDOM], [SOONER])
    contrast = speed_over(
        names("transfer", (0,)), names("random", (0,)), threshold=0.95
    )
    with pytest.raises(
        MissingMeasurementError, match="no run from random weights reach"
    ):
        measure_effect(contrast, data)


def test_a_shorter_training_that_does_not_get_there_says_nothing():
    data, contrast = raced([RANDOM], [NEVER[:3]])
    with pytest.raises(MissingMeasurementError):
        measure_effect(contrast, data)


def test_speed_carries_the_validation_patients():
    """A run that other patients keep from the threshold counts twice the steps."""
    rows = [*curve("random-0", RANDOM), *curve("transfer-0", SOONER)]
    sets = {"random-0": drawn([0.9, 0.9]), "transfer-0": drawn([0.8, 1.0])}
    data = table(*rows, validation_draws=sets)
    race = RestrictedSteps(("transfer-0",), ("random-0",))
    # 0.1 lower it would be at 0.8, below the threshold of 0.86; higher, at 0.76.
    assert race.draws(data, {"transfer-0"}) == pytest.approx([60, 10 * 0.26 / 0.36])
    speed = speed_over(("transfer-0",), ("random-0",))
    found = speed.draws(data, {"transfer-0", "random-0"})
    assert found == pytest.approx(np.log2(20 / np.array([60, 10 * 0.26 / 0.36])))


def test_folds_of_several_data_sets_share_images_as_the_data_sets_do_on_average():
    """Not as their runs: the first has three groups of them, the second one."""
    starts = ("a", "b", "c", "d")
    rows = []
    for place, start in enumerate(starts):
        values = 0.8 + 0.01 * np.random.default_rng(place).normal(size=3)
        rows += [
            row | {"fold": fold, "dataset": "few" if start == "d" else "many"}
            for fold, row in enumerate(scores(start, values))
        ]
    ratios = {
        run: 0.1 if run.startswith("d") else 0.5 for s in starts for run in names(s)
    }
    contrast = Mean(tuple(on_test(names(start)) for start in starts))
    found = measure_effect(contrast, table(*rows, test_to_train=ratios))
    expected = textbook.folds(found.values, (0.1 + 0.5) / 2)
    assert (found.estimate, found.low, found.high) == pytest.approx(expected)
