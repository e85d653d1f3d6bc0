"""A claim holds, does not hold, or is not decided, by a rule on its interval."""

import json

import numpy as np
import pytest
from studies.measured import names, scores, table

from transfusion_tf.errors import UserError
from transfusion_tf.evaluation.estimates import NO_SPREAD
from transfusion_tf.studies.claims import (
    HOLDS,
    NOT_DECIDED,
    Claim,
    Gate,
    claim_from_dict,
    claim_to_dict,
    judge_claims,
    with_learned_runs,
)
from transfusion_tf.studies.contrasts import Average, Constant, Unavailable, on_test
from transfusion_tf.studies.measurements.table import PatientDraws
from transfusion_tf.training import RunConfig


def claim(rule, contrast=None, unit="AUC", **fields):
    contrast = contrast or on_test(names("effect"))
    return Claim("Water is wet.", "figure 1", "wetness", unit, rule, contrast, **fields)


def judge(asked, *rows):
    return judge_claims([asked], table(*rows)).iloc[0]


def around(centre, half):
    """Three seeds whose 95 % interval is centre ± half."""
    step = half / 2.484  # t(0.975, 2) / sqrt(3) standard deviations of (-1, 0, 1).
    return scores("effect", [centre - step, centre, centre + step])


@pytest.mark.parametrize(
    ("rule", "centre", "half", "expected"),
    [
        # The margin of AUC is 0.02.
        ("above", 0.05, 0.04, "holds"),
        ("above", 0.05, 0.06, "not decided here"),
        ("above", -0.05, 0.04, "does not hold"),
        ("above", 0.00, 0.01, "does not hold"),
        ("above", 0.01, 0.015, "not decided here"),
        ("alike", 0.00, 0.01, "holds"),
        ("alike", 0.00, 0.03, "not decided here"),
        ("alike", 0.05, 0.02, "does not hold"),
        ("alike", -0.05, 0.02, "does not hold"),
        ("at_least", 0.05, 0.06, "holds"),
        ("at_least", -0.01, 0.005, "holds"),
        ("at_least", -0.01, 0.05, "not decided here"),
        ("at_least", -0.05, 0.02, "does not hold"),
    ],
)
def test_rules(rule, centre, half, expected):
    row = judge(claim(rule), *around(centre, half))
    assert row["verdict"] == expected
    assert row["estimate"] == pytest.approx(centre)
    assert row["high"] - row["estimate"] == pytest.approx(half, rel=1e-3)


def test_margins_belong_to_units():
    rows = around(0.0, 0.03)
    assert judge(claim("alike", unit="AUC"), *rows)["verdict"] == "not decided here"
    found = judge(claim("alike", unit="CCA"), *rows)
    assert found["verdict"] == "holds"
    assert "±0.05" in found["rule"]


def test_one_seed_decides_nothing():
    row = judge(claim("above"), *scores("effect", [0.4]))
    assert (row["verdict"], row["seeds"]) == ("not decided here", 1)
    assert "too few seeds" in row["reason"]


def test_what_was_not_run_is_not_asked():
    row = judge(claim("above", on_test(["gone-0"])), *scores("effect", [0.4]))
    assert (row["verdict"], row["estimate"]) == ("not asked", None)
    assert row["reason"] == "no run of gone-0 has a result"


def test_what_a_study_cannot_have_is_not_asked():
    row = judge(claim("above", Unavailable("one donor alone")))
    assert (row["verdict"], row["reason"]) == ("not asked", "one donor alone")


def test_a_closed_gate_keeps_a_claim_from_being_judged():
    rows = [*around(0.05, 0.04), *scores("donor", [0.49, 0.5, 0.51])]
    gate = Gate("the donor has learnt nothing", on_test(names("donor")) - Constant(0.5))
    row = judge(claim("above", gates=(gate,)), *rows)
    assert (row["verdict"], row["reason"]) == (
        "not decided here",
        "the donor has learnt nothing",
    )
    assert row["estimate"] == pytest.approx(0.05)


