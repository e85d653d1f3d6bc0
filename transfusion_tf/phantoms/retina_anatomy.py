"""The healthy eye of the retina phantom: patient traits, landmarks, background."""

import dataclasses

import numpy as np
from scipy import ndimage

from transfusion_tf.phantoms.canvas import (
    Mask,
    Patches,
    blobs,
    pixel_centers,
    smooth_noise,
)

# Fundus colour at the posterior pole, from lightly to heavily pigmented (RGB, 0..1).
_PIGMENTS = np.array(
    [[0.90, 0.50, 0.36], [0.85, 0.40, 0.25], [0.74, 0.34, 0.19], [0.55, 0.27, 0.16]]
)
_MACULA_ABSORPTION = (0.16, 0.34, 0.34)
_DRUSEN_RGB = (0.98, 0.76, 0.46)
_CHOROID_WEIGHT = (0.5, 1.0, 0.9)


@dataclasses.dataclass(frozen=True)
class PatientTraits:
    """What the two eyes of a patient share.

    Attributes:
      fundus_rgb: colour of the background, three values in [0, 1].
      choroid_contrast: how far choroidal vessels show through, about 0 to 0.2.
      mottle_contrast: strength of the fine pigment texture.
      tortuosity: how much vessels wind, about 0.5 to 1.6.
      vessel_width: width of the widest vein at the disc, in frame units.
      artery_ratio: width of arteries relative to veins.
      disc_radius: of the optic disc, in frame units.
      cup_ratio: diameter of the cup relative to the disc.
      crescent: strength of the pigment crescent at the disc, 0 to 1.
      atrophy: strength of the pale zone around the disc, 0 to 1.
      drusen: number of drusen, pale spots that come with age and not with diabetes.
      sheen: strength of the reflexes of a young retina.
    """

    fundus_rgb: tuple[float, float, float]
    choroid_contrast: float
    mottle_contrast: float
    tortuosity: float
    vessel_width: float
    artery_ratio: float
    disc_radius: float
    cup_ratio: float
    crescent: float
    atrophy: float
    drusen: int
    sheen: float


@dataclasses.dataclass(frozen=True)
class EyeGeometry:
    """Where an eye's landmarks lie, in frame coordinates.

    Attributes:
      mirror: 1 for a right eye (disc to the right of the macula), -1 for a left.
      tilt: rotation of the eye in the frame, radians.
      disc: (x, y) of the optic disc's centre.
      fovea: (x, y) of the fovea.
      disc_radii: half-axes (x, y) of the disc.
    """

    mirror: int
    tilt: float
    disc: tuple[float, float]
    fovea: tuple[float, float]
    disc_radii: tuple[float, float]

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2] of an upright right eye, its fovea at 0, in the frame."""
        cos, sin = np.cos(self.tilt), np.sin(self.tilt)
        rotation = np.array([[self.mirror * cos, sin], [-self.mirror * sin, cos]])
        return points @ rotation + np.asarray(self.fovea)


def patient_traits(rng: np.random.Generator) -> PatientTraits:
    """Draw the traits that a patient's eyes share."""
    pigment = rng.beta(2.0, 2.2)
    stops = np.linspace(0.0, 1.0, len(_PIGMENTS))
    rgb = [float(np.interp(pigment, stops, _PIGMENTS[:, c])) for c in range(3)]
    tint = rng.normal(0.0, 0.04, 3)
    return PatientTraits(
        fundus_rgb=(
            rgb[0] * (1 + tint[0] / 2),
            rgb[1] * (1 + tint[1]),
            rgb[2] * (1 + 2 * tint[2]),
        ),
        choroid_contrast=float(0.02 + 0.12 * (1.0 - pigment) ** 2 * rng.random() * 2),
        mottle_contrast=float(rng.uniform(0.012, 0.03)),
        tortuosity=float(rng.uniform(0.6, 1.5)),
        vessel_width=float(rng.uniform(0.027, 0.034)),
        artery_ratio=float(rng.uniform(0.66, 0.82)),
        disc_radius=float(rng.uniform(0.116, 0.136)),
        cup_ratio=float(rng.uniform(0.28, 0.58)),
        crescent=float(max(0.0, rng.uniform(-0.7, 1.0))),
        atrophy=float(max(0.0, rng.uniform(-1.5, 0.9))),
        drusen=int(rng.integers(4, 45) if rng.random() < 0.4 else 0),
        sheen=float(max(0.0, rng.uniform(-0.15, 0.16))),
    )


