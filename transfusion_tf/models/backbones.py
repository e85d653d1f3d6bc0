"""Networks of `keras.applications`, one declaration per family.

They are inlined into the caller's graph (no nested model), so that every layer is
reached by name. The names are Keras's own; what Keras numbers with counters has the
numbers that a fresh process would give (`stable_layer_names`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import keras


@dataclass(frozen=True)
class KerasFamily:
    """Networks that are cut into stages alike.

    Attributes:
      members: What makes them, by our names; functions as in `keras.applications`.
      input_scaling: The pixels that the ImageNet weights expect, a key of
        `INPUT_SCALINGS`.
      stages: As `matched_end_points` takes them, of stable layer names.
      read_at: Likewise.
      min_size: Least height and width of an image that Keras says, in pixels.
      slow_batch_norm: Momentum of batch norm where it is too slow for short runs.
      weights_file: What Keras calls the ImageNet weights without the head, `{name}`
        being the member's.
    """

    members: Mapping[str, Callable[..., keras.Model]]
    input_scaling: str
    stages: Mapping[str, str]
    read_at: Mapping[str, str] = field(default_factory=dict)
    min_size: int = 32
    slow_batch_norm: float = 0.0
    weights_file: str = "{name}_weights_tf_dim_ordering_tf_kernels_notop.h5"


KERAS_FAMILIES = (
    # The first stage is compared at its ReLU, before the pool, as in the code published
    # with the hidden representations paper.
    KerasFamily(
        members={
            "resnet50": keras.applications.ResNet50,
            "resnet101": keras.applications.ResNet101,
            "resnet152": keras.applications.ResNet152,
        },
        input_scaling="caffe",
        stages={
            "conv1": "pool1_pool",
            "block1": r"conv2_block\d+_out",
            "block2": r"conv3_block\d+_out",
            "block3": r"conv4_block\d+_out",
            "block4": r"conv5_block\d+_out",
        },
        read_at={"conv1": "conv1_relu"},
        slow_batch_norm=0.99,
    ),
    # The stem's stages are its first convolution; the two after it with their pool; the
    # 1x1 convolution; the 3x3 convolution with its pool. They are the groups in which
    # the feature reuse paper transfers Inception's stem.
    KerasFamily(
        members={"inception_v3": keras.applications.InceptionV3},
        input_scaling="minus_one_to_one",
        stages={
            "conv1": "activation",
            "conv2": "max_pooling2d",
            "conv3": "activation_3",
            "conv4": "max_pooling2d_1",
            r"\g<0>": r"mixed\d+",
        },
        min_size=75,
        slow_batch_norm=0.99,
    ),
)
KERAS_APPLICATIONS: dict[str, KerasFamily] = {
    name: family for family in KERAS_FAMILIES for name in family.members
}


def backbone_features(images: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """The Keras application's network below its head, with random weights.

    Args:
      images: `[batch, height, width, 3]`, scaled as the network expects.
      name: A key of `KERAS_APPLICATIONS`.

    Returns:
      `[batch, rows, columns, channels]`.
    """
    make = KERAS_APPLICATIONS[name].members[name]
    return make(include_top=False, weights=None, input_tensor=images).output


def imagenet_backbone(name: str) -> keras.Model:
    """The Keras application with its ImageNet weights, without the head.

    Keras downloads the weights file, unless its folder holds it already, and checks
    its hash. Layers carry Keras's names: see `stable_layer_names`.
    """
    make = KERAS_APPLICATIONS[name].members[name]
    return make(include_top=False, weights="imagenet", input_shape=(224, 224, 3))


def imagenet_file(name: str) -> str:
    """What Keras calls the file of these weights."""
    return KERAS_APPLICATIONS[name].weights_file.format(name=name)
