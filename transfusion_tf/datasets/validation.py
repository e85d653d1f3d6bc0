"""What must hold for a data set as a whole, checked before a pixel is read."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from transfusion_tf.datasets.card import SPLITS, DatasetCard
from transfusion_tf.datasets.readers import Example, Problem
from transfusion_tf.datasets.splits import split_by_patient


def assign_splits(card: DatasetCard, examples: Sequence[Example]) -> list[str]:
    """The split of each example: its own where the data set says one, else drawn."""
    drawn = split_by_patient([e.patient_id for e in examples], card.splits)
    return [e.split or str(name) for e, name in zip(examples, drawn, strict=True)]


def separate(
    card: DatasetCard, examples: Sequence[Example]
) -> tuple[list[Example], list[Problem]]:
    """Takes out the rows that contradict others.

    Of rows with one id that say the same, the first stays; of rows with one id that
    differ, none does, as nobody knows which is right. Of a patient in two splits
    no row stays.

    Returns:
      The rows that stay, in their order, and a problem for each that does not.
    """
    problems = {**_repeated(examples), **_astride(card, examples)}
    kept = [e for index, e in enumerate(examples) if index not in problems]
    return kept, [problems[index] for index in sorted(problems)]


def _repeated(examples: Sequence[Example]) -> dict[int, Problem]:
    places: dict[str, list[int]] = defaultdict(list)
    for index, example in enumerate(examples):
        places[example.example_id].append(index)
    problems = {}
    for name, indices in places.items():
        if len(indices) == 1:
            continue
        first = examples[indices[0]]
        differ = any(_content(examples[index]) != _content(first) for index in indices)
        for index in indices[1:]:
            problems[index] = Problem(
                examples[index].where,
                f"example id {name!r} stands already at {first.where}"
                f"{' and says something else' * differ}; ids must be unique",
            )
        if differ:
            problems[indices[0]] = Problem(
                first.where,
                f"example id {name!r} stands again at {examples[indices[1]].where} "
                "and says something else; ids must be unique",
            )
    return problems


def _content(example: Example) -> tuple:
    # As text, because an unknown label, NaN, differs from itself.
    return example.patient_id, repr(example.labels), example.split


def _astride(card: DatasetCard, examples: Sequence[Example]) -> dict[int, Problem]:
    splits = assign_splits(card, examples)
    of_patient: dict[str, dict[str, None]] = defaultdict(dict)
    for example, split in zip(examples, splits, strict=True):
        of_patient[example.patient_id].setdefault(split)
    return {
        index: Problem(
            example.where,
            f"patient {example.patient_id!r} is in "
            f"{' and '.join(of_patient[example.patient_id])}; all images of a patient "
            "must be in one split",
        )
        for index, example in enumerate(examples)
        if len(of_patient[example.patient_id]) > 1
    }


def find_gaps(card: DatasetCard, examples: Sequence[Example]) -> list[Problem]:
    """Classes and splits without images. No row is to blame, so none can be left out.

    Args:
      card: says the classes and the shares.
      examples: those that can be used.
    """
    if not examples:
        return [Problem(card.reader["kind"], "no image was found at all")]
    problems = []
    splits = assign_splits(card, examples)
    counts = Counter(splits)
    wanted = {name for name in SPLITS if getattr(card.splits, name) > 0}
    for name in SPLITS:
        if not counts[name] and name in wanted:
            problems.append(
                Problem(f"split {name!r}", "no image falls into it; change [splits]")
            )
    labels = np.array([e.labels for e in examples])
    train = labels[np.array(splits) == "train"]
    for index, name in enumerate(card.labels.named):
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
