"""Lesions of diabetic retinopathy, by the international clinical grading.

Sizes are in frame units, in which an optic disc is about 0.25 across. The scale
multiplies the radii of single lesions; the extent of clusters, tufts and
preretinal bleeds, which are large already, grows with its square root.
"""

import dataclasses

import numpy as np
from scipy import ndimage

from transfusion_tf.phantoms.canvas import (
    Mask,
    Patches,
    blobs,
    pixel_centers,
    strips,
)
from transfusion_tf.phantoms.retina_anatomy import EyeGeometry
from transfusion_tf.phantoms.retina_vessels import Branches

_EXUDATE_RGB = (1.02, 0.86, 0.48)
_COTTON_WOOL_RGB = (0.98, 0.88, 0.74)
_SEEPAGE = 0.0022


@dataclasses.dataclass(frozen=True)
class Lesions:
    """An eye's lesions, in frame coordinates.

    Attributes:
      blood: microaneurysms, haemorrhages and new vessels.
      exudates: hard exudates.
      cotton_wool: [spots, 5]: x, y, the two radii and the long axis's angle.
      beaded: indices of the trunks with venous beading.
    """

    blood: tuple[Patches, ...] = ()
    exudates: tuple[Patches, ...] = ()
    cotton_wool: tuple[tuple[float, float, float, float, float], ...] = ()
    beaded: tuple[int, ...] = ()


def plan_lesions(
    rng: np.random.Generator,
    eye: EyeGeometry,
    vessels: tuple[Branches, ...],
    *,
    grade: int,
    scale: float,
) -> Lesions:
    """Choose the lesions of an eye of a given grade.

    Grade 0 has none; 1 a few microaneurysms; 2 more of them, dot, blot and flame
    haemorrhages and hard exudates; 3 many haemorrhages in all four quadrants and
    often venous beading; 4 new vessels, at the disc or elsewhere, and now and then
    a preretinal bleed, on top of the lesions of grade 2 or 3.

    Args:
      rng: source of randomness, of nothing but the lesions.
      eye: where the landmarks lie.
      vessels: the tree; new vessels arise from its large veins.
      grade: 0 to 4.
      scale: multiplies the radii of single lesions.
    """
    if grade == 0:
        return Lesions()
    plan = _Plan(rng, eye, scale)
    if grade == 1:
        plan.microaneurysms(int(rng.integers(3, 9)))
        return plan.finished()
    base = grade if grade < 4 else int(rng.integers(2, 4))
    if base == 2:
        plan.microaneurysms(int(rng.integers(5, 20)))
        plan.haemorrhages(int(rng.integers(2, 13)), flames=0.25)
        plan.exudate_clusters(int(rng.integers(0, 4)))
        plan.cotton_wool_spots(max(0, int(rng.integers(-2, 4))))
    else:
        plan.microaneurysms(int(rng.integers(18, 36)))
        for quadrant in range(4):
            plan.haemorrhages(int(rng.integers(7, 15)), flames=0.35, quadrant=quadrant)
        plan.exudate_clusters(int(rng.integers(0, 4)))
        plan.cotton_wool_spots(int(rng.integers(1, 6)))
        plan.venous_beading(vessels[0], int(rng.integers(0, 4)))
    if grade == 4:
        plan.neovascularization(vessels[0])
    return plan.finished()


