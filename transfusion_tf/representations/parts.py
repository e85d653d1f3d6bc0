"""A network cut into parts, for analyses part by part: layers, units, branches, stages.

A unit lies between two layers that every path passes: a convolution with the batch
norm, activation and pool after it, a residual unit, an Inception module, and in a
transformer of flat layers the attention half and the MLP half of a block, whose output
is the residual stream. They are found by the graph, so that any model with stages has
them. Branches are what the feature-reuse paper's figures 3 to 6 have on their axes: the
same, but of a transformer the attention and the MLP alone, before they are added to the
residual stream (see `branches`).
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.models import Stage, head_layers, stages
from transfusion_tf.models.heads import LOGITS, PROBABILITIES
from transfusion_tf.models.layer_names import is_counted
from transfusion_tf.models.tensors import NamedTensor, layer_tensors
from transfusion_tf.representations.layer_graph import (
    Users,
    passed_by_all,
    users_of,
)
from transfusion_tf.representations.outputs import layer_outputs
from transfusion_tf.representations.residual_branches import branches

KINDS = ("layer", "unit", "branch", "stage")
HEAD = "head"

# Layers that hand their input on: an analysis would count it twice.
_PASSING = (
    keras.layers.ZeroPadding2D,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Identity,
)
_MERGING = (keras.layers.Add, keras.layers.Concatenate)
# Layers that finish what the layer before them began.
_FINISHING = (
    keras.layers.Activation,
    keras.layers.BatchNormalization,
    keras.layers.ELU,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ReLU,
    keras.layers.Softmax,
)


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a network.

    Attributes:
      name: A layer's or a stage's own name; of a unit, what its layers' names begin
        with (`conv2_block1`), or the name of its first layer with weights.
      stage: The stage that it lies in; `head` above the last.
      layers: Its layers, in graph order.
      output: The tensor that stands for it in analyses; None where no tensor of 2 to
        4 dimensions does. A layer that only a normalization or an activation
        follows has none: ResNet50's convolutions are read at their ReLU, or at
        their batch norm where a residual sum follows.
    """

    name: str
    stage: str
    layers: tuple[keras.layers.Layer, ...]
    output: keras.KerasTensor | None

    @property
    def weights(self) -> list[Any]:
        """Its Keras variables, moving statistics included."""
        return [variable for layer in self.layers for variable in layer.weights]


def model_parts(model: keras.Model, kind: str = "unit") -> tuple[Part, ...]:
    """Cuts a model into its parts, from the input up, the head's last.

    Each weight is in exactly one part, or in none where these are branches. A unit lies
    in one stage. A stage whose layers lie inside other layers, where no graph shows how
    they hang together, is one unit.

    Args:
      model: A model with known stages.
      kind: `layer`: every layer that computes something, with or without weights;
        `unit`; `branch`; or `stage`.

    Raises:
      UserError: If there is no such kind, or the model's stages are not known.
    """
    if kind not in KINDS:
        raise one_of("kind of part", kind, KINDS)
    found = list(stages(model))
    head = head_layers(model)
    outputs = layer_outputs(model)
    # By object: a layer inside another may have the name of one in the graph.
    output_of = {
        id(layer): outputs[layer.name]
        for layer in model.layers
        if layer.name in outputs
    }
    found.append(Stage(HEAD, head, _head_output(head, output_of)))
    if kind == "stage":
        return tuple(
            Part(stage.name, stage.name, stage.layers, stage.output) for stage in found
        )
    users = users_of(model)
    if kind == "layer":
        return tuple(
            Part(
                layer.name,
                stage.name,
                (layer,),
                output_of.get(id(layer)) if _is_read(layer, users) else None,
            )
            for stage in found
            for layer in stage.layers
            if not isinstance(layer, _PASSING)
        )
    passed = passed_by_all(model, users)
    units = [(stage, unit) for stage in found for unit in _units(stage.layers, passed)]
    names = _unit_names([unit for _, unit in units], passed)
    parts = tuple(
        Part(name, stage.name, unit, _unit_output(unit, stage, output_of))
        for name, (stage, unit) in zip(names, units, strict=True)
    )
    return parts if kind == "unit" else _branch_parts(parts, output_of)


def _branch_parts(
    units: Sequence[Part], output_of: dict[int, keras.KerasTensor]
) -> tuple[Part, ...]:
    body = [unit for unit in units if unit.stage != HEAD]
    found = zip(body, branches([unit.layers for unit in body]), strict=True)
    return (
        *(
            Part(unit.name, unit.stage, layers, output_of.get(id(layers[-1])))
            for unit, layers in found
            if layers
        ),
        *(unit for unit in units if unit.stage == HEAD),
    )


