"""Batch norm by TensorFlow's fused operation, where Keras takes a dozen.

Keras 3 computes batch norm as moments and multiplications; their gradients go over
the activations some ten times more. With the fused operation a whole step of CBR-Tiny
at 96 px takes 0.79 of the time on 2 cores
(`transfusion_tf_experiments.benchmarks.pytorch_gap` shows where it goes).
"""

import types
from typing import Any

import keras
import tensorflow as tf

from transfusion_tf.models import batch_norm_layers


def fuse_batch_norm(model: keras.Model) -> int:
    """Lets the model's batch norm layers use the fused operation, in place.

    They stay Keras's layers: they save, load and clone as before, and give the same
    numbers but for rounding. What the operation can't do goes on as Keras has it:
    statistics over many replicas, frozen layers in training (their fused gradient is
    not deterministic on GPUs), masks, float64, channels elsewhere than last.

    Call before the first traced step, after `set_synchronized_batch_norm`.

    Returns:
      How many layers were changed.
    """
    layers = [layer for layer in batch_norm_layers(model) if _can_be_fused(layer)]
    for layer in layers:
        layer.call = types.MethodType(_call, layer)
    return len(layers)


def _can_be_fused(layer: keras.layers.BatchNormalization) -> bool:
    plain = type(layer) is keras.layers.BatchNormalization
    last = layer.axis in (-1, 3) and layer.input_spec.ndim == 4
    return plain and last and not (layer.synchronized or layer.renorm)


def _call(
    layer: keras.layers.BatchNormalization,
    inputs: tf.Tensor,
    training: bool | None = None,
    mask: Any = None,
) -> tf.Tensor:
    frozen = training and not layer.trainable
    if frozen or mask is not None or inputs.dtype == tf.float64:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    if not training:
        return _fused(layer, inputs, layer.moving_mean, layer.moving_variance)[0]
    outputs, mean, variance = _fused(layer, inputs)
    # The operation gives the unbiased variance, Keras keeps the biased one.
    count = tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], variance.dtype)
    variance *= tf.maximum(count - 1, 1) / count
    for moving, value in (
        (layer.moving_mean, mean),
        (layer.moving_variance, variance),
    ):
        moving.assign(moving * layer.momentum + value * (1.0 - layer.momentum))
    return outputs


def _fused(
    layer: keras.layers.BatchNormalization,
    inputs: tf.Tensor,
    mean: keras.Variable | None = None,
    variance: keras.Variable | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Outputs, and the batch's mean and unbiased variance; or by those given."""
    ones = tf.ones([inputs.shape[-1]])
    none = tf.zeros([0])
    result = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=ones if layer.gamma is None else tf.convert_to_tensor(layer.gamma),
        offset=0 * ones if layer.beta is None else tf.convert_to_tensor(layer.beta),
        mean=none if mean is None else tf.convert_to_tensor(mean),
        variance=none if variance is None else tf.convert_to_tensor(variance),
        epsilon=layer.epsilon,
        is_training=mean is None,
    )
    return result.y, result.batch_mean, result.batch_variance
