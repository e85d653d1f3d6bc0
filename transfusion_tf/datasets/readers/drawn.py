"""Readers `phantom_retina` and `photographs`: images that need no download."""

import dataclasses

import numpy as np

from transfusion_tf.datasets.card import DatasetCard, check_options
from transfusion_tf.datasets.phantoms import photographs, retina
from transfusion_tf.datasets.readers.options import is_count, is_whole
from transfusion_tf.datasets.readers.rows import Example, Rows
from transfusion_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class DrawnRetina:
    """A fundus that is drawn when it is needed."""

    index: int
    seed: int
    size: int
    lesion_scale: float

    def load(self) -> np.ndarray:
        """See `phantoms.retina.draw_retina`."""
        return retina.draw_retina(
            self.index, seed=self.seed, size=self.size, lesion_scale=self.lesion_scale
        )

    def fingerprint(self) -> str:
        """All that the drawing depends on."""
        return repr(self)


def read_phantom_retina(card: DatasetCard) -> Rows:
    """Drawn fundus photographs, two eyes a patient."""
    options = check_options(
        card,
        {
            "patients": is_count,
            "seed": is_whole,
            "lesion_scale": lambda v: isinstance(v, int | float) and 0 < v <= 10,
        },
        required=("patients",),
    )
    seed = options.get("seed", 0)
    scale = float(options.get("lesion_scale", 1.0))
    for index in range(2 * options["patients"]):
        meta = retina.retina_metadata(index, seed=seed)
        labels = tuple(float(grade == meta.grade) for grade in range(5))
        image = DrawnRetina(index, seed, card.stored_size, scale)
        where = f"drawing {index}"
        yield Example(meta.example_id, meta.patient_id, labels, None, image, where)


@dataclasses.dataclass(frozen=True)
class DrawnPhotograph:
    """A crop of a photograph that is cut when it is needed."""

    index: int
    seed: int
    size: int

    def load(self) -> np.ndarray:
        """See `phantoms.photographs.draw_photograph_crop`."""
        return photographs.draw_photograph_crop(
            self.index, seed=self.seed, size=self.size
        )

    def fingerprint(self) -> str:
        """All that the crop depends on."""
        return repr(self)


def read_photographs(card: DatasetCard) -> Rows:
    """Crops of the photographs in the scikit-image and scikit-learn wheels."""
    options = check_options(
        card,
        {"crops": is_count, "seed": is_whole},
        required=("crops",),
    )
    seed = options.get("seed", 0)
    names = photographs.photograph_names()
    if names != card.labels.classes:
        raise UserError(
            f"{card.path}: key 'labels.classes' should be {', '.join(names)}"
        )
    for index in range(options["crops"]):
        meta = photographs.photograph_metadata(index, seed=seed)
        labels = tuple(float(i == meta.label) for i in range(len(names)))
        image = DrawnPhotograph(index, seed, card.stored_size)
        where = f"crop {index}"
        yield Example(
            meta.example_id, meta.patient_id, labels, meta.split, image, where
        )
