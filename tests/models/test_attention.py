import keras
import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf.models import attention_maps, build, named_tensors, stages
from transfusion_tf.models.transformer_layers import WindowedAttention

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

    assert first.shape == (2, 4, 65, 65)
    assert first.max() > 3 / 65  # not the even spread that hides mistakes
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
    assert deit.get_layer("block1_attention_heads").output.shape == (None, 65, 64)
    assert [stage.name for stage in stages(deit)] == ["patch_embed", "block1", "block2"]


@pytest.mark.parametrize("name", ["swin_mini", "cbr_tiny"])
def test_a_model_without_attention_over_the_whole_image_is_refused(
    smallest_model, name
):
    model = smallest_model(name)
    with pytest.raises(ValueError, match="no DeiT"):
        attention_maps(model, IMAGES)


# Rows and columns of a map, and a shift, for windows of 4 tokens a side.
WINDOWED = [
    ((8, 8), 0),
    ((8, 8), 2),
    ((7, 10), 0),
    ((7, 10), 2),
    ((5, 9), 2),  # the last windows: 1 token and 3 of padding
    ((4, 5), 0),
    ((3, 6), 0),
    ((2, 3), 0),
]


def windowed(size, shift, dtype="float32"):
    """Attention of 2 heads of 3 channels, and what it is to attend to."""
    layer = WindowedAttention(2, window=4, shift=shift, dtype=dtype)
    layer.build((None, *size, 18))
    generator = np.random.default_rng(0)
    table = layer.relative_position_bias_table
    table.assign(generator.normal(size=table.shape))
    return layer, generator.normal(0, 2, (2, *size, 18)).astype("float32")


def textbook_windows(layer, x) -> np.ndarray:
    """Attention over the whole map, but to the tokens of one's window alone; float64.

    No padding, no rolling: shifted windows start at `shift`, and what lies before
    them is a window of its own.
    """
    batch, rows, columns, _ = x.shape
    places = np.indices((rows, columns)).reshape(2, -1).T
    windows = (places - layer.shift) // 4
    together = (windows[:, None] == windows[None, :]).all(axis=-1)
    down, across = np.moveaxis(places[:, None] - places[None, :], -1, 0)
    table = np.float64(layer.relative_position_bias_table).reshape(7, 7, 2)
    far = ~together
    bias = table[np.where(far, 0, down + 3), np.where(far, 0, across + 3)]
    queries, keys, values = np.float64(x).reshape(batch, -1, 3, 2, 3).swapaxes(0, 2)
    scores = np.einsum("qbhd,kbhd->bhqk", queries, keys) / np.sqrt(3)
    scores = np.where(together, scores + np.moveaxis(bias, -1, 0), -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    found = np.einsum("bhqk,kbhd->bqhd", weights, values)
    return found.reshape(batch, rows, columns, 6)


@pytest.mark.parametrize(("size", "shift"), WINDOWED)
def test_windows_are_what_the_formula_gives_on_a_map_of_any_size(size, shift):
    layer, x = windowed(size, shift)

    found = layer(x)

    np.testing.assert_allclose(found, textbook_windows(layer, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("shift", [0, 2])
def test_no_attention_goes_to_padding_however_low_the_scores(shift, dtype):
    layer, x = windowed((7, 10), shift, dtype)
    queries, keys, values = (np.ones_like(part) for part in np.split(x, 3, axis=-1))
    x = np.concatenate([20 * queries, -20 * keys, values], axis=-1)  # scores of -700

    np.testing.assert_allclose(layer(x), 1, rtol=0.01)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_gradients_of_filled_up_windows_are_finite(dtype):
    layer, x = windowed((7, 10), 2, dtype)
    x = tf.constant(x)

    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(tf.cast(layer(x), tf.float32) ** 2)

    for gradient in tape.gradient(total, [x, *layer.trainable_variables]):
        assert np.isfinite(gradient).all()
        assert np.any(gradient)
