"""Class tokens, spatial tokens, both."""

import numpy as np
import pytest

from transfusion_tf.representations.tokens import (
    class_token_count,
    pooled_tokens,
    select_tokens,
    token_kinds,
)

TOKENS = np.arange(2 * 5 * 3, dtype=np.float32).reshape(2, 5, 3)
IMAGES = np.arange(2 * 4 * 4 * 3, dtype=np.float32).reshape(2, 4, 4, 3)


@pytest.mark.parametrize(
    ("tokens", "before"), [(197, 1), (198, 2), (196, 0), (3136, 0), (5, 1), (50, 1)]
)
def test_class_tokens_are_what_stands_before_a_square_grid(tokens, before):
    assert class_token_count(tokens) == before


def test_tokens_that_are_no_square_grid_are_an_error():
    with pytest.raises(ValueError, match="140 tokens are no square grid"):
        class_token_count(140)


def test_the_class_token_comes_first_and_a_distillation_token_second():
    np.testing.assert_array_equal(select_tokens(TOKENS, "class"), TOKENS[:, 0])
    np.testing.assert_array_equal(select_tokens(TOKENS, "spatial"), TOKENS[:, 1:])
    distilled = np.concatenate([TOKENS[:, :1], TOKENS], axis=1)
    np.testing.assert_array_equal(select_tokens(distilled, "class"), TOKENS[:, 0])
    np.testing.assert_array_equal(select_tokens(distilled, "spatial"), TOKENS[:, 1:])
    np.testing.assert_array_equal(select_tokens(TOKENS, "both"), TOKENS)


def test_pooled_tokens_are_the_papers_three_embeddings():
    spatial = TOKENS[:, 1:].mean(axis=1)
    np.testing.assert_allclose(pooled_tokens(TOKENS, "spatial"), spatial)
    np.testing.assert_allclose(pooled_tokens(TOKENS, "class"), TOKENS[:, 0])
    np.testing.assert_allclose(
        pooled_tokens(TOKENS, "both"), np.concatenate([TOKENS[:, 0], spatial], axis=1)
    )


@pytest.mark.parametrize("tokens", ["spatial", "both"])
def test_maps_are_averaged_over_space(tokens):
    pooled = pooled_tokens(IMAGES, tokens)
    np.testing.assert_allclose(pooled, IMAGES.mean(axis=(1, 2)))
    assert token_kinds(IMAGES.shape) == ("spatial",)


@pytest.mark.parametrize("shape", [(2, 4, 4, 3), (2, 16, 3), (2, 3)])
def test_a_class_token_that_is_not_there_is_an_error(shape):
    with pytest.raises(ValueError, match="have no class token"):
        select_tokens(np.zeros(shape), "class")
