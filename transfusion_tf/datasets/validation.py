"""What must hold for a data set as a whole, checked before a pixel is read."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from transfusion_tf.datasets.card import SPLITS, DatasetCard
from transfusion_tf.datasets.readers import Example, Problem, Reading
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
    # A row may go and its image stay, and several rows may be one image's.
    seen = {example.image for example in kept}
    result = []
    for index in sorted(problems):
        example = examples[index]
        images = int(example.image not in seen)
        seen.add(example.image)
        problem = problems[index]
        result.append(
            dataclasses.replace(problem, images=images, labels=example.labels)
        )
    return kept, result


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


def find_gaps(
    card: DatasetCard, examples: Sequence[Example], before: Reading | None = None
) -> list[Problem]:
    """Classes and splits without images. No row is to blame, so none can be left out.

    Args:
      card: says the classes and the shares.
      examples: those that can be used.
      before: all that the reader found: what was there, and is lost with the rows that
        can't be used, is told apart from what never was.
    """
    if not examples:
        return [Problem(card.reader["kind"], "no image was found at all", images=0)]
    problems = []
    table = class_counts(card, examples)
    found = class_counts(card, before.examples) if before else table
    wanted = {name for name in SPLITS if getattr(card.splits, name) > 0}
    counts = Counter(assign_splits(card, examples))
    for name in SPLITS:
        if not counts[name] and name in wanted:
            reason = "no image falls into it; change [splits]"
            if _fixed_and_lost(name, before):
                reason = "none of its images can be used; mend what is listed above"
            problems.append(Problem(f"split {name!r}", reason, images=0))
    lost = _lost_by_reader(card, before)
    for name in card.labels.named:
        where = f"class {name!r}"
        had = sum(found[name].values()) + lost[name]
        if not any(table[name].values()):
            reason = "no image of it; take it out of the card"
            if had:
                reason = (
                    f"none of its {had} images can be used; mend them: "
                    "--max_bad_fraction lets no class disappear"
                )
            problems.append(Problem(where, reason, images=0))
            continue
        for split in SPLITS:
            if table[name][split] or not counts[split]:
                continue
            if found[name][split]:
                reason = (
                    f"none of its {found[name][split]} images in {split} can be used; "
                    "mend them: --max_bad_fraction lets no class disappear"
                )
                problems.append(Problem(where, reason, images=0))
            elif split == "train":
                reason = "no training image of it; change splits.seed or the shares"
                problems.append(Problem(where, reason, images=0))
    return problems


def _fixed_and_lost(split: str, before: Reading | None) -> bool:
    """Whether the data themselves say the splits, and it is rows that are missing."""
    if before is None:
        return False
    fixed = {example.split for example in before.examples} - {None}
    unread = any(problem.images for problem in before.problems)
    return split in fixed or (bool(fixed) and unread)


def _lost_by_reader(card: DatasetCard, before: Reading | None) -> Counter[str]:
    """Images by class that a reader's problems take along."""
    lost = Counter[str]()
    for problem in before.problems if before else ():
        for name, value in zip(card.labels.named, problem.labels or (), strict=False):
            lost[name] += int(value == 1) * problem.images
    return lost


def class_counts(
    card: DatasetCard, examples: Sequence[Example]
) -> dict[str, Counter[str]]:
    """How many images of each class are in each split."""
    counts = {name: Counter(dict.fromkeys(SPLITS, 0)) for name in card.labels.named}
    for example, split in zip(examples, assign_splits(card, examples), strict=True):
        for name, value in zip(card.labels.named, example.labels, strict=False):
            counts[name][split] += int(value == 1)
    return counts


def absent_classes(
    counts: Mapping[str, Mapping[str, int]], sizes: Mapping[str, int]
) -> list[Problem]:
    """Classes that validation or test show nothing of; what is there is no bad row.

    Args:
      counts: images by class and split.
      sizes: images of a split.
    """
    return [
        Problem(
            f"class {name!r}",
            f"no image in {split} ({of['train']} in train): what is predicted of it "
            f"can't be measured there; give {split} a larger share, change "
            "splits.seed, or join classes",
            images=0,
        )
        for name, of in counts.items()
        for split in ("validation", "test")
        if sizes[split] and of["train"] and not of[split]
    ]
