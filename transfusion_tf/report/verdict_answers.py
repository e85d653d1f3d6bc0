"""Questions of the verdict about where runs end, each answered from its cases."""

import dataclasses
from collections.abc import Sequence

from transfusion_tf.report import wording
from transfusion_tf.report.judged_differences import (
    NUMBER_ONLY,
    STATISTICS,
    UNDECIDED,
    Case,
    grouped,
    item,
    missing,
    sentence,
    tone_of,
    word_of,
)
from transfusion_tf.report.results import Results, scheme
from transfusion_tf.report.verdict_cases import Alternative


@dataclasses.dataclass(frozen=True)
class Answer:
    """A question and what these runs say to it.

    Attributes:
      question: as the reader would ask it.
      word: the answer in a word or two.
      tone: `yes`, `no`, `mixed`, `open` or `none`: how it is coloured.
      sentences: what carries it.
    """

    question: str
    word: str
    tone: str
    sentences: tuple[str, ...]


def answer_help(
    results: Results, cases: Sequence[Case], unit: str, margin: float
) -> Answer:
    """Whether transfer ends higher on test than random weights."""
    question = "Does transfer help?"
    if not cases:
        return Answer(question, "Not asked", "none", (missing(results),))
    sentences = []
    if len(cases) == 1 and cases[0].levels:
        ours, theirs = map(wording.number, cases[0].levels)
        sentences.append(
            f"On the test set: {ours} {unit} from donor weights, {theirs} from "
            "random ones."
        )
    sentences += grouped(
        cases if len(cases) == 1 else [_with_levels(case) for case in cases],
        {
            "higher": "Transfer ends higher",
            "lower": "Transfer ends lower",
            "alike": f"Transfer and random weights end alike, within {margin:g} {unit}",
            "open": "These runs cannot tell whether transfer ends higher or lower",
            "few_seeds": "With so few seeds these runs cannot tell",
            "unfit": NUMBER_ONLY,
        },
        unit,
    )
    sentences += _hints(cases)
    judgements = {case.judgement for case in cases}
    words = {"higher": "Yes", "lower": "No, it hurts", "alike": "No difference"}
    several = (
        "In part" if judgements - UNDECIDED == {"higher", "alike"} else "It depends"
    )
    word = word_of(judgements, words, several)
    return Answer(question, word, tone_of(list(judgements)), tuple(sentences))


def _with_levels(case: Case) -> Case:
    if case.levels is None:
        return case
    ours, theirs = map(wording.number, case.levels)
    return dataclasses.replace(case, name=f"{case.name} {ours} against {theirs},")


def _hints(cases: Sequence[Case]) -> list[str]:
    """What would narrow the intervals that are open."""
    shares = [
        case.difference.seed_variance
        / (case.difference.seed_variance + case.difference.patient_variance)
        for case in cases
        if case.judgement == "open"
        and case.difference.seed_variance
        and case.difference.patient_variance
    ]
    if not shares:
        return []
    share = sum(shares) / len(shares)
    if share > 0.5:
        return [
            f"{100 * share:.0f} % of the uncertainty is the spread between seeds: "
            "more seeds would narrow it."
        ]
    return [
        f"{100 * (1 - share):.0f} % of the uncertainty is the choice of test "
        "patients: more seeds would narrow it little."
    ]


def answer_features(
    results: Results,
    found: Sequence[Alternative],
    helps: Sequence[Case],
    unit: str,
    margin: float,
) -> Answer:
    """Whether cheaper starts explain what transfer gains."""
    question = "Features, or only the weights’ statistics?"
    if not found or not helps:
        reason = (
            "No run starts from the donor’s statistics (mean_var) or Gabor filters."
            if not found
            else missing(results)
        )
        return Answer(question, "Not asked", "none", (reason,))
    sentences: list[str] = []
    against: list[Case] = []
    gained = {case.name for case in helps if case.judgement == "higher"}
    for each in found:
        label = each.label
        words = _transfer_words(label, unit, margin)
        sentences += grouped(each.to_transfer, words, unit)
        words = _alternative_words(label, unit, margin)
        sentences += grouped(each.to_random, words, unit)
        if scheme(label) in STATISTICS:
            against += [case for case in each.to_transfer if case.name in gained]
    if not gained:
        lead = "No gain of transfer is settled, so there is none to explain."
        return Answer(question, "No gain to explain", "open", (lead, *sentences))
    if not against:
        return Answer(question, "Not asked", "none", tuple(sentences))
    judged = {
        "alike" if case.judgement == "lower" else case.judgement for case in against
    }
    words = {"higher": "More than statistics", "alike": "Statistics are enough"}
    word = word_of(judged, words, "In part")
    return Answer(question, word, tone_of(list(judged)), tuple(sentences))


def _alternative_words(label: str, unit: str, margin: float) -> dict[str, str]:
    return {
        "higher": f"{label} ends higher than random weights",
        "lower": f"{label} ends lower than random weights",
        "alike": f"{label} and random weights end alike, within {margin:g} {unit}",
        "open": f"Whether {label} ends higher than random weights is undecided",
        "few_seeds": f"{label} minus random weights, with too few seeds to tell",
        "unfit": f"{NUMBER_ONLY}, of {label} minus random weights",
    }


def _transfer_words(label: str, unit: str, margin: float) -> dict[str, str]:
    return {
        "higher": f"Transfer ends higher than {label}",
        "lower": f"Transfer ends lower than {label}",
        "alike": f"{label} does as well as transfer, within {margin:g} {unit}",
        "open": f"Whether transfer ends higher than {label} is undecided",
        "few_seeds": f"Transfer minus {label}, with too few seeds to tell",
        "unfit": f"{NUMBER_ONLY}, of transfer minus {label}",
    }


def answer_size(
    results: Results, cases: Sequence[Case], unit: str, margin: float
) -> Answer:
    """Whether smaller models stay within the margin of the largest."""
    question = "Does a smaller model do as well?"
    largest = results.models[-1] if results.models else ""
    if not cases:
        reason = "These runs have one model only."
        if len(results.models) > 1:
            reason = "No two models have finished runs that compare."
        return Answer(question, "Not asked", "none", (reason,))
    groups: dict[str, list[str]] = {}
    for case in cases:
        groups.setdefault(case.judgement, []).append(item(case))
    words = {
        "within": f"No more than {margin:g} {unit} below {largest}",
        "worse": f"Lower than {largest}, and not shown to be within {margin:g} {unit}",
        "undecided": f"Undecided at a margin of {margin:g} {unit}",
        "few_seeds": "With so few seeds these runs cannot tell",
        "unfit": NUMBER_ONLY,
    }
    sentences = [_parameters(results)] + [
        sentence(words[outcome], groups[outcome], len(cases))
        for outcome in words
        if outcome in groups
    ]
    found = {
        {"within": "higher", "worse": "lower", "undecided": "open"}.get(each, each)
        for each in groups
    }
    word = word_of(found, {"higher": "Yes", "lower": "No"}, "It depends")
    tone = tone_of(list(found))
    return Answer(question, word, tone, tuple(filter(None, sentences)))


def _parameters(results: Results) -> str:
    sizes = {panel.model: panel.parameters for panel in results.model_results}
    largest = results.models[-1]
    total = sizes[largest]
    shares = [
        f"{model} has {100 * value / total:.0f} %"
        for model, value in sizes.items()
        if model != largest and value and total
    ]
    return f"{wording.listed(shares)} of {largest}’s parameters." if shares else ""
