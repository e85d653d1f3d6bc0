"""One comparison after the other, judged by its interval and put into words.

A case is one model at one training size. It is called only when its interval
settles it; what is not settled is said to be open. Cases that come out alike share
a sentence.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

from transfusion_tf.evaluation import Estimate
from transfusion_tf.report import wording
from transfusion_tf.report.results import (
    BASELINE,
    ModelResults,
    Results,
    StartRuns,
    scheme,
    test_difference,
)

STATISTICS = ("mean_var", "sampled", "shuffled")

# More cases than this are counted, not listed; the tables have them all.
LISTED = 4


@dataclasses.dataclass(frozen=True)
class Case:
    """One comparison of the verdict.

    Attributes:
      name: of the case, empty where there is one only.
      difference: left minus right.
      judgement: `higher`, `lower`, `alike` (the interval lies within the margin),
        `open`, or `one_seed`.
      levels: left's and right's mean over the seeds compared.
    """

    name: str
    difference: Estimate
    judgement: str
    levels: tuple[float, float] | None = None


def judge(difference: Estimate, margin: float, *, ignore_small: bool = False) -> str:
    """What an interval settles: see `Case.judgement`.

    Args:
      difference: left minus right.
      margin: below which a difference does not matter.
      ignore_small: calls a difference that is settled, but settled to be smaller
        than the margin, `alike` too.
    """
    if difference.seeds == 1:
        return "one_seed"
    small = -margin < difference.low and difference.high < margin
    if difference.decided != "undecided" and not (small and ignore_small):
        return difference.decided
    return "alike" if small else "open"


def transfers(panel: ModelResults) -> list[str]:
    """The groups that count as transfer: all donor weights, else some stages' ones."""
    labels = [label for label in panel.starts if scheme(label) == "transfer"]
    return [label for label in labels if not label.startswith("transfer:")] or labels


def compare(
    results: Results, pairs: Sequence[tuple[ModelResults, str, str]], margin: float
) -> list[Case]:
    """Left minus right on test for every pair that can be compared."""
    several_panels = len(results.model_results) > 1
    lefts = Counter(panel.model + str(panel.train_examples) for panel, _, _ in pairs)
    cases = []
    for panel, left, right in pairs:
        difference = panel.test_difference(left, right)
        if difference is None:
            continue
        parts = [results.panel_name(panel)] if several_panels else []
        if lefts[panel.model + str(panel.train_examples)] > 1:
            parts.append(left)
        judgement = judge(difference, margin)
        levels = _levels(panel.starts[left], panel.starts[right])
        cases.append(Case(", ".join(parts), difference, judgement, levels))
    return cases


def _levels(left: StartRuns, right: StartRuns) -> tuple[float, float]:
    ours, theirs = left.test_values, right.test_values
    keys = sorted(set(ours) & set(theirs))
    return (
        sum(ours[key] for key in keys) / len(keys),
        sum(theirs[key] for key in keys) / len(keys),
    )


def transfer_cases(results: Results, right: str, margin: float) -> list[Case]:
    """Transfer minus another initialization, a case a panel (and donor)."""
    return compare(
        results,
        [(p, left, right) for p in results.model_results for left in transfers(p)],
        margin,
    )


def size_differences(results: Results) -> list[tuple[ModelResults, str, Estimate]]:
    """Each smaller model minus the largest, by training size and initialization."""
    rows = []
    for size in results.sizes:
        panels = [
            panel for panel in results.model_results if panel.train_examples == size
        ]
        largest = panels[-1]
        for panel in panels[:-1]:
            for label, group in panel.starts.items():
                difference = test_difference(group, largest.starts.get(label))
                if difference is not None:
                    rows.append((panel, label, difference))
    return rows


def grouped(
    cases: Sequence[Case],
    words: Mapping[str, str],
    unit: str,
) -> list[str]:
    """A sentence for each judgement that some case has, in the order of `words`."""
    sentences = []
    for judgement, start in words.items():
        alike = [case for case in cases if case.judgement == judgement]
        if not alike:
            continue
        if len(cases) == 1 and not alike[0].name:
            only = alike[0].difference
            sentences.append(
                f"{start}: {wording.signed(only.estimate)} {unit} "
                f"({interval_words(only)})."
            )
        else:
            sentences.append(
                sentence(start, [item(case) for case in alike], len(cases))
            )
    return sentences


def sentence(start: str, items: Sequence[str], total: int) -> str:
    """`start: item; item.`, or how many when there are too many to list."""
    if total > LISTED and len(items) > LISTED // 2:
        return f"{start}: {len(items)} of {total} cases."
    return f"{start}: {'; '.join(items)}."


def item(case: Case) -> str:
    """The case with its number and interval."""
    name = f"{case.name} " if case.name else ""
    return (
        f"{name}{wording.signed(case.difference.estimate)} {brackets(case.difference)}"
    )


def brackets(difference: Estimate) -> str:
    """`[+0.012, +0.050]`."""
    low, high = wording.signed(difference.low), wording.signed(difference.high)
    return f"[{low},\u00a0{high}]"


def interval_words(difference: Estimate) -> str:
    """`95 % interval +0.012 to +0.050, 3 seeds`."""
    seeds = wording.plural(difference.seeds, difference.over)
    if difference.low != difference.low:
        return f"{seeds}, no interval"
    scope = f", {seeds}" if difference.seeds > 1 else " over patients only"
    return (
        f"{100 * difference.level:.0f} % interval {wording.signed(difference.low)} to "
        f"{wording.signed(difference.high)}{scope}"
    )


def common(cases: Sequence[Case]) -> str:
    """The judgement that all cases share, or nothing."""
    found = {case.judgement for case in cases}
    return found.pop() if len(found) == 1 else ""


def settled(cases: Sequence[Case]) -> bool:
    """Whether any case was called."""
    return any(case.judgement not in ("open", "one_seed") for case in cases)


def tone_of(judgements: Sequence[str]) -> str:
    """How an answer made of these judgements is coloured."""
    found = set(judgements)
    if found <= {"open", "one_seed"}:
        return "open"
    if len(found) > 1:
        return "mixed"
    return "yes" if found == {"higher"} else "no"


def missing(results: Results) -> str:
    """Why transfer and random weights could not be compared."""
    labels = set(results.initializations)
    if BASELINE not in labels:
        return "No run starts from random weights, so there is nothing to compare with."
    if not any(scheme(label) == "transfer" for label in labels):
        return "No run starts from donor weights."
    return "No two finished runs compare."
