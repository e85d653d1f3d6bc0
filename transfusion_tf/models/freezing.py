"""Freezing: stages that keep their weights during training."""

import contextlib
from collections.abc import Iterator

import keras

from transfusion_tf.models.stages import head_layers, stages_through


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


@contextlib.contextmanager
def body_frozen(model: keras.Model) -> Iterator[None]:
    """A block in which all but the head is frozen, as `freeze_through` does it.

    A step that is traced in the block trains the head alone for good.
    """
    head = head_layers(model)
    body = [layer for layer in model.layers if layer.trainable and layer not in head]
    for layer in body:
        layer.trainable = False
    try:
        yield
    finally:
        for layer in body:
            layer.trainable = True
