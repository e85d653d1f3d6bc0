"""What a data set is: cards, readers, splits, the TFDS builder, phantoms."""

from transfusion_tf.datasets.builder import data_fingerprint, prepare
from transfusion_tf.datasets.card import (
    AUGMENTATIONS,
    Augmentation,
    DatasetCard,
    Labels,
    Splits,
    card_names,
    load_card,
)
from transfusion_tf.datasets.prepared import PreparedDataset
from transfusion_tf.datasets.problems import DatasetError
from transfusion_tf.datasets.readers import Example, Problem, read_examples
from transfusion_tf.datasets.splits import (
    Fold,
    fold_examples,
    patient_folds,
    split_by_patient,
)

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "DatasetCard",
    "DatasetError",
    "Example",
    "Fold",
    "Labels",
    "PreparedDataset",
    "Problem",
    "Splits",
    "card_names",
    "data_fingerprint",
    "fold_examples",
    "load_card",
    "patient_folds",
    "prepare",
    "read_examples",
    "split_by_patient",
]
