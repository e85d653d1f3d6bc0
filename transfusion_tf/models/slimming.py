"""Slimming: fewer channels above a stage, everything below untouched.

Transfusion, section 5 ("Weight Transfusions and Feature Reuse"): reuse pretrained
weights up to a stage, and make what follows, which learns anyway, lighter.
"""

import keras

from transfusion_tf.errors import UserError
from transfusion_tf.models.stages import check_stage, stages


def slim(model: keras.Model, slim_after: str, width: float) -> keras.Model:
    """A copy of a model with fewer channels after the named stage.

    Every convolution above the stage keeps `width` of its filters (rounded, at
    least one); names, and everything up to the stage, stay, so that donor weights
    still fit there. The head keeps its width. The copy's weights are fresh.

    Args:
      model: From `build`.
      slim_after: Last stage that keeps all its channels.
      width: Share of the channels that stay above it, in (0, 1).

    Raises:
      UserError: If the model has no such stage, the stage is the last, or the
        width is out of range.
    """
    check_stage(model, slim_after)
    if not 0 < width < 1:
        raise UserError(f"width must be more than 0 and less than 1, not {width}")
    names = [stage.name for stage in stages(model)]
    above = names[names.index(slim_after) + 1 :]
    if not above:
        raise UserError(
            f"slim_after={slim_after} leaves nothing to slim: it is the last stage; "
            f"choose one of {', '.join(names[:-1])}"
        )
    slimmed = {
        layer.name
        for stage in stages(model)
        if stage.name in above
        for layer in stage.layers
    }

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if layer.name in slimmed and isinstance(layer, keras.layers.Conv2D):
            config["filters"] = max(1, round(config["filters"] * width))
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=clone)
