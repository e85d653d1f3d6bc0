"""The lungs of the chest phantom: air, hila, vessels and their fine texture."""

import numpy as np
from scipy import ndimage

from transfusion_tf.phantoms.canvas import Patches, smooth_noise, strips
from transfusion_tf.phantoms.chest_anatomy import Frame
from transfusion_tf.phantoms.chest_outlines import SIDES, Chest

_TRUNKS, _POINTS = 9, 12


def paint_air(frame: Frame, chest: Chest) -> np.ndarray:
    """Depth of air in the lungs, 0 outside and 1 where deepest, [size, size]."""
    mask = np.zeros((frame.size, frame.size), np.float32)
    for side in SIDES:
        np.maximum(mask, frame.fill(chest.lung(side)), out=mask)
    wide = ndimage.gaussian_filter(mask, 0.07 * frame.pixels_per_unit, truncate=2.5)
    # A lung is rounded: a beam at its side passes less of it.
    depth = np.float32(0.42) + np.float32(0.58) * np.clip(2.0 * wide - 1.0, 0.0, 1.0)
    return mask * depth


def hilum(chest: Chest, side: int) -> tuple[float, float]:
    """Where vessels enter a lung; the left one's hilum stands higher."""
    return chest.middle + side * 0.17, -0.02 - 0.025 * side


def paint_vessels(
    rng: np.random.Generator,
    frame: Frame,
    chest: Chest,
    *,
    congestion: float,
) -> np.ndarray:
    """What hila and vessels absorb within the lungs, [size, size] float32.

    Args:
      rng: source of the trees.
      frame: to draw in.
      chest: where the hila lie.
      congestion: 0 for healthy vessels; 1 makes them half as wide again, and the
        upper ones, thin as long as the pressure is low, twice as wide.
    """
    layers = []
    shadow = np.zeros((frame.size, frame.size), np.float32)
    for side in SIDES:
        center = hilum(chest, side)
        layers += _tree(rng, center, side, chest.build.vessel_width, congestion)
        radii = (0.045 * (1 + 0.3 * congestion), 0.085 * (1 + 0.2 * congestion))
        root = 0.14 * chest.build.hila + 0.05 * congestion
        shadow += np.float32(root) * frame.spot(center, radii)
    # Thin ones first: a faint branch does not cut into its parent.
    shadow += 0.16 * frame.cover(*layers[::-1])
    fine = smooth_noise(rng, 90, frame.size)
    shadow += np.float32(0.010 + 0.012 * congestion) * fine
    return shadow


def _tree(
    rng: np.random.Generator,
    root: tuple[float, float],
    side: int,
    width: float,
    congestion: float,
) -> list[Patches]:
    """Three generations of vessels; the first fans out from the hilum."""
    spread = np.linspace(-1.0, 1.0, _TRUNKS)
    heading = 1.3 * spread + rng.normal(0.0, 0.16, _TRUNKS)
    length = rng.uniform(0.24, 0.40, _TRUNKS) + 0.16 * np.abs(np.sin(heading))
    # They leave the hilum one above the other, not from one point.
    start = np.tile(root, (_TRUNKS, 1)) + rng.normal(0.0, 0.012, (_TRUNKS, 2))
    start[:, 1] += 0.075 * spread
    wide = rng.uniform(0.020, 0.027, _TRUNKS)
    layers = []
    for generation in range(3):
        bend = rng.normal(0.0, 0.6, len(heading))
        lines = _lines(start, heading, bend, length, side)
        below = np.clip(0.85 + 0.6 * (lines[:, -1, 1] - root[1]), 0.55, 1.15)
        swell = below * (1.0 + congestion * np.where(below < 0.85, 1.1, 0.6))
        taper = np.linspace(1.0, 0.35, _POINTS)
        widths = (width * wide * swell)[:, None] * taper
        density = np.full(len(lines), (1.0, 0.85, 0.7)[generation])
        layers.append(Patches(strips(lines, widths), density))
        # Two children each, one to either side of their parent.
        parent = np.repeat(np.arange(len(heading)), 2)
        at = rng.integers(3, _POINTS - 2, len(parent))
        turn = np.tile([-1.0, 1.0], len(heading)) * rng.uniform(0.4, 0.8, len(parent))
        start = lines[parent, at]
        along = at / (_POINTS - 1)
        heading = heading[parent] + bend[parent] * along + turn
        length = length[parent] * rng.uniform(0.4, 0.65, len(parent))
        wide = wide[parent] * (1.0 - 0.65 * along) * 0.75
    return layers


def _lines(
    start: np.ndarray,
    heading: np.ndarray,
    bend: np.ndarray,
    length: np.ndarray,
    side: int,
) -> np.ndarray:
    """Curved lines [vessels, points, 2]; a heading of 0 runs to the side."""
    share = np.linspace(0.0, 1.0, _POINTS)
    angle = heading[:, None] + bend[:, None] * share
    step = (length / (_POINTS - 1))[:, None]
    x = np.cumsum(side * np.cos(angle) * step, axis=1)
    y = np.cumsum(np.sin(angle) * step, axis=1)
    return start[:, None] + np.stack([x - x[:, :1], y - y[:, :1]], axis=-1)
