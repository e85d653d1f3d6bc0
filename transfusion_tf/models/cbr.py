"""The CBR family: convolution, batch norm, ReLU, max-pool, repeated.

Transfusion, section 3 and appendix A. All convolutions of a model share one size
and have stride 1; every pool is 3x3 with stride 2. CBR-LargeT alone ends without one:
its fifth layer is "(conv512-bn-relu) global avgpool".

The appendix gives CBR-Tiny 64-128-256-512 channels, but the parameter count that
Table 1 prints for it, 1 076 480, fits 32-64-128-256 alone (the appendix's would
count 4 303 360). `cbr_tiny` is the table's, `cbr_tiny_appendix` the appendix's.

What the paper leaves open, and what stands here: padding `same`; no bias before a
batch norm, which would cancel it; kernels from Keras's default, `glorot_uniform`,
as in the `keras.applications` models beside it; batch norm momentum 0.9, because
with Keras's 0.99 the moving statistics still hold 13 % of their start after 200
steps, and evaluation would judge short runs by them (0.9 forgets them in 40).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import keras

from transfusion_tf.models.end_points import EndPoint

_BATCH_NORM_MOMENTUM = 0.9
_TABLE_1_CLASSES = 5


@dataclass(frozen=True)
class CBRArchitecture:
    """One member of the family.

    Attributes:
      channels: Filters of each convolution, from the input up.
      kernel_size: Height and width of every convolution, in pixels.
      ends_in_pool: Whether the last convolution, too, is followed by a pool.
    """

    channels: tuple[int, ...]
    kernel_size: int
    ends_in_pool: bool = True


CBR_ARCHITECTURES: dict[str, CBRArchitecture] = {
    "cbr_large_t": CBRArchitecture((32, 64, 128, 256, 512), 7, ends_in_pool=False),
    "cbr_large_w": CBRArchitecture((64, 128, 256, 512), 7),
    "cbr_small": CBRArchitecture((32, 64, 128, 256), 7),
    "cbr_tiny": CBRArchitecture((32, 64, 128, 256), 5),
    "cbr_tiny_appendix": CBRArchitecture((64, 128, 256, 512), 5),
}


def cbr_features(
    images: keras.KerasTensor, architecture: CBRArchitecture
) -> keras.KerasTensor:
    """The network below the head.

    Args:
      images: `[batch, height, width, 3]`, scaled.
      architecture: Channels and kernel size.

    Returns:
      `[batch, height / 2**n, width / 2**n, channels[-1]]`, rounded up, for n
      pools. Layers are named `conv1, bn1, relu1, pool1, conv2, ...`.
    """
    x = images
    last = len(architecture.channels)
    for number, filters in enumerate(architecture.channels, start=1):
        x = keras.layers.Conv2D(
            filters,
            architecture.kernel_size,
            padding="same",
            use_bias=False,
            name=f"conv{number}",
        )(x)
        x = keras.layers.BatchNormalization(
            momentum=_BATCH_NORM_MOMENTUM, name=f"bn{number}"
        )(x)
        x = keras.layers.ReLU(name=f"relu{number}")(x)
        if number < last or architecture.ends_in_pool:
            x = keras.layers.MaxPooling2D(3, 2, padding="same", name=f"pool{number}")(x)
    return x


def cbr_end_points(layer_names: Sequence[str]) -> tuple[EndPoint, ...] | None:
    """End points `pool1`, `pool2`, ... if these layers are a CBR model's, else None.

    A last convolution without a pool ends at its ReLU, as `conv5`.
    """
    known = set(layer_names)
    count = sum(bool(re.fullmatch(r"conv\d+", name)) for name in layer_names)
    numbers = range(1, count + 1)
    kinds = ("conv", "bn", "relu")
    expected = {f"{kind}{number}" for number in numbers for kind in kinds}
    expected |= {f"pool{number}" for number in numbers[:-1]}
    if not count or not expected <= known:
        return None
    points = [EndPoint(f"pool{n}", f"pool{n}", f"pool{n}") for n in numbers]
    if f"pool{count}" not in known:
        points[-1] = EndPoint(f"conv{count}", f"relu{count}", f"relu{count}")
    return tuple(points)


def table1_parameter_count(model: keras.Model) -> int:
    """Counts parameters as Table 1 of Transfusion does.

    The table's numbers are the convolution kernels *without the first* plus the
    weights of a five-way head; no biases, no batch norm. That gives its four
    CBR numbers exactly: 8 532 480, 8 432 128, 2 108 672 and 1 076 480. For
    ResNet50 (23 570 408) and Inception-v3 (22 881 424) no sum of kernels, biases,
    batch norm vectors and a head of a plausible width gives the paper's number;
    this count gives 23 455 744 and 21 760 512 for the Keras models.

    Args:
      model: Any model from `build`, whatever its number of classes.
    """
    convolutions = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D)
        and not isinstance(layer, keras.layers.DepthwiseConv2D)
    ]
    kernels = sum(math.prod(layer.kernel.shape) for layer in convolutions[1:])
    features = model.get_layer("logits").kernel.shape[0]
    return kernels + _TABLE_1_CLASSES * int(features)
