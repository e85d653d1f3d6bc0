"""What covers the leaves of drawn textures: gratings, noise and photographs."""

import numpy as np
from PIL import Image

from transfusion_tf.phantoms.canvas import pixel_centers, smooth_noise
from transfusion_tf.phantoms.photographs import load_photograph, photograph_names

# Standard deviation of a surface's pixels.
_CONTRAST = 0.27


def draw_surface(rng: np.random.Generator, size: int) -> np.ndarray:
    """A surface in colours of its own; one in two is a piece of a photograph.

    Args:
      rng: source of all that is chosen; how much is drawn does not depend on `size`.
      size: pixels along an axis.

    Returns:
      [size, size, 3] uint8 RGB.

    Raises:
      FileNotFoundError: if an installed wheel does not hold its photographs.
    """
    palette = draw_palette(rng, 3)
    kind = rng.choice(["grating", "noise", "photograph"], p=[0.25, 0.25, 0.5])
    if kind == "photograph":
        piece = _piece_of_photograph(rng, size).astype(np.float32) / np.float32(255.0)
        if rng.random() < 0.5:
            return _developed(piece)
        values = _developed(piece.mean(axis=-1)) / 255.0
    else:
        values = _grating(rng, size) if kind == "grating" else _noise(rng, size)
    knots = np.linspace(0.0, 1.0, len(palette))
    colors = [np.interp(values, knots, channel) for channel in palette.T]
    return _developed(np.stack(colors, axis=-1))


def draw_palette(rng: np.random.Generator, colors: int) -> np.ndarray:
    """Colours that differ, [colors, 3] in [0, 1], the darkest and the brightest too."""
    palette = rng.random((colors, 3))
    low, high = palette.min(axis=0), palette.max(axis=0)
    return (palette - low) / np.maximum(high - low, 0.25)


def _developed(surface: np.ndarray) -> np.ndarray:
    """As bytes, with one mean and contrast, so that neither tells surfaces apart."""
    middle, spread = surface.mean(axis=(0, 1)), max(float(surface.std()), 0.02)
    surface = np.clip(0.5 + _CONTRAST / spread * (surface - middle), 0.0, 1.0)
    return (surface * 255.0 + 0.5).astype(np.uint8)


def _grating(rng: np.random.Generator, size: int) -> np.ndarray:
    """Stripes, waves or a chequerboard, in [0, 1]."""
    at = pixel_centers(size)
    way, waves = rng.uniform(0.0, np.pi), np.exp(rng.uniform(np.log(7.0), np.log(50.0)))
    bend = rng.uniform(0.0, 1.5) * smooth_noise(rng, 5, size)
    along = np.cos(way) * at[None, :] + np.sin(way) * at[:, None]
    pattern = np.sin(waves * along + bend)
    if rng.random() < 0.4:
        across = np.cos(way) * at[:, None] - np.sin(way) * at[None, :]
        pattern = pattern * np.sin(waves * rng.uniform(0.4, 1.0) * across)
    return 0.5 + 0.5 * np.tanh(rng.uniform(0.8, 5.0) * pattern)


def _noise(rng: np.random.Generator, size: int) -> np.ndarray:
    """Noise of two scales, drawn out along an axis, from soft to blotched."""
    pattern = np.zeros((size, size), np.float32)
    for least, weight in ((3.0, 1.0), (12.0, rng.uniform(0.0, 1.0))):
        cells = least * np.exp(rng.uniform(0.0, 1.4))
        stretch = np.exp(rng.uniform(-0.8, 0.8))
        shape = int(cells * stretch) + 1, int(cells / stretch) + 1
        grid = Image.fromarray(rng.standard_normal(shape, dtype=np.float32))
        field = grid.resize((size, size), Image.Resampling.BICUBIC)
        pattern += np.float32(weight) * np.asarray(field)
    return 0.5 + 0.5 * np.tanh(rng.uniform(0.5, 4.0) * pattern)


def _piece_of_photograph(rng: np.random.Generator, size: int) -> np.ndarray:
    """A square of a photograph, [size, size, 3] uint8."""
    names = photograph_names()
    photograph = load_photograph(names[int(rng.integers(len(names)))])
    height, width = photograph.shape[:2]
    side = min(height, width) * rng.uniform(0.2, 0.8)
    left, top = rng.random(2) * (width - side, height - side)
    image = Image.fromarray(photograph).resize(
        (size, size), Image.Resampling.BOX, (left, top, left + side, top + side)
    )
    return np.asarray(image)
