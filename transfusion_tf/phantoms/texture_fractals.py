"""Fractals of drawn textures: attractors of random systems of affine maps.

How strongly the maps of a system shrink is drawn as by Anderson and Farrell,
"Improving fractal pre-training", WACV 2022, section 3.2: the singular values of the N
maps are such that the sum of the larger plus twice the smaller ones lies between
(5 + N) / 2 and (6 + N) / 2; others fill no area or all of it.
"""

import dataclasses

import numpy as np

_CHAINS, _STEPS, _SETTLED = 400, 60, 20


@dataclasses.dataclass(frozen=True)
class Fractal:
    """Points of an attractor.

    Attributes:
      points: [points, 2] float32, about within the unit circle.
      maps: [points], the map that made each point: parts of the fractal.
    """

    points: np.ndarray
    maps: np.ndarray

    @property
    def parts(self) -> int:
        """How many there are."""
        return int(self.maps.max()) + 1


def draw_fractal(rng: np.random.Generator) -> Fractal:
    """A fractal of two to four parts."""
    count = int(rng.integers(2, 5))
    linear = _contractions(rng, count)
    shifts = rng.uniform(-1.0, 1.0, (count, 2))
    areas = np.abs(np.linalg.det(linear)) + 0.01
    maps = rng.choice(count, (_STEPS, _CHAINS), p=areas / areas.sum())
    points = np.zeros((_CHAINS, 2))
    found = np.empty((_STEPS, _CHAINS, 2), np.float32)
    for step, chosen in enumerate(maps):
        points = np.einsum("nij,nj->ni", linear[chosen], points) + shifts[chosen]
        found[step] = points
    cloud = found[_SETTLED:].reshape(-1, 2)
    cloud -= np.median(cloud, axis=0)
    cloud /= np.quantile(np.hypot(cloud[:, 0], cloud[:, 1]), 0.95)
    return Fractal(cloud, maps[_SETTLED:].ravel())


def _contractions(rng: np.random.Generator, count: int) -> np.ndarray:
    """The linear parts of the maps, [count, 2, 2]."""
    weights, total = (1.0, 2.0), rng.uniform(0.5 * (5 + count), 0.5 * (6 + count))
    for _ in range(100):
        values = np.sort(rng.random((count, 2)), axis=1)[:, ::-1]
        values = values * total / (values @ weights).sum()
        if values.max() < 1.0:
            break
    values = np.minimum(values, 0.95)
    values[:, 1] *= rng.choice([-1.0, 1.0], count)
    left, right = (_rotations(rng.uniform(-np.pi, np.pi, count)) for _ in range(2))
    return np.einsum("nij,nj,njk->nik", left, values, right)


def _rotations(angles: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angles), np.sin(angles)
    return np.moveaxis(np.array([[cos, -sin], [sin, cos]]), -1, 0)
