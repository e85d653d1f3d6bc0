"""The patient of the chest phantom: build, position before the film, coordinates.

Everything lies in body coordinates: x to the left of the patient (the right of the
image), y down, the midline at x = 0, the lungs about 1.4 across and as high. A view
places them in the frame.
"""

import dataclasses

import numpy as np

from transfusion_tf.phantoms.canvas import (
    Mask,
    Patches,
    pixel_centers,
)


@dataclasses.dataclass(frozen=True)
class Build:
    """What all films of a patient share; lengths in body units.

    Attributes:
      half_width: of the thorax within the ribs, at its widest.
      apex, base: y of the lungs' apices and of the costophrenic angles.
      dome: how far the domes of the diaphragm stand above those angles.
      wall: soft tissue outside the ribs, which grows with the patient's weight.
      heart_ratio: width of the healthy heart by that of the thorax, below 0.5.
      heart_lean: share of the heart's width to the patient's right of the midline.
      aorta: radius of the aortic knob.
      rib_drop: how far a rib falls from the spine to the side.
      rib_width: of a posterior rib.
      bow: sideways curve of the spine.
      breasts: how far breasts whiten the lower zones, 0 for none.
      vessel_width: multiplies the vessels' widths.
      hila: multiplies the density of the vessels' roots.
      calcium: strength of the bones, about 1.
    """

    half_width: float
    apex: float
    base: float
    dome: float
    wall: float
    heart_ratio: float
    heart_lean: float
    aorta: float
    rib_drop: float
    rib_width: float
    bow: float
    breasts: float
    vessel_width: float
    hila: float
    calcium: float


@dataclasses.dataclass(frozen=True)
class View:
    """How the patient stood when a film was taken.

    Attributes:
      zoom: frame units a body unit.
      tilt: rotation in the frame, radians.
      shift: where the body's origin lies in the frame.
      turn: rotation about the long axis, as the sideways shift of the heart.
      inspiration: how far the diaphragm stands lower than on average.
      left_lower: how far the left dome stands lower than the right.
      aeration: how much less than tissue the deepest lung absorbs.
      gas: radius of the air in the stomach, 0 for none.
      scapulae: how far the shoulder blades reach over the lungs.
    """

    zoom: float
    tilt: float
    shift: tuple[float, float]
    turn: float
    inspiration: float
    left_lower: float
    aeration: float
    gas: float
    scapulae: float


@dataclasses.dataclass(frozen=True)
class Distortion:
    """What findings change of the anatomy.

    Attributes:
      heart_ratio: in place of the build's, or None.
      raised: how far the domes are pulled up, right and left.
      pull: sideways shift of heart and trachea.
    """

    heart_ratio: float | None = None
    raised: tuple[float, float] = (0.0, 0.0)
    pull: float = 0.0


def draw_build(rng: np.random.Generator) -> Build:
    """Choose a patient's build."""
    weight = rng.beta(2.0, 2.5)
    return Build(
        half_width=float(rng.uniform(0.66, 0.74)),
        apex=float(rng.uniform(-0.78, -0.68)),
        base=float(rng.uniform(0.56, 0.68)),
        dome=float(rng.uniform(0.12, 0.23)),
        wall=float(0.05 + 0.20 * weight),
        heart_ratio=float(rng.uniform(0.41, 0.495)),
        heart_lean=float(rng.uniform(0.25, 0.38)),
        aorta=float(rng.uniform(0.055, 0.09)),
        rib_drop=float(rng.uniform(0.08, 0.22)),
        rib_width=float(rng.uniform(0.038, 0.052)),
        bow=float(rng.normal(0.0, 0.012)),
        breasts=float(max(0.0, rng.uniform(-0.10, 0.12))),
        vessel_width=float(rng.uniform(0.75, 1.25)),
        hila=float(rng.uniform(0.6, 1.5)),
        calcium=float(rng.uniform(0.75, 1.2)),
    )


def draw_view(rng: np.random.Generator) -> View:
    """Choose how a patient stood."""
    shift = rng.normal(0.0, 0.035, 2)
    return View(
        zoom=float(rng.uniform(1.0, 1.18)),
        tilt=float(rng.normal(0.0, 0.025)),
        shift=(float(shift[0]), float(shift[1] + 0.06)),
        turn=float(rng.normal(0.0, 0.02)),
        inspiration=float(rng.uniform(-0.12, 0.06)),
        left_lower=float(rng.normal(0.03, 0.02)),
        aeration=float(rng.uniform(0.48, 0.64)),
        gas=float(rng.uniform(0.05, 0.11) * (rng.random() < 0.5)),
        scapulae=float(rng.uniform(0.0, 1.0)),
    )


class Frame:
    """Draws shapes given in body coordinates.

    Args:
      view: places them.
      size: pixels along an axis.
      oversample: how many times finer polygons are filled.

    Attributes:
      x, y: body coordinates of the pixels, two arrays [size, size] float32.
      size: pixels along an axis.
      pixels_per_unit: pixels a body unit.
    """

    def __init__(self, view: View, size: int, oversample: int):
        self._view, self._oversample = view, oversample
        self.size = size
        self.pixels_per_unit = view.zoom * size / 2.0
        axis = pixel_centers(size)
        right, down = axis[None, :] - view.shift[0], axis[:, None] - view.shift[1]
        cos, sin = np.cos(view.tilt) / view.zoom, np.sin(view.tilt) / view.zoom
        self.x = np.asarray(cos * right + sin * down, dtype=np.float32)
        self.y = np.asarray(cos * down - sin * right, dtype=np.float32)

    def cover(self, *layers: Patches) -> np.ndarray:
        """Coverage by polygons, later ones over earlier: [size, size], in [0, 1]."""
        mask = Mask(self.size, self._oversample)
        cos, sin = np.cos(self._view.tilt), np.sin(self._view.tilt)
        rotation = self._view.zoom * np.array([[cos, sin], [-sin, cos]])
        for patches in layers:
            placed = patches.outlines @ rotation + np.asarray(self._view.shift)
            mask.polygons(Patches(placed, patches.densities))
        return mask.coverage()

    def fill(self, outline: np.ndarray) -> np.ndarray:
        """Coverage by one polygon [points, 2]."""
        return self.cover(Patches(outline[None], np.ones(1)))

    def spot(
        self, center: tuple[float, float], radii: tuple[float, float]
    ) -> np.ndarray:
        """An upright Gaussian with these standard deviations, 1 at its centre."""
        x = (self.x - np.float32(center[0])) / np.float32(radii[0])
        y = (self.y - np.float32(center[1])) / np.float32(radii[1])
        return np.exp(np.float32(-0.5) * (x * x + y * y))
