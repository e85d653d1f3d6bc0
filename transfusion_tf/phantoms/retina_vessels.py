"""The vessel tree of the retina phantom: arcades, branches and how they are drawn.

Vessels are grown for an upright right eye (fovea at the origin, disc to the
right) and placed in the frame afterwards. A generation of branches is computed
at once, as arrays, because a tree has some hundreds of them.
"""

import dataclasses

import numpy as np

from transfusion_tf.phantoms.canvas import Mask, Patches, strips
from transfusion_tf.phantoms.retina_anatomy import EyeGeometry, PatientTraits

_AVASCULAR_RADIUS = 0.12
_OCCUPANCY_CELLS = 72


@dataclasses.dataclass(frozen=True)
class Branches:
    """One generation of vessels.

    Attributes:
      points: [branches, points, 2] centre lines.
      widths: [branches, points] full widths.
      headings: [branches, points] directions, radians.
      lengths: [branches] how many of the points are in use.
      veins: [branches] bool, vein or artery.
    """

    points: np.ndarray
    widths: np.ndarray
    headings: np.ndarray
    lengths: np.ndarray
    veins: np.ndarray


def grow_vessels(
    rng: np.random.Generator, traits: PatientTraits, eye: EyeGeometry
) -> tuple[Branches, ...]:
    """Grow the tree of one eye, generation by generation, placed in the frame."""
    offset = np.hypot(eye.disc[0] - eye.fovea[0], eye.disc[1] - eye.fovea[1])
    disc = np.array([offset, -0.04])
    trunks = _trunks(rng, traits, disc)
    twigs = _disc_twigs(rng, traits, disc)
    occupied = np.zeros((2, _OCCUPANCY_CELLS, _OCCUPANCY_CELLS), bool)
    _occupy(occupied, trunks)
    second = _sprout(
        rng,
        traits,
        trunks,
        occupied,
        children=np.tile([11, 5, 11, 5], 2),
        lengths=(0.3, 0.8),
        points=28,
    )
    _occupy(occupied, second)
    third = _sprout(
        rng,
        traits,
        second,
        occupied,
        children=np.full(len(second.lengths), 4),
        lengths=(0.12, 0.36),
        points=14,
    )
    generations = (trunks, twigs, second, third)
    return tuple(
        dataclasses.replace(branches, points=eye.place(branches.points))
        for branches in generations
    )


def _trunks(
    rng: np.random.Generator, traits: PatientTraits, disc: np.ndarray
) -> Branches:
    """Four pairs of artery and vein, which arch around the macula or to the nose."""
    points = 72
    upward = np.tile([-1.0, -1.0, 1.0, 1.0], 2)
    nasal = np.tile([False, True, False, True], 2)
    veins = np.repeat([False, True], 4)
    # Both vessels of a pair follow one course, a little apart.
    rise = np.tile(rng.uniform(0.70, 0.86, 4), 2) + rng.normal(0.0, 0.06, 8)
    drift = np.tile(rng.uniform(0.52, 0.68, 4), 2) + rng.normal(0.0, 0.05, 8)
    drift = np.where(nasal, -0.7 * drift, drift)
    u = (
        np.linspace(0.0, 1.0, points)
        * np.where(nasal, 1.15, np.sqrt(1.78 / np.abs(drift)))[:, None]
    )
    flattening = np.where(nasal, 1.1, 1.55)[:, None]
    x = -drift[:, None] * u**2
    y = (rise * upward)[:, None] * (1.0 - np.exp(-flattening * u))
    spread = rng.uniform(-0.03, 0.03, 8) + np.where(nasal, 0.024, 0.006)
    start = disc + np.stack([spread, upward * rng.uniform(-0.02, 0.012, 8)], axis=-1)
    heading = _headings(np.stack([x, y], axis=-1))
    sway = _sway(rng, 8, u, cycles=(0.8, 2.3, 5.0)) * traits.tortuosity
    sway *= 0.026 * u / (u + 0.2)
    centers = np.stack([x - sway * np.sin(heading), y + sway * np.cos(heading)], -1)
    centers += start[:, None]
    width = traits.vessel_width * np.where(veins, 1.0, traits.artery_ratio)
    width = width * np.where(nasal, 0.66, 1.0) * rng.uniform(0.86, 1.06, 8)
    t = np.linspace(0.0, 1.0, points)
    # Narrow again at the very start, where a vessel dives into the cup.
    taper = (1.0 - 0.62 * t) * (1.0 - 0.45 * np.exp(-t / 0.03))
    return Branches(
        points=centers,
        widths=width[:, None] * taper,
        headings=_headings(centers),
        lengths=np.full(8, points),
        veins=veins,
    )


