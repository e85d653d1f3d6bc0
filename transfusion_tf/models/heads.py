"""Heads: global average pooling, optional dropout, one sigmoid per class or a softmax.

A class token is a vector already, and is not pooled.

`logits` and `probabilities` are two layers, both float32 whatever the precision
policy, so that a loss can be taken from the logits, where it is numerically stable.
"""

import keras

HEADS = ("sigmoid", "softmax")
LOGITS = "logits"
PROBABILITIES = "probabilities"


def add_head(
    features: keras.KerasTensor,
    num_classes: int,
    dropout: float,
    activation: str = "sigmoid",
) -> keras.KerasTensor:
    """Adds the head to a functional graph.

    Args:
      features: `[batch, height, width, channels]`, or `[batch, channels]`.
      num_classes: Width of the head, at least 1.
      dropout: Share of the features dropped in training, in [0, 1); no layer
        is added for 0.
      activation: `sigmoid`, each class on its own, or `softmax`.

    Returns:
      Probabilities `[batch, num_classes]`, float32.
    """
    x = features
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D(name="global_pool")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    x = keras.layers.Dense(num_classes, dtype="float32", name=LOGITS)(x)
    return keras.layers.Activation(activation, dtype="float32", name=PROBABILITIES)(x)


def logits_model(model: keras.Model) -> keras.Model:
    """The same network, same weights, giving logits instead of probabilities.

    Args:
      model: From `build`.

    Returns:
      A model from the same input to `[batch, num_classes]` float32 logits; its
      layers and variables are the given model's own.

    Raises:
      ValueError: If the model has no `logits` layer.
    """
    names = [layer.name for layer in model.layers]
    if LOGITS not in names:
        raise ValueError(f"model {model.name!r} has no layer named {LOGITS!r}")
    return keras.Model(model.input, model.get_layer(LOGITS).output, name=model.name)
