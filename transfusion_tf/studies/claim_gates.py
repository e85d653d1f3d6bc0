"""What must be so before a claim can be judged: that runs, and donors, have learnt."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from transfusion_tf.studies.contrasts import (
    Average,
    Contrast,
    DonorSkill,
    Highest,
    MissingMeasurementError,
    RestrictedSteps,
    Skill,
    measure_effect,
)
from transfusion_tf.studies.learned import LEAST_SKILL, is_above
from transfusion_tf.studies.measurements.table import Measurements
from transfusion_tf.studies.measurements.training_results import SCORE


@dataclasses.dataclass(frozen=True)
class Gate:
    """What must be so before a claim can be judged, such as that a donor has learnt.

    Attributes:
      text: what must be so, as the reason says it: "the donor has learnt nothing".
      contrast: must lie above 0 with its whole interval; with one repetition, itself.
      least: what its estimate must reach besides.
    """

    text: str
    contrast: Contrast
    least: float = 0.0


def learned_gates(contrast: Contrast, rule: str) -> tuple[Gate, ...]:
    """That what a claim compares has learnt: see `claims.with_learned_runs`.

    Args:
      contrast: of run configs.
      rule: of the claim.
    """
    return (
        *_donor_gate(contrast),
        *_arm_gates(contrast, rule),
        *_baseline_gates(contrast),
    )


def closed_gate(gates: Sequence[Gate], measurements: Measurements) -> str:
    """Why the claim cannot be judged; empty where it can."""
    for gate in gates:
        try:
            found = measure_effect(gate.contrast, measurements)
        except MissingMeasurementError as error:
            return str(error)
        if not is_above(found, gate.least):
            return gate.text
    return ""


def _arm_gates(contrast: Contrast, rule: str) -> tuple[Gate, ...]:
    arms = tuple(Skill(runs) for runs in dict.fromkeys(scored_runs(contrast)))
    if not arms:
        return ()
    if rule == "above":
        return (Gate("no runs have learnt anything", Highest(arms), LEAST_SKILL),)
    return tuple(Gate("runs have learnt nothing", arm, LEAST_SKILL) for arm in arms)


def _baseline_gates(contrast: Contrast) -> tuple[Gate, ...]:
    text = "random weights have learnt nothing"
    leaves = contrast.leaves()
    races = [leaf for leaf in leaves if isinstance(leaf, RestrictedSteps)]
    baselines = dict.fromkeys(race.baseline for race in races)
    return tuple(Gate(text, Skill(runs), LEAST_SKILL) for runs in baselines)


def scored_runs(contrast: Contrast) -> Iterator[tuple[Any, ...]]:
    """The groups of runs whose test score a contrast is made of."""
    if isinstance(contrast, Skill) or (
        isinstance(contrast, Average)
        and (contrast.quantity == SCORE or contrast.of_class)
    ):
        yield contrast.runs
    for part in contrast.parts:
        yield from scored_runs(part)


def _donor_gate(contrast: Contrast) -> tuple[Gate, ...]:
    runs = tuple(
        dict.fromkeys(
            run
            for group in contrast.groups()
            for run in group
            if run.donor and run.initialization != "random"
        )
    )
    if not runs:
        return ()
    text = f"a donor has learnt less than {LEAST_SKILL:.0%} of the way from chance"
    return (Gate(text, DonorSkill(runs), LEAST_SKILL),)
