"""Drawing tools of the phantoms: unit coordinates, soft masks, smooth noise.

Everything is placed in frame coordinates: x to the right and y down, the image
spanning [-1, 1] both ways. What is drawn so looks the same at any image size.
"""

import dataclasses

import numpy as np
from PIL import Image, ImageDraw


def random_stream(seed: int, *key: int) -> np.random.Generator:
    """A random generator that depends on `seed` and `key` alone.

    Args:
      seed: non-negative.
      *key: non-negative integers; another key is another, independent stream.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, *key))))


def pixel_centers(size: int) -> np.ndarray:
    """Frame coordinates of the pixel centres along one axis, [size] float32."""
    return ((np.arange(size, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0).astype(
        np.float32
    )


def smooth_noise(rng: np.random.Generator, cells: int, size: int) -> np.ndarray:
    """Gaussian noise of `cells` × `cells` values, interpolated over the frame.

    Args:
      rng: source of the values; how many are drawn does not depend on `size`.
      cells: number of noise cells along an axis; one spans 2 / cells of the frame.
      size: pixels along an axis.

    Returns:
      [size, size] float32, about standard normal.
    """
    grid = rng.standard_normal((cells, cells), dtype=np.float32)
    return resample(grid, size)


def resample(grid: np.ndarray, size: int) -> np.ndarray:
    """A field on a coarse grid, [cells, cells], as [size, size] float32 (bicubic)."""
    image = Image.fromarray(np.ascontiguousarray(grid, dtype=np.float32))
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))


@dataclasses.dataclass(frozen=True)
class Patches:
    """Polygons to be filled.

    Attributes:
      outlines: [patches, points, 2], frame coordinates.
      densities: [patches], in [0, 1].
    """

    outlines: np.ndarray
    densities: np.ndarray


class Mask:
    """A coverage mask drawn from polygons at a higher resolution, then averaged.

    Args:
      size: pixels along an axis of the finished mask.
      oversample: how many times finer the polygons are filled.
    """

    def __init__(self, size: int, oversample: int):
        self._oversample = oversample
        self._scale = size * oversample / 2.0
        self._image = Image.new("L", (size * oversample, size * oversample))
        self._draw = ImageDraw.Draw(self._image)

    @property
    def pixels_per_unit(self) -> float:
        """Drawing pixels per unit of frame coordinates."""
        return self._scale

    def polygons(self, patches: Patches) -> None:
        """Fill polygons, later ones over earlier ones."""
        pixels = (patches.outlines + 1.0) * self._scale - 0.5
        fills = np.rint(255.0 * patches.densities).astype(int).tolist()
        corners = pixels.reshape(-1, 2 * pixels.shape[1]).tolist()
        for polygon, fill in zip(corners, fills, strict=True):
            self._draw.polygon(polygon, fill=fill)

    def coverage(self) -> np.ndarray:
        """The mask as [size, size] float32 in [0, 1]."""
        reduced = self._image.reduce(self._oversample)
        return np.asarray(reduced, dtype=np.float32) / np.float32(255.0)


def strips(points: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Outlines of tapering strips along polylines.

    Args:
      points: [strips, points, 2].
      widths: [strips, points], full widths.

    Returns:
      [strips, 2 * points, 2], each strip's outline as a polygon.
    """
    tangents = np.empty_like(points)
    tangents[:, 1:-1] = points[:, 2:] - points[:, :-2]
    tangents[:, 0] = points[:, 1] - points[:, 0]
    tangents[:, -1] = points[:, -1] - points[:, -2]
    lengths = np.maximum(np.hypot(tangents[..., 0], tangents[..., 1]), 1e-9)
    half = (widths / (2.0 * lengths))[..., None]
    normals = np.stack([-tangents[..., 1], tangents[..., 0]], axis=-1) * half
    return np.concatenate([points + normals, (points - normals)[:, ::-1]], axis=1)


def blobs(
    rng: np.random.Generator,
    centers: np.ndarray,
    radii: np.ndarray,
    *,
    roughness: float,
) -> np.ndarray:
    """Outlines of rounded patches with an uneven rim.

    Args:
      rng: source of the unevenness.
      centers: [patches, 2].
      radii: [patches], mean radii.
      roughness: 0 for circles, about 0.2 for ragged patches.

    Returns:
      [patches, points, 2].
    """
    angle = np.linspace(0.0, 2 * np.pi, 14, endpoint=False)
    rim = np.ones((len(centers), len(angle)))
    for wave in (2, 3, 4):
        phase = rng.uniform(0.0, 2 * np.pi, (len(centers), 1))
        strength = rng.normal(0.0, roughness, (len(centers), 1))
        rim += strength * np.cos(wave * angle + phase)
    rim = np.maximum(rim, 0.4) * radii[:, None]
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return centers[:, None] + rim[..., None] * circle
