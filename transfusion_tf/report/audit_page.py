"""Writes an audit: one self-contained page, and tables as CSV."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from transfusion_tf import files
from transfusion_tf.datasets.audit import Audit
from transfusion_tf.datasets.images import to_square
from transfusion_tf.datasets.problems import counts_by_kind
from transfusion_tf.datasets.readers.csv_table import boxes
from transfusion_tf.datasets.shortcuts import DATE
from transfusion_tf.report.rendering import render
from transfusion_tf.report.sample_images import data_uri

# Rows of a table and pairs of pictures on the page; the CSV files have all.
_ROWS, _PICTURES, _SIDE = 30, 8, 160
# An AUC from which on what files give away is a fault, and not one thing to know of.
_GIVEN_AWAY = 0.8


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that was looked for.

    Attributes:
      name: what.
      tone: `yes` where nothing was found, `no` where it would spoil results, `mixed`
        where one should know of it.
      word: how much was found.
      text: what it means, and what to do.
    """

    name: str
    tone: str
    word: str
    text: str


def write_audit(audit: Audit, folder: str | Path, *, show_images: bool = True) -> Path:
    """Writes `audit.html` and a CSV file for each table into the folder.

    The page names patients and examples by hashes. `rows.csv` says which rows of the
    data they are, and `problems.csv` names files: these two should stay with the data.

    Args:
      audit: what to write.
      folder: made if need be; files of an earlier audit are replaced.
      show_images: whether the page shows pairs of copies.

    Returns:
      Path of `audit.html`.

    Raises:
      UserError: the folder can't be written to.
    """
    folder = Path(folder)
    tables = {
        "rows": audit.rows,
        "problems": audit.problems,
        "gaps": audit.gaps,
        "classes": audit.classes(),
        "splits": audit.splits(),
        "sizes": audit.sizes(),
        "colors": audit.colors(),
        "copies": audit.copies,
        "near_copies": audit.near,
        "shortcuts": _shortcut_table(audit),
        "patients_across_splits": audit.astride,
    }
    for name, table in tables.items():
        with files.replacing(folder / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
    found = checks(audit)
    context = {
        "card": audit.card,
        "checks": found,
        "headline": _headline(found),
        "facts": _facts(audit),
        "tables": tables,
        "kinds": counts_by_kind(audit.problems),
        "losses": audit.losses,
        "pictures": _pictures(audit) if show_images else [],
        "show_images": show_images,
        "shown": _ROWS,
    }
    target = folder / "audit.html"
    files.write_text(target, render("audit.html", context))
    return target


def checks(audit: Audit) -> list[Check]:
    """What was looked for and what was found, the gravest kinds first."""
    return [
        _check(
            "Rows that can’t be used",
            len(audit.problems),
            "no",
            "Preparing stops at them unless --max_bad_fraction lets them be left out.",
        ),
        _check(
            "Classes and splits without images",
            len(audit.gaps),
            "no",
            "Nothing can be learned or tested of them: mend their images, or change "
            "the card.",
        ),
        _check(
            "Classes not in validation or test",
            len(audit.absent),
            "mixed",
            "What is predicted of them can't be measured there; the table of classes "
            "says where.",
        ),
        *_boxes(audit),
        _shortcuts(audit),
        _patients(audit),
        *_copy_checks(audit),
    ]


def _copy_checks(audit: Audit) -> list[Check]:
    """Images that are there twice, and pairs that nearly are."""
    copies, near = audit.copies, audit.near
    conflicts = copies.loc[copies["conflict"] == True, "group"].nunique()  # noqa: E712
    across = _count(copies, "across_splits", "group")
    near_within = near[near["across_splits"] == False]  # noqa: E712
    near_patients = _count(near_within, "across_patients")
    others = copies["group"].nunique() - across + len(near_within) - near_patients
    return [
        _check(
            "Same pixels in several splits",
            across,
            "no",
            "Groups of identical images, one of which is trained on and one tested. "
            + _remedy("copies"),
        ),
        _check(
            "Same pixels, other labels",
            conflicts,
            "no",
            "Groups of identical images whose labels contradict each other.",
        ),
        _check(
            "Near copies in several splits",
            len(near) - len(near_within),
            "no",
            "Pairs that show the same picture, saved again, resized, mirrored, turned, "
            "rotated by a few degrees or slightly cropped. " + _remedy("near_copies"),
        ),
        _check(
            "Near copies of several patients",
            near_patients,
            "mixed",
            "Pairs in one split under two names: perhaps one patient with two ids.",
        ),
        _check(
            "Other copies",
            others,
            "mixed",
            "Of one patient in one split, or identical in one split: they count twice, "
            "but spoil no test.",
        ),
    ]


def _patients(audit: Audit) -> Check:
    name, found = "Patients in several splits", audit.grouping
    if found is None:
        return _check(
            name,
            len(audit.astride),
            "no",
            "The test would measure how well patients are remembered. Name the patient "
            "column, or mend the split column.",
        )
    text = "Patients unknown: every image counts as one."
    if not found.pattern:
        how = "reader.patient_column or patient_pattern"
        if audit.card.reader["kind"] == "npz":
            how = "an array train_patients beside train_images"
        text += (
            " Names of the images show none either: if people have several images, say "
            f"who they belong to ({how})."
        )
    else:
        text += (
            f" Names of the images show a pattern, '{found.pattern}', which makes "
            f"{found.patients} patients of {len(audit.rows)} images; {found.crossing} "
            f"of them, with {found.images} images, are in several splits. If that is "
            f"right, set reader.patient_pattern = '{found.pattern}' in the card."
        )
    return Check(name, "mixed", "unknown", text)


def _remedy(table: str) -> str:
    return (
        "Keep one file of each, or give both the same patient, so that one split has "
        f"them; {table}.csv names the files."
    )


def _shortcuts(audit: Audit) -> Check:
    name, found = "Classes that their files give away", audit.shortcuts
    if not found:
        return _check(name, 0, "yes", "")
    worst = found[0]
    (first, auc), *others = worst.alone
    text = (
        "Sizes, borders, formats, colour and dates of the files, and nothing else, "
        f"tell {worst.name!r} with an AUC of {worst.auc:.2f} (at least "
        f"{worst.at_least:.2f}), cross-validated by patient. Alone: {first} "
        f"{auc:.2f} ({worst.contrast})"
    )
    text += "".join(f", {other} {alone:.2f}" for other, alone in others)
    seen = [alone for one in found for other, alone in one.alone if other != DATE]
    if seen:
        text += (
            ". A model can learn that in place of what is shown: take all classes from "
            "one source, or bring the files to one size, border and format first."
        )
    else:
        text += (
            ". No model sees a date, but two dates are often two sources: look for "
            "what else sets these apart."
        )
    grave = max(seen, default=0) > _GIVEN_AWAY
    return _check(name, len(found), "no" if grave else "mixed", text)


def _boxes(audit: Audit) -> list[Check]:
    found = boxes(len(audit.examples), len({e.image for e in audit.examples}))
    name = "One row per box, not per image"
    return [Check(name, "no", "yes", f"{sentence}.") for sentence in found]


def _shortcut_table(audit: Audit) -> pd.DataFrame:
    """A row per class and property, the class's AUC of all properties beside each."""
    columns = ["class", "auc", "at_least", "property", "alone"]
    rows = [
        (one.name, one.auc, one.at_least, name, alone)
        for one in audit.shortcuts
        for name, alone in one.alone
    ]
    return pd.DataFrame(rows, columns=columns).round(3)


def _count(table: pd.DataFrame, flag: str, group: str | None = None) -> int:
    chosen = table[table[flag].astype(bool)]
    return int(chosen[group].nunique()) if group else len(chosen)


def _check(name: str, number: int, tone: str, text: str) -> Check:
    if not number:
        return Check(name, "yes", "none", "")
    return Check(name, tone, f"{number:,}".replace(",", " "), text)


def _headline(found: Sequence[Check]) -> tuple[str, str]:
    """Tone and sentence."""
    grave = sum(check.tone == "no" for check in found)
    if grave:
        kinds = "One kind" if grave == 1 else f"{grave} kinds"
        return "no", f"{kinds} of fault to mend before training."
    if any(check.word == "unknown" for check in found):
        return "mixed", "Patients are unknown: whether the test is a fair one is open."
    if any(check.tone == "mixed" for check in found):
        return "mixed", "Nothing that spoils a test; some things to know of."
    return "yes", "No fault was found."


def _facts(audit: Audit) -> list[tuple[str, str]]:
    rows = audit.rows
    sizes = len(audit.sizes())
    size = f"{rows['width'].iloc[0]}×{rows['height'].iloc[0]}"
    return [
        (f"{len(rows):,}".replace(",", " "), "images"),
        (f"{rows['patient'].nunique():,}".replace(",", " "), "patients"),
        (str(len(audit.card.labels.classes)), "classes"),
        (size if sizes == 1 else str(sizes), "pixels" if sizes == 1 else "sizes"),
    ]


def _pictures(audit: Audit) -> list[dict[str, Any]]:
    """Pairs of copies, side by side, those across splits first."""
    place = {name: index for index, name in enumerate(audit.rows["example"])}
    pairs = []
    for _, group in audit.copies.groupby("group"):
        one, other = group.iloc[0], group.iloc[-1]
        pairs.append((bool(one["across_splits"]), "same pixels", one, other))
    for _, row in audit.near.iterrows():
        keys = ("example", "patient", "split", "label")
        one, other = (
            pd.Series({key: row[f"{key}_{number}"] for key in keys})
            for number in (1, 2)
        )
        text = f"{row['change']}, correlation {row['correlation']:.2f}"
        pairs.append((bool(row["across_splits"]), text, one, other))
    pairs.sort(key=lambda pair: not pair[0])
    return [
        {
            "text": text,
            "sides": [
                {
                    "source": data_uri(
                        _thumbnail(audit, place[side["example"]]), "jpeg"
                    ),
                    "split": side["split"],
                    "label": side["label"],
                }
                for side in (one, other)
            ],
        }
        for _, text, one, other in pairs[:_PICTURES]
    ]


def _thumbnail(audit: Audit, index: int) -> np.ndarray:
    pixels = audit.examples[index].image.load()
    picture = Image.fromarray(pixels)
    picture.thumbnail((_SIDE, _SIDE))
    return to_square(np.asarray(picture), _SIDE, "pad")
