"""Writes the report of a study after a paper: its claims, and a chapter for each
table and figure.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from transfusion_tf import files
from transfusion_tf.report import page, tables, wording
from transfusion_tf.report.chapters import Material, read_material
from transfusion_tf.report.records import ChapterRecord, StudyRecord
from transfusion_tf.report.rendering import render
from transfusion_tf.report.results import Results
from transfusion_tf.report.views import VIEWS, View, paper_values

# How a verdict is shown: symbol, tone, and its words in the line that counts them.
VERDICTS = {
    "holds": ("✓", "yes", "hold", "holds"),
    "does not hold": ("✗", "no", "do not", "does not"),
    "not decided here": ("○", "open", "are not decided here", "is not decided here"),
    "not asked": ("–", "none", "were not asked", "was not asked"),
}

# Longer tables are folded away.
_MOST_ROWS = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Chapter:
    """A chapter as the page shows it.

    Attributes:
      record: what the study says about it.
      label: `Table 1`.
      view: its pictures and numbers; None where there is nothing to draw from.
      missing: what is not there, a sentence each.
      paper: what the paper's values are called.
      leftover: the paper's rows that stand beside none of ours.
      shown: whether its table is open.
    """

    record: ChapterRecord
    label: str
    view: View | None
    missing: tuple[str, ...]
    paper: str
    leftover: tuple[Mapping[str, Any], ...]
    shown: bool


def write_paper_page(record: StudyRecord, folder: str | Path) -> Path:
    """Writes `report.html`, `figures/` and `tables/` of a study with chapters.

    What a chapter lacks is named in it; the page needs no network and no script.

    Args:
      record: from `read_study`.
      folder: the study's.

    Returns:
      Path of `report.html`.

    Raises:
      UserError: the folder cannot be written to.
    """
    folder = Path(folder)
    chapters = [_chapter(record, chapter, folder) for chapter in record.chapters]
    everything = Results(record, record.runs[0].metric if record.runs else "", ())
    tables.write_table(_runs(record), folder / "tables", "runs")
    context = {
        "record": record,
        "wording": wording,
        "data": _data(record),
        "claims": _claims(record, folder),
        "chapters": chapters,
        "leftover_heads": _LEFTOVER_HEADS,
        "donors": page.donor_sentences(everything),
        "reproduction": page.reproduction(everything) if record.runs else None,
    }
    target = folder / "report.html"
    files.write_text(target, render("paper.html", context))
    return target


def _chapter(record: StudyRecord, chapter: ChapterRecord, folder: Path) -> Chapter:
    material = read_material(record, chapter)
    view, missing = None, list(material.missing)
    if chapter.view not in VIEWS:
        missing.append(f"This version has no view called {chapter.view}.")
    elif chapter.runs and not material.results:
        missing.append("There is nothing to draw yet.")
    else:
        view = VIEWS[chapter.view](material, folder / "figures")
        tables.write_table(view.table, folder / "tables", chapter.name)
        if not view.pictures:
            missing.append("There is nothing to draw yet.")
    ours = view.table if view is not None else pd.DataFrame(columns=["quantity"])
    return Chapter(
        record=chapter,
        label=chapter_label(chapter.name),
        view=view,
        missing=tuple(missing),
        paper=paper_values.label(chapter.published, _datasets(material)),
        leftover=tuple(
            _leftover(row) for row in paper_values.unmatched(ours, chapter.published)
        ),
        shown=view is not None
        and view.sheet is not None
        and len(view.sheet.rows) <= _MOST_ROWS,
    )


def chapter_label(name: str) -> str:
    """`Table 1` of `table1`."""
    return re.sub(r"(?<=[a-z])(?=\d)", " ", name).replace("_", " ").capitalize()


def _datasets(material: Material) -> list[str]:
    return [each.record.runs[0].dataset["name"] for each in material.results]


_LEFTOVER_HEADS = ("Model", "Start", "Images", "Stage", "Pair", "Quantity", "Value")


def _leftover(row: Mapping[str, Any]) -> dict[str, str]:
    """A row of the paper in words, by the heads of their table."""
    images = row.get("paper_train_examples", row.get("train_examples"))
    value, spread = row["value"], row.get("spread")
    large = abs(value) >= 1000
    text = wording.count(value) if large else wording.number(value)
    if spread is not None:
        text += f" ± {wording.number(spread, 4)}"
    return {
        "Model": row.get("model", ""),
        "Start": row.get("initialization", ""),
        "Images": "" if images is None else wording.count(images),
        "Stage": row.get("stage", ""),
        "Pair": row.get("pair", ""),
        "Quantity": row.get("quantity", "").replace("_", " "),
        "Value": text,
    }


def _data(record: StudyRecord) -> list[dict[str, Any]]:
    """What is said at the top about every data set."""
    by_name: dict[str, list] = {}
    for run in record.runs:
        by_name.setdefault(run.dataset["name"], []).append(run)
    shown = []
    for name, runs in by_name.items():
        dataset = runs[0].dataset
        own = Results(dataclasses.replace(record, runs=tuple(runs)), runs[0].metric, ())
        title = dataset.get("title") or name
        shown.append(
            {
                "name": name,
                "title": title,
                "facts": page.data_facts(own),
                "note": dataset.get("source_note") or "",
                "notes": page.data_notes(dataset),
            }
        )
    return shown


def _runs(record: StudyRecord) -> pd.DataFrame:
    """A row a run: what it is, its chapters, and how it ended."""
    chapters: dict[str, list[str]] = {}
    for chapter in record.chapters:
        for run_id in chapter.runs:
            chapters.setdefault(run_id, []).append(chapter.name)
    rows = [
        {
            "run": run.run_id,
            "state": "finished",
            "dataset": run.dataset["name"],
            "model": run.config.model,
            "initialization": run.config.initialization,
            "frozen": run.config.freeze,
            "train_examples": run.train_examples,
            "seed": run.config.seed,
            "best_validation": run.best_validation(),
            "test": run.score.value if run.score else np.nan,
            "train_seconds": run.status.get("train_seconds"),
            "chapters": " ".join(chapters.get(run.run_id, ())),
        }
        for run in record.runs
    ]
    rows += [
        {
            "run": run.run_id,
            "state": run.state,
            "chapters": " ".join(chapters.get(run.run_id, ())),
            "message": run.message,
        }
        for run in record.unfinished
    ]
    return pd.DataFrame(rows)


@dataclasses.dataclass(frozen=True)
class Claim:
    """One of the paper's findings, ready to print.

    Attributes:
      claim, source, effect, rule, reason: as the table has them.
      value: the estimate in words, with its unit.
      interval: its ends in words; empty where there are none.
      bar: low, estimate and high on a scale of 0 to 100, or None.
      zero: where zero lies on that scale.
      verdict, symbol, tone: the verdict's word, its sign, and its colour's name.
    """

    claim: str
    source: str
    effect: str
    rule: str
    reason: str
    value: str
    interval: str
    bar: tuple[float, float, float] | None
    zero: float
    verdict: str
    symbol: str
    tone: str


def _claims(record: StudyRecord, folder: Path) -> dict[str, Any] | None:
    """The front page: claims, and how many hold."""
    if not record.claims:
        return None
    path = folder / record.claims
    if not path.exists():
        return {"missing": f"{record.claims} is not there.", "rows": [], "summary": ""}
    texts = ["claim", "source", "effect", "unit", "rule", "verdict", "reason"]
    table = pd.read_csv(path, dtype={name: str for name in texts})
    table = table.reindex(columns=[*texts, "estimate", "low", "high", "seeds"])
    table[texts] = table[texts].fillna("")
    scales = _scales(table)
    rows = [_claim(row, scales) for row in table.to_dict("records")]
    return {
        "missing": "",
        "rows": rows,
        "summary": _summary([row.verdict for row in rows]),
    }


def _scales(table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Unit -> ends of the scale that all claims of the unit are drawn on."""
    scales = {}
    for unit, part in table.groupby("unit"):
        values = part[["estimate", "low", "high"]].to_numpy(float).ravel()
        finite = [*values[np.isfinite(values)], 0.0]
        scales[str(unit)] = (min(finite), max(finite))
    return scales


def _claim(row: Mapping[str, Any], scales: Mapping[str, tuple[float, float]]) -> Claim:
    symbol, tone, _, _ = VERDICTS.get(row["verdict"], ("?", "none", "", ""))
    low, high = scales[row["unit"]]
    span = max(high - low, 1e-12)

    def place(value: float) -> float:
        return round(5 + 90 * (value - low) / span, 2)

    ends = [float(row[name]) for name in ("low", "estimate", "high")]
    known = bool(np.isfinite(ends).all())
    estimate = float(row["estimate"])
    return Claim(
        **{name: row[name] for name in ("claim", "source", "effect", "rule", "reason")},
        value=_amount(estimate, row["unit"]) if np.isfinite(estimate) else "",
        interval=f"{_plain(ends[0])} to {_plain(ends[2])}" if known else "",
        bar=(place(ends[0]), place(ends[1]), place(ends[2])) if known else None,
        zero=place(0.0),
        verdict=row["verdict"],
        symbol=symbol,
        tone=tone,
    )


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