def test_an_open_gate_lets_it_be_judged():
    rows = [*around(0.05, 0.04), *scores("donor", [0.8, 0.81, 0.82])]
    gate = Gate("the donor has learnt nothing", on_test(names("donor")) - Constant(0.5))
    assert judge(claim("above", gates=(gate,)), *rows)["verdict"] == "holds"


@pytest.mark.parametrize(
    ("best", "expected"), [(0.52, "not decided here"), (0.7, "holds")]
)
def test_donors_that_learnt_nothing_decide_nothing(best, expected):
    config = RunConfig(
        dataset="retina",
        model="cbr_tiny",
        initialization="transfer",
        donor="photographs",
    )
    configs = [config.replace(seed=seed) for seed in range(3)]
    (asked,) = with_learned_runs([claim("above", on_test(configs))])
    ids = dict(zip(configs, names("effect"), strict=True))
    rows = [row | {"donor_run": "donor-0"} for row in around(0.85, 0.04)]
    donor = [
        {"quantity": "best_validation", "run": "donor-0", "value": best},
        *(
            {"quantity": "chance", "run": run, "value": 0.5}
            for run in ("donor-0", *names("effect"))
        ),
    ]
    row = judge(claim_from_dict(claim_to_dict(asked, ids)), *rows, *donor)
    assert row["verdict"] == expected
    assert row["estimate"] == pytest.approx(0.85)
    assert ("10% of the way from chance" in row["reason"]) == (best == 0.52)


_SPREADS = {"left": (0.0, 0.001, 0.002), "right": (0.001, 0.0, 0.002)}


@pytest.mark.parametrize(
    ("rule", "levels", "expected"),
    [
        ("above", (0.9, 0.5), "holds"),  # One side never learned: a finding.
        ("above", (0.54, 0.5), "not decided here"),
        ("alike", (0.9, 0.9), "holds"),
        ("alike", (0.5, 0.5), "not decided here"),
    ],
)
def test_scores_at_chance_decide_nothing(rule, levels, expected):
    sides = [
        [RunConfig(dataset="retina", model=model, seed=seed) for seed in range(3)]
        for model in ("cbr_tiny", "cbr_small")
    ]
    (asked,) = with_learned_runs([claim(rule, on_test(sides[0]) - on_test(sides[1]))])
    starts = ("left", "right")
    ids = {
        config: name
        for start, side in zip(starts, sides, strict=True)
        for config, name in zip(side, names(start), strict=True)
    }
    rows = [
        row
        for start, level in zip(starts, levels, strict=True)
        for row in scores(start, [level + far for far in _SPREADS[start]])
    ]
    rows += [{"quantity": "chance", "run": run, "value": 0.5} for run in ids.values()]
    asked = claim_from_dict(claim_to_dict(asked, ids))
    assert judge(asked, *rows)["verdict"] == expected


def test_a_claim_is_judged_alike_from_what_a_study_keeps_of_it():
    gate = Gate("the donor has learnt nothing", on_test(names("donor")))
    asked = claim("at_least", gates=(gate,), published=0.03)
    ids = {name: name for start in ("effect", "donor") for name in names(start)}
    kept = json.loads(json.dumps(claim_to_dict(asked, ids)))
    assert claim_from_dict(kept) == asked


def test_unknown_rules_and_units_are_refused():
    with pytest.raises(UserError, match="above, alike, at_least"):
        claim("below")
    with pytest.raises(UserError, match="unit 'furlong'"):
        claim("above", unit="furlong")


def judged_on_patients(draws, rarer, values):
    """A claim that two starts score alike, of test sets with so many of the rarer."""
    sets = {
        run: PatientDraws(np.asarray(draws, float), 400, "test set", rarer)
        for run in (*names("transfer"), *names("random"))
    }
    rows = [*scores("transfer", values), *scores("random", values[::-1])]
    alike = Claim(
        "They end alike.",
        "table 1",
        "transfer minus random",
        "AUC",
        "alike",
        on_test(names("transfer")) - on_test(names("random")),
    )
    (row,) = judge_claims([alike], table(*rows, patient_draws=sets)).to_dict("records")
    return row["verdict"], row["reason"]


