"""Dead leaves: kinds of leaves, and how leaves come to lie over each other."""

import dataclasses

import numpy as np
from PIL import Image, ImageDraw

from transfusion_tf.phantoms.canvas import pixel_centers
from transfusion_tf.phantoms.texture_surfaces import draw_surface

_OUTLINE_POINTS = 24
# The index of a leaf is a pixel of 8 bits.
_MOST_LEAVES = 250


@dataclasses.dataclass(frozen=True)
class LeafKind:
    """What leaves of one kind share.

    Attributes:
      outline: [points, 2], a leaf of radius one that points to the right.
      surface: [fine, fine, 3] uint8, what covers them.
      count: mean number in a frame.
      radius: mean radius in frame coordinates.
      direction: mean direction in radians, and the standard deviation from it.
      shading: contrast of the light across a leaf.
    """

    outline: np.ndarray
    surface: np.ndarray
    count: float
    radius: float
    direction: tuple[float, float]
    shading: float


def draw_leaf_kind(rng: np.random.Generator, fine: int) -> LeafKind:
    """A kind of leaves: few large to many small ones, aligned or not.

    Args:
      rng: source of all that is chosen.
      fine: pixels of the surface along an axis.

    Raises:
      FileNotFoundError: if an installed wheel does not hold its photographs.
    """
    count = float(np.exp(rng.uniform(np.log(3.0), np.log(60.0))))
    return LeafKind(
        outline=_draw_outline(rng),
        count=count,
        radius=float(np.sqrt(rng.uniform(1.5, 4.0) / count)),
        direction=(rng.uniform(0.0, 2 * np.pi), rng.choice([0.15, 0.6, 3.0])),
        shading=rng.uniform(0.0, 0.5),
        surface=draw_surface(rng, fine),
    )


def _draw_outline(rng: np.random.Generator) -> np.ndarray:
    """From round to starred, from wide to narrow."""
    angle = np.linspace(0.0, 2 * np.pi, _OUTLINE_POINTS, endpoint=False)
    radii = 1.0 + rng.uniform(0.0, 0.6) * np.cos(rng.integers(2, 7) * angle)
    radii += rng.uniform(0.0, 0.25) * np.cos(rng.integers(1, 5) * angle + 1.0)
    stretch = np.exp(rng.uniform(0.0, 0.7))
    across, down = stretch * np.cos(angle), np.sin(angle) / stretch
    return radii[:, None] * np.stack([across, down], axis=-1)


@dataclasses.dataclass(frozen=True)
class _Leaves:
    """Leaves from the lowest up; the first lies under the whole frame.

    Attributes:
      kind: [leaves], index of the kind.
      center: [leaves, 2], frame coordinates.
      radius: [leaves].
      angle: [leaves], radians.
      surface_shift: [leaves, 2], where on the surface a leaf was cut out.
      light: [leaves], brightness.
      slope: [leaves, 2], by how much it grows per radius.
    """

    kind: np.ndarray
    center: np.ndarray
    radius: np.ndarray
    angle: np.ndarray
    surface_shift: np.ndarray
    light: np.ndarray
    slope: np.ndarray


def lay_leaves(
    rng: np.random.Generator,
    kinds: tuple[LeafKind, LeafKind, LeafKind],
    scale: float,
    turn: float,
) -> np.ndarray:
    """Leaves of the second kind on the first's surface, a few of the third among them.

    Args:
      rng: source of where they lie.
      kinds: with surfaces of one size.
      scale: multiplies radii and surfaces, and leaves as many as fill the frame.
      turn: by which all are turned, radians.

    Returns:
      [fine, fine, 3] float32 in [0, 1].
    """
    leaves = _scatter(rng, kinds, scale, turn)
    fine = len(kinds[0].surface)
    index = _draw_indices(leaves, kinds, fine)
    at = pixel_centers(fine)
    x = at[None, :] - leaves.center[index, 0]
    y = at[:, None] - leaves.center[index, 1]
    surfaces = np.stack([kind.surface for kind in kinds])
    cos, sin = np.cos(leaves.angle) / scale, np.sin(leaves.angle) / scale
    u = cos[index] * x + sin[index] * y + leaves.surface_shift[index, 0]
    v = cos[index] * y - sin[index] * x + leaves.surface_shift[index, 1]
    color = surfaces[leaves.kind[index], _folded(v, fine), _folded(u, fine)]
    slope = leaves.slope / leaves.radius[:, None]
    light = leaves.light[index] + slope[index, 0] * x + slope[index, 1] * y
    return color * (light / np.float32(255.0))[..., None]


def _scatter(
    rng: np.random.Generator,
    kinds: tuple[LeafKind, LeafKind, LeafKind],
    scale: float,
    turn: float,
) -> _Leaves:
    count = 1 + min(_MOST_LEAVES, int(rng.poisson(kinds[1].count / scale**2)))
    kind = np.where(rng.random(count) < rng.uniform(0.0, 0.25), 2, 1)
    kind[0] = 0
    radii = np.array([each.radius for each in kinds]) * scale
    direction, spread = np.array([each.direction for each in kinds])[kind].T
    shading = np.array([each.shading for each in kinds], np.float32)[kind]
    slope = rng.uniform(-1.0, 1.0, (count, 2)).astype(np.float32) * shading[:, None]
    return _Leaves(
        kind=kind,
        center=rng.uniform(-1.15, 1.15, (count, 2)).astype(np.float32),
        radius=(radii[kind] * np.exp(rng.normal(0.0, 0.35, count))).astype(np.float32),
        angle=(direction + turn + spread * rng.standard_normal(count)).astype(
            np.float32
        ),
        surface_shift=rng.uniform(-2.0, 2.0, (count, 2)).astype(np.float32),
        light=np.exp(rng.normal(0.0, 0.15, count)).astype(np.float32),
        slope=slope,
    )


def _draw_indices(
    leaves: _Leaves, kinds: tuple[LeafKind, LeafKind, LeafKind], fine: int
) -> np.ndarray:
    """The index of the uppermost leaf, [fine, fine]."""
    outlines = np.stack([kind.outline for kind in kinds])[leaves.kind]
    cos, sin = np.cos(leaves.angle)[:, None], np.sin(leaves.angle)[:, None]
    x = cos * outlines[..., 0] - sin * outlines[..., 1]
    y = sin * outlines[..., 0] + cos * outlines[..., 1]
    turned = np.stack([x, y], axis=-1) * leaves.radius[:, None, None]
    pixels = (turned + leaves.center[:, None] + 1.0) * (fine / 2) - 0.5
    image = Image.new("L", (fine, fine))
    draw = ImageDraw.Draw(image)
    corners = pixels.reshape(len(pixels), -1).tolist()
    for index, polygon in enumerate(corners[1:], start=1):
        draw.polygon(polygon, fill=index)
    return np.asarray(image)


def _folded(at: np.ndarray, size: int) -> np.ndarray:
    """Pixels of a surface that is mirrored beyond its borders; one spans [-1, 1]."""
    pixels = ((at + 1.0) * (size / 2)).astype(np.int32) % (2 * size)
    return np.where(pixels < size, pixels, 2 * size - 1 - pixels)
