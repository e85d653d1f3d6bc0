"""Whether transfer learns faster, or ends better too: a question of the verdict."""

import dataclasses
from collections.abc import Mapping, Sequence

from transfusion_tf.report import wording
from transfusion_tf.report.judged_differences import (
    NUMBER_ONLY,
    Case,
    common,
    grouped,
    missing,
    tone_of,
    transfers,
    word_of,
)
from transfusion_tf.report.results import BASELINE, ModelResults, Results, StartRuns
from transfusion_tf.report.verdict_answers import Answer
from transfusion_tf.report.verdict_cases import LEAST_EVALUATIONS
from transfusion_tf.studies.contrasts.tree import MissingMeasurementError

_WORDS = {
    "higher": "Transfer learns faster than random weights",
    "lower": "Transfer learns slower than random weights",
    "alike": "The two learn equally fast, within a tenth of the steps",
    "open": "Whether transfer learns faster is undecided",
    "few_seeds": "With so few seeds these runs cannot tell which learns faster",
    "unfit": NUMBER_ONLY,
}


def answer_speed(
    results: Results, helps: Sequence[Case], speed: Mapping[str, Case], unit: str
) -> Answer:
    """How many steps transfer takes to learn, against where it ends.

    Args:
      results: of the finished runs.
      helps: cases of where it ends.
      speed: of `speed_cases`.
      unit: of the metric.
    """
    question = "Is training only faster, or better too?"
    if not speed:
        return Answer(question, "Not asked", "none", (_why_not(results, helps),))
    cases = list(speed.values())
    if len(cases) == 1:
        cases = [dataclasses.replace(cases[0], name="")]
    sentences = grouped(cases, _WORDS, "as fast")
    races = [_race(results, panel, unit) for panel in results.model_results]
    races = [race for race in races if race]
    sentences += races if len(races) <= 2 else [_races(results, unit)]
    faster, better = common(cases), common(helps)
    word, tone = {
        ("higher", "higher"): ("Faster and better", "yes"),
        ("higher", "alike"): ("Faster only", "mixed"),
        ("higher", "lower"): ("Faster, but worse", "no"),
        ("higher", "open"): ("Faster; the end is open", "mixed"),
        ("lower", "lower"): ("Slower and worse", "no"),
    }.get((faster, better), ("", ""))
    if not word:
        decided = {"lower": "Slower", "alike": "No faster", "higher": "Faster"}
        judgements = [case.judgement for case in cases]
        word = word_of(judgements, decided, "It depends")
        tone = "mixed" if faster == "higher" else tone_of(judgements)
    return Answer(question, word, tone, tuple(filter(None, sentences)))


def _why_not(results: Results, helps: Sequence[Case]) -> str:
    if not helps:
        return missing(results)
    if min(panel.evaluations for panel in results.model_results) < LEAST_EVALUATIONS:
        return (
            f"A curve of fewer than {LEAST_EVALUATIONS} evaluations says nothing of "
            "speed: a smaller --eval_every gives more."
        )
    return "No run from random weights reaches the threshold that its speed is told by."


def _racers(panel: ModelResults) -> list[str]:
    """Random weights and the transfers that have learned something; else none."""
    labels = [BASELINE, *transfers(panel)]
    if panel.baseline is None or panel.baseline.fault:
        return []
    return [label for label in labels if not panel.starts[label].fault]


def _race(results: Results, panel: ModelResults, unit: str) -> str:
    """How many steps to the threshold, in one sentence."""
    parts = [_steps(panel.starts[label]) for label in _racers(panel)]
    if len(parts) < 2:
        return ""
    return (
        f"Mean steps until {results.panel_name(panel)} reaches a validation {unit} of "
        f"{wording.number(panel.threshold)}: {', '.join(parts)}."
    )


def _steps(start: StartRuns) -> str:
    """`90 from random`, with what is known of seeds that never get there."""
    label, total = start.initialization, len(start.steps)
    never = len(start.race.never(start.measurements))
    if never == total:
        return f"never from {label}"
    there = f"{total - never} of {wording.plural(total, 'seed')} get there"
    try:
        steps = wording.count(start.race.value(start.measurements, start.ids))
    except MissingMeasurementError:  # No run from random weights does.
        return f"{there} from {label}"
    return (
        f"at least {steps} from {label} ({there})" if never else f"{steps} from {label}"
    )


def _races(results: Results, unit: str) -> str:
    """The same for many panels: from the fastest to the slowest."""
    found: dict[str, list[float]] = {BASELINE: [], "transfer": []}
    for panel in results.model_results:
        for label in _racers(panel):
            mean = panel.starts[label].mean_steps()
            if mean is not None:
                found[BASELINE if label == BASELINE else "transfer"].append(mean)
    parts = [
        f"{wording.count(min(steps))} to {wording.count(max(steps))} from {label}"
        for label, steps in found.items()
        if steps
    ]
    if not parts:
        return ""
    return (
        f"Mean steps to the threshold of validation {unit}, where all seeds reach it: "
        f"{', '.join(parts)}."
    )
