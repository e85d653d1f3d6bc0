"""What must hold for a data set as a whole, checked before a pixel is read."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from transfusion_tf.datasets.card import SPLITS, DatasetCard
from transfusion_tf.datasets.readers import Example, Problem
from transfusion_tf.datasets.splits import split_by_patient
from transfusion_tf.errors import UserError


class DatasetError(UserError):
    """The data set can't be used as it is; lists every row that says why."""

    _SHOWN = 20

    def __init__(self, card: DatasetCard, problems: Sequence[Problem]):
        self.problems = tuple(problems)
        shown = [f"  {p.where}: {p.reason}" for p in problems[: self._SHOWN]]
        if len(problems) > self._SHOWN:
            shown.append(f"  ... and {len(problems) - self._SHOWN} more")
        count = f"{len(problems)} problem" + "s" * (len(problems) != 1)
        super().__init__(
            f"{count} in data set {card.name!r} ({card.path}); nothing was written:\n"
            + "\n".join(shown)
        )


def assign_splits(card: DatasetCard, examples: Sequence[Example]) -> list[str]:
    """The split of each example: its own where the data set says one, else drawn."""
    drawn = split_by_patient([e.patient_id for e in examples], card.splits)
    return [e.split or str(name) for e, name in zip(examples, drawn, strict=True)]


def find_problems(card: DatasetCard, examples: Sequence[Example]) -> list[Problem]:
    """Duplicate ids, patients in two splits, classes and splits without images."""
    problems = []
    first: dict[str, str] = {}
    for example in examples:
        if example.example_id in first:
            problems.append(
                Problem(
                    example.where,
                    f"example id {example.example_id!r} stands already at "
                    f"{first[example.example_id]}; ids must be unique",
                )
            )
        first.setdefault(example.example_id, example.where)
    splits = assign_splits(card, examples)
    problems += _patients_in_two_splits(examples, splits)
    problems += _empty(card, examples, splits)
    return problems


def _patients_in_two_splits(
    examples: Sequence[Example], splits: Sequence[str]
) -> list[Problem]:
    seen: dict[str, dict[str, str]] = defaultdict(dict)
    for example, split in zip(examples, splits, strict=True):
        seen[example.patient_id].setdefault(split, example.where)
    return [
        Problem(
            "; ".join(places.values()),
            f"patient {patient!r} is in {' and '.join(places)}; all images of a "
            "patient must be in one split",
        )
        for patient, places in seen.items()
        if len(places) > 1
    ]


def _empty(
    card: DatasetCard, examples: Sequence[Example], splits: Sequence[str]
) -> list[Problem]:
    if not examples:
        return [Problem(card.reader["kind"], "no image was found at all")]
    problems = []
    counts = Counter(splits)
    wanted = {name for name in SPLITS if getattr(card.splits, name) > 0}
    for name in SPLITS:
        if not counts[name] and name in wanted:
            problems.append(
                Problem(f"split {name!r}", "no image falls into it; change [splits]")
            )
    labels = np.array([e.labels for e in examples])
    train = labels[np.array(splits) == "train"]
    for index, name in enumerate(card.labels.classes):
        if not np.nansum(labels[:, index]):
            problems.append(
                Problem(f"class {name!r}", "no image of it; take it out of the card")
            )
        elif len(train) and not np.nansum(train[:, index]):
            problems.append(
                Problem(
                    f"class {name!r}",
                    "no training image of it; change splits.seed or the shares",
                )
            )
    return problems
