"""Readers `phantom_retina`, `phantom_chest`, `phantom_skin`, `photographs` and
`drawn_textures`.

They draw or cut what they read: no download needed.
"""

import dataclasses
from typing import Annotated

import numpy as np
from pydantic import Field, StrictFloat, StrictInt
from pydantic.dataclasses import dataclass

from transfusion_tf.datasets.card import DatasetCard
from transfusion_tf.datasets.readers.labels import many_labels
from transfusion_tf.datasets.readers.options import reader_options
from transfusion_tf.datasets.readers.rows import Example, Problem, Rows
from transfusion_tf.datasets.splits import split_by_patient
from transfusion_tf.errors import UserError
from transfusion_tf.phantoms import chest, photographs, retina, skin, textures
from transfusion_tf.phantoms.chest_findings import FINDINGS
from transfusion_tf.phantoms.skin_lesions import KINDS
from transfusion_tf.toml_tables import TABLE, Count

_Scale = Annotated[StrictFloat, Field(gt=0, le=10)]


@dataclass(frozen=True, kw_only=True, config=TABLE)
class PhantomOptions:
    """Options of `phantom_retina` and `phantom_skin`."""

    patients: Count
    seed: StrictInt = 0
    lesion_scale: _Scale = 1.0
    """Multiplies the radii of the lesions."""


@dataclass(frozen=True, kw_only=True, config=TABLE)
class PhantomChestOptions:
    """Options of `phantom_chest`."""

    patients: Count
    seed: StrictInt = 0
    finding_scale: _Scale = 1.0
    """Multiplies the reach and the density of the findings."""
    uncertain_share: Annotated[StrictFloat, Field(ge=0, le=1)] = chest.UNCERTAIN_SHARE
    """Share of the training labels that are -1."""


@dataclass(frozen=True, kw_only=True, config=TABLE)
class PhotographOptions:
    """Options of `photographs`."""

    crops: Count
    seed: StrictInt = 0


@dataclass(frozen=True, kw_only=True, config=TABLE)
class TextureOptions:
    """Options of `drawn_textures`."""

    images_per_class: Count
    seed: StrictInt = 0


@dataclasses.dataclass(frozen=True)
class _Drawing:
    index: int
    seed: int
    size: int

    def fingerprint(self) -> str:
        """All that the drawing depends on."""
        return repr(self)


@dataclasses.dataclass(frozen=True)
class DrawnRetina(_Drawing):
    """A fundus that is drawn when it is needed."""

    lesion_scale: float

    def load(self) -> np.ndarray:
        """See `phantoms.retina.draw_retina`."""
        return retina.draw_retina(
            self.index, seed=self.seed, size=self.size, lesion_scale=self.lesion_scale
        )


def read_phantom_retina(card: DatasetCard) -> Rows:
    """Drawn fundus photographs, two eyes a patient."""
    options = reader_options(card, PhantomOptions)
    seed = options.seed
    for index in range(2 * options.patients):
        meta = retina.retina_metadata(index, seed=seed)
        labels = tuple(float(grade == meta.grade) for grade in range(5))
        image = DrawnRetina(index, seed, card.stored_size, options.lesion_scale)
        where = f"drawing {index}"
        yield Example(meta.example_id, meta.patient_id, labels, None, image, where)


@dataclasses.dataclass(frozen=True)
class DrawnChest(_Drawing):
    """A radiograph that is drawn when it is needed."""

    finding_scale: float

    def load(self) -> np.ndarray:
        """See `phantoms.chest.draw_chest`."""
        return chest.draw_chest(
            self.index, seed=self.seed, size=self.size, finding_scale=self.finding_scale
        )


