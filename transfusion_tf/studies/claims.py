"""What a paper claims, as data, and whether a study's measurements bear it out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.evaluation import Estimate, adjusted_p_values
from transfusion_tf.evaluation.estimates import NO_SPREAD
from transfusion_tf.evaluation.units import unit
from transfusion_tf.studies.claim_gates import (
    Gate,
    closed_gate,
    learned_gates,
    scored_runs,
)
from transfusion_tf.studies.contrasts import (
    Average,
    Contrast,
    MissingMeasurementError,
    RestrictedSteps,
    from_dict,
    measure_effect,
    open_end_in_words,
    to_dict,
)
from transfusion_tf.studies.learned import collapsed
from transfusion_tf.studies.measurements.table import Measurements

HOLDS = "holds"
DOES_NOT_HOLD = "does not hold"
NOT_DECIDED = "not decided here"
NOT_ASKED = "not asked"

# Of p values that are called.
_LEVEL = 0.05

RULES = ("above", "alike", "at_least")


@dataclasses.dataclass(frozen=True)
class Claim:
    """One finding of a paper.

    Attributes:
      text: the finding.
      source: where the paper says so.
      effect: what is measured here, in words.
      unit: of the effect: `AUC`, `CCA`; its margin is in `evaluation.units`.
      rule: `above` (the effect is above zero), `alike` (it is zero, give or take the
        margin), `at_least` (it is not below zero by more than the margin).
      contrast: the effect.
      gates: what must be so before it is judged.
      published: the paper's own value of the effect, where it prints one.
    """

    text: str
    source: str
    effect: str
    unit: str
    rule: str
    contrast: Contrast
    gates: tuple[Gate, ...] = ()
    published: float | None = None

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise one_of("rule", self.rule, RULES)
        unit(self.unit)

    @property
    def rule_in_words(self) -> str:
        """The rule with the unit's margin."""
        margin = f"{unit(self.unit).margin:g}"
        return {
            "above": (
                "holds when the whole interval lies above 0; does not when it lies "
                f"below +{margin}"
            ),
            "alike": (
                f"holds when the whole interval lies within ±{margin}; does not when "
                "it lies outside"
            ),
            "at_least": (
                f"holds when the whole interval lies above −{margin}; does not when it "
                "lies below"
            ),
        }[self.rule]


def with_learned_runs(claims: Sequence[Claim]) -> tuple[Claim, ...]:
    """The claims, each judged only where its runs, and their donors, learnt anything.

    Transfer from a donor that knows nothing says nothing about transfer. What one side
    of a comparison of test scores never learned may be a finding, so that one arm of it
    is enough; arms that are said to be alike must all have learned. What random weights
    never learned is no threshold to count others' steps to.

    Args:
      claims: about run configs.
    """
    return tuple(
        dataclasses.replace(
            claim,
            gates=(*claim.gates, *learned_gates(claim.contrast, claim.rule)),
        )
        for claim in claims
    )


def claim_to_dict(claim: Claim, run_ids: Mapping[Any, str]) -> dict[str, Any]:
    """The claim as plain values, for `study.json`.

    Args:
      claim: about run configs.
      run_ids: the id of every config of the study.
    """
    values = {
        field.name: getattr(claim, field.name) for field in dataclasses.fields(claim)
    }
    gates = [
        {
            "text": gate.text,
            "contrast": to_dict(gate.contrast, run_ids),
            "least": gate.least,
        }
        for gate in claim.gates
    ]
    return values | {"contrast": to_dict(claim.contrast, run_ids), "gates": gates}


def claim_from_dict(values: Mapping[str, Any]) -> Claim:
    """The claim that `claim_to_dict` wrote, about run ids.

    Raises:
      UserError: values that are no claim.
    """
    try:
        fields = dict(values)
        fields["contrast"] = from_dict(fields["contrast"])
        fields["gates"] = tuple(
            Gate(gate["text"], from_dict(gate["contrast"]), gate.get("least", 0.0))
            for gate in fields.get("gates") or ()
        )
        return Claim(**fields)
    except (KeyError, TypeError) as error:
        raise UserError(
            f"study.json has a claim that cannot be read: {error}"
        ) from error


def judge_claims(claims: Sequence[Claim], measurements: Measurements) -> pd.DataFrame:
    """One row per claim.

    Returns:
      `claim source effect estimate low high unit seeds rule verdict reason published
      p_value adjusted_p_value`; the interval is a 95 % one, see
      `transfusion_tf.evaluation.estimator`. Verdicts are each by its own interval; the
      reason says where an effect is not above 0 among all of them (Holm's correction).
    """
    rows = [_row(claim, measurements) for claim in claims]
    adjusted = adjusted_p_values([row["p_value"] for row in rows])
    for claim, row, p_value in zip(claims, rows, adjusted, strict=True):
        row["adjusted_p_value"] = p_value
        if row["verdict"] == HOLDS and claim.rule == "above" and p_value >= _LEVEL:
            alone = f"by its own interval, not among all {len(rows)} together"
            row["reason"] = "; ".join(filter(None, (alone, row["reason"])))
    return pd.DataFrame(rows)


