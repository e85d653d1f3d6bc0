"""What a paper claims, and whether a study's runs bear it out."""

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from transfusion_tf import files
from transfusion_tf.evaluation import Difference, Quantity
from transfusion_tf.evaluation.quantities import NoSeedError
from transfusion_tf.report.cases import MARGIN
from transfusion_tf.report.evidence import Evidence, MissingEvidenceError
from transfusion_tf.studies.study_folder import StudyRecord, read_study
from transfusion_tf.training import RunConfig

HOLDS = "holds"
DOES_NOT_HOLD = "does not hold"
NOT_DECIDED = "not decided here"
NOT_ASKED = "not asked"

_RULES = {
    "above": (
        f"holds when the whole interval lies above 0; does not when it lies below "
        f"+{MARGIN:g}"
    ),
    "alike": (
        f"holds when the whole interval lies within ±{MARGIN:g}; does not when it "
        "lies outside"
    ),
    "at_least": (
        f"holds when the whole interval lies above −{MARGIN:g}; does not when it lies "
        "below"
    ),
}


@dataclasses.dataclass(frozen=True)
class Claim:
    """One finding of a paper.

    Attributes:
      text: the finding.
      source: where the paper says so.
      effect: what is measured here, in words.
      unit: of the effect: `AUC`, `CCA`.
      rule: `above` (the effect is above zero), `alike` (it is zero, give or take the
        margin), `at_least` (it is not below zero by more than the margin).
      measure: the effect, from the evidence.
    """

    text: str
    source: str
    effect: str
    unit: str
    rule: str
    measure: Callable[[Evidence], Quantity]


def judge_claims(claims: Sequence[Claim], evidence: Evidence) -> pd.DataFrame:
    """A row a claim.

    Returns:
      `claim source effect estimate low high unit seeds rule verdict reason`; the
      interval is a 95 % one, over seeds, and over test patients where they matter.
    """
    return pd.DataFrame([_row(claim, evidence) for claim in claims])


def write_claims(
    study_dir: Path, claims: Sequence[Claim], run_ids: Mapping[RunConfig, str]
) -> pd.DataFrame:
    """Judges the claims on a study that was run, and leaves `claims.csv` beside it.

    The file says in every row what made it, so that it can be shown on its own:
    `command`, `commit`, `made` (UTC), `machine`, `hours` (of training and evaluation).

    Args:
      study_dir: `<root>/studies/<name>`.
      claims: of the paper that the study is made after.
      run_ids: of all configs that the study was made of.
    """
    record = files.read_json(study_dir / "study.json")
    analyses = [
        path
        for chapter in record.get("chapters", ())
        for paths in chapter["analyses"].values()
        for path in paths
    ]
    study = read_study(study_dir)
    evidence = Evidence(study, run_ids, analyses)
    table = judge_claims(claims, evidence).assign(**_origin(study))
    files.write_text(study_dir / "claims.csv", table.to_csv(index=False))
    files.write_json(study_dir / "study.json", {**record, "claims": "claims.csv"})
    return table


def _origin(study: StudyRecord) -> dict[str, Any]:
    runs = (*study.runs, *study.donors)
    seconds = sum(
        run.status.get(key) or 0
        for run in runs
        for key in ("train_seconds", "evaluation_seconds")
    )
    machines = dict.fromkeys(str(run.status.get("machine", "")) for run in runs)
    return {
        "command": study.command,
        "commit": study.commit,
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": "; ".join(filter(None, machines)),
        "hours": round(seconds / 3600, 2),
    }


def _row(claim: Claim, evidence: Evidence) -> dict[str, Any]:
    row: dict[str, Any] = {
        "claim": claim.text,
        "source": claim.source,
        "effect": claim.effect,
        **dict.fromkeys(("estimate", "low", "high")),
        "unit": claim.unit,
        "seeds": 0,
        "rule": _RULES[claim.rule],
    }
    try:
        found = claim.measure(evidence).interval()
    except (MissingEvidenceError, NoSeedError) as error:
        return row | {"verdict": NOT_ASKED, "reason": str(error)}
    verdict, reason = _verdict(found, claim.rule)
    return row | {
        **{"estimate": found.estimate, "low": found.low, "high": found.high},
        **{"seeds": found.seeds, "verdict": verdict, "reason": reason},
    }


def _verdict(found: Difference, rule: str) -> tuple[str, str]:
    if found.seeds == 1:
        return NOT_DECIDED, "too few seeds for an interval"
    low, high = found.low, found.high
    holds, fails = {
        "above": (low > 0, high < MARGIN),
        "alike": (low > -MARGIN and high < MARGIN, low > MARGIN or high < -MARGIN),
        "at_least": (low > -MARGIN, high < -MARGIN),
    }[rule]
    if holds:
        return HOLDS, ""
    if fails:
        return DOES_NOT_HOLD, ""
    return NOT_DECIDED, "the interval is too wide"
