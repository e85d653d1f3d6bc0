"""The chest phantom: frontal radiographs drawn from a seed and an index.

Three patients have six films: one, two and three of them. Films of a patient share
the build, not the view, the exposure or the findings: weeks lie between them. The
findings are drawn independently of each other and of all else, and the streams of
anatomy, view and exposure know nothing of them.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from transfusion_tf.phantoms.canvas import Patches, random_stream, strips
from transfusion_tf.phantoms.chest_anatomy import (
    Frame,
    View,
    draw_build,
    draw_view,
)
from transfusion_tf.phantoms.chest_bones import paint_bones
from transfusion_tf.phantoms.chest_devices import paint_devices
from transfusion_tf.phantoms.chest_film import draw_exposure, expose
from transfusion_tf.phantoms.chest_findings import (
    Findings,
    paint_filling,
    plan_findings,
)
from transfusion_tf.phantoms.chest_lungs import paint_air, paint_vessels
from transfusion_tf.phantoms.chest_outlines import SIDES, Chest

# Share of the films with each finding.
PREVALENCES = (0.3, 0.35, 0.3, 0.3, 0.35)
UNCERTAIN_SHARE = 0.1

# Patient and number of the film, for each of six films in turn.
_TURNS = ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2))
_SMALLEST_CANVAS = 128
# Random streams; each is its own, so that none shifts another.
(
    _PRESENCE,
    _UNCERTAINTY,
    _SEVERITY,
    _BUILD,
    _VIEW,
    _EXPOSURE,
    _VESSELS,
    _PLAN,
    _FILLING,
    _DEVICES,
    _NOISE,
) = range(11)


@dataclasses.dataclass(frozen=True)
class ChestMetadata:
    """What is known of a phantom radiograph without drawing it.

    Attributes:
      example_id: patient and film, such as `p00012_film1`.
      patient_id: such as `p00012`.
      findings: what is drawn, in the order of `FINDINGS`: 1 present, 0 absent.
      labels: what a report says of it: the same, or -1 for uncertain.
    """

    example_id: str
    patient_id: str
    findings: tuple[float, ...]
    labels: tuple[float, ...]


def chest_metadata(
    index: int, *, seed: int = 0, uncertain_share: float = UNCERTAIN_SHARE
) -> ChestMetadata:
    """Identity and findings of a film; cheap, nothing is drawn.

    Args:
      index: 0, 1, 2, ...; films 6k to 6k + 5 are those of patients 3k to 3k + 2.
      seed: of the whole data set.
      uncertain_share: probability, for each finding of each film by itself, that
        its label is -1; the same whether it is present or not.

    Raises:
      ValueError: if the index or the seed is negative or the share not in [0, 1].
    """
    _check(index, seed)
    if not 0 <= uncertain_share <= 1:
        raise ValueError(f"uncertain_share is {uncertain_share}; it must be in [0, 1]")
    patient, film = _patient(index)
    present = random_stream(seed, _PRESENCE, index).random(5) < PREVALENCES
    unsure = random_stream(seed, _UNCERTAINTY, index).random(5) < uncertain_share
    patient_id = f"p{patient:05d}"
    return ChestMetadata(
        example_id=f"{patient_id}_film{film + 1}",
        patient_id=patient_id,
        findings=tuple(present.astype(float).tolist()),
        labels=tuple(np.where(unsure, -1.0, present).tolist()),
    )


def film_count(patients: int) -> int:
    """How many films the first `patients` patients have together, 2 on average."""
    groups, rest = divmod(patients, 3)
    return len(_TURNS) * groups + rest * (rest + 1) // 2


def draw_chest(
    index: int,
    *,
    seed: int = 0,
    size: int = 224,
    finding_scale: float = 1.0,
    findings: Sequence[float] | None = None,
) -> np.ndarray:
    """Draw a frontal chest radiograph.

    A pure function of its arguments. Another size shows the same chest; only the
    noise is drawn afresh.

    Args:
      index: 0, 1, 2, ...; see `chest_metadata`.
      seed: of the whole data set.
      size: pixels along an axis, at least 16.
      finding_scale: multiplies how far findings reach and how dense they are.
      findings: draws the film with these rather than with its own: five values, 0
        for absent, else the finding's severity, up to 1.

    Returns:
      [size, size, 3] uint8, three equal channels.

    Raises:
      ValueError: if an argument is out of its range.
    """
    _check(index, seed)
    if size < 16:
        raise ValueError(f"size is {size}; a chest needs at least 16 pixels")
    if not finding_scale > 0:
        raise ValueError(f"finding_scale is {finding_scale}; it must be positive")
    if findings is None:
        findings = chest_severities(index, seed=seed)
    if len(findings) != 5 or min(findings) < 0 or max(findings) > 1:
        raise ValueError(
            f"findings is {tuple(findings)}; it must be five values in [0, 1]"
        )
    patient, _ = _patient(index)
    build = draw_build(random_stream(seed, _BUILD, patient))
    view = draw_view(random_stream(seed, _VIEW, index))
    plan = plan_findings(random_stream(seed, _PLAN, index), findings, finding_scale)
    chest = Chest(build, view, plan.distortion())

    # Small images are drawn larger and averaged, so that fine lines do not alias.
    fine = size * max(1, math.ceil(_SMALLEST_CANVAS / size))
    frame = Frame(view, fine, oversample=2)
    absorption = _absorption(index, seed, frame, view, chest, plan)
    exposure = draw_exposure(random_stream(seed, _EXPOSURE, index))
    return expose(random_stream(seed, _NOISE, index), exposure, absorption, size)


def chest_severities(index: int, *, seed: int = 0) -> tuple[float, ...]:
    """How severe each finding of a film is: 0 where absent, else in (0, 1]."""
    present = chest_metadata(index, seed=seed).findings
    # Mild ones are the more frequent.
    severities = 0.04 + 0.96 * random_stream(seed, _SEVERITY, index).beta(1.0, 2.0, 5)
    return tuple((severities * present).tolist())


def _absorption(
    index: int, seed: int, frame: Frame, view: View, chest: Chest, plan: Findings
) -> np.ndarray:
    """What the chest absorbs along each beam, [size, size] float32, about 0 to 1.5."""
    unit = frame.pixels_per_unit
    body = frame.fill(chest.body())
    air = paint_air(frame, chest)
    heart = ndimage.gaussian_filter(frame.fill(chest.heart()), 0.008 * unit)
    vessels = ndimage.gaussian_filter(frame.fill(chest.mediastinum()), 0.012 * unit)
    streams = [random_stream(seed, _FILLING, index, kind) for kind in range(5)]
    filled, fluid = paint_filling(streams, frame, chest, plan)
    lung = air > 0
    abdomen = np.maximum(*(frame.fill(chest.below(side)) for side in SIDES))
    abdomen = ndimage.gaussian_filter(abdomen, 0.006 * unit)
    depth = np.clip(np.abs(frame.x) / 0.15 - 0.8, 0.0, 1.0)
    abdomen = np.maximum(abdomen, fluid * lung * depth) * body

    result = _soft_tissue(frame, chest, body)
    result += np.float32(0.13) * abdomen
    result += np.float32(0.08) * heart + np.float32(0.14) * vessels
    # Ribs show less through the denser abdomen.
    result += paint_bones(frame, chest, view.scapulae) * (1.0 - 0.5 * abdomen)
    result += paint_devices(random_stream(seed, _DEVICES, index), frame)
    result -= _windpipe(frame, chest)
    if view.gas:
        result -= np.float32(0.22) * _stomach(frame, chest, view.gas) * (1 - fluid)
    # Behind the heart and the great vessels little lung is left.
    air *= (1.0 - np.float32(0.86) * heart) * (1.0 - np.float32(0.9) * vessels)
    markings = paint_vessels(
        random_stream(seed, _VESSELS, index), frame, chest, congestion=plan.congestion
    )
    air *= 1.0 - filled
    result -= np.float32(view.aeration) * air
    result += markings * np.minimum(air * 1.6, 1.0)
    return result


def _soft_tissue(frame: Frame, chest: Chest, body: np.ndarray) -> np.ndarray:
    """Muscle and fat: thick in the middle, thin at the shoulders' upper rim."""
    wide = ndimage.gaussian_filter(body, 0.10 * frame.pixels_per_unit, truncate=2.0)
    tissue = body * (0.30 + 0.60 * np.clip(2.0 * wide - 1.0, 0.0, 1.0))
    tissue += body * np.float32(0.06) * frame.spot((0.0, 0.2), (0.5, 0.6))
    for side in SIDES if chest.build.breasts else ():
        breast = frame.spot((side * 0.42, 0.26), (0.24, 0.18))
        tissue += np.float32(chest.build.breasts) * np.minimum(1.6 * breast, 1.0)
    return tissue


