"""Slimming: fewer channels above a stage, everything below untouched.

Transfusion, section 5 ("Weight Transfusions and Feature Reuse"): reuse pretrained
weights up to a stage, and make what follows, which learns anyway, lighter.
"""

import keras

from transfusion_tf.errors import UserError
from transfusion_tf.models.stages import check_stage, stages

_MERGING = (keras.layers.Add, keras.layers.Multiply)


def slim(model: keras.Model, slim_after: str, width: float) -> keras.Model:
    """A copy of a model with fewer channels after the named stage.

    Every convolution and dense layer above the stage keeps `width` of its channels
    (rounded, at least one); names, and everything up to the stage, stay, so that donor
    weights still fit there. The head keeps its width. The copy's weights are fresh.

    Args:
      model: From `build`.
      slim_after: Last stage that keeps all its channels.
      width: Share of the channels that stay above it, in (0, 1).

    Raises:
      UserError: If the model has no such stage, the stage is the last or leads into a
        sum with what follows it, or the width is out of range.
    """
    check_stage(model, slim_after)
    if not 0 < width < 1:
        raise UserError(f"width must be more than 0 and less than 1, not {width}")
    names = [stage.name for stage in stages(model)]
    above = names[names.index(slim_after) + 1 :]
    slimmed = _layers_above(model, slim_after)
    if not (above and _sums_fit(model, slimmed)):
        points = [
            name for name in names[:-1] if _sums_fit(model, _layers_above(model, name))
        ]
        why = (
            f": {above[0]} adds that stage's output, with all channels, to its own, "
            "with fewer"
            if above
            else " leaves nothing to slim: it is the last stage"
        )
        raise UserError(
            f"slim_after={slim_after}{why}; choose one of {', '.join(points)}"
        )

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if layer.name in slimmed and _width(layer):
            key = "filters" if "filters" in config else "units"
            config[key] = max(1, round(config[key] * width))
        if isinstance(layer, keras.layers.Reshape):  # of squeezed channels
            config["target_shape"] = (*layer.target_shape[:-1], -1)
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=clone)


def _layers_above(model: keras.Model, slim_after: str) -> set[str]:
    names = [stage.name for stage in stages(model)]
    above = stages(model)[names.index(slim_after) + 1 :]
    return {layer.name for stage in above for layer in stage.layers}


def _sums_fit(model: keras.Model, slimmed: set[str]) -> bool:
    """Whether no sum has both a slimmed term and one with all its channels.

    In ResNet18 and 34, whose first block keeps the width, its shortcut has no
    convolution.
    """
    is_slim: dict[int, bool] = {}
    for layer in model.layers:
        terms = {is_slim.get(id(t), False) for t in keras.tree.flatten(layer.input)}
        if isinstance(layer, _MERGING) and len(terms) > 1:
            return False
        if _width(layer):
            terms = {layer.name in slimmed}
        for output in keras.tree.flatten(layer.output):
            is_slim[id(output)] = any(terms)
    return True


def _width(layer: keras.layers.Layer) -> int | None:
    """How many channels it makes, None where that is as many as it is given."""
    return getattr(layer, "filters", None) or getattr(layer, "units", None)