def eye_geometry(
    rng: np.random.Generator, traits: PatientTraits, *, mirror: int
) -> EyeGeometry:
    """Place the landmarks of one eye: the disc nasal to the fovea, a little above."""
    fovea = (mirror * -rng.uniform(-0.06, 0.10), rng.uniform(-0.05, 0.08))
    distance = traits.disc_radius * rng.uniform(4.9, 5.4)
    upright = EyeGeometry(mirror, rng.normal(0.0, 0.05), (0.0, 0.0), fovea, (0.0, 0.0))
    disc = upright.place(np.array([distance, -rng.uniform(0.02, 0.09)]))
    radii = (traits.disc_radius * rng.uniform(0.88, 0.96), traits.disc_radius)
    return dataclasses.replace(
        upright, disc=(float(disc[0]), float(disc[1])), disc_radii=radii
    )


def paint_background(
    rng: np.random.Generator,
    traits: PatientTraits,
    eye: EyeGeometry,
    size: int,
    oversample: int,
) -> np.ndarray:
    """The fundus without vessels: pigment, choroid, macula, drusen and optic disc.

    Returns:
      [3, size, size] float32 reflectance, about 0 to 1.
    """
    axis = pixel_centers(size)
    texture = _texture(rng, traits, size)
    sheen = 0.8 * smooth_noise(rng, 6, size)
    macula_radius = rng.uniform(0.20, 0.27)
    macula = _blob(axis, eye.fovea, macula_radius)
    macula *= 0.75
    macula += 0.45 * _blob(axis, eye.fovea, rng.uniform(0.045, 0.065))
    pole = _blob(axis, (eye.disc[0] * 0.6, eye.disc[1] * 0.6), 0.75)
    image = np.empty((3, size, size), np.float32)
    for channel in range(3):
        shade = texture * np.float32(_CHOROID_WEIGHT[channel])
        shade += np.float32(0.02 * (1 + channel)) * sheen
        shade += np.float32(0.06 + 0.05 * channel) * pole
        shade += np.float32(0.96 - 0.03 * channel)
        shade *= 1.0 - np.float32(_MACULA_ABSORPTION[channel]) * macula
        image[channel] = shade * np.float32(traits.fundus_rgb[channel])
    _paint_reflexes(rng, image, traits, eye)
    _paint_drusen(rng, image, traits, eye, oversample)
    _paint_disc(rng, image, traits, eye)
    return image


def _paint_reflexes(
    rng: np.random.Generator, image: np.ndarray, traits: PatientTraits, eye: EyeGeometry
) -> None:
    """Wisps of light off the retina's inner surface, around the macula."""
    size = image.shape[-1]
    wisps = smooth_noise(rng, 13, size)
    if not traits.sheen:
        return
    wisps = np.clip(wisps - 0.5, 0.0, 1.5)
    axis = pixel_centers(size)
    wisps *= _blob(axis, eye.fovea, 0.5) - 0.95 * _blob(axis, eye.fovea, 0.16)
    for channel, tone in enumerate((0.8, 1.0, 0.8)):
        image[channel] += np.float32(tone * traits.sheen) * wisps


def _paint_drusen(
    rng: np.random.Generator,
    image: np.ndarray,
    traits: PatientTraits,
    eye: EyeGeometry,
    oversample: int,
) -> None:
    """Pale, soft-edged yellowish spots, most of them near the macula."""
    if not traits.drusen:
        return
    size = image.shape[-1]
    mask = Mask(size, oversample)
    centers = eye.place(rng.normal(0.0, rng.uniform(0.15, 0.35), (traits.drusen, 2)))
    radii = rng.uniform(0.004, 0.013, traits.drusen)
    outlines = blobs(rng, centers, radii, roughness=0.1)
    mask.polygons(Patches(outlines, rng.uniform(0.25, 0.75, traits.drusen)))
    coverage = ndimage.gaussian_filter(mask.coverage(), 0.004 * size / 2, truncate=2.5)
    for channel, color in enumerate(_DRUSEN_RGB):
        image[channel] += (np.float32(color) - image[channel]) * coverage


