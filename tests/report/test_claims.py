"""A claim holds, does not hold, or is not decided, by a rule on its interval."""

import pytest

from transfusion_tf.evaluation import Quantity
from transfusion_tf.report.claims import Claim, judge_claims
from transfusion_tf.report.evidence import MissingEvidenceError


def verdict(rule, values):
    claim = Claim(
        "Water is wet.",
        "figure 1",
        "wetness",
        "AUC",
        rule,
        lambda evidence: Quantity(dict(enumerate(values))),
    )
    return judge_claims([claim], evidence=None).iloc[0]


def around(centre, half):
    """Three seeds whose 95 % interval is centre ± half."""
    step = half / 2.484  # t(0.975, 2) / sqrt(3) standard deviations of (-1, 0, 1).
    return [centre - step, centre, centre + step]


@pytest.mark.parametrize(
    ("rule", "centre", "half", "expected"),
    [
        # The margin is 0.02.
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
    row = verdict(rule, around(centre, half))
    assert row["verdict"] == expected
    assert row["estimate"] == pytest.approx(centre)
    assert row["high"] - row["estimate"] == pytest.approx(half, rel=1e-3)


def test_one_seed_decides_nothing():
    row = verdict("above", [0.4])
    assert (row["verdict"], row["seeds"]) == ("not decided here", 1)
    assert "too few seeds" in row["reason"]


def test_what_was_not_run_is_not_asked():
    def measure(evidence):
        raise MissingEvidenceError("no run of resnet50 has a result")

    claim = Claim("Water is wet.", "figure 1", "wetness", "AUC", "above", measure)
    row = judge_claims([claim], evidence=None).iloc[0]
    assert (row["verdict"], row["estimate"]) == ("not asked", None)
    assert row["reason"] == "no run of resnet50 has a result"


def test_a_difference_of_runs_that_share_no_seed_is_not_asked():
    def measure(evidence):
        return Quantity({0: 0.9}) - Quantity({1: 0.8})

    claim = Claim("Water is wet.", "figure 1", "wetness", "AUC", "above", measure)
    row = judge_claims([claim], evidence=None).iloc[0]
    assert (row["verdict"], row["reason"]) == (
        "not asked",
        "no seed has all of the runs",
    )