def read_phantom_chest(card: DatasetCard) -> Rows:
    """Drawn chest radiographs, one to three a patient, some labels uncertain.

    Only rows for training have uncertain labels: as in CheXpert, whose test set was
    read by radiologists, metrics are measured on what is really there.
    """
    options = reader_options(card, PhantomChestOptions)
    _require_classes(card, FINDINGS)
    seed, share = options.seed, options.uncertain_share
    films = [
        chest.chest_metadata(index, seed=seed, uncertain_share=share)
        for index in range(chest.film_count(options.patients))
    ]
    splits = split_by_patient([film.patient_id for film in films], card.splits)
    for index, (film, split) in enumerate(zip(films, splits, strict=True)):
        stated = film.labels if split == "train" else film.findings
        where = f"drawing {index}"
        try:
            labels = many_labels(card, [f"{value:g}" for value in stated])
        except UserError as error:
            yield Problem(where, str(error))
            continue
        image = DrawnChest(index, seed, card.stored_size, options.finding_scale)
        yield Example(
            film.example_id, film.patient_id, labels, str(split), image, where
        )


@dataclasses.dataclass(frozen=True)
class DrawnSkin(_Drawing):
    """A photograph of a skin lesion that is drawn when it is needed."""

    lesion_scale: float

    def load(self) -> np.ndarray:
        """See `phantoms.skin.draw_skin`."""
        return skin.draw_skin(
            self.index, seed=self.seed, size=self.size, lesion_scale=self.lesion_scale
        )


def read_phantom_skin(card: DatasetCard) -> Rows:
    """Drawn photographs of skin lesions, two a patient."""
    options = reader_options(card, PhantomOptions)
    _require_classes(card, KINDS)
    seed = options.seed
    for index in range(2 * options.patients):
        meta = skin.skin_metadata(index, seed=seed)
        labels = tuple(float(kind == meta.kind) for kind in range(len(KINDS)))
        image = DrawnSkin(index, seed, card.stored_size, options.lesion_scale)
        where = f"drawing {index}"
        yield Example(meta.example_id, meta.patient_id, labels, None, image, where)


@dataclasses.dataclass(frozen=True)
class DrawnPhotograph(_Drawing):
    """A crop of a photograph that is cut when it is needed."""

    def load(self) -> np.ndarray:
        """See `phantoms.photographs.draw_photograph_crop`."""
        return photographs.draw_photograph_crop(
            self.index, seed=self.seed, size=self.size
        )


def read_photographs(card: DatasetCard) -> Rows:
    """Crops of the photographs in the scikit-image and scikit-learn wheels."""
    options = reader_options(card, PhotographOptions)
    seed = options.seed
    names = photographs.photograph_names()
    _require_classes(card, names)
    for index in range(options.crops):
        meta = photographs.photograph_metadata(index, seed=seed)
        labels = tuple(float(i == meta.label) for i in range(len(names)))
        image = DrawnPhotograph(index, seed, card.stored_size)
        where = f"crop {index}"
        yield Example(
            meta.example_id, meta.patient_id, labels, meta.split, image, where
        )


@dataclasses.dataclass(frozen=True)
class DrawnTexture(_Drawing):
    """A texture that is drawn when it is needed; `index` counts within its class."""

    class_index: int

    def load(self) -> np.ndarray:
        """See `phantoms.textures.draw_texture`."""
        return textures.draw_texture(
            self.class_index, self.index, seed=self.seed, size=self.size
        )


def read_drawn_textures(card: DatasetCard) -> Rows:
    """Drawn textures; as many classes as the card names, whatever it calls them."""
    options = reader_options(card, TextureOptions)
    names = card.labels.named
    for class_index in range(len(names)):
        labels = tuple(float(i == class_index) for i in range(len(names)))
        for index in range(options.images_per_class):
            image = DrawnTexture(index, options.seed, card.stored_size, class_index)
            where = f"class {class_index}, drawing {index}"
            name = f"texture{class_index:04d}-{index:04d}"
            yield Example(name, name, labels, None, image, where)


def _require_classes(card: DatasetCard, names: tuple[str, ...]) -> None:
    if card.labels.named != names:
        raise UserError(
            f"{card.path}: key 'labels.classes' should be {', '.join(names)}"
        )
