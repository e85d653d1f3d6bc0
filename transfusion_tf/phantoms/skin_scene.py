"""What is around a lesion of the skin phantom: skin, cloth, hair, ruler, camera."""

import colorsys
import dataclasses

import numpy as np
from scipy import ndimage

from transfusion_tf.phantoms.canvas import (
    Mask,
    Patches,
    pixel_centers,
    smooth_noise,
    strips,
)

# Reflectance of red, green and blue, from the fairest skin to the darkest.
_FAIREST = np.array([0.93, 0.77, 0.68], np.float32)
_DARKEST = np.array([0.36, 0.24, 0.18], np.float32)


@dataclasses.dataclass(frozen=True)
class Traits:
    """What both photographs of a patient share.

    Attributes:
      skin: reflectance, [3] float32 in [0, 1].
      hair: reflectance of the hairs, likewise.
      hairiness: mean number of hairs in a photograph.
    """

    skin: np.ndarray
    hair: np.ndarray
    hairiness: float


def draw_traits(rng: np.random.Generator) -> Traits:
    """A patient's skin and hair."""
    darkness = np.float32(rng.beta(1.3, 2.6))
    ruddy = np.array([1.0, *(1.0 - rng.uniform(0.0, 0.10, 2))], np.float32)
    skin = (_FAIREST + darkness * (_DARKEST - _FAIREST)) * ruddy
    grey = np.float32(rng.uniform(0.05, 0.35))
    hair = grey * np.array([1.0, 0.75, 0.55], np.float32)
    return Traits(skin, hair, float(rng.choice([0.0, 4.0, 14.0, 30.0])))


def paint_skin(rng: np.random.Generator, traits: Traits, size: int) -> np.ndarray:
    """Skin in the light, often with the edge of the limb and what lies behind it.

    Returns:
      [size, size, 3] float32, linear light, about 0 to 1.
    """
    texture = np.zeros((size, size), np.float32)
    for cells, weight in ((3, 0.035), (9, 0.03), (26, 0.03), (60, 0.035)):
        texture += np.float32(weight) * smooth_noise(rng, cells, size)
    redness = smooth_noise(rng, 5, size)[..., None] * np.array([0.0, 0.03, 0.03])
    image = traits.skin * (1.0 + texture[..., None] - redness)
    image = image * _side_light(rng, size, strength=0.28)[..., None]
    has_edge = rng.random() < 0.6
    toward, offset, bend = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.0), 0.25
    if has_edge:
        x, y = pixel_centers(size)[None, :], pixel_centers(size)[:, None]
        along = np.cos(toward) * y - np.sin(toward) * x
        out = np.cos(toward) * x + np.sin(toward) * y + bend * along * along - offset
        # A limb is round: it turns away from the camera before it ends.
        image *= (1.0 - 0.55 * np.exp(np.clip(out / 0.16, -20.0, 0.0)))[..., None]
        behind = np.clip(0.5 + out * size / 4, 0.0, 1.0)[..., None]
        image = image * (1.0 - behind) + _cloth(rng, size) * behind
    return image.astype(np.float32)


def paint_hair(rng: np.random.Generator, traits: Traits, image: np.ndarray) -> None:
    """Hairs that all grow about the same way, over skin and lesion."""
    size, count = len(image), int(rng.poisson(traits.hairiness))
    way = rng.uniform(0.0, 2 * np.pi)
    if not count:
        return
    starts = rng.uniform(-1.1, 1.1, (count, 2))
    lengths = rng.uniform(0.25, 0.9, count)
    share = np.linspace(0.0, 1.0, 8)
    angles = way + rng.normal(0.0, 0.35, count)[:, None]
    angles = angles + rng.normal(0.0, 0.5, count)[:, None] * share
    steps = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    points = starts[:, None] + np.cumsum(steps, axis=1) * (lengths / 8)[:, None, None]
    widths = 0.018 * (1.1 - share)[None, :] * np.ones((count, 1))
    mask = Mask(size, 2)
    mask.polygons(Patches(strips(points, widths), rng.uniform(0.5, 0.9, count)))
    cover = mask.coverage()[..., None]
    image *= 1.0 - cover
    image += cover * traits.hair


