"""Lesions of the skin phantom, as what each lets through of the skin's colour.

The kinds differ in what dermatologists look at: symmetry, border, colours and
structure (the ABCD rule). A naevus is round and of one brown; a melanoma is lopsided,
of several colours, its border ragged here and soft there; a seborrhoeic keratosis has
a sharp border and a warty surface with pale cysts; an angioma is made of red lobes.
"""

import dataclasses

import numpy as np

from transfusion_tf.phantoms.canvas import (
    pixel_centers,
    smooth_noise,
)

KINDS = ("naevus", "melanoma", "keratosis", "angioma")

# What pigments absorb of red, green and blue.
_BROWN = np.array([0.50, 0.80, 1.00], np.float32)
_BLACK = np.array([1.50, 1.65, 1.70], np.float32)
_BLUE = np.array([1.25, 0.95, 0.60], np.float32)
_RED = np.array([0.18, 1.05, 0.95], np.float32)
_WAX = np.array([0.36, 0.54, 0.80], np.float32)


@dataclasses.dataclass(frozen=True)
class _Outline:
    """A closed border around a centre.

    Attributes:
      x, y: [size, size] float32, coordinates from the centre in mean radii.
      depth: [size, size] float32, how far inside the border, in mean radii.
    """

    x: np.ndarray
    y: np.ndarray
    depth: np.ndarray

    def cover(self, softness: float | np.ndarray) -> np.ndarray:
        """Coverage in [0, 1]; `softness` is the border's width, in mean radii."""
        return 1.0 / (1.0 + np.exp(np.clip(-self.depth / softness, -30.0, 30.0)))


def paint_lesion(
    rng: np.random.Generator,
    kind: str,
    center: tuple[float, float],
    scale: float,
    size: int,
) -> np.ndarray:
    """Share of the skin's light that a lesion lets through.

    Args:
      rng: source of the lesion's shape and colours.
      kind: one of `KINDS`.
      center: in frame coordinates.
      scale: multiplies the radius.
      size: pixels along an axis.

    Returns:
      [size, size, 3] float32 in (0, 1.3]; 1 where there is no lesion.
    """
    paint = {
        "naevus": _naevus,
        "melanoma": _melanoma,
        "keratosis": _keratosis,
        "angioma": _angioma,
    }[kind]
    # Cysts and the lit rim are brighter than skin, but not by more than so much.
    density = np.maximum(paint(rng, center, scale, size), -0.26)
    return np.exp(-density).astype(np.float32)


def _naevus(
    rng: np.random.Generator, center: tuple[float, float], scale: float, size: int
) -> np.ndarray:
    outline = _outline(rng, center, scale * rng.uniform(0.22, 0.36), 0.035, size)
    pigment = 0.75 + 0.35 * np.clip(outline.depth, 0.0, 1.0)
    pigment = pigment + 0.07 * smooth_noise(rng, 28, size)
    cover = outline.cover(rng.uniform(0.05, 0.10))
    return _tinted(rng.uniform(0.75, 1.35) * cover * pigment, _BROWN)


def _melanoma(
    rng: np.random.Generator, center: tuple[float, float], scale: float, size: int
) -> np.ndarray:
    outline = _outline(rng, center, scale * rng.uniform(0.26, 0.42), 0.11, size)
    # The border is soft on one side.
    toward = rng.uniform(0.0, 2 * np.pi)
    side = np.cos(toward) * outline.x + np.sin(toward) * outline.y
    cover = outline.cover(0.045 + 0.12 * np.clip(side, 0.0, 1.0))
    clouds = [smooth_noise(rng, 7, size) for _ in range(3)]
    lopsided = 1.1 * np.clip(0.5 - side, 0.0, 1.2)
    black = np.clip(0.5 * clouds[0] + lopsided - 0.35, 0.0, 1.0)
    blue = np.clip(clouds[1] - 0.6, 0.0, 1.0)
    red = np.clip(clouds[2] - 0.7, 0.0, 1.0)
    brown = _tinted(0.75 + 0.2 * clouds[1], _BROWN)
    layers = brown + _tinted(black, _BLACK) + _tinted(blue, _BLUE)
    layers = layers + _tinted(0.8 * red, _RED)
    return rng.uniform(0.75, 1.15) * _tinted(cover, np.ones(3, np.float32)) * layers


