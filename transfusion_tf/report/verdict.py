"""The verdict: plain sentences, each of them carried by an interval."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from transfusion_tf.evaluation.estimates import LEAST_PATIENTS
from transfusion_tf.report import wording
from transfusion_tf.report.donor_answer import answer_donor
from transfusion_tf.report.judged_differences import (
    UNDECIDED,
    Case,
    interval_words,
    tone_of,
)
from transfusion_tf.report.next_steps import NextStep, next_steps
from transfusion_tf.report.results import BASELINE, Results, scheme
from transfusion_tf.report.speed_answer import answer_speed
from transfusion_tf.report.verdict_answers import (
    Answer,
    answer_features,
    answer_help,
    answer_size,
)
from transfusion_tf.report.verdict_cases import verdict_cases
from transfusion_tf.report.verdict_warnings import rare_classes, verdict_warnings


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What stands at the top of the report.

    Attributes:
      headline: the answer to the main question.
      subline: its numbers.
      tone: of the headline, as in `Answer`.
      answers: the questions in order.
      warnings: of runs that never learned, and of data too small to answer from.
      next_steps: what would settle what is open.
      caveats: what the intervals do not carry.
      cases: the comparisons behind the answers, where there are any.
    """

    headline: str
    subline: str
    tone: str
    answers: tuple[Answer, ...]
    caveats: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    next_steps: tuple[NextStep, ...] = ()
    cases: Sequence[Case] = ()


def reach_verdict(results: Results, margin: float | None = None) -> Verdict:
    """The verdict of a study.

    Args:
      results: of the finished runs.
      margin: of the metric; None takes that of its unit.
    """
    unit = wording.metric_unit(results.metric)
    margin = results.margin if margin is None else margin
    cases = verdict_cases(results, margin)
    helps, speed = cases.helps, cases.speed
    headline, subline, tone = _headline(results, helps, speed, unit, margin)
    answers = (
        answer_help(results, helps, unit, margin),
        answer_donor(cases.donors, unit, margin),
        answer_speed(results, helps, speed, unit),
        answer_features(results, cases.alternatives, helps, unit, margin),
        answer_size(results, cases.sizes, unit, margin),
    )
    asked = tuple(answer for answer in answers if answer is not None)
    return Verdict(
        headline,
        subline,
        tone,
        asked,
        _caveats(results, helps, cases.every),
        verdict_warnings(results),
        next_steps(results, helps, margin, comparisons=len(cases.every)),
        cases.every,
    )


def _headline(
    results: Results,
    helps: Sequence[Case],
    speed: Mapping[str, Case],
    unit: str,
    margin: float,
) -> tuple[str, str, str]:
    labels = {label for panel in results.model_results for label in panel.starts}
    if not results.model_results:
        return "No run has finished yet.", "There is nothing to compare.", "none"
    if BASELINE not in labels:
        return (
            "Whether transfer helps cannot be said: no run starts from random weights.",
            "Add random to --initializations to have something to compare with.",
            "none",
        )
    if not any(scheme(label) == "transfer" for label in labels):
        return (
            "Whether transfer helps was not asked: no run starts from donor weights.",
            "Add transfer to --initializations.",
            "none",
        )
    if not helps:
        return (
            "Whether transfer helps cannot be said: no two finished runs compare.",
            "A comparison needs the same seed from random and from donor weights.",
            "none",
        )
    judgements = [case.judgement for case in helps]
    if len(set(judgements)) == 1:
        return _headline_alike(results, helps, speed, unit, margin)
    clauses = []
    for judgement, verb in (
        ("higher", "helps"),
        ("lower", "hurts"),
        ("alike", "makes no difference for"),
    ):
        cases = [case for case in helps if case.judgement == judgement]
        if cases:
            clauses.append(f"{verb} {_names(cases, len(helps))}")
    undecided = [case for case in helps if case.judgement in UNDECIDED]
    headline = f"Transfer {wording.listed(clauses)}"
    if undecided and clauses:
        rest = "the rest" if len(undecided) > 2 else _names(undecided, len(helps))
        headline += f"; for {rest} these runs cannot tell"
    elif undecided:
        headline = "These runs cannot tell whether transfer helps"
    return headline + ".", _subline(helps, unit), tone_of(judgements)


def _headline_alike(
    results: Results,
    helps: Sequence[Case],
    speed: Mapping[str, Case],
    unit: str,
    margin: float,
) -> tuple[str, str, str]:
    judgement = helps[0].judgement
    estimates = [case.difference.estimate for case in helps]
    where = _scope(results, len(helps))
    low, high = wording.signed(min(estimates)), wording.signed(max(estimates))
    amount = f"{low} {unit}" if low == high else f"{low} to {high} {unit}"
    faster = bool(speed) and all(case.judgement == "higher" for case in speed.values())
    headline = {
        "higher": f"Transfer helps {where}: {amount}.",
        "lower": f"Transfer hurts {where}: {amount}.",
        "alike": f"Transfer makes no difference {where}: "
        f"less than {margin:g} {unit} either way.",
        "open": "These runs cannot tell whether transfer helps.",
        "few_seeds": "These runs cannot tell whether transfer helps: "
        f"{_few(helps)} each.",
        "unfit": f"No answer: {_why_unfit(helps)}.",
    }[judgement]
    if faster and judgement == "alike":
        headline = f"Transfer only speeds training up {where}."
    if faster and judgement == "open":
        headline = (
            "Transfer speeds training up; whether it ends higher, "
            "these runs cannot tell."
        )
    return headline, _subline(helps, unit), tone_of([judgement])


