"""What may run when: the one decision that every engine and every shard follows."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """A run and what it stands on.

    Attributes:
      run_id: its name.
      donor: the run id of the planned run whose weights it starts from; None where it
        waits for none.
    """

    run_id: str
    donor: str | None = None


@dataclasses.dataclass(frozen=True)
class Schedule:
    """What can be said of the runs that are neither finished, failed nor under way.

    Attributes:
      ready: may start now, the first one first.
      blocked: never will: run id -> the run that failed beneath it.
    """

    ready: tuple[str, ...]
    blocked: Mapping[str, str]


def schedule(
    plan: Sequence[PlannedRun],
    *,
    done: Collection[str] = (),
    failed: Collection[str] = (),
    busy: Collection[str] = (),
) -> Schedule:
    """Says what may start now, and what never will.

    Runs that others wait for come first; otherwise the plan's order stands, in which
    seeds vary slowest.

    Args:
      plan: all runs, each once; donors are among them.
      done: ids of those that are finished.
      failed: ids of those that failed.
      busy: ids of those that are under way, here or elsewhere.
    """
    donors = {run.run_id: run.donor for run in plan}
    blocked: dict[str, str] = {}
    ready = []
    for run in plan:
        if run.run_id in done or run.run_id in failed:
            continue
        culprit = _failed_beneath(run, donors, failed)
        if culprit is not None:
            blocked[run.run_id] = culprit
        elif run.run_id not in busy and (run.donor is None or run.donor in done):
            ready.append(run.run_id)
    waited_for = {
        run.donor for run in plan if run.run_id not in done and run.donor is not None
    }
    ready.sort(key=lambda run_id: run_id not in waited_for)
    return Schedule(tuple(ready), blocked)


def _failed_beneath(
    run: PlannedRun, donors: Mapping[str, str | None], failed: Collection[str]
) -> str | None:
    donor = run.donor
    while donor is not None:
        if donor in failed:
            return donor
        donor = donors.get(donor)
    return None
