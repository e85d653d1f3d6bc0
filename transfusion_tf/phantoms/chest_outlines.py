"""The outlines of the chest phantom: body, lungs, heart, vessels and diaphragm."""

import numpy as np
from scipy import interpolate

from transfusion_tf.phantoms.chest_anatomy import Build, Distortion, View

# The patient's right is the left of the image.
SIDES = (-1, 1)
# Half of the lungs' distance at the mediastinum, and where the apices lie from it.
_MEDIAL, _APEX = 0.11, 0.27


class Chest:
    """The outlines of one chest on one film, in body coordinates.

    Args:
      build: the patient's.
      view: the film's.
      distortion: by findings.

    Attributes:
      build: the patient's.
      middle: x of the heart's and the trachea's midline.
      base: y of the costophrenic angles.
      heart_ratio: width of the heart by that of the thorax.
    """

    def __init__(self, build: Build, view: View, distortion: Distortion):
        self.build = build
        self.middle = view.turn + distortion.pull
        self.base = build.base + view.inspiration
        self.heart_ratio = distortion.heart_ratio or build.heart_ratio
        self._turn = view.turn
        lower = (-view.left_lower / 2, view.left_lower / 2)
        self._lift = [r - low for r, low in zip(distortion.raised, lower, strict=True)]

    def spine(self, y: np.ndarray) -> np.ndarray:
        """Where the spine's midline lies (x) at heights y."""
        return self.build.bow * np.cos(2.2 * y) - 0.4 * self._turn

    def lateral(self, side: int, y: np.ndarray) -> np.ndarray:
        """Where the inside of the ribs lies (x) at heights y, from the apex down."""
        build = self.build
        t = np.clip((y - build.apex) / (build.base - build.apex), 0.0, 1.0)
        reach = (1.0 - (1.0 - t) ** 2.2) ** 0.55
        width = _APEX + (build.half_width - _APEX) * reach
        return side * width + self._turn / 2

    def diaphragm(self, side: int, share: np.ndarray) -> np.ndarray:
        """Height (y) of a dome, from the midline (share 0) to the ribs (share 1)."""
        # Under the heart both domes meet.
        apart = np.clip(share / 0.4, 0.0, 1.0)
        apart = apart * apart * (3.0 - 2.0 * apart)
        lift = self._lift[SIDES.index(side)] * apart
        top = self.base - self.build.dome - lift
        # The angle itself is pulled up less than the dome.
        angle = self.base - 0.3 * lift
        outward = np.clip((share - 0.48) / 0.52, 0.0, 1.0)
        inward = np.clip((0.48 - share) / 0.48, 0.0, 1.0)
        return top + (angle - top) * outward**2.3 + 0.06 * inward**2

    def lung(self, side: int) -> np.ndarray:
        """Outline of a lung, reaching behind the heart, [points, 2]."""
        build = self.build
        angle = float(self.diaphragm(side, np.ones(1))[0])
        t = np.linspace(0.0, 1.0, 40) ** 1.5
        wall_y = build.apex + (angle - build.apex) * t
        wall_x = self.lateral(side, wall_y)
        share = np.linspace(1.0, _MEDIAL / build.half_width, 28)
        floor_x = share * (wall_x[-1] - self._turn / 2) + self._turn / 2
        floor_y = self.diaphragm(side, share)
        rise = np.linspace(1.0, 0.0, 24)
        medial_y = build.apex + (floor_y[-1] - build.apex) * rise**1.5
        near = np.clip((medial_y - build.apex) / 0.16, 0.0, 1.0)
        inward = _APEX - (_APEX - _MEDIAL) * np.sqrt(1.0 - (1.0 - near) ** 2)
        medial_x = side * inward + self._turn / 2
        return np.stack(
            [
                np.concatenate([wall_x, floor_x[1:], medial_x[1:-1]]),
                np.concatenate([wall_y, floor_y[1:], medial_y[1:-1]]),
            ],
            axis=-1,
        )

    def below(self, side: int) -> np.ndarray:
        """Outline of the abdomen under one dome."""
        share = np.linspace(0.0, 1.0, 28)
        x = share * side * self.build.half_width + self._turn / 2
        y = self.diaphragm(side, share)
        corners = np.array(
            [
                [x[-1] + side * 0.02, y[-1] + 0.08],
                [x[-1] + side * 0.08, 1.6],
                [-side * 0.02, 1.6],
            ]
        )
        return np.concatenate([np.stack([x, y], axis=-1), corners])

    def heart(self) -> np.ndarray:
        """Outline of the heart, [points, 2]; as wide as `heart_ratio` says."""
        width = 2.0 * self.build.half_width * self.heart_ratio
        right = width * self.build.heart_lean
        left = width - right
        floor = float(self.diaphragm(1, np.array([0.3]))[0])
        # The heart hangs from the great vessels and rests on the diaphragm.
        top, low = -0.17, floor + 0.05
        points = [
            (-0.09, top),
            (-0.90 * right, top + 0.36 * (low - top)),
            (-right, top + 0.62 * (low - top)),
            (-0.72 * right, low - 0.03),
            (0.25 * left, low + 0.03),
            (0.78 * left, low),
            (left, low - 0.17 * (low - top)),
            (0.84 * left, top + 0.50 * (low - top)),
            (0.52 * left, top + 0.20 * (low - top)),
            (0.13, top - 0.04),
        ]
        return closed_curve(np.array(points)) + np.array([self.middle, 0.0])

    def mediastinum(self) -> np.ndarray:
        """Outline of the great vessels above the heart, the aortic knob included."""
        knob = 0.10 + self.build.aorta
        points = [
            (-0.10, -1.05),
            (-0.09, -0.62),
            (-0.12, -0.42),
            (-0.14, -0.16),
            (-0.13, 0.15),
            (0.14, 0.15),
            (0.165, -0.08),
            (0.13, -0.20),
            (knob, -0.29),
            (0.92 * knob, -0.40),
            (0.10, -0.47),
            (0.09, -0.70),
            (0.09, -1.05),
        ]
        return np.array(points) + np.array([0.8 * self.middle, 0.0])

    def body(self) -> np.ndarray:
        """Outline of neck, shoulders and trunk, [points, 2]."""
        flank = self.build.half_width + self.build.wall
        half = np.array(
            [
                (0.20, -1.60),
                (0.21, -1.02),
                (0.27, -0.94),
                (0.48, -0.88),
                (0.76, -0.82),
                (0.98, -0.68),
                (1.12, -0.45),
                (1.30, -0.10),
                (flank + 0.18, -0.12),
                (flank + 0.06, -0.06),
                (flank + 0.01, 0.10),
                (flank, 0.40),
                (flank + 0.01, 0.70),
                (flank + 0.03, 1.60),
            ]
        )
        return np.concatenate([half, half[::-1] * [-1.0, 1.0]])


def closed_curve(points: np.ndarray, count: int = 72) -> np.ndarray:
    """A smooth closed curve through the points, [count, 2]."""
    around = np.concatenate([points, points[:1]])
    steps = np.hypot(*np.diff(around, axis=0).T)
    place = np.concatenate([[0.0], np.cumsum(np.sqrt(steps))])
    curve = interpolate.CubicSpline(place, around, bc_type="periodic")
    return curve(np.linspace(0.0, place[-1], count, endpoint=False))
