"""ResNets and Inception-v3 from `keras.applications`, flat and with stable names.

All are inlined into the caller's graph (no nested model), so that every layer is
reached by name. The ResNets' names are Keras's own. Inception-v3's layers are numbered
by Keras with counters that run on through a process; here they always have the
numbers that a fresh process would give (`conv2d`, `conv2d_1`, ...).
"""

import re
from collections.abc import Sequence

import keras

from transfusion_tf.models.end_points import EndPoint

_APPLICATIONS = {
    "resnet50": keras.applications.ResNet50,
    "resnet101": keras.applications.ResNet101,
    "resnet152": keras.applications.ResNet152,
    "inception_v3": keras.applications.InceptionV3,
}
_COUNTED_NAME = re.compile(
    r"(conv2d|batch_normalization|activation|max_pooling2d|average_pooling2d"
    r"|concatenate)(?:_(\d+))?"
)
_HUB_RESNET_NAME = re.compile(r"stack(\d+)_block(\d+)_(\w+)")


def backbone_features(images: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """The Keras application's network below its head, with random weights.

    Args:
      images: `[batch, height, width, 3]`, scaled as the network expects.
      name: `resnet50`, `resnet101`, `resnet152` or `inception_v3`.

    Returns:
      `[batch, rows, columns, 2048]`.
    """
    model = _APPLICATIONS[name](
        include_top=False, weights=None, input_tensor=images, name=name
    )
    return model.output


def imagenet_backbone(name: str) -> keras.Model:
    """The Keras application with its ImageNet weights, without the head.

    Keras downloads the weights file, unless its folder holds it already, and checks
    its hash. Layers carry Keras's names: see `stable_layer_names`.
    """
    return _APPLICATIONS[name](include_top=False, weights="imagenet")


def stable_layer_names(layer_names: Sequence[str]) -> dict[str, str]:
    """Maps layer names to the ones that a fresh process would have given them.

    KerasHub's names of a ResNet's layers become those of `keras.applications`:
    `stack0_block0_1_conv` is `conv2_block1_1_conv`.

    Args:
      layer_names: All layers of one model.

    Returns:
      A new name for every given name; names that neither Keras counts nor KerasHub
      gives are unchanged. Raises nothing: a gap in the numbers stays a gap.
    """
    first: dict[str, int] = {}
    matches = {name: _COUNTED_NAME.fullmatch(name) for name in layer_names}
    for match in matches.values():
        if match:
            kind, number = match[1], int(match[2] or 0)
            first[kind] = min(number, first.get(kind, number))
    renamed = {}
    for name, match in matches.items():
        if match:
            number = int(match[2] or 0) - first[match[1]]
            renamed[name] = f"{match[1]}_{number}" if number else match[1]
        elif match := _HUB_RESNET_NAME.fullmatch(name):
            stack, block = int(match[1]) + 2, int(match[2]) + 1
            renamed[name] = f"conv{stack}_block{block}_{match[3]}"
        else:
            renamed[name] = name
    return renamed


def resnet_end_points(layer_names: Sequence[str]) -> tuple[EndPoint, ...] | None:
    """`conv1` and `block1` to `block4` if these are a Keras ResNet's layers, else None.

    `conv1` is compared at its ReLU, before the pool, as in the code published with
    the hidden representations paper.
    """
    known = set(layer_names)
    if not {"conv1_relu", "pool1_pool"} <= known:
        return None
    points = [EndPoint("conv1", "conv1_relu", "pool1_pool")]
    for block in range(1, 5):
        outputs = [
            name
            for name in layer_names
            if re.fullmatch(rf"conv{block + 1}_block\d+_out", name)
        ]
        if not outputs:
            return None
        points.append(EndPoint(f"block{block}", outputs[-1], outputs[-1]))
    return tuple(points)


def inception_end_points(layer_names: Sequence[str]) -> tuple[EndPoint, ...] | None:
    """`conv1` to `conv4` and `mixed0` to `mixed10` if these are Inception-v3's layers.

    The stem's stages are its first convolution; the two after it with their pool;
    the 1x1 convolution; the 3x3 convolution with its pool. They are the groups in
    which the feature reuse paper transfers Inception's stem.
    """
    mixed = [f"mixed{number}" for number in range(11)]
    if not set(mixed) <= set(layer_names):
        return None
    stem = layer_names[: list(layer_names).index("mixed0")]
    pools = [name for name in stem if name.startswith("max_pooling2d")]
    relus = [name for name in stem if name.startswith("activation")]
    if len(pools) < 2 or len(relus) < 5:
        return None
    stem_ends = (relus[0], pools[0], relus[3], pools[1])
    return tuple(
        EndPoint(f"conv{number}", name, name)
        for number, name in enumerate(stem_ends, start=1)
    ) + tuple(EndPoint(name, name, name) for name in mixed)
