"""What the registry knows of each model: its graph, its pixels, its sizes."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import keras

from transfusion_tf.errors import UserError
from transfusion_tf.models.backbones import KERAS_APPLICATIONS, backbone_features
from transfusion_tf.models.cbr import CBR_ARCHITECTURES, cbr_features
from transfusion_tf.models.deit import DEIT_ARCHITECTURES, deit_features
from transfusion_tf.models.efficientnet_lite import (
    EFFICIENTNET_LITE_ARCHITECTURES,
    efficientnet_lite_features,
)
from transfusion_tf.models.hub import HubBackbone
from transfusion_tf.models.hub_resnets import RESNETS, hub_resnet_features
from transfusion_tf.models.stages import stage_names
from transfusion_tf.models.swin import SWIN_ARCHITECTURES, swin_features


@dataclass(frozen=True)
class Architecture:
    """What the registry knows of a model.

    Attributes:
      features: From scaled images to the features below the head.
      input_scaling: The scaling that its pretrained weights expect.
      min_size: Least height and width of an image, in pixels.
      multiple_of: What height and width must be a multiple of, in pixels.
      blocks: Of a transformer; None for a convolutional network.
      takes_blocks: Whether it can be cut to its first `blocks`.
      hub: The KerasHub backbone that it is built on, if it is.
      batch_norm_momentum: Its own, where moving averages lag in short runs; else 0.
    """

    features: Callable[..., keras.KerasTensor]
    input_scaling: str
    min_size: int = 32
    multiple_of: int = 1
    blocks: int | None = None
    takes_blocks: bool = False
    hub: HubBackbone | None = None
    batch_norm_momentum: float = 0.0


_CBR = {
    name: Architecture(
        functools.partial(cbr_features, architecture=architecture),
        "imagenet_mean_std",
    )
    for name, architecture in CBR_ARCHITECTURES.items()
}
_HUB_RESNETS = {
    name: Architecture(
        functools.partial(hub_resnet_features, hub=hub),
        "imagenet_mean_std",
        hub=hub,
    )
    for name, hub in RESNETS.items()
}
_KERAS = {
    name: Architecture(
        functools.partial(backbone_features, name=name),
        family.input_scaling,
        min_size=family.min_size,
        batch_norm_momentum=family.batch_norm_momentum,
    )
    for name, family in KERAS_APPLICATIONS.items()
}
_EFFICIENTNET_LITE = {
    name: Architecture(
        functools.partial(efficientnet_lite_features, architecture=lite),
        "efficientnet_lite",
        batch_norm_momentum=0.99,
    )
    for name, lite in EFFICIENTNET_LITE_ARCHITECTURES.items()
}
_DEIT = {
    name: Architecture(
        functools.partial(deit_features, architecture=deit),
        "imagenet_mean_std",
        min_size=2 * deit.patch,
        multiple_of=deit.patch,
        blocks=deit.blocks,
        takes_blocks=True,
        hub=deit.hub(),
    )
    for name, deit in DEIT_ARCHITECTURES.items()
}
_SWIN = {
    name: Architecture(
        functools.partial(swin_features, architecture=swin),
        "imagenet_mean_std",
        min_size=2 * swin.step,
        multiple_of=swin.step,
        blocks=swin.blocks,
        hub=swin.hub(),
    )
    for name, swin in SWIN_ARCHITECTURES.items()
}
ARCHITECTURES: dict[str, Architecture] = {
    **_CBR,
    **_HUB_RESNETS,
    **_KERAS,
    **_EFFICIENTNET_LITE,
    **_DEIT,
    **_SWIN,
}


def check_image_size(name: str, height: int, width: int) -> None:
    """Raises UserError, saying which would do, unless the model takes such images."""
    least, step = ARCHITECTURES[name].min_size, ARCHITECTURES[name].multiple_of
    if min(height, width) < least:
        raise UserError(
            f"{name} takes images of {least}x{least} pixels or more, "
            f"not {height}x{width}"
        )
    for side in (height, width):
        if side % step:
            below = side // step * step
            raise UserError(
                f"{name} takes images whose height and width are multiples of {step} "
                f"pixels, not {height}x{width}: {below} or {below + step} in place of "
                f"{side} would do"
            )


def smallest_size(name: str) -> int:
    """Least height and width, in pixels, of the images that the model takes."""
    architecture = ARCHITECTURES[name]
    return -(-architecture.min_size // architecture.multiple_of) * (
        architecture.multiple_of
    )


def cut_blocks(model: keras.Model) -> tuple[str, ...]:
    """The last blocks of a transformer that `model` was built without.

    Args:
      model: From `build`.

    Returns:
      Names of the stages that `deit_s` has and `deit_s[blocks=5]` has not: `block6`
      to `block12`. Empty for every other model.
    """
    architecture = ARCHITECTURES.get(model.name)
    if architecture is None or architecture.blocks is None:
        return ()
    kept = stage_names(model)
    every = (f"block{number}" for number in range(1, architecture.blocks + 1))
    return tuple(name for name in every if name not in kept)
