"""The front page of a study after a paper: which of its findings hold here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf import files
from transfusion_tf.report import wording
from transfusion_tf.report.long_table import lines
from transfusion_tf.studies.claims import claim_from_dict, judge_claims
from transfusion_tf.studies.measurements.table import Measurements
from transfusion_tf.studies.study_folder import StudyRecord

# How a verdict is shown: symbol, tone, and its words in the line that counts them.
VERDICTS = {
    "holds": ("✓", "yes", "hold", "holds"),
    "does not hold": ("✗", "no", "do not", "does not"),
    "not decided here": ("○", "open", "are not decided here", "is not decided here"),
    "not asked": ("–", "none", "were not asked", "was not asked"),
}


def write_claims(
    record: StudyRecord, folder: Path, measurements: Measurements
) -> pd.DataFrame:
    """Judges the study's claims by its measurements, and writes `claims.csv`.

    The file says in every row what made it, so that it can be shown on its own:
    `command`, `commit`, `created`, `machine`, `hours` (of training and evaluation).
    """
    claims = [claim_from_dict(values) for values in record.claims]
    table = judge_claims(claims, measurements).assign(**_origin(record))
    files.write_text(folder / "claims.csv", table.to_csv(index=False))
    return table


def claims_section(
    record: StudyRecord, folder: Path, measurements: Measurements
) -> dict[str, Any] | None:
    """Claims and how many of them hold, for the template; None of a study without."""
    if not record.claims:
        return None
    table = write_claims(record, folder, measurements)
    return {"title": "Does the paper’s finding hold here?", **claims_in_words(table)}


def claims_in_words(table: pd.DataFrame) -> dict[str, Any]:
    """The table of `judge_claims`, ready to print, and how many of its claims hold.

    Returns:
      `summary`, and `rows` with `claim source rule reason` of the table, `effect` (what
      is measured, and what it is in the paper), `value` and `interval` in words, `bar`
      (low, estimate and high on a scale of 0 to 100, or None) and `zero` on that scale,
      the `verdict` with its `symbol`, and `tone`, its colour's name.
    """
    table = table.copy()
    texts = ["claim", "source", "effect", "unit", "rule", "verdict", "reason"]
    table[texts] = table[texts].fillna("")
    numbers = ["estimate", "low", "high", "published"]
    table[numbers] = table[numbers].astype(float)
    scales = _scales(table)
    rows = [_claim(row, scales) for row in lines(table)]
    return {"rows": rows, "summary": _summary([row["verdict"] for row in rows])}


def _origin(record: StudyRecord) -> dict[str, Any]:
    runs = (*record.runs, *record.donors)
    machines = dict.fromkeys(str(run.status.get("machine", "")) for run in runs)
    return {
        "command": record.command,
        "commit": record.commit,
        "created": record.created,
        "machine": "; ".join(filter(None, machines)),
        "hours": round(sum(run.seconds for run in runs) / 3600, 2),
    }


def _scales(table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Unit -> ends of the scale that all claims of the unit are drawn on."""
    scales = {}
    for unit, part in table.groupby("unit"):
        values = part[["estimate", "low", "high"]].to_numpy(float).ravel()
        finite = [*values[np.isfinite(values)], 0.0]
        scales[str(unit)] = (min(finite), max(finite))
    return scales


def _claim(
    row: Mapping[str, Any], scales: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    symbol, tone, _, _ = VERDICTS.get(row["verdict"], ("?", "none", "", ""))
    low, high = scales[row["unit"]]
    span = max(high - low, 1e-12)

    def place(value: float) -> float:
        return round(5 + 90 * (value - low) / span, 2)

    estimate, published = row["estimate"], row["published"]
    ends = [row["low"], estimate, row["high"]]
    known = bool(np.isfinite(ends).all())
    paper = ""
    if np.isfinite(published):
        paper = f"; in the paper {_amount(published, row['unit'])}"
    return {
        **{name: row[name] for name in ("claim", "source", "rule", "reason")},
        "effect": row["effect"] + paper,
        "value": _amount(estimate, row["unit"]) if np.isfinite(estimate) else "",
        "interval": f"{_plain(ends[0])} to {_plain(ends[2])}" if known else "",
        "bar": tuple(map(place, ends)) if known else None,
        "zero": place(0.0),
        "verdict": row["verdict"],
        "symbol": symbol,
        "tone": tone,
    }


def _amount(value: float, unit: str) -> str:
    return f"{_plain(value)} {unit}".strip()


def _plain(value: float) -> str:
    if abs(value) >= 100:
        return ("+" if value > 0 else "−") + wording.count(abs(value))
    return wording.signed(value)


def _summary(verdicts: Sequence[str]) -> str:
    """`8 hold, 2 do not, 5 are not decided here`."""
    parts = []
    for verdict, (_, _, several, one) in VERDICTS.items():
        count = verdicts.count(verdict)
        if count:
            parts.append(f"{count} {one if count == 1 else several}")
    text = wording.listed(parts)
    return f"{text} (of {len(verdicts)} findings)." if text else ""
