"""Class tokens, spatial tokens, both."""

import numpy as np
import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.models import build
from transfusion_tf.representations import model_parts
from transfusion_tf.representations.tokens import (
    class_token_count,
    class_tokens_of,
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


@pytest.mark.slow
@pytest.mark.parametrize("size", [(64, 64), (64, 96), (48, 80), (32, 64), (64, 128)])
def test_a_deit_says_that_it_has_one_class_token_at_any_size(size):
    pytest.importorskip("keras_hub")
    model = build("deit_mini", (*size, 3), 5, seed=0)
    count = class_tokens_of(model)
    assert count == 1
    tokens = model.get_layer("block1_mlp_add").output
    spatial = select_tokens(np.zeros(tokens.shape[1:])[None], "spatial", count)
    assert spatial.shape[1] == size[0] // 8 * size[1] // 8


@pytest.mark.slow
def test_a_swin_has_no_class_token_at_any_size():
    pytest.importorskip("keras_hub")
    model = build("swin_mini", (64, 96, 3), 5, seed=0)
    count = class_tokens_of(model)
    assert count == 0
    for part in model_parts(model, "layer"):
        if part.output is not None:
            assert token_kinds(part.output.shape, count) == ("spatial",)


def test_of_other_models_the_number_of_class_tokens_is_not_known():
    assert class_tokens_of(build("cbr_tiny", (64, 64, 3), 5)) is None


def test_tokens_of_any_grid_are_split_by_the_number_of_class_tokens():
    tokens = np.arange(2 * 26 * 3, dtype=np.float32).reshape(2, 26, 3)
    np.testing.assert_array_equal(select_tokens(tokens, "class", 2), tokens[:, 0])
    np.testing.assert_array_equal(select_tokens(tokens, "spatial", 2), tokens[:, 2:])
    np.testing.assert_array_equal(select_tokens(tokens, "spatial", 0), tokens)
    np.testing.assert_allclose(
        pooled_tokens(tokens, "both", 2),
        np.concatenate([tokens[:, 0], tokens[:, 2:].mean(axis=1)], axis=1),
    )
    assert token_kinds((None, 56 * 64, 96), 0) == ("spatial",)
    assert token_kinds((None, None, 96), 2) == ("class", "spatial", "both")


def test_both_kinds_of_tokens_need_no_guess():
    tokens = np.zeros((2, 140, 3))
    assert select_tokens(tokens, "both").shape == tokens.shape


@pytest.mark.parametrize("class_tokens", [-1, 5])
def test_class_tokens_that_cannot_be_are_an_error(class_tokens):
    with pytest.raises(UserError, match=f"cannot begin with {class_tokens} class"):
        select_tokens(TOKENS, "spatial", class_tokens)


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
