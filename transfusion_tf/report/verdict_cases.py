"""All comparisons that the verdict is made of, called together."""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence

from transfusion_tf.evaluation.units import unit
from transfusion_tf.models import parse_model_name
from transfusion_tf.report import wording
from transfusion_tf.report.donor_facts import donor_in, same_donor
from transfusion_tf.report.judged_differences import (
    STATISTICS,
    Case,
    call_together,
    compare,
    judge,
    size_cases,
    transfer_cases,
    transfers,
    unless_unfit,
)
from transfusion_tf.report.results import (
    BASELINE,
    Results,
    StartRuns,
    scheme,
    test_difference,
)

# Of a learning curve, the one before the first step included.
LEAST_EVALUATIONS = 4
SPEED_MARGIN = unit("doublings of speed").margin


@dataclasses.dataclass(frozen=True)
class Alternative:
    """A cheaper start than transfer.

    Attributes:
      label: its initialization.
      to_transfer: transfer minus it.
      to_random: it minus random weights.
    """

    label: str
    to_transfer: Sequence[Case]
    to_random: Sequence[Case]


def alternatives(results: Results, margin: float) -> list[Alternative]:
    """The donor's statistics, then Gabor filters."""
    labels = [
        label
        for label in results.initializations
        if scheme(label) in (*STATISTICS, "gabor")
    ]
    found = []
    for label in sorted(labels, key=lambda label: scheme(label) not in STATISTICS):
        to_transfer = [
            (panel, left, label)
            for panel in results.model_results
            for left in transfers(panel)
            if same_donor(left, label)
        ]
        to_random = [
            (p, label, BASELINE) for p in results.model_results if label in p.starts
        ]
        pairs = (compare(results, each, margin) for each in (to_transfer, to_random))
        found.append(Alternative(label, *pairs))
    return found


@dataclasses.dataclass(frozen=True)
class VerdictCases:
    """All comparisons that the verdict brackets, called together.

    Attributes:
      helps: transfer against random weights, on test.
      donors: of two donors.
      speed: of transfer over random weights, in doublings, by case name.
      alternatives: of cheaper starts.
      sizes: smaller models against the largest.
    """

    helps: Sequence[Case]
    donors: Sequence[Case]
    speed: Mapping[str, Case]
    alternatives: Sequence[Alternative]
    sizes: Sequence[Case]

    @property
    def every(self) -> list[Case]:
        """Of all questions, in order."""
        parts = [self.helps, self.donors, self.speed.values(), self.sizes]
        for each in self.alternatives:
            parts += [each.to_transfer, each.to_random]
        return [case for part in parts for case in part]


def verdict_cases(results: Results, margin: float) -> VerdictCases:
    """Every question's comparisons, with Holm's correction among them all.

    Args:
      results: of the finished runs.
      margin: of the metric.
    """
    own = VerdictCases(
        transfer_cases(results, BASELINE, margin),
        donor_cases(results, margin),
        speed_cases(results),
        alternatives(results, margin),
        size_cases(results, margin),
    )
    called = iter(call_together(own.every, margin))

    def take(part: Iterable[Case]) -> list[Case]:
        return [next(called) for _ in part]

    # In the order of `every`.
    helps, donors, speed = take(own.helps), take(own.donors), take(own.speed.values())
    sizes = take(own.sizes)
    cheaper = [
        Alternative(each.label, take(each.to_transfer), take(each.to_random))
        for each in own.alternatives
    ]
    speeds = dict(zip(own.speed, speed, strict=True))
    return VerdictCases(helps, donors, speeds, cheaper, sizes)


def speed_cases(results: Results) -> dict[str, Case]:
    """Doublings of speed, transfer over random weights, by case name."""
    cases = {}
    for panel in results.model_results:
        if panel.evaluations < LEAST_EVALUATIONS:
            continue
        for label in transfers(panel):
            difference = panel.speed(label)
            if difference is not None:
                name = results.panel_name(panel)
                if len(transfers(panel)) > 1:
                    name += f", {label}"
                sides = ours, theirs = panel.starts[label], panel.starts[BASELINE]
                ends = ours.speed_over(theirs).open_ends(results.measurements)
                judgement = judge(
                    difference.opened(ends), SPEED_MARGIN, ignore_small=True
                )
                case = Case(
                    name,
                    difference,
                    judgement,
                    margin=SPEED_MARGIN,
                    show=wording.times,
                    counted="times",
                    open_ends=ends,
                )
                cases[name] = unless_unfit(case, *sides)
    return cases


def donor_cases(results: Results, margin: float) -> list[Case]:
    """Two donors of one model at one size each."""
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
            panels = [p for p in results.model_results if left in p.starts.values()]
            pair = (results.panel_name(panels[0]), *labels)
            case = Case(name, difference, judge(difference, margin), pair=pair)
            cases.append(unless_unfit(case, left, right))
    return cases


def _by_architecture(results: Results) -> dict[tuple[str, int], list[StartRuns]]:
    """The groups that count as transfer; donors may scale a model's input otherwise."""
    groups: dict[tuple[str, int], list[StartRuns]] = {}
    for panel in results.model_results:
        name, note, rest = panel.model.partition(" (")
        spec = dataclasses.replace(parse_model_name(name), input_scaling=None)
        key = (f"{spec}{note}{rest}", panel.train_examples)
        groups.setdefault(key, []).extend(panel.starts[x] for x in transfers(panel))
    return groups
