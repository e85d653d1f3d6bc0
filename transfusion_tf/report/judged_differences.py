"""One comparison after the other, judged by its interval and put into words.

A case is one model at one training size. It is called only when its interval
settles it; what is not settled is said to be open. Cases that come out alike share
a sentence.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from transfusion_tf.evaluation import Estimate, adjusted_differences
from transfusion_tf.evaluation.estimates import NO_SPREAD, TOO_FEW
from transfusion_tf.report import wording
from transfusion_tf.report.results import (
    BASELINE,
    ModelResults,
    Results,
    StartRuns,
    scheme,
    test_difference,
)
from transfusion_tf.studies.contrasts import open_end_in_words

STATISTICS = ("mean_var", "sampled", "shuffled")

# Judgements that answer nothing.
UNDECIDED = frozenset({"open", "few_seeds", "unfit"})
NUMBER_ONLY = "A number, but no answer"

# More cases than this are counted, not listed; the tables have them all.
LISTED = 4


@dataclasses.dataclass(frozen=True)
class Case:
    """One comparison of the verdict.

    Attributes:
      name: of the case, empty where there is one only.
      difference: left minus right.
      judgement: `higher`, `lower`, `alike` (the interval lies within the margin),
        `open`, `few_seeds` (one or two), or `unfit` (a side is not fit for an answer).
      levels: left's and right's mean over the seeds compared.
      fault: why it is `unfit`.
      fault_kinds: of what: those of its sides (`StartRuns.fault_kind`), or `no_spread`.
      pair: the panel's name, left's and right's initialization; empty of sizes and
        speeds.
      margin: what the difference must reach to matter; None is the metric's margin.
      show: writes a number of the difference.
      counted: what the estimate is counted in, where that is not said once for all.
      open_ends: `higher` or `lower`, where what is measured may be that than its
        estimate by more than the interval says.
    """

    name: str
    difference: Estimate
    judgement: str
    levels: tuple[float, float] | None = None
    fault: str = ""
    fault_kinds: frozenset[str] = frozenset()
    pair: tuple[str, ...] = ()
    margin: float | None = None
    show: Callable[[float], str] = wording.signed
    counted: str = ""
    open_ends: frozenset[str] = frozenset()

    @property
    def amount(self) -> str:
        """The estimate in words: `+0.031`, `at least 2.10 times`."""
        number = self.show(self.difference.estimate)
        bound = open_end_in_words(self.open_ends)
        return f"{bound} {number} {self.counted}".strip()


def judge(difference: Estimate, margin: float, *, ignore_small: bool = False) -> str:
    """What an interval settles: see `Case.judgement`.

    Args:
      difference: left minus right.
      margin: below which a difference does not matter.
      ignore_small: calls a difference that is settled, but settled to be smaller
        than the margin, `alike` too.
    """
    if difference.seeds < 3:
        return "few_seeds"
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
        ours, theirs = panel.starts[left], panel.starts[right]
        case = Case(
            ", ".join(parts),
            difference,
            judge(difference, margin),
            levels(ours, theirs),
            pair=(results.panel_name(panel), left, right),
        )
        cases.append(unless_unfit(case, ours, theirs))
    return cases


def call_together(cases: Sequence[Case], margin: float) -> list[Case]:
    """Cases called with Holm's correction for their number.

    A case that only its own interval settles, not its p value among them all, is no
    longer called a difference. Intervals stay as they are.
    """
    differences = adjusted_differences([case.difference for case in cases])
    called = []
    for case, difference in zip(cases, differences, strict=True):
        judgement = case.judgement
        if difference.decided != difference.decided_among_all:
            if judgement in ("higher", "lower"):
                own = margin if case.margin is None else case.margin
                small = -own < difference.low and difference.high < own
                judgement = "alike" if small and not case.open_ends else "open"
            judgement = "undecided" if judgement == "worse" else judgement
        called.append(
            dataclasses.replace(case, difference=difference, judgement=judgement)
        )
    return called


def unless_unfit(case: Case, *sides: StartRuns) -> Case:
    """The case; `unfit` where one of its sides has learned nothing, or the like."""
    if not case.difference.spread:
        return dataclasses.replace(
            case,
            judgement="unfit",
            fault=NO_SPREAD,
            fault_kinds=frozenset({"no_spread"}),
        )
    bad = [side for side in sides if side.fault]
    if not bad:
        return case
    if case.judgement in UNDECIDED and all(side.unsettled for side in bad):
        return case  # Its own interval says as much.
    faults = [f"{side.initialization}: {side.fault}" for side in bad]
    return dataclasses.replace(
        case,
        judgement="unfit",
        fault="; ".join(faults),
        fault_kinds=frozenset(side.fault_kind for side in bad),
    )


def levels(left: StartRuns, right: StartRuns) -> tuple[float, float]:
    """The mean test metric of both, over the seeds that both have."""
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


def size_cases(results: Results, margin: float) -> list[Case]:
    """The same as cases, of random and of transferred weights where there are such.

    They are `within` the margin, `worse` or `undecided`.
    """
    pairs = size_differences(results)
    asked = [row for row in pairs if scheme(row[1]) in (BASELINE, "transfer")] or pairs
    cases = []
    for panel, label, difference in asked:
        name = size_name(results, panel, label)
        case = Case(name, difference, difference.within_margin(margin))
        if difference.seeds < 3:
            case = dataclasses.replace(case, judgement="few_seeds")
        others = [
            p.starts.get(label)
            for p in results.model_results
            if p.model == results.models[-1]
        ]
        cases.append(unless_unfit(case, panel.starts[label], *filter(None, others)))
    return cases


def size_name(results: Results, panel: ModelResults, label: str) -> str:
    """What the verdict calls a smaller model's case."""
    return f"{results.panel_name(panel)} from {label}"


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
                f"{start}: {alike[0].amount} {unit} "
                f"({interval_words(only, alike[0].show)}){_because(alike[0])}."
            )
        else:
            sentences.append(
                sentence(start, [item(case) for case in alike], len(cases))
            )
    return sentences


