"""What would settle a question that is open: how much, how long, and the command."""

import dataclasses
import shlex
from collections.abc import Sequence

from transfusion_tf.evaluation import patients_to_settle, seeds_to_settle
from transfusion_tf.evaluation.estimates import LEAST_PATIENTS
from transfusion_tf.evaluation.power import MOST_SEEDS, POWER
from transfusion_tf.report import wording
from transfusion_tf.report.judged_differences import UNDECIDED, Case
from transfusion_tf.report.results import Results, StartRuns

_DEFAULT_ROOT = "workspace"
# So many times the steps of runs that have learned nothing.
_MORE_STEPS = 4
# With an interval.
_FEWEST_SEEDS = 3


@dataclasses.dataclass(frozen=True)
class NextStep:
    """Something to do.

    Attributes:
      text: what, why, and the time it takes.
      command: to be pasted into a shell; empty where there is none.
    """

    text: str
    command: str = ""


def next_steps(
    results: Results, helps: Sequence[Case], margin: float, comparisons: int
) -> tuple[NextStep, ...]:
    """What to do about whether transfer helps, where that is open; most urgent first.

    Args:
      results: of the study.
      helps: its cases.
      margin: of the metric.
      comparisons: that are called together with them, themselves included.
    """
    starts = [start for p in results.model_results for start in p.starts.values()]
    steps = []
    idle = [start for start in starts if start.not_learned and not start.unsettled]
    if idle:
        steps.append(_train_longer(results, idle, starts))
    elif any(start.few_patients for start in starts):
        steps.append(
            NextStep(
                "A larger test split, in the data set’s card or with more data: "
                f"{LEAST_PATIENTS} patients of each class are the least."
            )
        )
    elif any(case.judgement in UNDECIDED for case in helps):
        steps += _more_seeds(results, helps, margin, starts, comparisons)
    return tuple(steps)


def _train_longer(
    results: Results, idle: Sequence[StartRuns], starts: Sequence[StartRuns]
) -> NextStep:
    config = idle[0].first.config
    kinds = {start.not_learned.kind for start in idle if start.not_learned}
    if kinds == {"donor"}:
        donors = [run.config.steps for run in results.record.donors]
        flag = f"--donor_steps={_MORE_STEPS * max(donors, default=1000)}"
        seconds = sum(map(_seconds, starts)) + _MORE_STEPS * sum(
            run.seconds for run in results.record.donors
        )
        return NextStep(
            "A donor that has learned something: trained longer, or another one "
            f"(--donor). {_time(seconds)}",
            shown_command(results.record.command, flag),
        )
    if "diverged" in kinds:
        flag = f"--learning_rate={config.learning_rate / 10:g}"
        text = "A lower learning rate: the loss ran away."
        seconds = sum(map(_seconds, starts))
    else:
        flag = f"--steps={_MORE_STEPS * config.steps}"
        text = f"{_MORE_STEPS} times the steps, for runs that learn something."
        seconds = _MORE_STEPS * sum(map(_seconds, starts))
    changes, have = [flag], max(len(start.runs) for start in starts)
    if have < _FEWEST_SEEDS and config.fold is None:
        changes.append(f"--seeds={_FEWEST_SEEDS}")
        text += " And three seeds: fewer have no interval."
        seconds *= _FEWEST_SEEDS / have
    command = shown_command(results.record.command, *changes)
    return NextStep(f"{text} {_time(seconds)}", command)


