"""The skin phantom: photographs of skin lesions drawn from a seed and an index.

Index 2k and 2k + 1 are two lesions of patient k. Of the drawn domains it is the one
nearest to everyday photographs, as ISIC 2019 is the nearest to ImageNet in the
feature-reuse paper's table 1: light from a side, cloth behind the limb, any white
balance. Skin, scene and camera come from random streams that know nothing of the
lesion's kind, so that the lesion alone carries it.
"""

import dataclasses
import math

import numpy as np

from transfusion_tf.phantoms.canvas import random_stream
from transfusion_tf.phantoms.skin_lesions import KINDS, paint_lesion
from transfusion_tf.phantoms.skin_scene import (
    draw_traits,
    paint_hair,
    paint_ruler,
    paint_skin,
    photograph,
)

KIND_SHARES = (0.4, 0.2, 0.2, 0.2)

_SMALLEST_CANVAS = 128
# Random streams; each is its own, so that none shifts another.
_KIND, _TRAITS, _SCENE, _PLACE, _LESION, _HAIR, _RULER, _CAMERA = range(8)


@dataclasses.dataclass(frozen=True)
class SkinMetadata:
    """What is known of a phantom skin photograph without drawing it.

    Attributes:
      example_id: patient and photograph, such as `p00012_photo1`.
      patient_id: such as `p00012`.
      kind: of the lesion, an index into `KINDS`.
    """

    example_id: str
    patient_id: str
    kind: int


def skin_metadata(index: int, *, seed: int = 0) -> SkinMetadata:
    """Identity and kind of a lesion; cheap, nothing is drawn.

    Args:
      index: 0, 1, 2, ...; 2k and 2k + 1 are lesions of patient k.
      seed: of the whole data set.

    Raises:
      ValueError: if the index or the seed is negative.
    """
    _check(index, seed)
    patient, photo = divmod(index, 2)
    rank = random_stream(seed, _KIND, index).random()
    patient_id = f"p{patient:05d}"
    return SkinMetadata(
        example_id=f"{patient_id}_photo{photo + 1}",
        patient_id=patient_id,
        kind=int(np.searchsorted(np.cumsum(KIND_SHARES)[:-1], rank, side="right")),
    )


def draw_skin(
    index: int,
    *,
    seed: int = 0,
    size: int = 224,
    lesion_scale: float = 1.0,
    kind: int | None = None,
) -> np.ndarray:
    """Draw the photograph of a skin lesion.

    A pure function of its arguments. Another size shows the same lesion; only the
    sensor's noise is drawn afresh.

    Args:
      index: 0, 1, 2, ...; see `skin_metadata`.
      seed: of the whole data set.
      size: pixels along an axis, at least 16.
      lesion_scale: multiplies the lesion's radius. At 1 it takes 3 to 15 % of the
        photograph's area.
      kind: draws a lesion of this kind in the place of the photograph's own.

    Returns:
      [size, size, 3] uint8 RGB.

    Raises:
      ValueError: if an argument is out of its range.
    """
    _check(index, seed)
    if size < 16:
        raise ValueError(f"size is {size}; a photograph needs at least 16 pixels")
    if not lesion_scale > 0:
        raise ValueError(f"lesion_scale is {lesion_scale}; it must be positive")
    if kind is None:
        kind = skin_metadata(index, seed=seed).kind
    if kind not in range(len(KINDS)):
        raise ValueError(f"kind is {kind}; kinds are 0 to {len(KINDS) - 1}")

    # Small images are drawn larger and averaged, so that hairs do not alias.
    fine = size * max(1, math.ceil(_SMALLEST_CANVAS / size))
    traits = draw_traits(random_stream(seed, _TRAITS, index // 2))
    image = paint_skin(random_stream(seed, _SCENE, index), traits, fine)
    place = random_stream(seed, _PLACE, index)
    center = (float(place.uniform(-0.22, 0.22)), float(place.uniform(-0.22, 0.22)))
    rng = random_stream(seed, _LESION, index, kind)
    image *= paint_lesion(rng, KINDS[kind], center, lesion_scale, fine)
    paint_hair(random_stream(seed, _HAIR, index), traits, image)
    paint_ruler(random_stream(seed, _RULER, index), image)
    return photograph(random_stream(seed, _CAMERA, index), image, size)


def _check(index: int, seed: int) -> None:
    if index < 0 or seed < 0:
        raise ValueError(f"index {index} and seed {seed} must not be negative")