def paired_parts(
    model: keras.Model, other: keras.Model, kind: str = "unit"
) -> tuple[tuple[Part, Part], ...]:
    """The parts of two models of one architecture, side by side.

    Raises:
      UserError: If a part, a tensor or a shape of theirs differs.
    """
    own, others = model_parts(model, kind), model_parts(other, kind)
    for pair in itertools.zip_longest(own, others):
        sides = [_tensor_list(part) for part in pair]
        if sides[0] != sides[1]:
            raise UserError(
                f"models {model.name!r} and {other.name!r} are not of one "
                f"architecture: {sides[0]} in one, {sides[1]} in the other"
            )
    return tuple(zip(own, others, strict=True))


def part_tensors(part: Part) -> tuple[NamedTensor, ...]:
    """The weights of a part by name, in graph order."""
    return tuple(tensor for layer in part.layers for tensor in layer_tensors(layer))


def _tensor_list(part: Part | None) -> str:
    if part is None:
        return "nothing"
    tensors = ", ".join(f"{t.path} {t.shape}" for t in part_tensors(part))
    return f"{part.name} ({tensors})"


def _head_output(
    head: Sequence[keras.layers.Layer], output_of: dict[int, keras.KerasTensor]
) -> Any:
    """The logits: sigmoids of theirs may lie all at one end."""
    for layer in head:
        if layer.name == LOGITS:
            return output_of[id(layer)]
    return output_of.get(id(head[-1])) if head else None


def _is_read(layer: keras.layers.Layer, users: Users) -> bool:
    """Whether a layer's output is more than a step towards the next one's."""
    if layer.name in (LOGITS, PROBABILITIES):
        return layer.name == LOGITS
    after = users.get(id(layer), ())
    return not after or not all(isinstance(user, _FINISHING) for user in after)


def _units(
    layers: Iterable[keras.layers.Layer], passed: set[int]
) -> list[tuple[keras.layers.Layer, ...]]:
    """Cut after every layer that all paths pass; each unit with a kernel of its own."""
    units: list[list[keras.layers.Layer]] = []
    segment: list[keras.layers.Layer] = []
    for layer in layers:
        segment.append(layer)
        if id(layer) in passed:
            _append(units, segment)
            segment = []
    if segment:
        _append(units, segment)
    return [tuple(unit) for unit in units]


def _append(units: list[list[keras.layers.Layer]], segment: list) -> None:
    if units and not (_has_kernel(segment) and _has_kernel(units[-1])):
        units[-1] += segment
    else:
        units.append(list(segment))


def _has_kernel(layers: Iterable[keras.layers.Layer]) -> bool:
    return any(
        not tensor.is_normalization
        for layer in layers
        for tensor in layer_tensors(layer)
    )


def _unit_names(
    units: Sequence[Sequence[keras.layers.Layer]], passed: set[int]
) -> list[str]:
    names = [_unit_name(_core(unit, passed)) for unit in units]
    return [
        name if names.count(name) == 1 else unit[-1].name
        for name, unit in zip(names, units, strict=True)
    ]


def _core(
    layers: Sequence[keras.layers.Layer], passed: set[int]
) -> Sequence[keras.layers.Layer]:
    """A unit without the pools and norms that come after its branches have met."""
    for index, layer in enumerate(layers, start=1):
        if id(layer) in passed and _has_kernel(layers[:index]):
            return layers[:index]
    return layers


def _unit_name(layers: Sequence[keras.layers.Layer]) -> str:
    names = [layer.name for layer in layers]
    given = [name for name in names if not is_counted(name)]
    words = zip(*(name.split("_") for name in given), strict=False)
    shared = itertools.takewhile(lambda column: len(set(column)) == 1, words)
    stem = "_".join(column[0] for column in shared)
    if stem:
        return stem
    if isinstance(layers[-1], _MERGING):
        return names[-1]
    return next((layer.name for layer in layers if layer.weights), names[-1])


def _unit_output(
    layers: Sequence[keras.layers.Layer],
    stage: Stage,
    output_of: dict[int, keras.KerasTensor],
) -> keras.KerasTensor | None:
    """The stage's own output where the unit holds it, else its last layer's."""
    outputs = [output_of.get(id(layer)) for layer in layers]
    if stage.name == HEAD or any(output is stage.output for output in outputs):
        return stage.output
    if outputs[-1] is None and layers == stage.layers:
        return stage.output
    return outputs[-1]
