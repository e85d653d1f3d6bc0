"""What is not the patient on a film of the chest phantom: leads and the side marker."""

import numpy as np

from transfusion_tf.phantoms.canvas import Patches, strips
from transfusion_tf.phantoms.chest_anatomy import Frame

_LEADS_SHARE = 0.3
_POINTS = 40


def paint_devices(rng: np.random.Generator, frame: Frame) -> np.ndarray:
    """What metal absorbs, [size, size] float32; drawn alike whatever the findings."""
    marker = _marker(rng)
    leads = _leads(rng, int(rng.integers(1, 4)))
    layers = [marker, *leads] if rng.random() < _LEADS_SHARE else [marker]
    return np.float32(0.45) * frame.cover(*layers)


def _marker(rng: np.random.Generator) -> Patches:
    """The letter L beside the patient's left shoulder."""
    x, y = rng.uniform(0.72, 0.84), rng.uniform(-0.86, -0.66)
    stem = [(x, y), (x, y + 0.05), (x, y + 0.1)]
    foot = [(x - 0.01, y + 0.1), (x + 0.025, y + 0.1), (x + 0.06, y + 0.1)]
    return Patches(strips(np.array([stem, foot]), np.full((2, 3), 0.02)), np.ones(2))


def _leads(rng: np.random.Generator, count: int) -> list[Patches]:
    """Wires of an electrocardiograph from an electrode to the rim of the film."""
    share = np.linspace(0.0, 1.0, _POINTS)
    lines, discs = [], []
    angle = np.linspace(0.0, 2 * np.pi, 2 * _POINTS, endpoint=False)
    circle = 0.022 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    for _ in range(count):
        start = rng.uniform((-0.6, -0.45), (0.6, 0.5))
        end = np.array([rng.uniform(-0.5, 0.5), 1.3])
        bend, phase = rng.normal(0.0, 0.12), rng.uniform(0.0, 2 * np.pi)
        line = start + share[:, None] * (end - start)
        sway = np.sin(2 * np.pi * share + phase) - np.sin(phase) * (1 - share)
        lines.append(line + np.stack([bend * sway, 0.0 * sway], axis=-1))
        discs.append(lines[-1][0] + circle)
    wires = strips(np.array(lines), np.full((count, _POINTS), 0.010))
    return [
        Patches(wires, np.full(count, 0.5)),
        Patches(np.array(discs), np.full(count, 0.55)),
    ]