def paint_ruler(rng: np.random.Generator, image: np.ndarray) -> None:
    """In one photograph of four a paper ruler along a border."""
    present, side, width, yellow, pitch = rng.random(5)
    if present > 0.25:
        return
    size = len(image)
    rows = round(size * (0.09 + 0.07 * width))
    paper = np.array([0.92, 0.92, 0.88 - 0.5 * (yellow > 0.6)], np.float32)
    strip = np.ones((rows, size, 3), np.float32) * paper
    x = (pixel_centers(size) + 1.0) / (0.06 + 0.05 * pitch)
    tick = np.abs(x - np.rint(x)) < 0.13
    tall = np.rint(x) % 5 == 0
    height = np.where(tall, 0.75, 0.42) * rows
    strip[(np.arange(rows)[:, None] < height) & tick] *= np.float32(0.15)
    turned = np.rot90(image, int(4 * side))
    turned[-rows:] = strip


def photograph(rng: np.random.Generator, image: np.ndarray, size: int) -> np.ndarray:
    """What a camera makes of a scene: white balance, exposure, focus, noise.

    Args:
      rng: source of the camera's settings and noise.
      image: [fine, fine, 3] float32, linear light; fine a multiple of `size`.
      size: pixels along an axis.

    Returns:
      [size, size, 3] uint8.
    """
    fine = len(image)
    gains = np.exp(rng.normal(0.0, 0.12, 3)).astype(np.float32)
    exposure = np.float32(np.exp(rng.uniform(-0.45, 0.25)))
    contrast, saturation = rng.uniform(0.75, 1.35), rng.uniform(0.45, 1.2)
    blur, noise = rng.uniform(0.0, 0.006), rng.uniform(0.004, 0.03)
    image = ndimage.gaussian_filter(image, (blur * fine, blur * fine, 0))
    image = image.reshape(size, fine // size, size, fine // size, 3).mean(axis=(1, 3))
    image = image * gains * exposure
    grey = image.mean(axis=-1, keepdims=True)
    image = grey + np.float32(saturation) * (image - grey)
    middle = image.mean()
    image = (image - middle) * np.float32(contrast) + middle
    image = image + np.float32(noise) * rng.standard_normal(image.shape, np.float32)
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _side_light(rng: np.random.Generator, size: int, strength: float) -> np.ndarray:
    at = pixel_centers(size)
    way = rng.uniform(0.0, 2 * np.pi)
    ramp = np.cos(way) * at[None, :] + np.sin(way) * at[:, None]
    return (1.0 + np.float32(strength * rng.random()) * ramp).astype(np.float32)


def _cloth(rng: np.random.Generator, size: int) -> np.ndarray:
    """Cloth of any colour: folds, and a weave or stripes."""
    colour = np.array(
        colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.1, 0.8), rng.uniform(0.2, 0.9))
    )
    other = np.clip(colour + rng.normal(0.0, 0.25, 3), 0.02, 0.98)
    at = pixel_centers(size)
    way, waves = rng.uniform(0.0, np.pi), rng.uniform(8.0, 40.0)
    along = np.cos(way) * at[None, :] + np.sin(way) * at[:, None]
    across = np.cos(way) * at[:, None] - np.sin(way) * at[None, :]
    pattern = np.sin(waves * along + 0.4 * smooth_noise(rng, 5, size))
    if rng.random() < 0.5:
        pattern = pattern * np.sin(waves * across)
    share = np.clip(0.5 + rng.uniform(0.5, 2.0) * pattern, 0.0, 1.0)[..., None]
    folds = 1.0 + 0.22 * smooth_noise(rng, 4, size) + 0.10 * smooth_noise(rng, 11, size)
    return (colour + share * (other - colour)) * np.clip(folds, 0.2, 1.8)[..., None]
