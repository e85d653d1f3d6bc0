"""Writes what a paper's own data say of its findings, beside what a study says."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from transfusion_tf import files
from transfusion_tf.report.claims_section import claims_in_words
from transfusion_tf.report.rendering import render

_FACTS = ["estimate", "low", "high", "seeds", "verdict", "reason"]


@dataclasses.dataclass(frozen=True)
class PublishedResults:
    """A paper's claims, judged by what its authors published.

    Attributes:
      paper: its name.
      source: the folder of their files.
      table: of `judge_claims`.
      notes: what has to be known of these files, one sentence each.
    """

    paper: str
    source: str
    table: pd.DataFrame
    notes: Sequence[str] = ()


def write_published(
    results: PublishedResults, folder: Path, ours: pd.DataFrame | None = None
) -> Path:
    """Writes `published.html` and `published_claims.csv`.

    Args:
      results: of the paper.
      folder: made if need be.
      ours: the same claims, judged by a study's own runs; columns `here_...` of the CSV
        file.

    Returns:
      Path of the page.
    """
    theirs = results.table
    beside = theirs
    here: dict[str, dict[str, Any]] = {}
    if ours is not None:
        here = {row["claim"]: row for row in claims_in_words(ours)["rows"]}
        own = ours.set_index("claim")[_FACTS].add_prefix("here_")
        beside = theirs.join(own, on="claim")
    files.write_text(folder / "published_claims.csv", beside.to_csv(index=False))
    claims = claims_in_words(theirs)
    claims["rows"] = [_beside(row, here.get(row["claim"])) for row in claims["rows"]]
    context = {
        "results": results,
        "claims": {"title": "Do they hold in the paper’s own data?", **claims},
    }
    page = folder / "published.html"
    files.write_text(page, render("published.html", context))
    return page


def _beside(row: dict[str, Any], ours: dict[str, Any] | None) -> dict[str, Any]:
    """The paper's row; in its effect, what the study found."""
    if ours is None:
        return row
    found = ours["value"]
    if ours["interval"]:
        found = f"{found} ({ours['interval']})"
    here = f"this study: {f'{found}, ' if found else ''}{ours['verdict']}"
    return row | {"effect": f"{row['effect']}. In {here}"}
