"""EfficientNet-Lite: EfficientNets without squeeze-and-excitation, with ReLU6.

Tan and Le, ICML 2019, as Google released them in 2020 for small devices (TensorFlow's
TPU repository, `efficientnet/lite`). Stem and top have the same width in all of them,
and the first and last of the seven blocks are never repeated. Blocks are dropped at
random in the original training; here no layer is.
"""

import math
from dataclasses import dataclass

import keras

_STEM_WIDTH = 32
_TOP_WIDTH = 1280


@dataclass(frozen=True)
class EfficientNetLite:
    """One member of the family.

    Attributes:
      width: Factor of the blocks' channels, which are rounded to multiples of 8.
      depth: Factor of the blocks' repeats, rounded up; the first and last stay.
      image_size: Height and width, in pixels, that its published weights saw.
    """

    width: float
    depth: float
    image_size: int


@dataclass(frozen=True)
class _Block:
    kernel: int
    stride: int
    expansion: int
    width: int
    repeats: int


EFFICIENTNET_LITE_ARCHITECTURES: dict[str, EfficientNetLite] = {
    "efficientnet_lite0": EfficientNetLite(1.0, 1.0, 224),
    "efficientnet_lite1": EfficientNetLite(1.0, 1.1, 240),
    "efficientnet_lite2": EfficientNetLite(1.1, 1.2, 260),
}
_BLOCKS = (
    _Block(kernel=3, stride=1, expansion=1, width=16, repeats=1),
    _Block(kernel=3, stride=2, expansion=6, width=24, repeats=2),
    _Block(kernel=5, stride=2, expansion=6, width=40, repeats=2),
    _Block(kernel=3, stride=2, expansion=6, width=80, repeats=3),
    _Block(kernel=5, stride=1, expansion=6, width=112, repeats=3),
    _Block(kernel=5, stride=2, expansion=6, width=192, repeats=4),
    _Block(kernel=3, stride=1, expansion=6, width=320, repeats=1),
)
# A block's output is that of its last repeat, its sum where there is one.
EFFICIENTNET_STAGES = {
    "stem": "stem_activation",
    r"block\1": r"block(\d+)[a-z]_\w+",
    "top": "top_activation",
}


def efficientnet_lite_features(
    images: keras.KerasTensor, architecture: EfficientNetLite
) -> keras.KerasTensor:
    """The network below the head.

    Args:
      images: `[batch, height, width, 3]`, scaled.
      architecture: Its sizes.

    Returns:
      `[batch, height / 32, width / 32, 1280]`, rounded up. Layers are named as in
      Keras's EfficientNets: `stem_conv, stem_bn, stem_activation, block1a_dwconv,
      block1a_bn, block1a_activation, block1a_project_conv, block1a_project_bn,
      block2a_expand_conv, ..., block2b_add, ..., top_conv, top_bn, top_activation`.
    """
    x = _convolved(images, "stem_conv", _STEM_WIDTH, kernel=3, stride=2)
    x = _activated(_normalized(x, "stem_bn"), "stem_activation")
    for number, block in enumerate(_BLOCKS, start=1):
        depth = 1 if number in (1, len(_BLOCKS)) else architecture.depth
        repeats = math.ceil(block.repeats * depth)
        width = _rounded(block.width * architecture.width)
        for repeat in range(repeats):
            name = f"block{number}{chr(ord('a') + repeat)}"
            x = _inverted_residual(x, name, block, width, first=repeat == 0)
    x = _convolved(x, "top_conv", _TOP_WIDTH)
    return _activated(_normalized(x, "top_bn"), "top_activation")


def _inverted_residual(
    x: keras.KerasTensor, name: str, block: _Block, width: int, *, first: bool
) -> keras.KerasTensor:
    shortcut = x
    if block.expansion > 1:
        x = _convolved(x, f"{name}_expand_conv", x.shape[-1] * block.expansion)
        x = _normalized(x, f"{name}_expand_bn")
        x = _activated(x, f"{name}_expand_activation")
    x = keras.layers.DepthwiseConv2D(
        block.kernel,
        strides=block.stride if first else 1,
        padding="same",
        use_bias=False,
        depthwise_initializer=_initializer(),
        name=f"{name}_dwconv",
    )(x)
    x = _activated(_normalized(x, f"{name}_bn"), f"{name}_activation")
    x = _convolved(x, f"{name}_project_conv", width)
    x = _normalized(x, f"{name}_project_bn")
    return x if first else keras.layers.Add(name=f"{name}_add")([shortcut, x])


def _convolved(
    x: keras.KerasTensor, name: str, width: int, *, kernel: int = 1, stride: int = 1
) -> keras.KerasTensor:
    return keras.layers.Conv2D(
        width,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=_initializer(),
        name=name,
    )(x)


def _normalized(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=name)(x)


def _activated(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return keras.layers.ReLU(max_value=6, name=name)(x)


def _initializer() -> keras.initializers.Initializer:
    """Normal, of variance 2 / fan_out, as in the original."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


def _rounded(channels: float) -> int:
    """To a multiple of 8 that is at least nine tenths of it."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
