"""Whether it matters which donor a model starts from: a question of the verdict."""

from collections.abc import Sequence

from transfusion_tf.report.judged_differences import (
    NUMBER_ONLY,
    Case,
    grouped,
    tone_of,
    word_of,
)
from transfusion_tf.report.verdict_answers import Answer


def answer_donor(cases: Sequence[Case], unit: str, margin: float) -> Answer | None:
    """Each donor against each other one on test; None where there is one alone."""
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