class _Plan:
    """Collects lesions while they are being chosen."""

    def __init__(self, rng: np.random.Generator, eye: EyeGeometry, scale: float):
        self._rng, self._eye, self._scale = rng, eye, scale
        self._blood: list[Patches] = []
        self._exudates: list[Patches] = []
        self._cotton_wool: list[tuple[float, float, float, float, float]] = []
        self._beaded: tuple[int, ...] = ()

    def finished(self) -> Lesions:
        return Lesions(
            blood=tuple(self._blood),
            exudates=tuple(self._exudates),
            cotton_wool=tuple(self._cotton_wool),
            beaded=self._beaded,
        )

    def microaneurysms(self, count: int) -> None:
        centers = self._scatter(count, reach=0.72)
        radii = self._rng.uniform(0.0042, 0.0085, len(centers)) * self._scale
        self._bleed(blobs(self._rng, centers, radii, roughness=0.08), 0.55, 0.9)

    def haemorrhages(
        self, count: int, *, flames: float, quadrant: int | None = None
    ) -> None:
        rng = self._rng
        centers = self._scatter(count, reach=0.86, quadrant=quadrant)
        # Many dots, few large blots.
        radii = (0.0075 + 0.018 * rng.random(len(centers)) ** 2.5) * self._scale
        flame = rng.random(len(centers)) < flames
        dots = blobs(rng, centers[~flame], radii[~flame], roughness=0.13)
        self._bleed(dots, 0.6, 1.0)
        self._bleed(self._flames(centers[flame], radii[flame]), 0.55, 0.9)

    def exudate_clusters(self, count: int) -> None:
        rng, extent = self._rng, np.sqrt(self._scale)
        for center in self._scatter(count, reach=0.55):
            specks = int(rng.integers(5, 20))
            if rng.random() < 0.45:  # a ring, as exudates form around a leak
                angle = rng.uniform(0, 2 * np.pi) + rng.uniform(0, 4.5, specks)
                radius = rng.uniform(0.05, 0.10) * rng.normal(1.0, 0.13, specks)
                offset = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
            else:
                spread = rng.uniform(0.02, 0.05, 2)
                offset = rng.normal(0.0, 1.0, (specks, 2)) * spread
            radii = (0.0032 + 0.0065 * rng.random(specks) ** 2.5) * self._scale
            outlines = blobs(rng, center + offset * extent, radii, roughness=0.2)
            self._exudates.append(Patches(outlines, rng.uniform(0.5, 0.95, specks)))

    def cotton_wool_spots(self, count: int) -> None:
        rng, (disc_x, disc_y) = self._rng, self._eye.disc
        for x, y in self._scatter(count, reach=0.75):
            radius = rng.uniform(0.02, 0.034) * self._scale
            across = np.arctan2(y - disc_y, x - disc_x) + np.pi / 2
            flat = radius * rng.uniform(0.5, 0.8)
            self._cotton_wool.append((x, y, radius, flat, across))

    def venous_beading(self, trunks: Branches, count: int) -> None:
        chosen = self._rng.permutation(np.flatnonzero(trunks.veins))[:count]
        self._beaded = tuple(int(i) for i in chosen)

    def neovascularization(self, trunks: Branches) -> None:
        rng = self._rng
        tufts = int(rng.integers(1, 4))
        if rng.random() < 0.5:
            shift = rng.normal(0.0, 0.25, 2) * self._eye.disc_radii
            self._tuft(np.asarray(self._eye.disc) + shift, rng.uniform(0.16, 0.24))
            tufts -= 1
        path = trunks.points[trunks.veins, trunks.points.shape[1] // 4 :].reshape(-1, 2)
        path = path[np.hypot(path[:, 0], path[:, 1]) < 0.8]
        for place in path[rng.integers(0, len(path), tufts)]:
            self._tuft(place, rng.uniform(0.13, 0.20))
        if rng.random() < 0.4:
            self._preretinal_bleed()

    def _tuft(self, center: np.ndarray, extent: float) -> None:
        """A frond of fine, winding vessels that fan out from a stalk and loop."""
        rng, points = self._rng, 26
        fine = int(rng.integers(9, 16))
        extent = extent * np.sqrt(self._scale)
        spread = rng.uniform(0, 2 * np.pi) + rng.uniform(-1.3, 1.3, fine)
        turn = rng.normal(0.0, 1.0, (fine, points)).cumsum(axis=1) * 0.24
        curl = rng.normal(0.0, 3.2, (fine, 1)) * np.linspace(0, 1, points) ** 1.5
        heading = spread[:, None] + turn + curl
        step = (extent * rng.uniform(0.7, 1.6, fine) / points)[:, None]
        path = np.stack([np.cos(heading) * step, np.sin(heading) * step], -1)
        path = path.cumsum(axis=1) + center + rng.normal(0, 0.012, (fine, 1, 2))
        width = rng.uniform(0.0038, 0.0068, fine)[:, None] * np.sqrt(self._scale)
        widths = width * np.linspace(1.0, 0.6, points)
        self._bleed(strips(path, widths), 0.6, 0.85)

    def _preretinal_bleed(self) -> None:
        """Blood that settled before the retina: a flat top and a round bottom."""
        rng = self._rng
        x, y = self._scatter(1, reach=0.6)[0]
        width = rng.uniform(0.08, 0.16) * np.sqrt(self._scale)
        angle = np.linspace(0.0, np.pi, 24)
        droop = width * rng.uniform(0.6, 0.95)
        bottom = np.stack([np.cos(angle) * width, np.sin(angle) * droop], axis=-1)
        sag = rng.normal(0.0, 0.04 * width, 6)
        top = np.stack([np.linspace(-width, width, 8)[1:-1] * 0.95, sag], axis=-1)
        self._bleed(np.concatenate([bottom, top])[None] + (x, y), 0.95, 1.0)

    def _bleed(self, outlines: np.ndarray, low: float, high: float) -> None:
        densities = self._rng.uniform(low, high, len(outlines))
        self._blood.append(Patches(outlines, densities))

    def _scatter(
        self, count: int, *, reach: float, quadrant: int | None = None
    ) -> np.ndarray:
        """Points [count, 2] in the fundus, off the disc and off the fovea's centre.

        Args:
          count: how many.
          reach: largest distance from the fovea, in frame units.
          quadrant: 0 to 3 around the fovea, or None for all of them.
        """
        rng, eye = self._rng, self._eye
        tries = 6 * count + 12
        start = 0.0 if quadrant is None else quadrant * np.pi / 2
        span = 2 * np.pi if quadrant is None else np.pi / 2
        angle = start + span * rng.random(tries)
        distance = reach * np.sqrt(rng.uniform(0.006, 1.0, tries))
        polar = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        points = eye.place(polar * distance[:, None])
        off_disc = np.hypot(*(points - eye.disc).T) > 1.35 * eye.disc_radii[1]
        in_view = np.hypot(*points.T) < 0.88
        chosen = np.flatnonzero(off_disc & in_view & (np.abs(points[:, 1]) < 0.80))
        return points[chosen[:count]]

    def _flames(self, centers: np.ndarray, radii: np.ndarray) -> np.ndarray:
        """Haemorrhages along the nerve fibres, which run out from the disc."""
        count, points = len(centers), 9
        from_disc = centers - self._eye.disc
        angle = np.arctan2(from_disc[:, 1], from_disc[:, 0])
        angle += self._rng.normal(0.0, 0.2, count)
        t = np.linspace(-1.0, 1.0, points)
        length = radii[:count] * self._rng.uniform(1.6, 2.6, count)
        axis = np.stack([np.cos(angle), np.sin(angle)], axis=-1)[:, None]
        path = centers[:, None] + axis * (t * length[:, None])[..., None]
        ragged = self._rng.uniform(0.7, 1.3, (count, points))
        width = radii[:count, None] * 1.1 * ragged * np.sqrt(1.05 - t**2)
        return strips(path, width)


def with_beading(trunks: Branches, beaded: tuple[int, ...]) -> Branches:
    """The trunks with venous beading: sausage-like swellings along some veins."""
    if not beaded:
        return trunks
    points = trunks.points.shape[1]
    t = np.arange(points)
    wave = 1.0 + 0.5 * np.sin(2 * np.pi * t / 4.6) * (t > 0.2 * points)
    widths = trunks.widths.copy()
    widths[list(beaded)] *= wave
    return dataclasses.replace(trunks, widths=widths)


def paint_exudates(
    image: np.ndarray, lesions: Lesions, size: int, oversample: int
) -> None:
    """Blend hard exudates into `image`, [3, size, size] float32."""
    if not lesions.exudates:
        return
    mask = Mask(size, oversample)
    for patches in lesions.exudates:
        mask.polygons(patches)
    coverage = mask.coverage()
    for channel, color in enumerate(_EXUDATE_RGB):
        image[channel] += (np.float32(color) - image[channel]) * coverage


def blood_coverage(lesions: Lesions, size: int, oversample: int) -> np.ndarray | None:
    """Density of the red lesions, [size, size] float32 in [0, 1]; None without."""
    if not lesions.blood:
        return None
    mask = Mask(size, oversample)
    for patches in lesions.blood:
        mask.polygons(patches)
    # Blood seeps into the layers around it.
    return ndimage.gaussian_filter(mask.coverage(), _SEEPAGE * size / 2, truncate=2.5)


def paint_cotton_wool(image: np.ndarray, lesions: Lesions) -> None:
    """Blend the soft white cotton wool spots over vessels and all."""
    axis = pixel_centers(image.shape[-1])
    for x, y, long, short, angle in lesions.cotton_wool:
        columns = slice(*np.searchsorted(axis, [x - 2 * long, x + 2 * long]))
        rows = slice(*np.searchsorted(axis, [y - 2 * long, y + 2 * long]))
        across, down = (axis[columns] - x)[None, :], (axis[rows] - y)[:, None]
        u = (across * np.cos(angle) + down * np.sin(angle)) / long
        v = (down * np.cos(angle) - across * np.sin(angle)) / short
        rim = 1.0 + 0.18 * np.cos(3 * np.arctan2(v, u) + 40 * x)
        alpha = 0.72 * np.exp(-(((u**2 + v**2) * rim) ** 1.5))
        for channel, color in enumerate(_COTTON_WOOL_RGB):
            window = image[channel, rows, columns]
            window += (color - window) * alpha