def _because(case: Case) -> str:
    return f"; {_remark(case)}" if _remark(case) else ""


def _remark(case: Case) -> str:
    """Why the interval that is shown does not settle it."""
    found = case.difference
    if case.judgement in UNDECIDED and found.decided != found.decided_among_all:
        none = "1" if case.counted == "times" else "zero"
        return case.fault or f"clear of {none} by itself, not among all"
    return case.fault


def sentence(start: str, items: Sequence[str], total: int) -> str:
    """`start: item; item.`, or how many when there are too many to list."""
    if total > LISTED and len(items) > LISTED // 2:
        return f"{start}: {len(items)} of {total} cases."
    return f"{start}: {'; '.join(items)}."


def item(case: Case) -> str:
    """The case with its number and interval."""
    name = f"{case.name} " if case.name else ""
    remark = f" ({_remark(case)})" if _remark(case) else ""
    return f"{name}{case.amount} {brackets(case.difference, case.show)}{remark}"


def brackets(
    difference: Estimate, show: Callable[[float], str] = wording.signed
) -> str:
    """`[+0.012, +0.050]`."""
    if difference.low != difference.low:
        return f"({wording.plural(difference.seeds, difference.over)}, {TOO_FEW})"
    return f"[{show(difference.low)},\u00a0{show(difference.high)}]"


def interval_words(
    difference: Estimate, show: Callable[[float], str] = wording.signed
) -> str:
    """`95 % interval +0.012 to +0.050, 3 seeds`."""
    seeds = wording.plural(difference.seeds, difference.over)
    if difference.low != difference.low:
        return f"{seeds}, {TOO_FEW}"
    scope = f", {seeds}" if difference.seeds > 1 else " over patients only"
    return (
        f"{100 * difference.level:.0f} % interval {show(difference.low)} to "
        f"{show(difference.high)}{scope}"
    )


def common(cases: Sequence[Case]) -> str:
    """The judgement that all cases share, or nothing."""
    found = {case.judgement for case in cases}
    return found.pop() if len(found) == 1 else ""


def word_of(judgements: Iterable[str], words: Mapping[str, str], several: str) -> str:
    """An answer in a few words: what all cases come to, or those that are decided.

    Args:
      judgements: of the cases.
      words: what to say where all that are decided have this judgement.
      several: where they have different ones.
    """
    found = set(judgements)
    decided = found - UNDECIDED
    if not decided:
        return "No answer" if found == {"unfit"} else "Cannot tell"
    if len(decided) > 1:
        return several
    word = words[decided.pop()]
    return word if not found & UNDECIDED else f"{word}, where decided"


def tone_of(judgements: Sequence[str]) -> str:
    """How an answer made of these judgements is coloured."""
    found = set(judgements)
    if found <= UNDECIDED:
        return "open"
    if len(found) > 1:
        return "no" if found - UNDECIDED == {"lower"} else "mixed"
    return "yes" if found == {"higher"} else "no"


def missing(results: Results) -> str:
    """Why transfer and random weights could not be compared."""
    labels = set(results.initializations)
    if BASELINE not in labels:
        return "No run starts from random weights, so there is nothing to compare with."
    if not any(scheme(label) == "transfer" for label in labels):
        return "No run starts from donor weights."
    return "No two finished runs compare."
