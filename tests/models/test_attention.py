import keras
import numpy as np
import pytest

from transfusion_tf.models import attention_maps, build, named_tensors, stages

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")


@pytest.fixture(scope="module")
def deit():
    model = build("deit_mini[blocks=2]", (64, 64, 3), 2, seed=0)
    for index, tensor in enumerate(named_tensors(model)):
        if "attention_heads" in tensor.path:
            draw = np.random.default_rng(index).normal(0, 0.2, tensor.shape)
            tensor.variable.assign(draw)
    return model


def textbook_attention(model, block: int) -> np.ndarray:
    """Softmax of scaled products of queries and keys, float64."""
    tensors = {t.path: np.float64(t.value()) for t in named_tensors(model)}
    norm = model.get_layer(f"block{block}_attention_norm").output
    x = np.float64(keras.Model(model.input, norm)(IMAGES))
    queries, keys = (
        np.einsum("btc,chd->bhtd", x, tensors[f"{path}/kernel"])
        + tensors[f"{path}/bias"][:, None]
        for path in (
            f"block{block}_attention_heads/query",
            f"block{block}_attention_heads/key",
        )
    )
    scores = np.einsum("bhqd,bhkd->bhqk", queries, keys) / np.sqrt(queries.shape[-1])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def test_maps_are_what_the_formula_gives(deit):
    first, second = attention_maps(deit, IMAGES)

    assert first.shape == (2, 4, 66, 66)
    assert first.max() > 3 / 66  # not the even spread that hides mistakes
    np.testing.assert_allclose(first, textbook_attention(deit, 1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        second, textbook_attention(deit, 2), rtol=1e-4, atol=1e-6
    )


def test_each_token_gives_all_its_attention_away(deit):
    for maps in attention_maps(deit, IMAGES):
        assert maps.dtype == np.float32
        np.testing.assert_allclose(maps.sum(axis=-1), 1, rtol=1e-5)


def test_the_model_is_left_as_it_was(deit):
    before = deit(IMAGES)

    attention_maps(deit, IMAGES)

    np.testing.assert_array_equal(deit(IMAGES), before)
    assert deit.get_layer("block1_attention_heads").output.shape == (None, 66, 64)
    assert [stage.name for stage in stages(deit)] == ["patch_embed", "block1", "block2"]


@pytest.mark.parametrize("name", ["swin_mini", "cbr_tiny"])
def test_a_model_without_attention_over_the_whole_image_is_refused(
    smallest_model, name
):
    with pytest.raises(ValueError, match="no DeiT"):
        attention_maps(smallest_model(name), IMAGES)
