"""The five findings of the chest phantom, each from a severity in [0, 1].

A finding changes the anatomy (`Distortion`), fills air with fluid or cells, or
both. Sources: Hansell et al., "Fleischner Society: glossary of terms for thoracic
imaging", 2008; Milne et al., "The radiologic distinction of cardiogenic and
noncardiogenic edema", 1985 (edema).
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from transfusion_tf.phantoms.canvas import Patches, smooth_noise, strips
from transfusion_tf.phantoms.chest_anatomy import Distortion, Frame
from transfusion_tf.phantoms.chest_lungs import hilum
from transfusion_tf.phantoms.chest_outlines import SIDES, Chest

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Pleural Effusion",
)
_ATELECTASIS, _CARDIOMEGALY, _CONSOLIDATION, _EDEMA, _EFFUSION = range(len(FINDINGS))


@dataclasses.dataclass(frozen=True)
class Findings:
    """What is wrong with a chest.

    Attributes:
      severities: one a finding, 0 where it is absent, else up to 1.
      sides: of atelectasis, consolidation and effusion, -1 or 1.
      both_effusions: whether an effusion lies on both sides.
      scale: multiplies how far findings reach and how dense they are.
    """

    severities: tuple[float, ...]
    sides: tuple[int, int, int]
    both_effusions: bool
    scale: float

    @property
    def congestion(self) -> float:
        """How far edema widens the vessels, 0 to about 1."""
        edema = self.severities[_EDEMA]
        return min(1.6, (0.06 + 0.80 * edema) * self.scale) if edema else 0.0

    def distortion(self) -> Distortion:
        """How findings change the anatomy."""
        collapse = self.severities[_ATELECTASIS]
        enlarged = self.severities[_CARDIOMEGALY]
        raised, pull = [0.0, 0.0], 0.0
        if collapse:
            side = self.sides[0]
            raised[SIDES.index(side)] = (0.04 + 0.10 * collapse) * self.scale
            pull = side * (0.01 + 0.03 * collapse) * self.scale
        ratio = None
        if enlarged:
            # Most are just above one half, few are very large.
            ratio = min(0.8, 0.505 + 0.13 * enlarged**2 * self.scale)
        return Distortion(ratio, (raised[0], raised[1]), pull)


def plan_findings(
    rng: np.random.Generator, severities: Sequence[float], scale: float
) -> Findings:
    """Choose the sides of findings with given severities; draws the same for any."""
    right = rng.random(3) < (0.5, 0.6, 0.55)
    sides = [-1 if here else 1 for here in right]
    return Findings(
        severities=tuple(severities),
        sides=(sides[0], sides[1], sides[2]),
        both_effusions=bool(rng.random() < 0.2),
        scale=scale,
    )


def paint_filling(
    streams: Sequence[np.random.Generator],
    frame: Frame,
    chest: Chest,
    findings: Findings,
) -> tuple[np.ndarray, np.ndarray]:
    """What takes the place of air.

    Args:
      streams: a generator a finding, so that none shifts another.
      frame: to draw in.
      chest: as the findings distort it.
      findings: which.

    Returns:
      The share of the air that is replaced, and effusion alone, whose depth adds
      to the chest's: two arrays [size, size] float32 in [0, 1].
    """
    filled = np.zeros((frame.size, frame.size), np.float32)
    fluid = np.zeros_like(filled)
    for kind, paint in _FILLINGS.items():
        if findings.severities[kind]:
            _join(filled, paint(streams[kind], frame, chest, findings))
    if findings.severities[_EFFUSION]:
        for side in SIDES if findings.both_effusions else findings.sides[2:]:
            _join(fluid, _effusion(streams[_EFFUSION], frame, chest, findings, side))
        _join(filled, fluid)
    return filled, fluid


def _join(filled: np.ndarray, more: np.ndarray) -> None:
    """What one leaves of the air, the other may still replace."""
    filled += (1.0 - filled) * np.clip(more, 0.0, 0.97)


def _plates(
    rng: np.random.Generator, frame: Frame, chest: Chest, findings: Findings
) -> np.ndarray:
    """Plates of collapsed lung above a raised dome, and less air between them."""
    side = findings.sides[0]
    severity, scale = findings.severities[_ATELECTASIS], findings.scale
    count = 1 + int(severity * 2.99)
    dome = float(chest.diaphragm(side, np.array([0.5]))[0])
    lines, widths = [], []
    share = np.linspace(0.0, 1.0, 12)
    for plate in range(count):
        length = rng.uniform(0.26, 0.46) * scale**0.5
        angle = rng.normal(0.0, 0.22)
        u = side * rng.uniform(0.34, 0.50) * chest.build.half_width / 0.7
        v = dome - rng.uniform(0.05, 0.12) - 0.12 * plate
        x = u + length * np.cos(angle) * (share - 0.5)
        y = v + length * np.sin(angle) * (share - 0.5)
        y += 0.02 * rng.normal() * np.sin(np.pi * share)
        lines.append(np.stack([x, y], axis=-1))
        thick = rng.uniform(0.018, 0.030) * (0.7 + 0.6 * severity) * scale
        widths.append(thick * np.sin(np.pi * (0.08 + 0.84 * share)) ** 0.5)
    patches = Patches(strips(np.array(lines), np.array(widths)), np.ones(count))
    plates = ndimage.gaussian_filter(
        frame.cover(patches), 0.005 * frame.pixels_per_unit
    )
    haze = frame.spot((side * 0.36, dome), (0.22, 0.13))
    return (0.55 + 0.35 * severity) * plates + (0.08 + 0.17 * severity) * scale * haze


def _consolidation(
    rng: np.random.Generator, frame: Frame, chest: Chest, findings: Findings
) -> np.ndarray:
    """Part of a lobe without air: uneven, soft at its rim, bronchi still open."""
    side = findings.sides[1]
    severity, scale = findings.severities[_CONSOLIDATION], findings.scale
    x = side * rng.uniform(0.28, 0.50)
    y = rng.uniform(-0.42, 0.30)
    radius = (0.10 + 0.11 * severity) * scale**0.5
    stretch = rng.uniform(0.85, 1.25)
    patch = frame.spot((x, y), (radius * stretch, radius / stretch))
    patch *= 1.25 + 0.30 * smooth_noise(rng, 11, frame.size)
    patch += 0.16 * smooth_noise(rng, 30, frame.size)
    edge = rng.uniform(-0.15, 0.25)
    slope, upward = rng.normal(0.0, 0.25), rng.random() < 0.5
    if rng.random() < 0.5:
        # It ends at a fissure.
        beyond = (frame.y - y - slope * (frame.x - x)) * (-1 if upward else 1)
        patch *= np.clip((radius * (0.8 + edge) - beyond) / 0.05, 0.0, 1.0)
    opacity = np.clip((patch - 0.28) / 0.55, 0.0, 1.0)
    opacity *= opacity * (3.0 - 2.0 * opacity)
    bronchi = _bronchi(rng, frame, hilum(chest, side), (x, y), radius)
    return min(0.95, (0.40 + 0.45 * severity) * scale**0.5) * opacity * (1 - bronchi)


def _bronchi(
    rng: np.random.Generator,
    frame: Frame,
    root: tuple[float, float],
    goal: tuple[float, float],
    radius: float,
) -> np.ndarray:
    """Branches of air within a consolidation, running away from the hilum."""
    away = np.arctan2(goal[1] - root[1], goal[0] - root[0])
    headings = away + np.array([-0.55, -0.1, 0.4]) + rng.normal(0.0, 0.1, 3)
    along = np.linspace(-0.9, 0.9, 8) * radius
    directions = np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    lines = np.asarray(goal) + along[:, None] * directions[:, None]
    widths = np.broadcast_to(np.linspace(0.020, 0.010, 8), lines.shape[:2])
    return frame.cover(Patches(strips(lines, widths), np.full(3, 0.35)))


def _edema(
    rng: np.random.Generator, frame: Frame, chest: Chest, findings: Findings
) -> np.ndarray:
    """Haze around both hila, in the shape of a bat's wings, and Kerley's B lines."""
    severity, scale = findings.severities[_EDEMA], findings.scale
    haze = np.zeros((frame.size, frame.size), np.float32)
    lines = []
    for side in SIDES:
        x, y = hilum(chest, side)
        reach = rng.uniform(0.9, 1.15)
        wing = frame.spot((x + side * 0.13, y + 0.07), (0.18 * reach, 0.27 * reach))
        haze += rng.uniform(0.85, 1.15) * wing
        for _ in range(3 + int(6 * severity)):
            v = rng.uniform(0.10, 0.42)
            wall = float(chest.lateral(side, np.array([v]))[0])
            length = rng.uniform(0.05, 0.10)
            u = wall - side * np.array([0.01, 0.01 + length])
            lines.append(np.stack([u, [v, v + rng.normal(0.0, 0.006)]], axis=-1))
    grain = 1.0 + 0.25 * smooth_noise(rng, 14, frame.size)
    grain += 0.15 * smooth_noise(rng, 44, frame.size)
    widths = np.full((len(lines), 2), 0.008 * scale)
    kerley = frame.cover(Patches(strips(np.array(lines), widths), np.ones(len(lines))))
    return (0.04 + 0.44 * severity) * scale * haze * grain + 0.35 * kerley


def _effusion(
    rng: np.random.Generator,
    frame: Frame,
    chest: Chest,
    findings: Findings,
    side: int,
) -> np.ndarray:
    """Fluid that fills the angle, its surface rising towards the ribs."""
    severity, scale = findings.severities[_EFFUSION], findings.scale
    height = (0.02 + 0.34 * severity * rng.uniform(0.8, 1.2)) * scale
    share = np.clip(side * frame.x / np.float32(chest.build.half_width), 0.0, 1.0)
    level = chest.base + 0.03 - height
    rise = (0.10 + 0.14 * severity) * np.clip((share - 0.3) / 0.7, 0.0, 1.0) ** 2
    # The film of fluid thins out upwards: the surface has no sharp line.
    softness = 0.03 + 0.06 * severity
    depth = np.clip((frame.y - (level - rise)) / softness + 0.5, 0.0, 1.0)
    return depth * (side * frame.x > 0)


_FILLINGS = {_ATELECTASIS: _plates, _CONSOLIDATION: _consolidation, _EDEMA: _edema}
