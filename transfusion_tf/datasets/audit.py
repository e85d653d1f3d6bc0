"""What a data set holds, and what in it would make results look too good.

Nothing is written and nothing stops at a bad row: every row that can be read is
measured. `transfusion_tf.report.audit_page` writes the result down.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from transfusion_tf.datasets.altered_copies import altered_pairs
from transfusion_tf.datasets.card import SPLITS, DatasetCard
from transfusion_tf.datasets.examined import Measures
from transfusion_tf.datasets.examined_store import examine_all
from transfusion_tf.datasets.near_duplicates import NearPair, near_pairs
from transfusion_tf.datasets.patient_names import Grouping, patients_in_names
from transfusion_tf.datasets.problems import (
    Losses,
    count_losses,
    image_file,
    image_problem,
    problem_table,
)
from transfusion_tf.datasets.readers import Example, Problem, Remark, read_card
from transfusion_tf.datasets.rotated_copies import rotated_pairs
from transfusion_tf.datasets.shortcuts import (
    Shortcut,
    file_properties,
    find_shortcuts,
)
from transfusion_tf.datasets.splits import stable_hash
from transfusion_tf.datasets.validation import (
    absent_classes,
    assign_splits,
    class_counts,
    find_gaps,
    separate,
)
from transfusion_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Audit:
    """What `audit` found.

    Patients and examples are named by `hashed` names. Which `example_id` and file they
    are is in `rows` and `file`, which should not leave the data's place.

    Attributes:
      card: what was audited.
      examples: those whose image could be read, in the order of `rows`.
      rows: a row an example: `example` and `patient` (hashed), `split`, `label`,
        `width`, `height`, `mean_red` ... `deviation_blue`, `digest`, `example_id`,
        `where`, `file`.
      problems: rows that can't be used; see `problems.problem_table`.
      losses: how many images go with them.
      gaps: classes and splits without images, in the same columns.
      absent: classes that validation or test show nothing of, in the same columns.
      copies: a row an image with copies of exactly its pixels: `group`, `example`,
        `patient`, `split`, `label`, `file`, `conflict` (whether labels in the group
        differ), `across_patients`, `across_splits`.
      near: a row a pair of near duplicates: `example`, `patient`, `split`, `label`,
        `file` with `_1` and `_2`, `change`, `distance`, `correlation`,
        `across_patients`, `across_splits`.
      astride: a row a patient in more than one split: `patient`, a count a split.
      remarks: what the reader says of the data beside its rows.
      grouping: where the card names no patients, what the names of images say.
      shortcuts: classes that properties of the files give away.
    """

    card: DatasetCard
    examples: tuple[Example, ...]
    rows: pd.DataFrame
    problems: pd.DataFrame
    losses: Losses
    gaps: pd.DataFrame
    absent: pd.DataFrame
    copies: pd.DataFrame
    near: pd.DataFrame
    astride: pd.DataFrame
    remarks: tuple[Remark, ...] = ()
    grouping: Grouping | None = None
    shortcuts: tuple[Shortcut, ...] = ()

    def classes(self) -> pd.DataFrame:
        """Images of each class by split, and their share of all."""
        labels = np.array([example.labels for example in self.examples])
        labels = labels.reshape(len(self.examples), len(self.card.labels.classes))
        table = pd.DataFrame({"class": list(self.card.labels.classes)})
        for split in SPLITS:
            chosen = (self.rows["split"] == split).to_numpy()
            table[split] = np.nansum(labels[chosen], axis=0).astype(int)
        table["all"] = table[list(SPLITS)].sum(axis=1)
        table["share"] = table["all"] / max(1, len(labels))
        table["unknown"] = np.isnan(labels).sum(axis=0)
        return table

    def splits(self) -> pd.DataFrame:
        """Images and patients of each split, and the most images of a patient."""
        rows = []
        for split in SPLITS:
            part = self.rows[self.rows["split"] == split]
            most = part["patient"].value_counts()
            rows.append(
                {
                    "split": split,
                    "images": len(part),
                    "patients": part["patient"].nunique(),
                    "most_of_a_patient": int(most.max()) if len(most) else 0,
                }
            )
        return pd.DataFrame(rows)

    def sizes(self) -> pd.DataFrame:
        """How many images are of each width and height, the most frequent first."""
        counts = self.rows.groupby(["width", "height"]).size()
        table = counts.rename("images").reset_index()
        return table.sort_values(
            ["images", "width"], ascending=[False, True], ignore_index=True
        )

    def colors(self) -> pd.DataFrame:
        """Mean and deviation of each channel by split and over all, in [0, 1].

        Each image counts the same, whatever its size.
        """
        rows = []
        for split in (*SPLITS, "all"):
            chosen = self.rows["split"].eq(split) | (split == "all")
            part = self.rows[chosen]
            row: dict[str, object] = {"split": split}
            for channel in ("red", "green", "blue"):
                mean = part[f"mean_{channel}"]
                squares = part[f"deviation_{channel}"] ** 2 + mean**2
                row[f"mean_{channel}"] = mean.mean()
                row[f"deviation_{channel}"] = np.sqrt(
                    max(0.0, squares.mean() - mean.mean() ** 2)
                )
            rows.append(row)
        return pd.DataFrame(rows)


def hashed(what: str, name: str) -> str:
    """A short name that does not say the id it stands for: `what` is its kind."""
    return f"{stable_hash('shown', what, name):016x}"[:10]


def audit(
    card: DatasetCard,
    data_root: str | Path | None = None,
    *,
    workers: int = -1,
    progress: bool = True,
) -> Audit:
    """Reads every image of a data set and looks for what would spoil an evaluation.

    Args:
      card: from `load_card`.
      data_root: where `prepare` will find what was made of the images, or left it;
        without it, it is made anew and not kept.
      workers: processes that read images; -1 is one a core.
      progress: whether to show a bar.

    Raises:
      UserError: the card's reader can't be used at all, or no row can.
    """
    reading = read_card(card)
    examples, unread = reading.examples, reading.problems
    images = [example.image for example in examples]
    title = f"Looking at {card.name}"
    kept_in = Path(data_root).absolute() / card.name if data_root else None
    measured = [
        made if isinstance(made, str) else made.measures
        for made in examine_all(
            card, images, kept_in, workers, title, progress, measures_only=True
        )
    ]
    pairs = list(zip(examples, measured, strict=True))
    kept = [(e, m) for e, m in pairs if isinstance(m, Measures)]
    unreadable = [image_problem(card, e, m) for e, m in pairs if isinstance(m, str)]
    good = [example for example, _ in kept]
    unambiguous, contradicting = separate(card, good)
    problems: list[Problem] = [*unread, *unreadable, *contradicting]
    if not kept:
        _refuse(card, problems)
    rows = _rows(card, good, [measures for _, measures in kept])
    counts = class_counts(card, unambiguous)
    sizes = Counter(assign_splits(card, unambiguous))
    gaps = find_gaps(card, unambiguous, reading)
    thumbnails = np.array([measures.thumbnail for _, measures in kept])
    return Audit(
        card=card,
        examples=tuple(good),
        rows=rows,
        problems=problem_table(problems, card.labels.named),
        losses=count_losses(card, reading, problems),
        gaps=problem_table(gaps),
        absent=problem_table(absent_classes(counts, sizes)),
        copies=_copies(rows),
        near=_near(rows, thumbnails),
        astride=_astride(rows),
        remarks=reading.remarks,
        grouping=patients_in_names(card, good, rows["split"]),
        shortcuts=_shortcuts(card, good, rows, thumbnails),
    )


def _refuse(card: DatasetCard, problems: Sequence[Problem]) -> NoReturn:
    first = "".join(f"; {found.where}: {found.reason}" for found in problems[:1])
    raise UserError(f"no image of data set {card.name!r} can be read{first}")


def _rows(
    card: DatasetCard, examples: Sequence[Example], measures: Sequence[Measures]
) -> pd.DataFrame:
    splits = assign_splits(card, examples)
    rows = []
    for example, split, measured in zip(examples, splits, measures, strict=True):
        row = {
            "example": hashed("example", example.example_id),
            "patient": hashed("patient", example.patient_id),
            "split": split,
            "label": _label_text(card, example.labels),
            "width": measured.width,
            "height": measured.height,
        }
        for index, channel in enumerate(("red", "green", "blue")):
            row[f"mean_{channel}"] = measured.mean[index]
            row[f"deviation_{channel}"] = measured.deviation[index]
        row["digest"] = measured.digest
        row["example_id"] = example.example_id
        row["where"] = example.where
        # Of many images in one file, the place in it.
        own = getattr(example.image, "index", None) is None
        row["file"] = (image_file(card, example) if own else "") or example.where
        rows.append(row)
    return pd.DataFrame(rows)


def _label_text(card: DatasetCard, labels: Sequence[float]) -> str:
    pairs = list(zip(card.labels.classes, labels, strict=True))
    present = [name for name, value in pairs if value > 0]
    unknown = [f"{name}?" for name, value in pairs if np.isnan(value)]
    return ", ".join([*present, *unknown]) or "none"


_SHOWN = ["example", "patient", "split", "label", "file"]
# Whether a group of copies differs, and in what.
_DIFFER = {"conflict": "label", "across_patients": "patient", "across_splits": "split"}


def _copies(rows: pd.DataFrame) -> pd.DataFrame:
    groups = rows[rows.duplicated("digest", keep=False)].groupby("digest", sort=False)
    parts = []
    for number, (_, group) in enumerate(groups, start=1):
        part = group[_SHOWN].copy()
        part.insert(0, "group", number)
        for flag, column in _DIFFER.items():
            part[flag] = len(set(group[column])) > 1
        parts.append(part)
    if parts:
        return pd.concat(parts, ignore_index=True)
    return pd.DataFrame(columns=["group", *_SHOWN, *_DIFFER])


def _near(rows: pd.DataFrame, thumbnails: np.ndarray) -> pd.DataFrame:
    # One of each group of exact copies: the others would repeat its pairs.
    single = np.flatnonzero(~rows.duplicated("digest"))
    pairs: dict[tuple[int, int], NearPair] = {}
    # Of a pair that several find, the last tells no more than it must.
    for pairs_in in (rotated_pairs, altered_pairs, near_pairs):
        pairs |= {(p.first, p.second): p for p in pairs_in(thumbnails[single])}
    found = []
    for pair in pairs.values():
        one, other = (rows.iloc[single[i]] for i in (pair.first, pair.second))
        row = {f"{key}_1": one[key] for key in _SHOWN}
        row |= {f"{key}_2": other[key] for key in _SHOWN}
        row["change"] = pair.change
        row["distance"] = pair.distance
        row["correlation"] = pair.correlation
        row["across_patients"] = one["patient"] != other["patient"]
        row["across_splits"] = one["split"] != other["split"]
        found.append(row)
    columns = [f"{key}_{number}" for number in (1, 2) for key in _SHOWN]
    columns += ["change", "distance", "correlation", "across_patients", "across_splits"]
    found.sort(key=lambda row: (not row["across_splits"], -row["correlation"]))
    return pd.DataFrame(found, columns=columns)


def _shortcuts(
    card: DatasetCard,
    examples: Sequence[Example],
    rows: pd.DataFrame,
    thumbnails: np.ndarray,
) -> tuple[Shortcut, ...]:
    properties = file_properties([e.image for e in examples], rows, thumbnails)
    labels = np.array([example.labels for example in examples])
    patients = [example.patient_id for example in examples]
    return tuple(find_shortcuts(properties, labels, card.labels.named, patients))


def _astride(rows: pd.DataFrame) -> pd.DataFrame:
    counts = pd.crosstab(rows["patient"], rows["split"])
    counts = counts.reindex(columns=list(SPLITS), fill_value=0)
    shared = counts[(counts > 0).sum(axis=1) > 1]
    return shared.rename_axis(columns=None).reset_index()