def test_perfect_scores_on_both_sides_are_not_called_alike():
    """No seed and no bootstrap sample differs: the interval had a width of 0."""
    found = judged_on_patients([1.0] * 50, 30, [1.0, 1.0, 1.0])
    assert found == ("not decided here", NO_SPREAD)


def test_fewer_than_ten_patients_of_the_rarer_class_decide_nothing():
    draws = np.linspace(0.9, 0.92, 50)
    values = [0.91, 0.911, 0.912]
    assert judged_on_patients(draws, 10, values) == ("holds", "")
    assert judged_on_patients(draws, 9, values) == (
        "not decided here",
        "too few test patients: 9 on the rarer side",
    )


def test_runs_that_collapsed_are_named_beside_the_verdict():
    seeds = range(10)
    rows = scores("transfer", [0.9 + 0.001 * s for s in seeds])
    rows += scores("random", [*(0.7 + 0.002 * s for s in range(9)), 0.52])
    rows += [
        {"quantity": "chance", "run": run, "value": 0.5}
        for run in (*names("transfer", seeds), *names("random", seeds))
    ]
    effect = on_test(names("transfer", seeds)) - on_test(names("random", seeds))
    gains = Claim("It gains.", "table 1", "on test", "AUC", "above", effect)
    (row,) = judge_claims([gains], table(*rows, seeds=seeds)).to_dict("records")
    assert row["verdict"] == "holds"
    assert row["reason"] == "1 of 10 runs of cbr_tiny from random collapsed"


def test_what_is_above_zero_by_its_own_interval_alone_is_said_to_be():
    """Holm (1979): the smallest of three p values is taken three times."""
    rows = scores("a", [0.026, 0.054, 0.040]) + scores("b", [0.1, -0.1, 0.02])
    rows += scores("c", [-0.1, 0.2, 0.0])
    found = judge_claims(
        [Claim("", "", "", "AUC", "above", on_test(names(each))) for each in "abc"],
        table(*rows),
    )
    assert list(found["verdict"]) == [HOLDS, NOT_DECIDED, NOT_DECIDED]
    assert found["reason"][0] == "by its own interval, not among all 3 together"
    assert found["adjusted_p_value"][0] == pytest.approx(3 * found["p_value"][0])


@pytest.mark.parametrize(
    ("steps", "last", "asked", "expected"),
    [
        ((100, 100), (100, 100), (100, 100), HOLDS),
        # The best weights, after steps of their own.
        ((100, 40), (100, 100), (100, 100), NOT_DECIDED),
        # The last ones, of runs that were stopped early, or were to be shorter.
        ((100, 40), (100, 40), (100, 100), HOLDS),
        ((100, 40), (100, 40), (100, 40), NOT_DECIDED),
    ],
)
def test_what_moved_is_compared_at_equal_steps(steps, last, asked, expected):
    rows = []
    for seed in range(3):
        for start, distance in (("far", 2.0 + seed / 9), ("near", 1.0 + seed / 8)):
            run = f"{start}-{seed}"
            place = seed == 2
            rows.append(
                {"quantity": "travel_distance", "run": run, "run_b": run}
                | {"weights_b": "trained", "step": steps[place], "value": distance}
            )
            rows.append({"quantity": "step", "run": run, "value": last[place]})
            rows.append({"quantity": "steps", "run": run, "value": asked[place]})
    far, near = (Average("travel_distance", names(start)) for start in ("far", "near"))
    moved = Claim("It moved.", "figure 4", "distance", "", "above", far - near)
    (row,) = judge_claims([moved], table(*rows)).to_dict("records")
    assert row["verdict"] == expected
    if expected == NOT_DECIDED:
        assert row["reason"].endswith("after different numbers of steps, 40 to 100")
