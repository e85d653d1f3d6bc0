"""Colour and custom augmentation, on the batch, inside the training step.

Images leave tf.data as uint8. Moving the colour work behind that point keeps the
input pipeline at 0.72 of the decode-only rate where a float32 cast alone, inside
tf.data, leaves 0.29.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from transfusion_tf.datasets import Augmentation
from transfusion_tf.input_pipeline.seeded_layers import SeededLayers

# NTSC luma and chroma; hue is a rotation of the (I, Q) plane.
_RGB_TO_YIQ = np.array(
    [[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32
)
_YIQ_TO_RGB = np.linalg.inv(_RGB_TO_YIQ).astype(np.float32)


# Added to an image's seed, so that these have draws of their own.
_GRAY_STREAM = (2, 0)
_JITTER_STREAM = (3, 0)
_ORDER_STREAM = (4, 0)
# In which order ColorJitter changes brightness, contrast, saturation and hue: any.
_ORDERS = np.array(list(itertools.permutations(range(4))), np.int32)


def color_draws(seed: tf.Tensor, augmentation: Augmentation) -> tf.Tensor:
    """One image's random colour change.

    Returns:
      float32 [6]: hue in turns, contrast factor, 1 where all colour goes and else 0,
      brightness factor, saturation factor, and the number of the order in which they
      are applied, from 0 to 23, where the policy applies them in any.
    """
    draws = tf.random.stateless_uniform([2], seed, -1.0, 1.0)
    hue, contrast = augmentation.hue * draws[0], augmentation.contrast * draws[1]
    gray = brightness = saturation = tf.constant(0.0)
    if augmentation.grayscale:
        draw = tf.random.stateless_uniform([], seed + _GRAY_STREAM)
        gray = tf.cast(draw < augmentation.grayscale, tf.float32)
    if _jitters(augmentation):
        draws = tf.random.stateless_uniform([3], seed + _JITTER_STREAM, -1.0, 1.0)
        brightness = augmentation.brightness * draws[0]
        saturation = augmentation.saturation * draws[1]
        share = 2 * augmentation.color_share - 1
        changed = tf.cast(draws[2] < share, tf.float32)
        hue, contrast = changed * hue, changed * contrast
        brightness, saturation = changed * brightness, changed * saturation
    order = tf.constant(0.0)
    if augmentation.color_space == "torchvision":
        draw = tf.random.stateless_uniform([], seed + _ORDER_STREAM)
        order = tf.floor(len(_ORDERS) * draw)
    changes = [hue, 1.0 + contrast, gray, 1.0 + brightness, 1.0 + saturation]
    return tf.stack([*changes, order])


def _jitters(augmentation: Augmentation) -> bool:
    """Whether more is drawn than hue and contrast, for every image."""
    return (
        augmentation.brightness > 0
        or augmentation.saturation > 0
        or augmentation.color_share < 1
    )


class Augmenter:
    """uint8 batch -> float32 batch in [0, 255], augmented.

    Args:
      augmentation: the card's policy.

    Raises:
      UserError: a layer is unknown, or its arguments are not what it takes.
    """

    def __init__(self, augmentation: Augmentation):
        self._augmentation = augmentation
        self._layers = SeededLayers(augmentation.layers)

    def __call__(
        self, images: tf.Tensor, colors: tf.Tensor, seeds: tf.Tensor
    ) -> tf.Tensor:
        """Augments a batch.

        Args:
          images: uint8 [batch, height, width, 3].
          colors: float32 [batch, 6] from `color_draws`.
          seeds: int64 [batch, 2], the images' own; the first one also seeds the
            layers, so that they too depend on nothing but seed and step.
        """
        policy = self._augmentation
        if policy.hue or policy.contrast or policy.brightness or policy.saturation:
            if policy.color_space == "hsv":
                result = _hsv_colors(images, colors, policy.saturation > 0)
            elif policy.color_space == "torchvision":
                result = _torchvision_colors(images, colors)
            else:
                result = _yiq_colors(images, *_affine(colors))
        else:
            result = tf.cast(images, tf.float32)
        if policy.grayscale:
            result = _without_color(result, colors[:, 2])
        return self._layers(result, seeds[0])


def _affine(colors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Matrices [batch, 3, 3] of hue, saturation and brightness, and contrast factors
    [batch, 1, 1, 1].
    """
    angle = colors[:, 0] * (2 * math.pi)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    zero, one = tf.zeros_like(angle), tf.ones_like(angle)
    brightness, saturation = colors[:, 3], colors[:, 4]
    cosine, sine = saturation * cosine, saturation * sine
    rotation = tf.reshape(
        tf.stack([one, zero, zero, zero, cosine, -sine, zero, sine, cosine], axis=-1),
        [-1, 3, 3],
    )
    hue = tf.constant(_YIQ_TO_RGB) @ rotation @ tf.constant(_RGB_TO_YIQ)
    return brightness[:, None, None] * hue, colors[:, 1][:, None, None, None]


