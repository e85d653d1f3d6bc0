"""Whether it matters which donor a model starts from: a question of the verdict."""

import dataclasses
import itertools

from transfusion_tf.evaluation import adjusted_differences
from transfusion_tf.models import parse_model_name
from transfusion_tf.report.donor_facts import donor_in, same_donor
from transfusion_tf.report.judged_differences import (
    NUMBER_ONLY,
    UNDECIDED,
    Case,
    grouped,
    judge,
    tone_of,
    transfers,
    unless_unfit,
    word_of,
)
from transfusion_tf.report.results import Results, StartRuns, scheme, test_difference
from transfusion_tf.report.verdict_answers import Answer


def answer_donor(results: Results, unit: str, margin: float) -> Answer | None:
    """Each donor against each other one on test; None where there is one alone.

    Args:
      results: of the study.
      unit: of the metric.
      margin: in that unit.
    """
    cases = _cases(results, margin)
    if not cases:
        return None
    sentences = grouped(
        cases,
        {
            "higher": "The first ends higher",
            "lower": "The second ends higher",
            "alike": f"They end alike, within {margin:g} {unit}",
            "open": "These runs cannot tell which ends higher",
            "few_seeds": "With so few seeds these runs cannot tell which ends higher",
            "unfit": NUMBER_ONLY,
        },
        unit,
    )
    # It matters, whichever of the two is ahead.
    judgements = [
        "higher" if case.judgement == "lower" else case.judgement for case in cases
    ]
    words = {"higher": "Yes", "alike": "No difference"}
    word = word_of(judgements, words, "In part")
    tone = tone_of(judgements)
    return Answer("Does it matter which donor?", word, tone, tuple(sentences))


def _cases(results: Results, margin: float) -> list[Case]:
    """Two donors of one model at one size each, with Holm's correction among them."""
    by_architecture = _by_architecture(results)
    cases = []
    for (model, size), groups in by_architecture.items():
        for left, right in itertools.combinations(groups, 2):
            labels = left.initialization, right.initialization
            if same_donor(*labels) or scheme(labels[0]) != scheme(labels[1]):
                continue
            difference = test_difference(left, right)
            if difference is None:
                continue
            name = f"{donor_in(labels[0])} against {donor_in(labels[1])}"
            if len(by_architecture) > 1:
                name = f"{model} on {size}, {name}"
            case = Case(name, difference, judge(difference, margin))
            cases.append(unless_unfit(case, left, right))
    adjusted = adjusted_differences([case.difference for case in cases])
    return [
        dataclasses.replace(
            case,
            difference=difference,
            # Settled by its own interval alone is not settled among them all.
            judgement=case.judgement
            if difference.decided == difference.decided_among_all
            or case.judgement in UNDECIDED
            else "open",
        )
        for case, difference in zip(cases, adjusted, strict=True)
    ]


def _by_architecture(results: Results) -> dict[tuple[str, int], list[StartRuns]]:
    """The groups that count as transfer; donors may scale a model's input otherwise."""
    groups: dict[tuple[str, int], list[StartRuns]] = {}
    for panel in results.model_results:
        name, note, rest = panel.model.partition(" (")
        spec = dataclasses.replace(parse_model_name(name), input_scaling=None)
        key = (f"{spec}{note}{rest}", panel.train_examples)
        groups.setdefault(key, []).extend(panel.starts[x] for x in transfers(panel))
    return groups
