"""Stages: the named, contiguous, ordered parts of a network.

Stages are found by layer names alone, so that they are the same for a model fresh
from `build`, a clone, a slimmed one, or one that `keras.models.load_model` returned.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras

from transfusion_tf.errors import UserError
from transfusion_tf.models.backbones import KERAS_FAMILIES
from transfusion_tf.models.cbr import cbr_end_points
from transfusion_tf.models.deit import deit_end_points
from transfusion_tf.models.end_points import EndPoint, matched_end_points
from transfusion_tf.models.input_scaling import is_input_scaling_layer
from transfusion_tf.models.layer_names import stable_layer_names
from transfusion_tf.models.swin import swin_end_points

_FAMILIES: tuple[Callable[[Sequence[str]], tuple[EndPoint, ...] | None], ...] = (
    cbr_end_points,
    *(
        functools.partial(
            matched_end_points, stages=family.stages, read_at=family.read_at
        )
        for family in KERAS_FAMILIES
    ),
    deit_end_points,
    swin_end_points,
)


@dataclass(frozen=True)
class Stage:
    """One part of a network.

    Attributes:
      name: As specs and reports write it: `pool1`, `block2`, ...
      layers: Its layers, in graph order.
      output: The tensor that stands for the stage in analyses; a Keras tensor
        of the model's graph, so `keras.Model(model.input, stage.output)` works.
    """

    name: str
    layers: tuple[keras.layers.Layer, ...]
    output: keras.KerasTensor


def stages(model: keras.Model) -> tuple[Stage, ...]:
    """Splits a model into its stages, from the input up; the head is none of them.

    CBR: `pool1` ... one a pool, and `conv5` in CBR-LargeT. ResNet: `conv1`, `block1` to
    `block4`; DenseNet: `stem` and these. Inception-v3: `conv1` to `conv4` (the stem),
    `mixed0` to `mixed10`. EfficientNets and MobileNetV2: `stem`, `block1` to `block7`
    (V2-B0 `block6`), `top`. Xception: `entry1` to `entry4`, `middle1` to `middle8`,
    `exit1`, `exit2`. ConvNeXt: `stem`, `stage1` to `stage4`. DeiT and Swin:
    `patch_embed`, `block1`, `block2` ... A stage holds every layer after the stage
    before it and up to its last one; each layer with weights, the head's excepted, is
    in exactly one.

    Args:
      model: From `build`, or such a network of `keras.applications` in a flat graph.

    Raises:
      UserError: If the layers are those of no known family.
    """
    layers = list(model.layers)
    position = {layer.name: index for index, layer in enumerate(layers)}
    found = []
    start = _first_position(layers)
    for point in _end_points(model):
        stop = position[point.last_layer] + 1
        output = model.get_layer(point.output_layer).output
        found.append(Stage(point.stage, tuple(layers[start:stop]), output))
        start = stop
    return tuple(found)


def stage_names(model: keras.Model) -> tuple[str, ...]:
    """Names of the model's stages, from the input up."""
    return tuple(point.stage for point in _end_points(model))


def stages_through(model: keras.Model, stage_name: str) -> tuple[Stage, ...]:
    """The stages from the input up to and including the named one.

    Raises:
      UserError: If the model has no such stage; the message lists those it has.
    """
    check_stage(model, stage_name)
    found = stages(model)
    last = [stage.name for stage in found].index(stage_name)
    return found[: last + 1]


def check_stage(model: keras.Model, stage_name: str) -> None:
    """Raises UserError, listing the valid names, unless the model has the stage."""
    valid = stage_names(model)
    if stage_name not in valid:
        raise UserError(
            f"model {model.name!r} has no stage {stage_name!r}; "
            f"its stages are {', '.join(valid)}"
        )


def head_layers(model: keras.Model) -> tuple[keras.layers.Layer, ...]:
    """The layers above the last stage: pooling, dropout, `logits`, `probabilities`."""
    names = [layer.name for layer in model.layers]
    return tuple(model.layers[names.index(_end_points(model)[-1].last_layer) + 1 :])


def _end_points(model: keras.Model) -> tuple[EndPoint, ...]:
    stable = stable_layer_names([layer.name for layer in model.layers])
    own = {name: layer_name for layer_name, name in stable.items()}
    for family in _FAMILIES:
        points = family(list(own))
        if points is not None:
            return tuple(
                EndPoint(stage, own[output], own[last])
                for stage, output, last in points
            )
    raise UserError(
        f"no stages are known for model {model.name!r}: its layers are not those "
        "of a model from build, nor of such a network of keras.applications in a flat "
        "graph"
    )


def _first_position(layers: Sequence[keras.layers.Layer]) -> int:
    """Index of the first layer that is neither input nor scaling."""
    before = [
        index
        for index, layer in enumerate(layers)
        if isinstance(layer, keras.layers.InputLayer) or is_input_scaling_layer(layer)
    ]
    return max(before, default=-1) + 1
