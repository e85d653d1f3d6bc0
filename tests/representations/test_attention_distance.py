"""Mean attended distance of attention that was built by hand."""

import numpy as np
import pytest

from transfusion_tf.representations import AttentionMeans, attended_distance

PATCH = 16


def direct_mean_distance(rows, columns):
    """Mean over all ordered pairs of patches, in patches, with plain loops."""
    places = [(row, column) for row in range(rows) for column in range(columns)]
    return np.mean([np.hypot(a[0] - b[0], a[1] - b[1]) for a in places for b in places])


def repeated(weights, images=2, heads=3):
    return np.tile(weights, (images, heads, 1, 1))


def random_attention(images, heads, tokens, seed=0):
    weights = np.random.default_rng(seed).uniform(size=(images, heads, tokens, tokens))
    return weights / weights.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("tokens", [196, 197, 198])
def test_attending_to_oneself_is_no_distance(tokens):
    found = attended_distance(repeated(np.eye(tokens)), PATCH)
    assert found.distance.shape == (2, 3)
    assert (found.distance == 0).all()
    assert (found.class_token_share == 0).all()


@pytest.mark.parametrize("before", [0, 1, 2])
def test_attending_to_all_alike_is_the_mean_distance(before):
    tokens = before + 25
    weights = np.full((tokens, tokens), 1 / tokens)
    found = attended_distance(repeated(weights), PATCH)
    expected = PATCH * direct_mean_distance(5, 5)
    np.testing.assert_allclose(found.distance, expected, rtol=1e-12)
    np.testing.assert_allclose(found.class_token_share, before / tokens, atol=1e-15)


def test_attending_to_the_right_neighbour_is_one_patch():
    weights = np.zeros((12, 12))
    for patch in range(12):
        row, column = divmod(patch, 4)
        weights[patch, 4 * row + (column + 1) % 4] = 1
    found = attended_distance(repeated(weights), PATCH, grid=(3, 4))
    # Three of four go one patch to the right, the last three patches back.
    np.testing.assert_allclose(found.distance, PATCH * (3 * 1 + 3) / 4)


def test_what_goes_to_the_class_token_has_no_distance():
    weights = np.zeros((17, 17))
    weights[0, 0] = 1
    weights[1:, 0] = 0.5
    weights[1:, 1:] = 0.5 / 16
    mean = PATCH * direct_mean_distance(4, 4)
    found = attended_distance(repeated(weights), PATCH)
    np.testing.assert_allclose(found.distance, mean)
    np.testing.assert_allclose(found.class_token_share, 0.5)
    plain = attended_distance(repeated(weights), PATCH, renormalize=False)
    np.testing.assert_allclose(plain.distance, 0.5 * mean)


def test_a_head_that_looks_at_the_class_token_alone_has_none():
    weights = np.zeros((17, 17))
    weights[:, 0] = 1
    found = attended_distance(repeated(weights), PATCH)
    assert np.isnan(found.distance).all()
    np.testing.assert_allclose(found.class_token_share, 1)


def test_images_without_a_distance_are_left_out_of_a_heads_mean():
    attention = random_attention(6, 2, 17)
    # The first head looks at the class token alone in three images, of two batches.
    attention[[0, 1, 4], 0] = np.eye(17)[0]
    means = AttentionMeans(["a"], PATCH)
    for rows in (slice(0, 2), slice(2, 6)):
        means.update([attention[rows]])
    table = means.table()
    each = attended_distance(attention, PATCH)
    kept = each.distance[[2, 3, 5], 0]
    assert table["images_without_distance"].tolist() == [3, 0]
    assert set(table["images"]) == {6}
    expected = [kept.mean(), each.distance[:, 1].mean()]
    np.testing.assert_allclose(table["distance"], expected)
    expected = [kept.std(ddof=1), each.distance[:, 1].std(ddof=1)]
    np.testing.assert_allclose(table["std"], expected)
    share = each.class_token_share.mean(axis=0)
    np.testing.assert_allclose(table["class_token_share"], share)


def test_a_head_without_any_distance_has_no_mean():
    attention = random_attention(3, 2, 17)
    attention[:, 0] = np.eye(17)[0]
    means = AttentionMeans(["a"], PATCH)
    means.update([attention[:1]])
    means.update([attention[1:]])
    table = means.table()
    assert table["distance"].isna().tolist() == [True, False]
    assert table["std"].isna().tolist() == [True, False]


def test_random_attention_agrees_with_plain_loops():
    attention = random_attention(1, 2, 10)
    found = attended_distance(attention.astype(np.float32), PATCH).distance
    for head in range(2):
        total = 0.0
        for query in range(9):
            row = attention[0, head, 1 + query, 1:]
            for key in range(9):
                step = np.subtract(divmod(query, 3), divmod(key, 3))
                total += row[key] / row.sum() * np.hypot(*step) * PATCH / 9
        assert found[0, head] == pytest.approx(total, rel=1e-6)


def test_batches_and_blocks_are_streamed_into_one_table():
    images = {name: random_attention(12, 3, 17, seed) for seed, name in enumerate("ab")}
    means = AttentionMeans(["a", "b"], PATCH)
    for start, stop in ((0, 5), (5, 6), (6, 12)):
        means.update([images[name][start:stop] for name in "ab"])
    table = means.table()
    assert len(table) == 2 * 3
    assert set(table["images"]) == {12}
    for name in "ab":
        each = attended_distance(images[name], PATCH)
        own = table[table["block"] == name]
        np.testing.assert_allclose(own["distance"], each.distance.mean(0))
        np.testing.assert_allclose(own["std"], each.distance.std(0, ddof=1))
        np.testing.assert_allclose(
            own["class_token_share"], each.class_token_share.mean(0)
        )


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((2, 16, 16), {}, r"expected \[batch, heads, tokens, tokens\]"),
        ((2, 3, 16, 17), {}, r"expected \[batch, heads, tokens, tokens\]"),
        ((2, 3, 16, 16), {"grid": (4, 5)}, "4 × 5 patches has more than the 16"),
        ((2, 3, 16, 16), {"grid": (-2, -2)}, r"1 or more, got \(-2, -2\)"),
        ((2, 3, 16, 16), {"grid": (2.5, 4)}, r"1 or more, got \(2.5, 4\)"),
        ((2, 3, 12, 12), {}, "12 tokens are no square grid"),
    ],
)
def test_shapes_that_do_not_fit_are_named(shape, options, message):
    with pytest.raises(ValueError, match=message):
        attended_distance(np.full(shape, 1 / shape[-1]), PATCH, **options)


def test_logits_are_no_attention():
    with pytest.raises(ValueError, match="do not sum to 1"):
        attended_distance(np.zeros((1, 2, 16, 16)), PATCH)


def test_negative_weights_are_no_attention():
    weights = np.eye(16)
    weights[0, :3] = 0.6, 0.6, -0.2
    with pytest.raises(ValueError, match="an attention weight is negative"):
        attended_distance(repeated(weights), PATCH)


def test_a_block_too_few_is_an_error():
    with pytest.raises(ValueError, match="attention of 1 blocks, expected 2: a, b"):
        AttentionMeans(["a", "b"], PATCH).update([random_attention(1, 2, 16)])