def _why_unfit(helps: Sequence[Case]) -> str:
    kinds = frozenset[str]().union(*(case.fault_kinds for case in helps))
    return {
        frozenset({"few_patients"}): "the test set has too few patients of a class",
        frozenset({"no_spread"}): "nothing sets these runs apart",
        frozenset({"donor"}): "the donor has learned too little to transfer",
    }.get(kinds, "these runs have learned too little to compare")


def _few(helps: Sequence[Case]) -> str:
    """`one seed`, `two folds`."""
    most = max(helps, key=lambda case: case.difference.seeds).difference
    return f"one {most.over}" if most.seeds == 1 else f"two {most.over}s"


def _subline(helps: Sequence[Case], unit: str) -> str:
    if len(helps) == 1:
        only = helps[0].difference
        return (
            f"Transferred minus random weights: {wording.signed(only.estimate)} {unit} "
            f"on the test set, {interval_words(only)}."
        )
    over = helps[0].difference.over
    counts = sorted({case.difference.seeds for case in helps})
    span = wording.plural(counts[-1], over)
    if len(counts) > 1:
        span = f"{counts[0]} to {span}"
    carried = "folds" if over == "fold" else "seeds and test patients"
    text = f"Transferred minus random weights on the test set, {span} per start."
    if any(case.difference.low == case.difference.low for case in helps):
        text += f" Brackets below are 95 % intervals over {carried}."
    return text


def _scope(results: Results, cases: int) -> str:
    """`here`, `for both models`, `at all 3 training sizes`, `in all 6 cases`."""
    if cases == 1:
        return "here"
    number = "both" if cases == 2 else f"all {cases}"
    if cases == len(results.models) == len(results.model_results):
        return f"for {number} models"
    if cases == len(results.sizes) == len(results.model_results):
        return f"at {number} training sizes"
    return f"in {number} cases"


def _names(cases: Sequence[Case], total: int) -> str:
    if len(cases) > 2:
        return f"{len(cases)} of {total} cases"
    return wording.listed(
        [f"{case.name} ({wording.signed(case.difference.estimate)})" for case in cases]
    )


def _caveats(
    results: Results, helps: Sequence[Case], every: Sequence[Case]
) -> tuple[str, ...]:
    caveats = []
    single = [case.difference for case in helps if case.difference.seeds == 1]
    if any(case.difference.seeds == 2 for case in helps):
        caveats.append(
            f"{_few(helps).capitalize()}: too few for an interval, which three have."
        )
    if single and single[0].over == "fold":
        caveats.append("One fold: there are no intervals; all folds can settle it.")
    elif single:
        caveats.append(
            "One seed: intervals over patients only. Another seed may turn a sign; "
            "three seeds or more can settle it."
        )
    if results.record.unfinished:
        count = len(results.record.unfinished)
        verb = "is" if count == 1 else "are"
        caveats.append(
            f"{wording.plural(count, 'run')} without a result {verb} left out."
        )
    caveats += multiplicity_caveats(every)
    rare = rare_classes(results)
    if rare:
        named = wording.listed([f"{name} ({n})" for name, n in rare.items()])
        caveats.append(
            f"Too few test patients for numbers of their own: {named}; "
            f"{LEAST_PATIENTS} are the least."
        )
    caveats.append(
        "The intervals hold for patients like these and for this training recipe, not "
        "for another camera, hospital or set of hyperparameters."
    )
    return tuple(caveats)


def multiplicity_caveats(cases: Sequence[Case]) -> list[str]:
    """What it means that there are many comparisons.

    Args:
      cases: all that have an interval here, called together.
    """
    made = [case for case in cases if np.isfinite(case.difference.p_value)]
    if len(made) < 2:
        return []
    left_open = [
        case
        for case in made
        if case.difference.decided != case.difference.decided_among_all
    ]
    text = (
        f"All {len(made)} differences that have an interval here are called together "
        "(Holm’s correction): were there none in any, one would still be called with a "
        "chance of one in twenty."
    )
    if len(left_open) == 1:
        name = left_open[0].name or "One"
        text += f" {name} is clear of zero by its own interval, but is not called."
    elif left_open:
        text += (
            f" {len(left_open)} of them are clear of zero by their own intervals, but "
            "are not called."
        )
    return [text]
