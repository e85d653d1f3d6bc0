"""What the names of images say about patients, where no card says it."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.readers import Example

# How a patient may stand in a file's name, the most telling first. Names may have
# folders before them.
_PATTERNS = (
    r"^(.+?)[_-](?i:left|right|l|r|od|os)(?=[_.-]|$)",
    r"((?i:patient|person|subject|pat)[_-]?\d+)",
    r"^(?:.*/)?([^_/]+)_",
    r"^(?:.*/)?([^-/]+)-",
    r"^(.+?)[_-]\d+(?:\.\w+)?$",
)
_FOLDER = r"([^/]+)/[^/]+$"
_REST = r"^(.+)$"

# Of the names that have the pattern, the share that patients may make up: a few names
# for all are classes, a name for each is a number.
_FEWEST, _MOST = 0.02, 0.98
_NEARLY_ALL = 0.9
# Words, and years, are how classes, sites and splits are called.
_NUMBER, _YEAR = re.compile(r"\d"), re.compile(r"(19|20)\d\d")


@dataclasses.dataclass(frozen=True)
class NamePattern:
    """A pattern of patients in names.

    Attributes:
      pattern: for `patient_pattern`; names without a patient stand for themselves.
      patients: for each name, its patient.
      unexplained: positions of the names without one.
    """

    pattern: str
    patients: tuple[str, ...]
    unexplained: tuple[int, ...]

    def describe(self, labels: Sequence[str]) -> str:
        """What the pattern makes of the names; labels: the class of each."""
        count = len(self.patients)
        text = f"makes {len(set(self.patients))} patients of {count} images"
        if not self.unexplained:
            return text
        of = Counter(labels)
        lost = Counter(labels[index] for index in self.unexplained)
        classes = ", ".join(f"{n} of {of[name]} {name}" for name, n in lost.items())
        return (
            f"{text}; {len(self.unexplained)} names do not have it and stand for "
            f"themselves, without the part after the last | they would be lost: "
            f"{classes}"
        )


@dataclasses.dataclass(frozen=True)
class Grouping:
    """Patients that no card names, as the names of their images show them.

    Attributes:
      pattern: for `patient_pattern`; empty where the names show none.
      patients: how many it makes.
      crossing: how many of them are in several splits.
      images: how many images these have.
    """

    pattern: str = ""
    patients: int = 0
    crossing: int = 0
    images: int = 0


def patients_in_names(
    card: DatasetCard, examples: Sequence[Example], splits: pd.Series
) -> Grouping | None:
    """What the names of images say of patients; None where the card says it.

    Args:
      card: says how names are read.
      examples: of images.
      splits: the split of each.
    """
    if any(example.patient_id != example.example_id for example in examples):
        return None
    for names in _names(card, examples):
        if found := pattern_in(names, len(card.labels.named)):
            patients = pd.Series(found.patients)
            counts = splits.groupby(patients.to_numpy()).nunique()
            crossing = counts.index[counts > 1]
            images = int(patients.isin(crossing).sum())
            return Grouping(found.pattern, len(counts), len(crossing), images)
    return Grouping()


def _names(card: DatasetCard, examples: Sequence[Example]) -> Iterator[list[str]]:
    """Names of the images, as `patient_pattern` would see them."""
    if card.reader["kind"] == "class_folders":
        paths = [Path(example.where) for example in examples]
        yield [path.name for path in paths]
        # Perhaps a folder a patient: what is above it is the class, or a split.
        yield ["/".join(path.parts[-2:]) for path in paths]
    elif card.reader["kind"] == "csv":
        yield [example.example_id for example in examples]


def pattern_in(names: Sequence[str], classes: int = 1) -> NamePattern | None:
    """The pattern of patients that most of the names have, or None.

    Args:
      names: of image files, perhaps with folders before them.
      classes: how many there are: what makes no more patients may be their names.
    """
    parts: list[str] = []
    rest = list(names)
    while rest and (found := _most_frequent(rest, classes)):
        parts.append(found)
        rest = [name for name in rest if not re.search(found, name)]
    if not parts:
        return None
    whole = "|".join([*parts, _REST] if rest else parts)
    if not any("/" in name for name in names):
        whole = whole.replace("(?:.*/)?", "")
    matches = [re.search(whole, name) for name in names]
    patients = (next(filter(None, match.groups())) for match in matches if match)
    unexplained = set(rest)
    alone = [index for index, name in enumerate(names) if name in unexplained]
    return NamePattern(whole, tuple(patients), tuple(alone))


def _most_frequent(names: Sequence[str], classes: int) -> str | None:
    """The pattern that explains most of the names, and at least half; None if none."""
    best, most = None, len(names) / 2
    for pattern in (*_PATTERNS, _FOLDER):
        for narrowed in (_digits(pattern, names), pattern):
            found = re.compile(narrowed).search
            patients = [match[1] for match in map(found, names) if match]
            fewest = max(classes, _FEWEST * len(patients), 10 * (pattern == _FOLDER))
            if (
                fewest < len(set(patients)) < _MOST * len(patients)
                and len(patients) >= most
                and _are_numbered(patients)
            ):
                best, most = narrowed, len(patients) + 1
                break
    return best


def _are_numbered(patients: Sequence[str]) -> bool:
    """Whether nearly all have a number in them that is no year."""
    numbered = sum(bool(_NUMBER.search(patient)) for patient in patients)
    return numbered >= _NEARLY_ALL * len(patients) and not all(
        map(_YEAR.fullmatch, patients)
    )


def _digits(pattern: str, names: Sequence[str]) -> str:
    """The pattern for numbers only, of their length where it is one."""
    found = re.compile(pattern).search
    numbers = [m[1] for m in map(found, names) if m and m[1].isdecimal()]
    lengths = set(map(len, numbers))
    exact = rf"(\d{{{lengths.pop()}}})" if len(lengths) == 1 else r"(\d+)"
    return pattern.replace("([^_/]+)", exact).replace("([^-/]+)", exact)
