"""Drawn textures: a source domain of any number of classes that needs no download.

An image is leaves that lie over each other: those of its class, and some of other
kinds among and behind them; half of the classes have a fractal on top. A class is the
outline, size, number and direction of its leaves, what covers them, and its fractal.
Position, scale, turn, what else is there, light and colour cast are each image's own.

Networks learn features of use from such drawings: Kataoka et al., "Pre-training
without natural images", ACCV 2020 (fractals); Anderson and Farrell, "Improving fractal
pre-training", WACV 2022; Baradad et al., "Learning to see by looking at noise",
NeurIPS 2021 (dead leaves). Pieces of the photographs of `photographs` cover many of
the leaves.
"""

import functools
import math

import numpy as np

from transfusion_tf.phantoms.canvas import pixel_centers, random_stream
from transfusion_tf.phantoms.texture_fractals import Fractal, draw_fractal
from transfusion_tf.phantoms.texture_leaves import LeafKind, draw_leaf_kind, lay_leaves
from transfusion_tf.phantoms.texture_surfaces import draw_palette

_CLASS, _FRACTAL, _BACKDROP, _IMAGE = range(4)
_BACKDROPS = 48
_FRACTAL_SHARE = 0.5


def draw_texture(
    class_index: int, image_index: int, *, seed: int = 0, size: int
) -> np.ndarray:
    """Draw an image of a class; 3 ms at 64 pixels on one core.

    Args:
      class_index: 0, 1, 2, ...; there is no last class.
      image_index: 0, 1, 2, ...; images of a class are drawn independently.
      seed: of the whole data set; other seeds have other classes.
      size: pixels along an axis.

    Returns:
      [size, size, 3] uint8 RGB, a pure function of the arguments.

    Raises:
      FileNotFoundError: if an installed wheel does not hold its photographs.
      ValueError: if an argument is out of its range.
    """
    if min(class_index, image_index, seed) < 0:
        raise ValueError(
            f"class_index {class_index}, image_index {image_index} and seed {seed} "
            "must not be negative"
        )
    if size < 1:
        raise ValueError(f"size is {size}; it must be at least 1 pixel")
    rng = random_stream(seed, _IMAGE, class_index, image_index)
    own = _leaf_kind((seed, _CLASS, class_index), 2 * size)
    below, among = (
        _leaf_kind((seed, _BACKDROP, int(index)), 2 * size)
        for index in rng.integers(_BACKDROPS, size=2)
    )
    scale, turn = math.exp(rng.uniform(-0.3, 0.3)), rng.uniform(-0.25, 0.25)
    canvas = lay_leaves(rng, (below, own, among), scale, turn)
    _lay_fractals(rng, seed, class_index, scale, turn, canvas)
    image = (
        canvas[::2, ::2] + canvas[1::2, ::2] + canvas[::2, 1::2] + canvas[1::2, 1::2]
    )
    return _photographed(rng, image / np.float32(4.0))


@functools.lru_cache(maxsize=64)
def _leaf_kind(stream: tuple[int, ...], fine: int) -> LeafKind:
    return draw_leaf_kind(random_stream(*stream), fine)


@functools.lru_cache(maxsize=64)
def _fractal(seed: int, class_index: int) -> tuple[Fractal, np.ndarray] | None:
    """A class's fractal, and the colours of its parts; None where it has none."""
    rng = random_stream(seed, _FRACTAL, class_index)
    if rng.random() >= _FRACTAL_SHARE:
        return None
    fractal = draw_fractal(rng)
    return fractal, draw_palette(rng, fractal.parts).astype(np.float32)


def _lay_fractals(
    rng: np.random.Generator,
    seed: int,
    class_index: int,
    scale: float,
    turn: float,
    canvas: np.ndarray,
) -> None:
    """Put the class's fractal on the canvas, once to three times."""
    drawn = _fractal(seed, class_index)
    if drawn is None:
        return
    fractal, palette = drawn
    fine = len(canvas)
    # Points cover as much of a large canvas as of one of 128 pixels.
    dot = max(1, round(fine / 128))
    count = int(rng.integers(1, 4))
    for center, angle, size in zip(
        rng.uniform(-0.8, 0.8, (count, 2)),
        rng.normal(turn, 0.2, count),
        scale * np.exp(rng.uniform(-0.9, -0.1, count)),
        strict=True,
    ):
        cos, sin = size * np.cos(angle), size * np.sin(angle)
        turned = fractal.points @ np.array([[cos, sin], [-sin, cos]], np.float32)
        pixels = ((turned + center + 1.0) * (fine / 2)).astype(np.int32)
        inside = ((pixels >= 0) & (pixels <= fine - dot)).all(axis=1)
        x, y = pixels[inside].T
        light = np.float32(np.exp(rng.normal(0.0, 0.2)))
        color = light * palette[fractal.maps[inside]]
        for row, column in np.ndindex(dot, dot):
            canvas[y + row, x + column] = color


def _photographed(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Light from a side, cast, contrast and brightness; [size, size, 3] uint8."""
    at = pixel_centers(len(image))
    x, y = rng.uniform(-0.3, 0.3, 2).astype(np.float32)
    image = image * (1.0 + x * at[None, :] + y * at[:, None])[..., None]
    saturation = 0.0 if rng.random() < 0.1 else rng.uniform(0.4, 1.2)
    grey = image.mean(axis=-1, keepdims=True)
    image = grey + np.float32(saturation) * (image - grey)
    image = image * np.exp(rng.normal(0.0, 0.15, 3)).astype(np.float32)
    contrast, brightness = rng.uniform(0.6, 1.3), rng.uniform(-0.15, 0.15)
    image = np.float32(contrast) * (image - image.mean()) + np.float32(0.5 + brightness)
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
