"""What of a model can be read: its stages, or any layer that a user names."""

from collections.abc import Sequence

import keras

from transfusion_tf.errors import UserError
from transfusion_tf.models import stages

_MOST_NAMES = 8
# [n, channels], [n, tokens, channels], [n, height, width, channels].
_RANKS = (2, 3, 4)


def named_outputs(
    model: keras.Model, names: Sequence[str] | None = None
) -> dict[str, keras.KerasTensor]:
    """The tensors that stages, or layers, end in.

    Args:
      model: A functional or sequential model with one input.
      names: Stages, or layers whose output has 2 to 4 dimensions; where a stage
        and a layer share a name, it means the stage. None takes all stages.

    Returns:
      Name to output tensor, in the order of the names.

    Raises:
      UserError: If the model has neither a stage nor a layer of a name; the
        message lists what there is. If `names` is None and its stages are not
        known.
    """
    if len(getattr(model, "inputs", None) or ()) != 1:
        raise UserError(
            f"model {model.name!r} is no functional or sequential model with one input"
        )
    found, problem = _stage_outputs(model)
    layers = layer_outputs(model)
    if names is None:
        if problem:
            raise UserError(f"{problem}; name layers (--stages), {_some(layers)}")
        return found
    known = layers | found
    for name in names:
        if name not in known:
            parts = f"its stages are {', '.join(found)}; or " if found else ""
            raise UserError(
                f"model {model.name!r} has no stage {name!r}; {parts}name layers, "
                f"{_some(layers)}"
            )
    return {name: known[name] for name in names}


def layer_outputs(model: keras.Model) -> dict[str, keras.KerasTensor]:
    """Outputs of all layers whose activations can be compared, from the input up."""
    outputs = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        output = layer.output
        if (
            isinstance(output, keras.KerasTensor)
            and len(output.shape) in _RANKS
            and output.shape[-1] is not None
        ):
            outputs[layer.name] = output
    return outputs


def _stage_outputs(model: keras.Model) -> tuple[dict[str, keras.KerasTensor], str]:
    try:
        return {stage.name: stage.output for stage in stages(model)}, ""
    except UserError as error:
        return {}, str(error)


def _some(layers: dict[str, keras.KerasTensor]) -> str:
    names = list(layers)
    if not names:
        return "but it has none with activations of 2 to 4 dimensions"
    # Spread over the depth of the network.
    step = max(1, len(names) // _MOST_NAMES)
    shown = names[::step][:_MOST_NAMES]
    rest = len(names) - len(shown)
    return f"such as {', '.join(shown)}" + (f" ({rest} more)" if rest else "")