def _headings(points: np.ndarray) -> np.ndarray:
    steps = np.diff(points, axis=1, append=2 * points[:, -1:] - points[:, -2:-1])
    return np.arctan2(steps[..., 1], steps[..., 0])


def _disc_twigs(
    rng: np.random.Generator, traits: PatientTraits, disc: np.ndarray
) -> Branches:
    """Thin vessels that leave the disc straight for the macula or the nose."""
    temporal = np.arange(7) < 4
    spread = np.concatenate([np.linspace(-1.0, 1.0, 4), np.linspace(-0.8, 0.8, 3)])
    spread += rng.normal(0.0, 0.25, 7)
    headings = np.where(temporal, np.pi, 0.0) + spread
    away = np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    start = disc + away * traits.disc_radius * rng.uniform(0.0, 0.25, (7, 1))
    bend = np.where(temporal, -0.6, 0.3) * spread
    length = rng.uniform(0.2, 0.55, 7)
    width = traits.vessel_width * rng.uniform(0.14, 0.26, 7)
    return _walk(rng, traits, start, headings, bend, length, width, 24, spread > 0)


def _sprout(
    rng: np.random.Generator,
    traits: PatientTraits,
    parents: Branches,
    occupied: np.ndarray,
    *,
    children: np.ndarray,
    lengths: tuple[float, float],
    points: int,
) -> Branches:
    """Side branches: those towards the macula seek it, the others run outwards."""
    parent = np.repeat(np.arange(len(children)), children)
    count = len(parent)
    rank = np.arange(count) - np.repeat(np.cumsum(children) - children, children)
    where = 0.1 + 0.84 * (rank + rng.uniform(0.05, 0.95, count)) / children[parent]
    index = (where * (parents.lengths[parent] - 1)).astype(int)
    start = parents.points[parent, index]
    along = parents.headings[parent, index]
    flip = np.repeat(rng.integers(0, 2, len(children)), children)
    side = np.where((rank + flip) % 2 == 0, 1.0, -1.0)
    angle = rng.uniform(0.45, 1.0, count)
    heading = along + side * angle
    # Branches inside the arcades make for the fovea, or for the raphe beyond it.
    goal = start[:, 0] * np.where(start[:, 0] > 0, 0.2, 1.3)
    to_goal = np.arctan2(-start[:, 1], goal - start[:, 0])
    inward = np.sign(_wrapped(to_goal - along)) == side
    inward &= (start[:, 0] < 0.55) & (np.abs(start[:, 1]) < 0.8)
    turn = np.clip(_wrapped(to_goal - heading), -1.0, 1.0)
    inward_bend = turn * rng.uniform(0.6, 1.1, count)
    outward_bend = -side * angle * rng.uniform(0.2, 1.1, count)
    bend = np.where(inward, inward_bend, outward_bend)
    length = rng.uniform(*lengths, count) * np.where(inward, 1.0, 0.8)
    length *= 0.4 + 0.6 * parents.lengths[parent] / parents.points.shape[1]
    width = parents.widths[parent, index] * rng.uniform(0.30, 0.62, count)
    kind = parents.veins[parent]
    branches = _walk(rng, traits, start, heading, bend, length, width, points, kind)
    return _cut_at_collisions(branches, occupied)


def _wrapped(angle: np.ndarray) -> np.ndarray:
    """The same angle within -pi and pi."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _walk(
    rng: np.random.Generator,
    traits: PatientTraits,
    start: np.ndarray,
    heading: np.ndarray,
    bend: np.ndarray,
    length: np.ndarray,
    width: np.ndarray,
    points: int,
    veins: np.ndarray,
) -> Branches:
    """Follow headings that bend and sway; stop at the fovea's avascular zone."""
    t = np.linspace(0.0, 1.0, points)
    sway = _sway(rng, len(start), t[None] * length[:, None], cycles=(2.5, 6.0, 11.0))
    headings = heading[:, None] + bend[:, None] * t
    headings = headings + 0.28 * traits.tortuosity * sway * np.minimum(1.0, 4 * t)
    step = (length / (points - 1))[:, None]
    moves = np.stack([np.cos(headings) * step, np.sin(headings) * step], axis=-1)
    path = np.cumsum(moves, axis=1) + (start[:, None] - moves[:, :1])
    near = np.hypot(path[..., 0], path[..., 1]) < _AVASCULAR_RADIUS
    lengths = _first(near, points)
    return Branches(path, _tapered(width, lengths, points), headings, lengths, veins)


