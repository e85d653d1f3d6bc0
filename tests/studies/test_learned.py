"""Which arms of a comparison have learned anything, and how often chance passes."""

import numpy as np
import pytest
from studies.measured import names, run_name, scores, table

from transfusion_tf.evaluation import estimate_mean
from transfusion_tf.studies.learned import (
    NotLearned,
    is_above,
    untrained,
    why_nothing_learned,
)


def runs(values, start="random", best_step=100, losses=(0.7, 0.5), **more):
    """Runs with test scores, a best step and a validation loss before and after."""
    rows = scores(start, values)
    for seed in range(len(values)):
        run = {"run": run_name(start, seed), **more}
        rows += [
            {**run, "quantity": "chance", "value": 0.5},
            {**run, "quantity": "best_validation", "value": values[seed]},
            {**run, "quantity": "best_step", "value": best_step},
        ]
        rows += [
            {
                **run,
                "quantity": "loss",
                "split": "validation",
                "step": step,
                "value": value,
            }
            for step, value in zip((0, 100), losses, strict=True)
        ]
    return rows


def why(*rows, count=3):
    found = why_nothing_learned(table(*rows), names("random", range(count)))
    return found.text if found else ""


def test_runs_well_above_chance_have_learned():
    assert why(*runs([0.80, 0.82, 0.81])) == ""


def test_an_interval_above_chance_is_not_enough_the_level_counts_too():
    assert why(*runs([0.520, 0.521, 0.522])) == "they end at 0.52, and chance is 0.50"


def test_a_level_above_chance_is_not_enough_the_interval_counts_too():
    assert "not settled to be above chance" in why(*runs([0.5, 0.7, 0.9]))


def test_runs_that_are_best_before_their_first_step_never_trained():
    rows = runs([0.8, 0.82, 0.81], best_step=0)
    assert why(*rows).startswith(
        "3 of 3 runs never trained: of the first, its best weights are"
    )


def test_runs_whose_loss_ran_away_never_trained():
    rows = runs([0.8, 0.82, 0.81], losses=(0.7, 2900.0))
    assert why(*rows).endswith("its validation loss went from 0.7 to 2.9e+03")


def test_one_run_in_ten_may_fail():
    rows = runs([0.8 + 0.001 * seed for seed in range(10)])
    (dead,) = (
        row
        for row in rows
        if (row["run"], row["quantity"]) == ("random-0", "best_step")
    )
    dead["value"] = 0
    assert list(untrained(table(*rows), names("random", range(10)))) == ["random-0"]
    assert why(*rows, count=10) == ""
    assert why(*rows, count=9).startswith("1 of 9 runs never trained")


def test_a_donor_at_chance_has_nothing_to_give():
    targets = [
        row | {"donor_run": "donor-0"} for row in runs([0.8, 0.82, 0.81], "transfer")
    ]
    for level, found in (
        (0.52, NotLearned("donor", "their donor is at chance")),
        (0.8, None),
    ):
        measured = table(*targets, *runs([level], "donor"))
        assert why_nothing_learned(measured, names("transfer")) == found


@pytest.mark.parametrize("seeds", [3, 10, 40])
def test_chance_passes_in_fewer_than_one_case_in_twenty(seeds):
    generator = np.random.default_rng(seeds)
    skills = generator.normal(0, 0.2, (2000, seeds))
    passed = np.mean([is_above(estimate_mean(each)) for each in skills])
    assert passed < 0.05
