"""The retina phantom: fundus photographs drawn from a seed and an index.

Index 2k is the left and 2k + 1 the right eye of patient k. Anatomy and camera come
from random streams that know nothing of the grade, so that the lesions alone
carry it. Grading: Wilkinson et al., "Proposed international clinical diabetic
retinopathy and diabetic macular edema disease severity scales", 2003.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from transfusion_tf.phantoms.canvas import random_stream
from transfusion_tf.phantoms.retina_anatomy import (
    eye_geometry,
    paint_background,
    patient_traits,
)
from transfusion_tf.phantoms.retina_camera import draw_camera, photograph
from transfusion_tf.phantoms.retina_lesions import (
    blood_coverage,
    paint_cotton_wool,
    paint_exudates,
    plan_lesions,
    with_beading,
)
from transfusion_tf.phantoms.retina_vessels import draw_vessels, grow_vessels

GRADE_SHARES = (0.5, 0.12, 0.18, 0.1, 0.1)

_EYES = ("left", "right")
# Correlation of the two eyes' latent severity.
_EYE_CORRELATION = 0.85
_SMALLEST_CANVAS = 160
# Random streams; each is its own, so that none shifts another.
_SEVERITY, _TRAITS, _CAMERA, _GEOMETRY, _VESSELS, _PIGMENT, _LESIONS, _EXPOSURE = range(
    8
)
_VEIN_ABSORPTION = (0.27, 0.68, 0.66)
_ARTERY_ABSORPTION = (0.13, 0.52, 0.54)
_BLOOD_ABSORPTION = (0.42, 0.98, 0.72)


@dataclasses.dataclass(frozen=True)
class RetinaMetadata:
    """What is known of a phantom fundus photograph without drawing it.

    Attributes:
      example_id: patient and eye, such as `p00012_left`.
      patient_id: such as `p00012`; both eyes have the same.
      eye: `left` or `right`.
      grade: severity of diabetic retinopathy, 0 (none) to 4 (proliferative).
    """

    example_id: str
    patient_id: str
    eye: str
    grade: int


def retina_metadata(
    index: int, *, seed: int = 0, grade_shares: Sequence[float] = GRADE_SHARES
) -> RetinaMetadata:
    """Identity and grade of an eye; cheap, nothing is drawn.

    The grades of a patient's two eyes are correlated: each comes from a normal
    latent severity, most of which the eyes share, cut so that the shares hold.

    Args:
      index: 0, 1, 2, ...; 2k and 2k + 1 are the left and right eye of patient k.
      seed: of the whole data set.
      grade_shares: share of the eyes with each grade, five values that sum to 1.

    Raises:
      ValueError: if the index or the seed is negative or the shares are no shares.
    """
    _check(index, seed, grade_shares)
    patient, side = divmod(index, 2)
    shared, *own = random_stream(seed, _SEVERITY, patient).standard_normal(3)
    latent = (
        math.sqrt(_EYE_CORRELATION) * shared
        + math.sqrt(1.0 - _EYE_CORRELATION) * own[side]
    )
    rank = float(special.ndtr(latent))
    limits = np.cumsum(grade_shares)[:-1]
    patient_id = f"p{patient:05d}"
    return RetinaMetadata(
        example_id=f"{patient_id}_{_EYES[side]}",
        patient_id=patient_id,
        eye=_EYES[side],
        grade=int(np.searchsorted(limits, rank, side="right")),
    )


def draw_retina(
    index: int,
    *,
    seed: int = 0,
    size: int = 587,
    lesion_scale: float = 1.0,
    grade_shares: Sequence[float] = GRADE_SHARES,
    grade: int | None = None,
) -> np.ndarray:
    """Draw the fundus photograph of an eye.

    A pure function of its arguments. Another size shows the same eye; only the
    sensor's noise is drawn afresh.

    Args:
      index: 0, 1, 2, ...; 2k and 2k + 1 are the left and right eye of patient k.
      seed: of the whole data set.
      size: pixels along an axis, at least 16.
      lesion_scale: multiplies the lesions' radii. At 1, they are as small relative
        to the image as real ones (a microaneurysm is 2 to 5 pixels at 587).
      grade_shares: as for `retina_metadata`.
      grade: draws the eye with this grade rather than with its own.

    Returns:
      [size, size, 3] uint8 RGB.

    Raises:
      ValueError: if an argument is out of its range.
    """
    if size < 16:
        raise ValueError(f"size is {size}; a retina needs at least 16 pixels")
    if not lesion_scale > 0:
        raise ValueError(f"lesion_scale is {lesion_scale}; it must be positive")
    own = retina_metadata(index, seed=seed, grade_shares=grade_shares).grade
    grade = own if grade is None else grade
    if grade not in range(5):
        raise ValueError(f"grade is {grade}; grades are 0 to 4")
    patient, side = divmod(index, 2)

    traits = patient_traits(random_stream(seed, _TRAITS, patient))
    camera = draw_camera(random_stream(seed, _CAMERA, patient))
    mirror = -1 if side == 0 else 1
    eye = eye_geometry(random_stream(seed, _GEOMETRY, index), traits, mirror=mirror)
    vessels = grow_vessels(random_stream(seed, _VESSELS, index), traits, eye)
    rng = random_stream(seed, _LESIONS, index, grade)
    lesions = plan_lesions(rng, eye, vessels, grade=grade, scale=lesion_scale)
    vessels = (with_beading(vessels[0], lesions.beaded), *vessels[1:])

    fine, oversample = _canvas(size)
    scene = paint_background(
        random_stream(seed, _PIGMENT, index), traits, eye, fine, oversample
    )
    paint_exudates(scene, lesions, fine, oversample)
    arteries, veins = draw_vessels(vessels, fine, oversample)
    _absorb(scene, arteries, veins, blood_coverage(lesions, fine, oversample))
    paint_cotton_wool(scene, lesions)
    return photograph(random_stream(seed, _EXPOSURE, index), camera, scene, size)


def _canvas(size: int) -> tuple[int, int]:
    """Pixels along an axis of what is drawn, and how often each is sampled.

    Small images are drawn larger and averaged, so that fine vessels do not alias.
    """
    fine = size * max(1, math.ceil(_SMALLEST_CANVAS / size))
    return fine, 2 if fine >= 400 or fine > size else 3


def _absorb(
    scene: np.ndarray, arteries: np.ndarray, veins: np.ndarray, blood: np.ndarray | None
) -> None:
    """Darken the scene where there is blood, once where vessels cross."""
    for channel in range(3):
        depth = np.maximum(
            arteries * np.float32(_ARTERY_ABSORPTION[channel]),
            veins * np.float32(_VEIN_ABSORPTION[channel]),
        )
        if blood is not None:
            np.maximum(depth, blood * np.float32(_BLOOD_ABSORPTION[channel]), out=depth)
        scene[channel] *= np.exp(-depth)


def _check(index: int, seed: int, grade_shares: Sequence[float]) -> None:
    if index < 0 or seed < 0:
        raise ValueError(f"index {index} and seed {seed} must not be negative")
    if (
        len(grade_shares) != 5
        or min(grade_shares) < 0
        or not math.isclose(sum(grade_shares), 1.0, abs_tol=1e-6)
    ):
        raise ValueError(
            f"grade_shares is {tuple(grade_shares)}; it must be five shares, "
            "none negative, that sum to 1"
        )