def _more_seeds(
    results: Results,
    helps: Sequence[Case],
    margin: float,
    starts: Sequence[StartRuns],
    several: int,
) -> list[NextStep]:
    have = max(case.difference.seeds for case in helps)
    if any(case.difference.over == "fold" for case in helps):
        return []
    open_cases = [case for case in helps if case.judgement in UNDECIDED]
    each = sum(_seconds(start) / len(start.runs) for start in starts)
    known = [case for case in open_cases if case.difference.seeds > 1]
    if not known:
        return [
            NextStep(
                "Three seeds: fewer have no interval. "
                f"{_time((_FEWEST_SEEDS - have) * each)}",
                shown_command(results.record.command, f"--seeds={_FEWEST_SEEDS}"),
            )
        ]
    patients = _patients(starts)
    needed = [
        seeds_to_settle(case.difference, patients, margin, comparisons=several)
        for case in known
    ]
    within = [number for number in needed if number is not None]
    steps = []
    if within:
        most = max(within)
        what = known[0].name or "it"
        if len(known) > 1:
            what = f"{len(within)} of the {len(known)} cases that are open"
        steps.append(
            NextStep(
                f"About {most} seeds in all would settle {what} with a chance of "
                f"{100 * POWER:.0f} %, if differences and spreads are what "
                f"{have} seeds say. {_time((most - have) * each)}",
                shown_command(results.record.command, f"--seeds={most}"),
            )
        )
    if len(within) < len(known):
        steps.append(_more_patients(known, needed, patients, margin, several))
    return steps


def _more_patients(
    cases: Sequence[Case],
    needed: Sequence[int | None],
    patients: int,
    margin: float,
    several: int,
) -> NextStep:
    numbers = [
        patients_to_settle(case.difference, patients, margin, comparisons=several)
        for case, seeds in zip(cases, needed, strict=True)
        if seeds is None
    ]
    found = [number for number in numbers if number is not None]
    named = wording.listed(
        [c.name for c, n in zip(cases, needed, strict=True) if not n]
    )
    which = f"of {named} " if named else ""
    if not found:
        return NextStep(
            f"The difference {which}is so small that neither {MOST_SEEDS} seeds nor "
            "more patients would settle it: treat it as none."
        )
    return NextStep(
        f"More seeds alone would not settle the difference {which}on "
        f"{wording.count(patients)} test patients; about {wording.count(max(found))} "
        "would."
    )


def shown_command(command: str, *changes: str) -> str:
    """A command for the page, quoted for a shell: it names no place of this machine.

    The default --root is left out, and of absolute paths only the last part stays, as
    `<part>`: a shell refuses that, where it would take a wrong folder for a new one.

    Args:
      command: as it was typed; where it is empty, nothing comes of it.
      changes: `--name=value`, flags that are set anew.
    """
    changed = [change.partition("=")[0].lstrip("-") for change in changes]
    words = iter(shlex.split(command))
    shown = []
    for word in words:
        flag, equals, value = word.partition("=")
        name = flag.lstrip("-") if word.startswith("-") else ""
        if name and name in ("root", *changed):
            value = value if equals else next(words, "")
            if name in changed or value == _DEFAULT_ROOT:
                continue
            word = f"--{name}={value}"
        shown.append(_without_place(word))
    return " ".join([*shown, *map(shlex.quote, changes)] if shown else shown)


def _without_place(word: str) -> str:
    flag, equals, value = word.rpartition("=") if word[:1] == "-" else ("", "", word)
    parts = value.split(",")
    if not any(part.startswith(("/", "~")) for part in parts):
        return shlex.quote(word)
    names = [
        f"<{shlex.quote(part.rstrip('/').rpartition('/')[2])}>"
        if part.startswith(("/", "~"))
        else shlex.quote(part)
        for part in parts
    ]
    return flag + equals + ",".join(names)


def _patients(starts: Sequence[StartRuns]) -> int:
    draws = starts[0].measurements.patient_draws
    found = [
        draws[run].patients for start in starts for run in start.ids if run in draws
    ]
    return min(found, default=0)


def _seconds(start: StartRuns) -> float:
    """What all its runs took, one after the other."""
    return sum(run.seconds for run in start.runs.values())


def _time(seconds: float) -> str:
    return f"Computing: about {wording.duration(seconds)}, one run after the other."
