"""Pixel scalings: what a network's weights expect its input to look like.

Every model here takes RGB images in [0, 255] and scales them itself, in float32,
by standard Keras operations, so that a saved `.keras` file needs no code of ours.
The scaling's name is part of a layer's name (`input_scaling_caffe`), and so it
survives saving, loading and cloning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from transfusion_tf.errors import UserError, one_of

# By the statistics of the images that a run is trained on, not by constants: they come
# out as ImageNet's own images do of the scaling that the donor's weights expect.
DATASET_MEAN_STD = "dataset_mean_std"
# In these units standardised images have mean 0 and deviation 1 as they are.
STANDARD_UNITS = "imagenet_mean_std"

_LAYER_PREFIX = "input_scaling_"
_IN_UNITS = DATASET_MEAN_STD + "_as_"

# Keras's own constants, in `keras.applications.imagenet_utils.preprocess_input`.
_IMAGENET_MEAN_RGB = (0.485, 0.456, 0.406)
_IMAGENET_STD_RGB = (0.229, 0.224, 0.225)
_IMAGENET_MEAN_BGR_255 = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class InputScaling:
    """Scaling of RGB pixels in [0, 255]: reverse, multiply, then add.

    Attributes:
      name: How flags and layer names write it.
      description: The range and channel order that come out.
      reverse_channels: Whether RGB becomes BGR first.
      scale: Factor, one for all channels or one a channel (after reversal).
      offset: Summand, likewise.
    """

    name: str
    description: str
    reverse_channels: bool = False
    scale: float | tuple[float, ...] = 1.0
    offset: float | tuple[float, ...] = 0.0


_SCALINGS = (
    InputScaling("none", "RGB, 0 to 255, as it comes"),
    InputScaling("zero_to_one", "RGB, 0 to 1", scale=1 / 255),
    InputScaling(
        "minus_one_to_one",
        "RGB, -1 to 1 (keras.applications calls it tf mode)",
        scale=1 / 127.5,
        offset=-1.0,
    ),
    InputScaling(
        "efficientnet_lite",
        "RGB, -127/128 to 1: less 127, over 128",
        scale=1 / 128,
        offset=-127 / 128,
    ),
    InputScaling(
        "imagenet_mean_std",
        "RGB, 0 to 1, less ImageNet's mean, over its standard deviation (torch mode)",
        scale=tuple(1 / (255 * std) for std in _IMAGENET_STD_RGB),
        offset=tuple(
            -mean / std
            for mean, std in zip(_IMAGENET_MEAN_RGB, _IMAGENET_STD_RGB, strict=True)
        ),
    ),
    InputScaling(
        "caffe",
        "BGR, 0 to 255, less ImageNet's mean (caffe mode)",
        reverse_channels=True,
        offset=tuple(-mean for mean in _IMAGENET_MEAN_BGR_255),
    ),
    InputScaling(
        "caffe_over_255",
        "caffe mode divided by 255: how RadImageNet's own scripts feed its weights",
        reverse_channels=True,
        scale=1 / 255,
        offset=tuple(-mean / 255 for mean in _IMAGENET_MEAN_BGR_255),
    ),
)

INPUT_SCALINGS: dict[str, InputScaling] = {item.name: item for item in _SCALINGS}


def check_input_scaling(name: str) -> None:
    """Raises UserError, listing the valid names, unless `name` is a scaling."""
    if name not in INPUT_SCALINGS:
        raise one_of("input scaling", name, INPUT_SCALINGS)


def dataset_scaling_name(units: str) -> str:
    """What `dataset_scaling` in these units is called."""
    check_input_scaling(units)
    return DATASET_MEAN_STD if units == STANDARD_UNITS else _IN_UNITS + units


def units_of(name: str) -> str:
    """The key of `INPUT_SCALINGS` whose units come out of a scaling of this name."""
    if name == DATASET_MEAN_STD:
        return STANDARD_UNITS
    units = name.removeprefix(_IN_UNITS)
    check_input_scaling(units)
    return units


def input_scaling_description(name: str) -> str:
    """The range and channel order that come out of a scaling of this name."""
    units = units_of(name)
    if name == units:
        return INPUT_SCALINGS[name].description
    standardised = (
        "RGB, 0 to 1, less the mean of the run's training images, over their "
        "standard deviation"
    )
    if units == STANDARD_UNITS:
        return standardised
    return (
        f"{standardised}; then given ImageNet's deviation and mean, and handed over as "
        f"{units}: {INPUT_SCALINGS[units].description}"
    )


def dataset_scaling(
    statistics: Mapping[str, Sequence[float]], units: str = STANDARD_UNITS
) -> InputScaling:
    """The scaling `dataset_mean_std`: less a data set's mean, over its deviation.

    The feature-reuse paper's code does so before donors that were trained on images of
    mean 0 and deviation 1 (PyTorch's). Weights that expect other units get the same
    image in theirs: the pixels that PyTorch's constants would have standardised to it,
    scaled as they expect. So a first layer sees the distribution that it was trained
    on, whatever the target's colours.

    Args:
      statistics: `mean` and `std` of the pixels of each channel, RGB in [0, 1].
      units: Key of `INPUT_SCALINGS`: what the weights expect.

    Raises:
      UserError: If they are not three numbers each, or a deviation is not above 0;
        if there are no such units.
    """
    mean, std = statistics.get("mean", ()), statistics.get("std", ())
    if set(statistics) != {"mean", "std"} or not len(mean) == len(std) == 3:
        raise UserError(
            "pixel_statistics should have mean and std, three numbers each, got "
            f"{dict(statistics)}"
        )
    if not min(std) > 0:
        raise UserError(f"pixel_statistics: each std should be above 0, got {std}")
    name = dataset_scaling_name(units)
    # To pixels in [0, 255] that have ImageNet's mean and deviation.
    gain = np.divide(_IMAGENET_STD_RGB, std)
    shift = 255 * (np.array(_IMAGENET_MEAN_RGB) - gain * mean)
    expected = INPUT_SCALINGS[units]
    if expected.reverse_channels:
        gain, shift = gain[::-1], shift[::-1]
    return InputScaling(
        name,
        input_scaling_description(name),
        reverse_channels=expected.reverse_channels,
        scale=tuple((gain * expected.scale).tolist()),
        offset=tuple((shift * expected.scale + expected.offset).tolist()),
    )


def scale_images(images: keras.KerasTensor, scaling: InputScaling) -> keras.KerasTensor:
    """Adds a scaling to a functional graph.

    Args:
      images: `[batch, height, width, 3]` float32, RGB in [0, 255].
      scaling: What to do to them.

    Returns:
      The scaled images, float32 whatever the mixed precision policy: bfloat16
      has too few digits for pixel values.
    """
    if scaling.reverse_channels:
        images = keras.ops.flip(images, axis=-1)
    return keras.layers.Rescaling(
        scale=_plain(scaling.scale),
        offset=_plain(scaling.offset),
        dtype="float32",
        name=_LAYER_PREFIX + scaling.name,
    )(images)


def is_input_scaling_layer(layer: keras.layers.Layer) -> bool:
    """Whether `scale_images` made this layer."""
    return layer.name.startswith(_LAYER_PREFIX)


def input_scaling_of(model: keras.Model) -> str | None:
    """Name of the scaling inside `model`; None where it has none of ours."""
    for layer in model.layers:
        if is_input_scaling_layer(layer):
            return layer.name.removeprefix(_LAYER_PREFIX)
    return None


def reads_bgr(model: keras.Model) -> bool:
    """Whether the scaling inside `model` hands the channels over as BGR."""
    name = input_scaling_of(model)
    return name is not None and INPUT_SCALINGS[units_of(name)].reverse_channels


def _plain(value: float | tuple[float, ...]) -> float | list[float]:
    return list(value) if isinstance(value, tuple) else value
