"""Readers: from what a card names to a list of examples, no pixel read yet.

A reader is a function from a card to rows: examples; problems, so that all of them
can be listed at once; what a rule of the card leaves out; remarks. To add one, write
the function in a file of its own and put it into `READERS`.
"""

import dataclasses
import os
from collections import defaultdict
from collections.abc import Callable

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.images import IMAGE_SUFFIXES
from transfusion_tf.datasets.preprocessing import Preprocessed
from transfusion_tf.datasets.readers.cbis_ddsm import read_cbis_ddsm
from transfusion_tf.datasets.readers.class_folders import read_class_folders
from transfusion_tf.datasets.readers.csv_table import read_csv
from transfusion_tf.datasets.readers.drawn import (
    read_drawn_textures,
    read_phantom_chest,
    read_phantom_retina,
    read_phantom_skin,
    read_photographs,
)
from transfusion_tf.datasets.readers.hdf5 import read_hdf5_files
from transfusion_tf.datasets.readers.npy_volumes import read_npy_volumes
from transfusion_tf.datasets.readers.npz import read_npz
from transfusion_tf.datasets.readers.rows import (
    Example,
    LeftOut,
    Problem,
    Reading,
    Remark,
    Rows,
)
from transfusion_tf.datasets.readers.tfds_folder import read_tfds
from transfusion_tf.datasets.readers.tiny_imagenet import read_tiny_imagenet
from transfusion_tf.datasets.readers.xml_cases import read_xml_cases
from transfusion_tf.datasets.splits import split_by_patient
from transfusion_tf.errors import UserError, one_of

__all__ = [
    "IMAGE_SUFFIXES",
    "READERS",
    "Example",
    "LeftOut",
    "Problem",
    "Reading",
    "Remark",
    "read_card",
    "read_examples",
]

READERS: dict[str, Callable[[DatasetCard], Rows]] = {
    "csv": read_csv,
    "class_folders": read_class_folders,
    "hdf5": read_hdf5_files,
    "npy_volumes": read_npy_volumes,
    "npz": read_npz,
    "xml_cases": read_xml_cases,
    "cbis_ddsm": read_cbis_ddsm,
    "tfds": read_tfds,
    "tiny_imagenet": read_tiny_imagenet,
    "phantom_retina": read_phantom_retina,
    "phantom_chest": read_phantom_chest,
    "phantom_skin": read_phantom_skin,
    "photographs": read_photographs,
    "drawn_textures": read_drawn_textures,
}


def read_examples(card: DatasetCard) -> tuple[list[Example], list[Problem]]:
    """Lists a card's examples, and the rows that are none. See `read_card`."""
    reading = read_card(card)
    return list(reading.examples), list(reading.problems)


def read_card(card: DatasetCard) -> Reading:
    """Lists all that a card's reader finds.

    Raises:
      UserError: the reader is unknown, or its options are wrong, or the data, the
        table or the folder that it names do not exist.
    """
    kind = card.reader["kind"]
    reader = READERS.get(kind)
    if reader is None:
        raise UserError(
            f"{card.path}: key 'reader.kind': {one_of('reader', kind, READERS)}"
        )
    rows = list(reader(card))
    examples = [row for row in rows if isinstance(row, Example)]
    examples, moved = _without_conflicts(card, examples)
    examples = _without_auxiliary_labels(card, examples)
    if card.preprocessing != "none":
        examples = [
            dataclasses.replace(e, image=Preprocessed(e.image, card.preprocessing))
            for e in examples
        ]
    return Reading(
        tuple(examples),
        tuple(_below_data(card, row) for row in rows if isinstance(row, Problem)),
        tuple(row for row in rows if isinstance(row, LeftOut)),
        (
            *(row for row in rows if isinstance(row, Remark)),
            *moved,
            *_other_population(card, examples),
        ),
    )


def _other_population(card: DatasetCard, examples: list[Example]) -> tuple[Remark, ...]:
    """A remark where there are more or fewer images of a class than the card knows."""
    index = {name: card.labels.classes.index(name) for name in card.population}
    found = {
        name: sum(example.labels[place] == 1 for example in examples)
        for name, place in index.items()
    }
    if found == dict(card.population):
        return ()
    known, there = (
        ", ".join(f"{count} {name}" for name, count in counts.items())
        for counts in (card.population, found)
    )
    reason = f"other images than the card's: {there}, where it knows {known}"
    return (Remark(card.name, reason),)


def _below_data(card: DatasetCard, problem: Problem) -> Problem:
    """With paths as the data know them: a table of problems may leave the machine."""
    data = f"{card.data_folder()}{os.sep}"
    where, reason = (text.replace(data, "") for text in (problem.where, problem.reason))
    return dataclasses.replace(problem, where=where, reason=reason)


def _without_conflicts(
    card: DatasetCard, examples: list[Example]
) -> tuple[list[Example], list[Remark]]:
    """Moves patients whom the data put into two splits, where the card says so."""
    target = card.splits.conflict
    if target == "error":
        return examples, []
    splits = defaultdict(set)
    for example in examples:
        splits[example.patient_id].add(example.split)
    result, moved = [], []
    for example in examples:
        if len(splits[example.patient_id]) > 1 and example.split != target:
            own = f" from {example.split}" if example.split else ""
            reason = (
                f"patient {example.patient_id!r} is in two splits of the data: moved"
                f"{own} to {target}"
            )
            moved.append(Remark(example.where, reason))
            example = dataclasses.replace(example, split=target)
        result.append(example)
    return result, moved


def _without_auxiliary_labels(
    card: DatasetCard, examples: list[Example]
) -> list[Example]:
    """Takes "uncertain" labels from what is not trained on: no metric counts them."""
    count = len(card.labels.auxiliary)
    if not count:
        return examples
    unknown = (float("nan"),) * count
    drawn = split_by_patient([e.patient_id for e in examples], card.splits)
    return [
        e
        if (e.split or split) == "train"
        else dataclasses.replace(e, labels=e.labels[:-count] + unknown)
        for e, split in zip(examples, drawn, strict=True)
    ]
