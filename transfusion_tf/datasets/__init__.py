"""What a data set is: cards, readers, splits, the TFDS builder, phantoms."""

from transfusion_tf.datasets.builder import PreparedDataset, prepare
from transfusion_tf.datasets.card import (
    AUGMENTATIONS,
    Augmentation,
    DatasetCard,
    Labels,
    Splits,
    card_names,
    load_card,
)
from transfusion_tf.datasets.readers import Example, Problem, read_examples
from transfusion_tf.datasets.splits import split_by_patient
from transfusion_tf.datasets.validation import DatasetError

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "DatasetCard",
    "DatasetError",
    "Example",
    "Labels",
    "PreparedDataset",
    "Problem",
    "Splits",
    "card_names",
    "load_card",
    "prepare",
    "read_examples",
    "split_by_patient",
]
