"""Networks of `keras.applications`, one declaration per family.

They are inlined into the caller's graph (no nested model), so that every layer is
reached by name. The names are Keras's own; what Keras numbers with counters has the
numbers that a fresh process would give (`stable_layer_names`).
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import keras

from transfusion_tf.models.convnext import convnext
from transfusion_tf.models.efficientnet_lite import EFFICIENTNET_STAGES


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
      batch_norm_momentum: Their own; 0 where there is no batch norm.
      weights_file: What Keras calls the ImageNet weights without the head, `{name}`
        being the member's.
    """

    members: Mapping[str, Callable[..., keras.Model]]
    input_scaling: str
    stages: Mapping[str, str]
    read_at: Mapping[str, str] = field(default_factory=dict)
    min_size: int = 32
    batch_norm_momentum: float = 0.0
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
        batch_norm_momentum=0.99,
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
        batch_norm_momentum=0.99,
    ),
    # A transition belongs to the block before it, the last batch norm to the last.
    KerasFamily(
        members={"densenet121": keras.applications.DenseNet121},
        input_scaling="imagenet_mean_std",
        stages={
            "stem": "pool1",
            "block1": "pool2_pool",
            "block2": "pool3_pool",
            "block3": "pool4_pool",
            "block4": "relu",
        },
        batch_norm_momentum=0.99,
    ),
    # Blocks are the rows of the paper's table 2 (Sandler et al., CVPR 2018).
    KerasFamily(
        members={"mobilenet_v2": keras.applications.MobileNetV2},
        input_scaling="minus_one_to_one",
        stages={
            "stem": "Conv1_relu",
            "block1": "expanded_conv_project_BN",
            "block2": "block_2_add",
            "block3": "block_5_add",
            "block4": "block_9_add",
            "block5": "block_12_add",
            "block6": "block_15_add",
            "block7": "block_16_project_BN",
            "top": "out_relu",
        },
        batch_norm_momentum=0.999,
        weights_file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    ),
    KerasFamily(
        members={
            "efficientnet_v2_b0": functools.partial(
                keras.applications.EfficientNetV2B0, include_preprocessing=False
            )
        },
        input_scaling="imagenet_mean_std",
        stages=EFFICIENTNET_STAGES,
        batch_norm_momentum=0.9,
        weights_file="efficientnetv2-b0_notop.h5",
    ),
    # The modules of the paper's figure 5 (Chollet, CVPR 2017), by its three flows.
    KerasFamily(
        members={"xception": keras.applications.Xception},
        input_scaling="minus_one_to_one",
        stages={
            "entry1": "block1_conv2_act",
            "entry2": "add",
            **{f"entry{number}": f"add_{number - 2}" for number in (3, 4)},
            **{f"middle{number}": f"add_{number + 2}" for number in range(1, 9)},
            "exit1": "add_11",
            "exit2": "block14_sepconv2_act",
        },
        min_size=71,
        batch_norm_momentum=0.99,
    ),
    # What halves the resolution belongs to the stage after it.
    KerasFamily(
        members={
            "convnext_tiny": functools.partial(
                convnext, keras.applications.ConvNeXtTiny
            )
        },
        input_scaling="imagenet_mean_std",
        stages={
            "stem": r"convnext_\w+_stem_layernorm",
            "stage1": r"convnext_\w+_stage_0_block_\d+_add",
            "stage2": r"convnext_\w+_stage_1_block_\d+_add",
            "stage3": r"convnext_\w+_stage_2_block_\d+_add",
            "stage4": "layer_normalization",
        },
        read_at={"stage4": r"convnext_\w+_stage_3_block_\d+_add"},
        weights_file="{name}_notop.h5",
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