def _keratosis(
    rng: np.random.Generator, center: tuple[float, float], scale: float, size: int
) -> np.ndarray:
    outline = _outline(rng, center, scale * rng.uniform(0.24, 0.38), 0.05, size)
    cover = outline.cover(0.02)
    warts = 0.30 * smooth_noise(rng, 24, size) + 0.20 * smooth_noise(rng, 44, size)
    pigment = rng.uniform(0.7, 1.3) * (1.0 + warts)
    spots = _spots(rng, outline, int(rng.integers(6, 16)), 0.055)
    pits = _spots(rng, outline, int(rng.integers(4, 10)), 0.05)
    layers = _tinted(pigment, _WAX) - _tinted(0.85 * spots, _WAX)
    layers = layers + _tinted(0.9 * pits, _BROWN)
    # A raised rim: bright towards the light, dark away from it.
    rim = np.exp(-((outline.depth / 0.10) ** 2)) * (outline.x + outline.y)
    layers = layers + _tinted(0.18 * rim, np.ones(3, np.float32))
    return _tinted(cover, np.ones(3, np.float32)) * layers


def _angioma(
    rng: np.random.Generator, center: tuple[float, float], scale: float, size: int
) -> np.ndarray:
    radius = scale * rng.uniform(0.20, 0.34)
    outline = _outline(rng, center, radius, 0.05, size)
    lobes = _spots(rng, outline, int(rng.integers(9, 17)), rng.uniform(0.20, 0.30))
    purple = rng.uniform(0.0, 0.6)
    cover = outline.cover(0.05)
    pigment = 0.45 + 0.85 * np.minimum(lobes, 1.0)
    colour = _RED + np.float32(purple) * np.array([0.5, 0.15, -0.15], np.float32)
    return _tinted(rng.uniform(0.8, 1.2) * cover * pigment, colour)


def _outline(
    rng: np.random.Generator,
    center: tuple[float, float],
    radius: float,
    roughness: float,
    size: int,
) -> _Outline:
    """An ellipse whose border waves; `roughness` is each wave's height in radii."""
    at = pixel_centers(size)
    turn, stretch = rng.uniform(0.0, np.pi), np.exp(rng.uniform(-0.18, 0.18))
    right, down = at[None, :] - center[0], at[:, None] - center[1]
    x = (np.cos(turn) * right + np.sin(turn) * down) / (radius * stretch)
    y = (np.cos(turn) * down - np.sin(turn) * right) / (radius / stretch)
    angle = np.arctan2(y, x)
    border = np.ones_like(angle)
    for wave in (2, 3, 5, 8):
        height = rng.normal(0.0, roughness) * min(1.0, 3.0 / wave)
        border += np.float32(height) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    return _Outline(x, y, border - np.hypot(x, y))


def _spots(
    rng: np.random.Generator, outline: _Outline, count: int, radius: float
) -> np.ndarray:
    """Round spots within the border, [size, size], 1 in the middle of each."""
    angles = rng.uniform(0.0, 2 * np.pi, count)
    reaches = 0.8 * np.sqrt(rng.random(count))
    radii = radius * rng.uniform(0.7, 1.3, count)
    result = np.zeros_like(outline.x)
    for angle, reach, own in zip(angles, reaches, radii, strict=True):
        dx = outline.x - np.float32(reach * np.cos(angle))
        dy = outline.y - np.float32(reach * np.sin(angle))
        square = (dx * dx + dy * dy) / np.float32(own * own)
        np.maximum(result, np.exp(-square * square), out=result)
    return result


def _tinted(density: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return np.asarray(density, np.float32)[..., None] * colour