def _row(claim: Claim, measurements: Measurements) -> dict[str, Any]:
    row: dict[str, Any] = {
        "claim": claim.text,
        "source": claim.source,
        "effect": claim.effect,
        "estimate": None,
        "low": None,
        "high": None,
        "unit": claim.unit,
        "seeds": 0,
        "rule": claim.rule_in_words,
        "verdict": NOT_ASKED,
        "reason": "",
        "published": claim.published,
        "p_value": np.nan,
    }
    try:
        found = measure_effect(claim.contrast, measurements)
    except MissingMeasurementError as error:
        return row | {"reason": str(error)}
    row |= {
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "seeds": found.seeds,
        "p_value": found.p_value,
    }
    closed = closed_gate(claim.gates, measurements)
    if closed:
        return row | {"verdict": NOT_DECIDED, "reason": closed}
    judged = found.opened(claim.contrast.open_ends(measurements))
    verdict, reason = _verdict(judged, claim.rule, unit(claim.unit).margin)
    if apart := _steps_apart(claim.contrast, measurements):
        verdict, reason = NOT_DECIDED, apart
    reasons = [
        reason,
        *_collapsed_runs(claim.contrast, measurements),
        *_never_there(claim.contrast, measurements),
    ]
    return row | {"verdict": verdict, "reason": "; ".join(filter(None, reasons))}


def _steps_apart(contrast: Contrast, measurements: Measurements) -> str:
    """Why changes in training do not compare; empty where they do.

    A run that has trained for longer has moved further. Weights are compared after
    equal steps on one data set, or at the end of runs that a rule stopped.
    """
    moved = [leaf for leaf in contrast.leaves() if isinstance(leaf, Average)]
    parts = [
        measurements.of(leaf.quantity, run=leaf.runs, weights_b="trained")
        for leaf in moved
    ]
    rows = pd.concat(parts) if parts else measurements.rows.iloc[:0]
    for _, own in rows.dropna(subset="step").groupby(
        ["dataset", "head_first"], dropna=False
    ):
        last, asked = (
            own["run"].map(measurements.of(name).set_index("run")["value"])
            for name in ("step", "steps")
        )
        low, high = own["step"].min(), own["step"].max()
        stopped_by_rule = (own["step"] == last).all() and asked.min() == asked.max()
        if low < high and not stopped_by_rule:
            return (
                "the weights compared are after different numbers of steps, "
                f"{low} to {high}"
            )
    return ""


def _collapsed_runs(contrast: Contrast, measurements: Measurements) -> Iterator[str]:
    """Of each group whose test score is compared, how many runs ended at chance."""
    for runs in dict.fromkeys(scored_runs(contrast)):
        fallen = collapsed(measurements, runs)
        if fallen:
            row = measurements.runs.loc[next(iter(fallen))]
            yield (
                f"{len(fallen)} of {len(runs)} runs of {row['model']} from "
                f"{row['initialization']} collapsed"
            )


def _never_there(contrast: Contrast, measurements: Measurements) -> Iterator[str]:
    """Of each group whose steps are counted, how many runs never get there."""
    leaves = dict.fromkeys(contrast.leaves())
    races = [leaf for leaf in leaves if isinstance(leaf, RestrictedSteps)]
    for race in races:
        never = race.never(measurements)
        if never:
            row = measurements.runs.loc[never[0]]
            count = len(race.by_run(measurements))
            yield (
                f"{len(never)} of {count} runs of {row['model']} from "
                f"{row['initialization']} never reach the threshold"
            )
    bound = open_end_in_words(contrast.open_ends(measurements))
    if bound:
        yield f"the effect is {bound} this"


def _verdict(found: Estimate, rule: str, margin: float) -> tuple[str, str]:
    if found.seeds < 3:
        return NOT_DECIDED, "too few seeds for an interval"
    if found.few_patients:
        return NOT_DECIDED, (
            f"too few test patients: {found.patients} on the rarer side"
        )
    if not found.spread:
        return NOT_DECIDED, NO_SPREAD
    low, high = found.low, found.high
    holds, fails = {
        "above": (low > 0, high < margin),
        "alike": (low > -margin and high < margin, low > margin or high < -margin),
        "at_least": (low > -margin, high < -margin),
    }[rule]
    if holds:
        return HOLDS, ""
    if fails:
        return DOES_NOT_HOLD, ""
    return NOT_DECIDED, "the interval is too wide"
