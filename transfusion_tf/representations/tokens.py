"""Tokens of transformers: which of them stand for an image.

An activation [n, tokens, channels] holds the class token first, where there is one
(and after it the distillation token of distilled DeiTs), then the spatial tokens, row
by row. Activations of other shapes have positions only.

How many class tokens there are, a model built here says (`class_tokens_of`). An array
does not, nor does another model: there it is guessed, which takes square images.
"""

import math
from typing import Any

import keras
import tensorflow as tf

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.models.transformer_layers import (
    EXTRA_TOKENS,
    TokensAndPositions,
    WindowedAttention,
)

TOKENS = ("class", "spatial", "both")
# A class token and a distillation token.
_MOST_CLASS_TOKENS = 2


def class_tokens_of(model: keras.Model) -> int | None:
    """How many class tokens a model's activations begin with, if it is known.

    1 for a DeiT from `build`; 0 for a Swin; None for models that have neither's
    layers.
    """
    if any(isinstance(layer, TokensAndPositions) for layer in model.layers):
        return EXTRA_TOKENS
    if any(isinstance(layer, WindowedAttention) for layer in model.layers):
        return 0
    return None


def class_token_count(tokens: int) -> int:
    """A guess at how many of so many tokens stand before a square grid: 0, 1 or 2.

    197 are a class token and 14 × 14; 198 are one more, for distillation; 3136 are
    56 × 56 and no class token.

    Raises:
      UserError: If no square grid fits.
    """
    count = tokens - math.isqrt(tokens) ** 2
    if count > _MOST_CLASS_TOKENS:
        raise UserError(
            f"{tokens} tokens are no square grid behind at most "
            f"{_MOST_CLASS_TOKENS} class tokens: give the model square images, or say "
            "how many class tokens there are"
        )
    return count


def token_kinds(
    shape: tuple[int | None, ...], class_tokens: int | None = None
) -> tuple[str, ...]:
    """What can be taken of an activation: `spatial`, or all of `TOKENS`.

    Args:
      shape: Of the activation, with the images' axis or without its length.
      class_tokens: How many an activation [n, tokens, channels] begins with; None
        guesses, see `class_token_count`.

    Raises:
      UserError: If that many class tokens leave no spatial one, or none can be
        guessed.
    """
    return TOKENS if _class_tokens(shape, class_tokens) else ("spatial",)


def select_tokens(
    activations: Any, tokens: str = "both", class_tokens: int | None = None
) -> tf.Tensor:
    """The tokens asked for; activations without a class token as they are.

    Args:
      activations: [n, channels], [n, tokens, channels] or [n, height, width,
        channels].
      tokens: `class` (the first token), `spatial`, or `both` (all there are).
      class_tokens: How many an activation [n, tokens, channels] begins with, such as
        `class_tokens_of(model)`; None guesses, see `class_token_count`.

    Returns:
      `class`: [n, channels]; else the activations, [n, tokens, channels] without
      the class tokens for `spatial`.

    Raises:
      UserError: If `class` is asked for and there is no class token; as
        `token_kinds`, but for `both`.
    """
    if tokens not in TOKENS:
        raise one_of("kind of tokens", tokens, TOKENS)
    activations = tf.convert_to_tensor(activations)
    if tokens == "both":
        return activations
    before = _class_tokens(tuple(activations.shape), class_tokens)
    if tokens == "spatial":
        return activations[:, before:] if before else activations
    if not before:
        raise UserError(
            f"activations of shape {tuple(activations.shape)} have no class token: "
            "take spatial ones"
        )
    return activations[:, 0]


def pooled_tokens(
    activations: Any, tokens: str = "spatial", class_tokens: int | None = None
) -> tf.Tensor:
    """One vector an image: the class token, the spatial mean, or one after the other.

    The embeddings of the feature-reuse paper, section 2, "Analyzing transferred
    representations layer-wise".

    Args:
      activations: As in `select_tokens`.
      tokens: `class`; `spatial`, the mean over positions; `both`, concatenated,
        where there is a class token.
      class_tokens: As in `select_tokens`.

    Returns:
      [n, channels], or [n, 2 channels] for `both`.

    Raises:
      UserError: As `select_tokens`.
    """
    activations = tf.convert_to_tensor(activations)
    if tokens == "both" and _class_tokens(tuple(activations.shape), class_tokens):
        parts = [
            pooled_tokens(activations, kind, class_tokens)
            for kind in ("class", "spatial")
        ]
        return tf.concat(parts, axis=-1)
    chosen = select_tokens(activations, tokens, class_tokens)
    between = list(range(1, len(chosen.shape) - 1))
    return tf.reduce_mean(chosen, axis=between) if between else chosen


def _class_tokens(shape: tuple[int | None, ...], class_tokens: int | None) -> int:
    """How many an activation of this shape begins with."""
    if len(shape) != 3:
        return 0
    if class_tokens is None:
        return 0 if shape[1] is None else class_token_count(shape[1])
    if class_tokens < 0 or (shape[1] is not None and class_tokens >= shape[1]):
        raise UserError(
            f"activations of shape {shape} cannot begin with {class_tokens} class "
            "tokens and hold spatial ones"
        )
    return class_tokens