def _windpipe(frame: Frame, chest: Chest) -> np.ndarray:
    """Air in the trachea and the main bronchi."""
    middle = chest.middle
    trachea = [(0.2 * middle, -1.1), (0.8 * middle - 0.005, -0.6), (middle, -0.24)]
    right = [(middle, -0.26), (middle - 0.06, -0.16), (middle - 0.13, -0.08)]
    left = [(middle, -0.26), (middle + 0.08, -0.18), (middle + 0.17, -0.13)]
    lines = np.array([trachea, right, left])
    widths = np.array([[0.054] * 3, [0.05, 0.042, 0.03], [0.046, 0.038, 0.026]])
    air = frame.cover(Patches(strips(lines, widths), np.array([1.0, 0.65, 0.6])))
    soft = ndimage.gaussian_filter(air, 0.010 * frame.pixels_per_unit)
    return np.float32(0.17) * soft


def _stomach(frame: Frame, chest: Chest, radius: float) -> np.ndarray:
    """The bubble of air under the left dome."""
    x = 0.52 * chest.build.half_width
    y = float(chest.diaphragm(1, np.array([0.52]))[0]) + 0.03 + radius
    spot = frame.spot((x, y), (0.9 * radius, 0.8 * radius))
    return np.clip(3.0 * spot - 1.0, 0.0, 1.0)


def _patient(index: int) -> tuple[int, int]:
    """Patient and number of the film, both from 0."""
    group, turn = divmod(index, len(_TURNS))
    patient, film = _TURNS[turn]
    return 3 * group + patient, film


def _check(index: int, seed: int) -> None:
    if index < 0 or seed < 0:
        raise ValueError(f"index {index} and seed {seed} must not be negative")