@tf.function(autograph=False, jit_compile=True)
def _yiq_colors(images: tf.Tensor, hue: tf.Tensor, contrast: tf.Tensor) -> tf.Tensor:
    """Contrast about each channel's mean, then hue: one affine map an image.

    Written as three multiply-adds under XLA: 0.6 ms for a 512-px image on a core,
    where the same without XLA takes 12 and a [pixels, 3] matrix product 4 to 7.
    """
    x = tf.cast(images, tf.float32)
    mean = tf.reduce_mean(x, axis=[1, 2], keepdims=True)
    x = contrast * (x - mean) + mean
    columns = hue[:, None, None, :, :]
    x = (
        x[..., 0:1] * columns[..., 0]
        + x[..., 1:2] * columns[..., 1]
        + x[..., 2:3] * columns[..., 2]
    )
    return tf.clip_by_value(x, 0.0, 255.0)


def _hsv_colors(images: tf.Tensor, colors: tf.Tensor, saturate: bool) -> tf.Tensor:
    """tf.image's own operations, the papers' to the letter."""

    def one(image: tf.Tensor, color: tf.Tensor) -> tf.Tensor:
        image = tf.image.adjust_hue(tf.cast(image, tf.float32) / 255.0, color[0])
        if saturate:
            image = tf.image.adjust_saturation(image, color[4])
        return color[3] * tf.image.adjust_contrast(image, color[1])

    changed = tf.map_fn(
        lambda pair: one(*pair), (images, colors), fn_output_signature=tf.float32
    )
    return tf.clip_by_value(changed * 255.0, 0.0, 255.0)


def _torchvision_colors(images: tf.Tensor, colors: tf.Tensor) -> tf.Tensor:
    """Torchvision's ColorJitter: brightness, contrast about the image's mean luma,
    saturation about each pixel's, hue in HSV; in an order that is the image's own, and
    cut to what a pixel can be after each. Torchvision rounds after each, too, where it
    is given PIL images.
    """

    def one(image: tf.Tensor, color: tf.Tensor) -> tf.Tensor:
        image = tf.cast(image, tf.float32) / 255.0
        changed = tf.not_equal(color[0], 0.0) | tf.reduce_any(
            tf.not_equal(tf.gather(color, [1, 3, 4]), 1.0)
        )
        return tf.cond(changed, lambda: _jittered(image, color), lambda: image)

    changed = tf.map_fn(
        lambda pair: one(*pair), (images, colors), fn_output_signature=tf.float32
    )
    return changed * 255.0


def _jittered(image: tf.Tensor, color: tf.Tensor) -> tf.Tensor:
    """One image, float32 [height, width, 3] in [0, 1], changed in its own order."""

    def contrast(image: tf.Tensor) -> tf.Tensor:
        mean = tf.reduce_mean(tf.image.rgb_to_grayscale(image))
        return color[1] * image + (1.0 - color[1]) * mean

    def saturation(image: tf.Tensor) -> tf.Tensor:
        luma = tf.image.rgb_to_grayscale(image)
        return color[4] * image + (1.0 - color[4]) * luma

    changes: list[Callable[[tf.Tensor], tf.Tensor]] = [
        lambda image: color[3] * image,
        contrast,
        saturation,
        lambda image: tf.image.adjust_hue(image, color[0]),
    ]

    def apply(index: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        found = tf.switch_case(index, [lambda c=c: c(image) for c in changes])
        return tf.clip_by_value(found, 0.0, 1.0)

    order = tf.gather(tf.constant(_ORDERS), tf.cast(color[5], tf.int32))
    for place in range(len(changes)):
        image = apply(order[place], image)
    return image


def _without_color(images: tf.Tensor, gray: tf.Tensor) -> tf.Tensor:
    """The images marked with 1 as their luma, the others as they are."""
    luma = tf.image.rgb_to_grayscale(images)
    return tf.where(gray[:, None, None, None] > 0, luma, images)
