"""The bones of the chest phantom: ribs, spine, clavicles, shoulder blades."""

import numpy as np
from scipy import ndimage

from transfusion_tf.phantoms.canvas import Patches, strips
from transfusion_tf.phantoms.chest_anatomy import Frame
from transfusion_tf.phantoms.chest_outlines import SIDES, Chest

_POINTS = 26
_RIBS = 10
# A bone is a tube: its rim absorbs more than its middle.
_MARROW = 0.62


def paint_bones(frame: Frame, chest: Chest, scapulae: float) -> np.ndarray:
    """What the bones absorb, [size, size] float32.

    Args:
      frame: to draw in.
      chest: where they lie.
      scapulae: how far the shoulder blades reach over the lungs, 0 to 1.
    """
    back, front = _ribs(chest)
    width = chest.build.rib_width
    bones = 0.13 * frame.cover(*_tubes(back, width * np.linspace(0.8, 1.0, _POINTS)))
    bones += 0.075 * frame.cover(*_tubes(front, width * np.linspace(1.1, 1.3, _POINTS)))
    bones += 0.12 * frame.cover(*_tubes(_clavicles(chest), _CLAVICLE_WIDTHS))
    blades = frame.cover(Patches(_scapulae(scapulae), np.ones(2)))
    bones += 0.05 * ndimage.gaussian_filter(blades, 0.012 * frame.pixels_per_unit)
    heads = np.array([[[side * 1.0, -0.62]] for side in SIDES])
    heads = frame.cover(Patches(_rounds(heads, 0.13), np.ones(2)))
    bones += 0.11 * ndimage.gaussian_filter(heads, 0.02 * frame.pixels_per_unit)
    bones += _spine(frame, chest)
    return np.float32(chest.build.calcium) * bones


def _ribs(chest: Chest) -> tuple[np.ndarray, np.ndarray]:
    """Midlines of the ribs' posterior and anterior arcs, each [ribs, points, 2]."""
    build = chest.build
    back, front = [], []
    step = (chest.base - build.apex + 0.02) / _RIBS
    share = np.linspace(0.0, 1.0, _POINTS)
    for side in SIDES:
        for rib in range(_RIBS):
            start = build.apex - 0.01 + step * rib
            # Upper ribs run round the apex, lower ones fall more steeply.
            drop = build.rib_drop * (0.7 + 0.09 * rib)
            end = start + drop
            lateral = float(chest.lateral(side, np.array([end + 0.03]))[0])
            lateral += side * 0.012
            medial = float(chest.spine(np.array([start]))[0]) + side * 0.05
            y = start - 0.035 * np.sin(np.pi * share) + drop * share**2.2
            x = medial + (lateral - medial) * np.sin(0.5 * np.pi * share) ** 0.9
            back.append(np.stack([x, y], axis=-1))
            if 1 <= rib <= 6:
                inner = side * (0.26 + 0.02 * rib)
                fall = 0.10 + 0.035 * rib
                y = end + fall * share**0.8
                x = lateral + (inner - lateral) * share**1.6
                front.append(np.stack([x, y], axis=-1))
    return np.array(back), np.array(front)


_CLAVICLE_WIDTHS = 0.058 - 0.022 * np.sin(np.pi * np.linspace(0.0, 1.0, _POINTS))


def _clavicles(chest: Chest) -> np.ndarray:
    """S-shaped, from the sternum up and out to the shoulders."""
    share = np.linspace(0.0, 1.0, _POINTS)
    lines = []
    for side in SIDES:
        x = side * (0.07 + 0.74 * share) + 1.5 * chest.middle * (1.0 - share)
        y = -0.50 - 0.20 * share + 0.045 * np.sin(2 * np.pi * share)
        lines.append(np.stack([x, y], axis=-1))
    return np.array(lines)


def _scapulae(reach: float) -> np.ndarray:
    inward = 0.62 - 0.10 * reach
    half = np.array(
        [(0.95, -0.62), (0.72, -0.66), (inward, -0.52), (inward + 0.12, 0.02)]
    )
    return np.array([half * [side, 1.0] for side in SIDES])


def _spine(frame: Frame, chest: Chest) -> np.ndarray:
    """The vertebral column, its discs less dense, brightest below the diaphragm."""
    offset = frame.x - chest.spine(frame.y).astype(np.float32)
    column = np.exp(-((offset / np.float32(0.085)) ** 4))
    ripple = np.cos(frame.y * np.float32(2 * np.pi / 0.125))
    pedicles = np.exp(-(((np.abs(offset) - np.float32(0.05)) / np.float32(0.018)) ** 2))
    density = np.float32(0.10) + np.float32(0.018) * ripple
    density += np.float32(0.012) * pedicles * (ripple > 0.2)
    return column * density


def _tubes(lines: np.ndarray, widths: np.ndarray) -> tuple[Patches, Patches]:
    """Bright outlines of tubes and, over them, their fainter middles."""
    full = np.broadcast_to(widths, lines.shape[:2])
    count = len(lines)
    return (
        Patches(strips(lines, full), np.ones(count)),
        Patches(strips(lines, 0.55 * full), np.full(count, _MARROW)),
    )


def _rounds(centers: np.ndarray, radius: float) -> np.ndarray:
    angle = np.linspace(0.0, 2 * np.pi, 24, endpoint=False)
    return centers + radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
