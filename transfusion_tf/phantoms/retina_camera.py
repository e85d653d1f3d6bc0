"""The fundus camera of the retina phantom: light, optics, field of view, sensor."""

import dataclasses

import numpy as np
from scipy import ndimage

from transfusion_tf.phantoms.canvas import pixel_centers

_NOISE_REFERENCE_SIZE = 587


@dataclasses.dataclass(frozen=True)
class Camera:
    """How both eyes of a patient were photographed.

    Attributes:
      field_radius: of the circular field of view, in frame units.
      flat_cut: distance from the centre at which the field's top and bottom are
        cut off; 1 or more for a full circle.
      gain: colour balance, three factors.
      gamma: exponent of the tone curve.
      vignetting: loss of light at the rim, a fraction.
      blur: standard deviation of the optics' blur, in frame units.
      noise: standard deviation of the sensor's noise at 587 pixels, in [0, 1].
      haze: strength of the pale crescent that a small pupil leaves at the rim.
    """

    field_radius: float
    flat_cut: float
    gain: tuple[float, float, float]
    gamma: float
    vignetting: float
    blur: float
    noise: float
    haze: float


def draw_camera(rng: np.random.Generator) -> Camera:
    """Choose the camera of a patient."""
    exposure = rng.uniform(0.86, 1.10)
    gain = exposure * (1.0 + rng.normal(0.0, (0.02, 0.035, 0.06)))
    return Camera(
        field_radius=float(rng.uniform(0.955, 0.985)),
        flat_cut=float(rng.choice([1.1, 1.1, 0.90, 0.86])),
        gain=(float(gain[0]), float(gain[1]), float(gain[2])),
        gamma=float(rng.uniform(0.85, 1.25)),
        vignetting=float(rng.uniform(0.10, 0.50)),
        blur=float(rng.uniform(0.0012, 0.0030)),
        noise=float(rng.uniform(0.006, 0.018)),
        haze=float(max(0.0, rng.uniform(-0.25, 0.25))),
    )


def photograph(
    rng: np.random.Generator, camera: Camera, scene: np.ndarray, size: int
) -> np.ndarray:
    """Photograph a fundus.

    Args:
      rng: source of what differs from photograph to photograph.
      camera: the camera.
      scene: [3, n, n] float32 reflectance, n a multiple of `size`. Overwritten.
      size: pixels along an axis of the photograph.

    Returns:
      [size, size, 3] uint8.
    """
    fine = scene.shape[-1]
    sigma = camera.blur * fine / 2.0
    if sigma > 0.25:
        for channel in range(3):
            ndimage.gaussian_filter(
                scene[channel], sigma, output=scene[channel], truncate=2.5
            )
    _illuminate(rng, camera, scene)
    factor = fine // size
    if factor > 1:
        scene = scene.reshape(3, size, factor, size, factor).mean(axis=(2, 4))
    return _develop(rng, camera, scene)


def _illuminate(rng: np.random.Generator, camera: Camera, scene: np.ndarray) -> None:
    """Apply the lamp's gradient, haze, dust and the field stop, in place."""
    axis = pixel_centers(scene.shape[-1])
    center_x, center_y = rng.normal(0.0, 0.008, 2)
    x, y = (
        (axis - np.float32(center_x))[None, :],
        (axis - np.float32(center_y))[:, None],
    )
    squared = x**2 + y**2
    direction, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.20)
    slope_x, slope_y = (
        np.float32(slope * np.cos(direction)),
        np.float32(slope * np.sin(direction)),
    )
    flash = np.float32(rng.uniform(0.85, 1.10))
    light = flash - np.float32(camera.vignetting) * squared**2
    light += slope_x * x + slope_y * y
    for _ in range(int(rng.integers(0, 4))):
        _dust(rng, light, axis)
    distance = np.sqrt(squared)
    edge = np.float32(max(0.006, 1.2 / scene.shape[-1]))
    field = np.clip((np.float32(camera.field_radius) - distance) / edge + 0.5, 0, 1)
    field *= np.clip((np.float32(camera.flat_cut) - np.abs(y)) / edge + 0.5, 0, 1)
    light *= field
    scene *= light
    if camera.haze > 0:
        side = rng.uniform(0, 2 * np.pi)
        lean = x * np.float32(np.cos(side)) + y * np.float32(np.sin(side))
        crescent = np.clip((distance + 0.35 * lean - 0.95) / 0.35, 0, 1) ** 2
        crescent *= field * np.float32(camera.haze)
        for channel, tone in enumerate((0.9, 0.8, 0.95)):
            scene[channel] += np.float32(tone) * crescent


def _dust(rng: np.random.Generator, light: np.ndarray, axis: np.ndarray) -> None:
    """A speck on the lens: a faint, soft disc, darker or (a reflection) brighter."""
    x, y = rng.uniform(-0.8, 0.8, 2)
    radius = rng.uniform(0.012, 0.05)
    strength = rng.choice([-0.06, -0.04, 0.05])
    columns = slice(*np.searchsorted(axis, [x - 1.5 * radius, x + 1.5 * radius]))
    rows = slice(*np.searchsorted(axis, [y - 1.5 * radius, y + 1.5 * radius]))
    distance = np.hypot((axis[columns] - x)[None, :], (axis[rows] - y)[:, None])
    light[rows, columns] += strength * np.clip(2.5 - 2.0 * distance / radius, 0, 1)


def _develop(rng: np.random.Generator, camera: Camera, scene: np.ndarray) -> np.ndarray:
    """Gain, sensor noise and tone curve; to 8 bits."""
    size = scene.shape[-1]
    # Averaging pixels also averages noise, if less than if it were white.
    noise = camera.noise * min(1.0, (size / _NOISE_REFERENCE_SIZE) ** 0.5)
    grain = rng.standard_normal((size, size), dtype=np.float32)
    coarse = rng.standard_normal((3, size // 2 + 1, size // 2 + 1), dtype=np.float32)
    photo = np.empty((size, size, 3), np.uint8)
    for channel in range(3):
        plane = scene[channel] * np.float32(camera.gain[channel])
        np.clip(plane, 0.0, 1.0, out=plane)
        if camera.gamma != 1.0:
            np.power(plane, np.float32(camera.gamma), out=plane)
        blotch = coarse[channel].repeat(2, axis=0).repeat(2, axis=1)[:size, :size]
        plane += (
            np.float32(noise)
            * (grain + np.float32(0.8) * blotch)
            * np.sqrt(plane + np.float32(0.01))
        )
        plane *= 255.0
        photo[..., channel] = np.clip(plane, 0.0, 255.0) + 0.5
    return photo