def _texture(rng: np.random.Generator, traits: PatientTraits, size: int) -> np.ndarray:
    """Choroidal vessels (ridges of smooth noise) and mottled pigment, zero mean."""
    ridges = np.abs(smooth_noise(rng, 17, size) + 0.5 * smooth_noise(rng, 34, size))
    choroid = 0.6 - np.minimum(ridges, 1.4)
    texture = np.float32(traits.choroid_contrast) * choroid
    texture += np.float32(traits.mottle_contrast) * smooth_noise(rng, 110, size)
    return texture


def _blob(axis: np.ndarray, center: tuple[float, float], radius: float) -> np.ndarray:
    """A round Gaussian of standard deviation `radius`, [size, size] float32."""
    x = np.exp(-0.5 * ((axis - np.float32(center[0])) / np.float32(radius)) ** 2)
    y = np.exp(-0.5 * ((axis - np.float32(center[1])) / np.float32(radius)) ** 2)
    return y[:, None] * x[None, :]


def _paint_disc(
    rng: np.random.Generator,
    image: np.ndarray,
    traits: PatientTraits,
    eye: EyeGeometry,
) -> None:
    """Blend the optic disc, its cup and a pigment crescent into `image`."""
    size = image.shape[-1]
    axis = pixel_centers(size)
    reach = 2.2 * traits.disc_radius
    columns = slice(*np.searchsorted(axis, [eye.disc[0] - reach, eye.disc[0] + reach]))
    rows = slice(*np.searchsorted(axis, [eye.disc[1] - reach, eye.disc[1] + reach]))
    # x grows towards the nose, whichever eye it is.
    x = ((axis[columns] - eye.disc[0]) * eye.mirror / eye.disc_radii[0])[None, :]
    y = ((axis[rows] - eye.disc[1]) / eye.disc_radii[1])[:, None]
    angle = np.arctan2(y, x)
    phases = rng.uniform(0.0, 2.0 * np.pi, 3)
    ripple = 0.03 * np.cos(2 * angle + phases[0]) + 0.02 * np.cos(3 * angle + phases[1])
    distance = np.hypot(x, y) * (1.0 + ripple)
    disc = _inside(distance, 1.0, 0.07)
    cup_x, cup_y = rng.uniform(-0.18, 0.02), rng.uniform(-0.08, 0.08)
    cup = _inside(np.hypot(x - cup_x, y - cup_y), traits.cup_ratio, 0.16)
    halo = np.exp(-0.5 * ((distance - 0.9) / 0.5) ** 2) * (1.0 - disc)
    # The crescent hugs the temporal rim.
    crescent = np.exp(-0.5 * ((distance - 1.1) / 0.07) ** 2) * np.clip(-x - 0.3, 0, 1)
    atrophy = traits.atrophy * _inside(np.hypot(x + 0.2, y), 1.35, 0.2)
    pallor = rng.uniform(0.80, 1.02)
    for channel in range(3):
        window = image[channel, rows, columns]
        fundus = traits.fundus_rgb[channel]
        # A dim disc is redder, not greener: red light fades least.
        dim = pallor ** (0.3, 1.0, 1.2)[channel]
        pale = (1.02, 0.80, 0.52)[channel] * dim * (0.80 + 0.2 * fundus)
        bright = (1.06, 0.93, 0.72)[channel] * dim
        # The nasal rim is pinker: more nerve fibres and capillaries over it.
        rim = pale * (1.0 - (0.02, 0.14, 0.13)[channel] * np.clip(x + 0.2, 0, 1.2))
        color = rim + (bright - rim) * cup
        window *= 1.0 + (0.06, 0.16, 0.12)[channel] * halo
        window *= 1.0 - (0.30, 0.40, 0.35)[channel] * traits.crescent * crescent
        window += (pale - window) * 0.7 * atrophy
        window += (color - window) * disc


def _inside(distance: np.ndarray, radius: float, softness: float) -> np.ndarray:
    """1 inside `radius`, 0 outside, with an edge about `softness` wide."""
    return 1.0 / (1.0 + np.exp(np.clip((distance - radius) / (softness / 2), -30, 30)))
