"""Freezing: stages that keep their weights during training."""

import keras

from transfusion_tf.models.stages import stages_through


def freeze_through(model: keras.Model, stage_name: str) -> tuple[str, ...]:
    """Freezes the stages from the input up to and including the named one.

    Keras runs a frozen batch norm in inference mode: with its moving statistics,
    which then stay as they are. Call before compiling or building an optimizer.

    Args:
        model: From `build`; changed in place.
        stage_name: Last stage to freeze.

    Returns:
        Names of the frozen stages.

    Raises:
        UserError: If the model has no such stage; the message lists those it has.
    """
    frozen = stages_through(model, stage_name)
    for stage in frozen:
        for layer in stage.layers:
            layer.trainable = False
    return tuple(stage.name for stage in frozen)
