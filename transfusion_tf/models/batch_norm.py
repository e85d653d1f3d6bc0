"""Batch norm settings that a run, and not an architecture, decides."""

import keras

from transfusion_tf.errors import UserError


def batch_norm_layers(
    model: keras.Model,
) -> tuple[keras.layers.BatchNormalization, ...]:
    """The model's batch norm layers, in graph order, those of models within it too."""
    found: list[keras.layers.BatchNormalization] = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += batch_norm_layers(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            found.append(layer)
    return tuple(found)


def set_synchronized_batch_norm(model: keras.Model) -> int:
    """Makes batch norm use the statistics of all replicas, in place.

    Needed as soon as there is more than one replica, or the moving statistics
    differ between them. Only Keras's TensorFlow backend has it. Call before the
    first traced step.

    Returns:
      How many layers were set.
    """
    layers = batch_norm_layers(model)
    for layer in layers:
        layer.synchronized = True
    return len(layers)


def set_batch_norm_momentum(model: keras.Model, momentum: float) -> int:
    """Sets how much of the moving statistics each step keeps, in place.

    The moving statistics remember about 1 / (1 - momentum) steps: 100 for
    `keras.applications`' 0.99, too many for runs of a few hundred steps.

    Args:
      model: Any flat model.
      momentum: In [0, 1).

    Returns:
      How many layers were set.

    Raises:
      UserError: If the momentum is out of range.
    """
    if not 0 <= momentum < 1:
        raise UserError(f"batch norm momentum must be in [0, 1), not {momentum}")
    layers = batch_norm_layers(model)
    for layer in layers:
        layer.momentum = momentum
    return len(layers)
