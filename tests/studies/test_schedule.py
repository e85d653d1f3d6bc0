"""What may run when: donors before what stands on them, everything else at once."""

from transfusion_tf.studies.schedule import PlannedRun, schedule

# Two seeds: random, and transfer from a donor; in the order of a study.
PLAN = (
    PlannedRun("random 0"),
    PlannedRun("donor"),
    PlannedRun("transfer 0", "donor"),
    PlannedRun("random 1"),
    PlannedRun("transfer 1", "donor"),
)


def test_donors_come_first_then_the_order_of_the_study():
    now = schedule(PLAN)
    assert now.ready == ("donor", "random 0", "random 1")
    assert not now.blocked


def test_what_stands_on_a_donor_waits_for_it_and_nothing_else():
    assert schedule(PLAN, busy={"donor", "random 0"}).ready == ("random 1",)
    assert schedule(PLAN, done={"donor"}, busy={"random 0"}).ready == (
        "transfer 0",
        "random 1",
        "transfer 1",
    )


def test_what_is_done_failed_or_under_way_is_not_started_again():
    now = schedule(
        PLAN, done={"donor", "random 0"}, failed={"random 1"}, busy={"transfer 1"}
    )
    assert now.ready == ("transfer 0",)


def test_a_failed_donor_takes_along_what_stands_on_it_and_no_more():
    now = schedule(PLAN, failed={"donor"})
    assert now.blocked == {"transfer 0": "donor", "transfer 1": "donor"}
    assert now.ready == ("random 0", "random 1")
    told = schedule(PLAN, failed={"donor", "transfer 0", "transfer 1"})
    assert not told.blocked


def test_failure_reaches_through_donors_of_donors():
    chain = (PlannedRun("a"), PlannedRun("b", "a"), PlannedRun("c", "b"))
    assert schedule(chain).ready == ("a",)
    assert schedule(chain, failed={"a"}).blocked == {"b": "a", "c": "a"}
    assert schedule(chain, done={"a"}, failed={"b"}).blocked == {"c": "b"}


def test_a_donor_that_nothing_waits_for_any_more_has_no_precedence():
    plan = (PlannedRun("random"), PlannedRun("donor"), PlannedRun("transfer", "donor"))
    assert schedule(plan, done={"transfer"}).ready == ("random", "donor")


def test_when_all_is_done_nothing_is_ready():
    assert schedule(PLAN, done={run.run_id for run in PLAN}).ready == ()