def _sway(
    rng: np.random.Generator, count: int, u: np.ndarray, cycles: tuple[float, ...]
) -> np.ndarray:
    """Smooth random wobble along u, [count, points], amplitude about 1."""
    total = np.zeros((count, u.shape[-1]))
    phases = rng.uniform(0.0, 2 * np.pi, (len(cycles), count, 1))
    amplitudes = rng.uniform(0.4, 1.3, (len(cycles), count, 1))
    for order, cycle in enumerate(cycles):
        wave = np.sin(2 * np.pi * cycle * u + phases[order])
        total += amplitudes[order] / (1 + order) * wave
    return total


def _first(hit: np.ndarray, otherwise: int) -> np.ndarray:
    """Index of the first true value of each row, or `otherwise`."""
    return np.where(hit.any(axis=1), hit.argmax(axis=1), otherwise)


def _tapered(width: np.ndarray, lengths: np.ndarray, points: int) -> np.ndarray:
    t = np.arange(points) / np.maximum(lengths, 1)[:, None]
    return width[:, None] * (0.35 + 0.65 * np.clip(1.0 - t, 0.0, 1.0))


def _cells(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cells = ((points + 1.6) * (_OCCUPANCY_CELLS / 3.2)).astype(int)
    cells = np.clip(cells, 0, _OCCUPANCY_CELLS - 1)
    return cells[..., 1], cells[..., 0]


def _occupy(occupied: np.ndarray, branches: Branches) -> None:
    rows, columns = _cells(branches.points)
    used = np.arange(branches.points.shape[1]) < branches.lengths[:, None]
    kind = np.broadcast_to(branches.veins[:, None].astype(int), rows.shape)
    occupied[kind[used], rows[used], columns[used]] = True


def _cut_at_collisions(branches: Branches, occupied: np.ndarray) -> Branches:
    """Arteries do not cross arteries, nor veins veins: end a branch before it would."""
    points = branches.points.shape[1]
    rows, columns = _cells(branches.points)
    hit = occupied[branches.veins[:, None].astype(int), rows, columns]
    hit[:, : points // 4] = False
    lengths = np.minimum(branches.lengths, np.maximum(_first(hit, points) - 1, 0))
    widths = _tapered(branches.widths[:, 0], lengths, points)
    return dataclasses.replace(branches, lengths=lengths, widths=widths)


def draw_vessels(
    generations: tuple[Branches, ...], size: int, oversample: int
) -> tuple[np.ndarray, np.ndarray]:
    """Coverage of arteries and of veins, two arrays [size, size] float32 in [0, 1]."""
    arteries, veins = Mask(size, oversample), Mask(size, oversample)
    # Thin ones first, so that a faint branch does not cut into its parent.
    for branches in reversed(generations):
        pixels = branches.widths[:, 0] * arteries.pixels_per_unit
        densities = np.clip(pixels / 2.5, 0.15, 1.0) ** 0.7
        points, widths = _used_part(branches)
        in_view = np.abs(points).max(axis=-1).min(axis=-1) < 1.0
        visible = in_view & (branches.lengths > 3) & (pixels > 0.2)
        for mask, kind in ((veins, branches.veins), (arteries, ~branches.veins)):
            chosen = visible & kind
            outlines = strips(points[chosen], widths[chosen])
            mask.polygons(Patches(outlines, densities[chosen]))
    trunks = generations[0]
    # The bright reflex along the crest of the large arteries.
    crests = strips(trunks.points, trunks.widths * 0.22)[~trunks.veins]
    arteries.polygons(Patches(crests, np.full(len(crests), 0.72)))
    return arteries.coverage(), veins.coverage()


def _used_part(branches: Branches) -> tuple[np.ndarray, np.ndarray]:
    """Points and widths, the unused ones collapsed onto the last in use."""
    points = np.arange(branches.points.shape[1])
    index = np.minimum(points, np.maximum(branches.lengths - 1, 0)[:, None])
    rows = np.arange(len(index))[:, None]
    return branches.points[rows, index], branches.widths[rows, index]
