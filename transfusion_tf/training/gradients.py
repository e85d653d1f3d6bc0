"""What is done to gradients between the loss and the optimizer.

A replica has the gradients of its own part of the batch, and the optimizer adds them up
over all replicas: what is done here is right for the sum.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from transfusion_tf.training.schedules import is_kernel

Gradients = list[tf.Tensor | None]


def clipped(gradients: Gradients, limit: float, scale: Any = 1.0) -> Gradients:
    """Gradients scaled down so that the l2 norm of all together is at most a limit.

    Args:
      gradients: this replica's, None where a variable has none.
      limit: of the norm of the sum over replicas, above 0.
      scale: what the loss was multiplied by to keep small gradients from vanishing.

    Returns:
      As many gradients, dense. Where the norm is not finite, none of them is.
    """
    known = [tf.convert_to_tensor(g) for g in gradients if g is not None]
    context = tf.distribute.get_replica_context()
    total = known
    if context is not None and context.num_replicas_in_sync > 1:
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, known)
    norm = tf.linalg.global_norm(total) / scale
    # A norm that is infinite would leave zeros, which look like a good step.
    factor = tf.where(tf.math.is_finite(norm), limit / tf.maximum(norm, limit), norm)
    scaled = iter([g * factor for g in known])
    return [None if g is None else next(scaled) for g in gradients]


def penalized(
    gradients: Gradients,
    variables: Sequence[keras.Variable],
    penalty: Any,
) -> Gradients:
    """Gradients with those of `penalty / 2` times the sum of all squared kernels.

    Args:
      gradients: this replica's, None where a variable has none.
      variables: whose they are; kernels alone are penalized.
      penalty: at least 0, times what the loss was multiplied by.
    """
    share = penalty / tf.distribute.get_strategy().num_replicas_in_sync
    return [
        g + share * variable.value if g is not None and is_kernel(variable) else g
        for g, variable in zip(gradients, variables, strict=True)
    ]
