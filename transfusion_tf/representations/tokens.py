"""Tokens of transformers: which of them stand for an image.

An activation [n, tokens, channels] holds the class token first, where there is one
(and after it the distillation token of distilled DeiTs), then the spatial tokens, row
by row. Activations of other shapes have positions only.
"""

import math
from typing import Any

import tensorflow as tf

from transfusion_tf.errors import UserError, one_of

TOKENS = ("class", "spatial", "both")
# A class token and a distillation token.
_MOST_CLASS_TOKENS = 2


def class_token_count(tokens: int) -> int:
    """How many of so many tokens stand before a square grid: 0, 1 or 2.

    197 are a class token and 14 × 14; 198 are one more, for distillation; 3136 are
    56 × 56 and no class token.

    Raises:
        UserError: If no square grid fits.
    """
    count = tokens - math.isqrt(tokens) ** 2
    if count > _MOST_CLASS_TOKENS:
        raise UserError(
            f"{tokens} tokens are no square grid behind at most "
            f"{_MOST_CLASS_TOKENS} class tokens: give the model square images"
        )
    return count


def token_kinds(shape: tuple[int | None, ...]) -> tuple[str, ...]:
    """What can be taken of an activation: `spatial`, or all of `TOKENS`.

    Args:
        shape: Of the activation, with the images' axis or without its length.
    """
    if len(shape) == 3 and shape[1] is not None and class_token_count(shape[1]):
        return TOKENS
    return ("spatial",)


def select_tokens(activations: Any, tokens: str = "both") -> tf.Tensor:
    """The tokens asked for; activations without a class token as they are.

    Args:
        activations: [n, channels], [n, tokens, channels] or [n, height, width,
            channels].
        tokens: `class` (the first token), `spatial`, or `both` (all there are).

    Returns:
        `class`: [n, channels]; else the activations, [n, tokens, channels] without
        the class tokens for `spatial`.

    Raises:
        UserError: If `class` is asked for and there is no class token.
    """
    if tokens not in TOKENS:
        raise one_of("kind of tokens", tokens, TOKENS)
    activations = tf.convert_to_tensor(activations)
    if token_kinds(tuple(activations.shape)) != TOKENS:
        if tokens == "class":
            raise UserError(
                f"activations of shape {tuple(activations.shape)} have no class token: "
                "take spatial ones"
            )
        return activations
    if tokens == "class":
        return activations[:, 0]
    if tokens == "spatial":
        return activations[:, class_token_count(activations.shape[1]) :]
    return activations


def pooled_tokens(activations: Any, tokens: str = "spatial") -> tf.Tensor:
    """One vector an image: the class token, the spatial mean, or one after the other.

    The embeddings of the feature-reuse paper, section 2, "Analyzing transferred
    representations layer-wise".

    Args:
        activations: As in `select_tokens`.
        tokens: `class`; `spatial`, the mean over positions; `both`, concatenated,
            where there is a class token.

    Returns:
        [n, channels], or [n, 2 channels] for `both`.

    Raises:
        UserError: As `select_tokens`.
    """
    if tokens == "both" and token_kinds(tuple(activations.shape)) == TOKENS:
        parts = [pooled_tokens(activations, kind) for kind in ("class", "spatial")]
        return tf.concat(parts, axis=-1)
    chosen = select_tokens(activations, tokens)
    between = list(range(1, len(chosen.shape) - 1))
    return tf.reduce_mean(chosen, axis=between) if between else chosen
