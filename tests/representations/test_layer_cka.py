"""CKA of all layers against the float64 formula, term by term."""

import keras
import numpy as np
import pytest

from transfusion_tf.models import build, stages
from transfusion_tf.representations import (
    LayerSettings,
    layer_cka,
    model_parts,
)

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), np.uint8)
# Two batches of unequal size: 20 images in batches of 13 at most are 10 and 10.
SETTINGS = LayerSettings(kind="unit", batch_size=13, progress=False)


@pytest.fixture(scope="module")
def models():
    return {f"seed{n}": build("cbr_tiny", (64, 64, 3), 5, seed=n) for n in range(2)}


def unbiased_hsic(x, y):
    """Song et al. 2012, equation 5, term by term."""
    n = len(x)
    k, m = (side @ side.T * (1 - np.eye(n)) for side in (x, y))
    ones = np.ones(n)
    return (
        np.trace(k @ m)
        + (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (ones @ k @ m @ ones)
    ) / (n * (n - 3))


def plain_cka(x, y, batches):
    """HSIC a batch, averaged, then the ratio; about each batch's mean, for digits."""

    def hsic(a, b):
        return sum(
            unbiased_hsic(a[rows] - a[rows].mean(0), b[rows] - b[rows].mean(0))
            for rows in batches
        )

    return hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))


def activations(model, output, images):
    read = keras.Model(model.inputs, output)
    values = np.float64(read(images.astype(np.float32), training=False))
    return values.reshape(len(images), -1)


def drawn_batches(settings, count):
    order = np.random.default_rng(settings.seed).permutation(count)
    return np.array_split(order, -(-count // settings.batch_size))


def as_matrix(table, model_a, model_b):
    rows = table.query("model_a == @model_a and model_b == @model_b")
    return rows.pivot(index="position_a", columns="position_b", values="cka")


def test_every_layer_of_two_models_agrees_with_the_formula(models):
    table = layer_cka(models, IMAGES, SETTINGS)
    flat = {
        name: [activations(m, part.output, IMAGES) for part in model_parts(m, "unit")]
        for name, m in models.items()
    }
    batches = drawn_batches(SETTINGS, len(IMAGES))
    for a, b in (("seed0", "seed0"), ("seed0", "seed1"), ("seed1", "seed0")):
        expected = [[plain_cka(x, y, batches) for y in flat[b]] for x in flat[a]]
        np.testing.assert_allclose(as_matrix(table, a, b), expected, atol=1e-6)


def test_a_table_has_a_row_a_pair_with_stages_and_images(models):
    table = layer_cka(models, IMAGES, SETTINGS)
    assert len(table) == (2 * 5) ** 2
    assert list(table.columns) == [
        "model_a", "layer_a", "stage_a", "position_a",
        "model_b", "layer_b", "stage_b", "position_b", "cka", "images", "batch_size",
    ]  # fmt: skip
    assert set(table["images"]) == {20}
    own = table.query("model_a == model_b and layer_a == layer_b")
    np.testing.assert_allclose(own["cka"], 1)
    assert table["layer_a"].iloc[0] == "conv1"
    assert table["stage_a"].iloc[0] == "pool1"


def test_by_default_every_layer_is_compared_where_its_activation_is_done(models):
    settings = LayerSettings(batch_size=8, most_images=8, progress=False)
    table = layer_cka({"model": models["seed0"]}, IMAGES, settings)
    layers = [f"{kind}{number}" for number in range(1, 5) for kind in ("relu", "pool")]
    assert list(table["layer_a"].unique()) == [*layers, "global_pool", "logits"]
    assert set(table["images"]) == {8}


def transformer():
    """Patches, a class token before them, a layer; no model of ours has tokens yet."""
    image = keras.Input((32, 32, 3))
    patches = keras.layers.Conv2D(6, 8, 8, name="patches")(image)
    patches = keras.layers.Reshape((16, 6), name="rows")(patches)
    first = keras.layers.GlobalAveragePooling1D(keepdims=True)(patches)
    tokens = keras.layers.Concatenate(axis=1, name="tokens")([first, patches])
    return keras.Model(image, keras.layers.Dense(7, name="mlp")(tokens))


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [("class", slice(0, 1)), ("spatial", slice(1, None)), ("both", slice(None))],
)
def test_tokens_are_the_class_token_the_spatial_ones_or_both(tokens, kept):
    model, images = transformer(), IMAGES[:, :32, :32]
    settings = LayerSettings(names=("tokens", "mlp"), tokens=tokens, progress=False)
    found = layer_cka({"model": model}, images, settings)
    chosen = [
        activations(model, model.get_layer(name).output, images)
        .reshape(len(images), 17, -1)[:, kept]
        .reshape(len(images), -1)
        for name in ("tokens", "mlp")
    ]
    expected = plain_cka(*chosen, drawn_batches(settings, len(images)))
    assert as_matrix(found, "model", "model").iloc[0, 1] == pytest.approx(
        expected, abs=1e-6
    )


def test_of_images_that_are_no_square_the_model_says_which_tokens_are_spatial():
    pytest.importorskip("keras_hub")
    model, images = (
        build("deit_mini", (64, 128, 3), 2, seed=0),
        IMAGES.repeat(2, axis=2),
    )
    names = ("block1", "block2")
    settings = LayerSettings(names=names, tokens="spatial", progress=False)
    found = layer_cka({"model": model}, images, settings)
    chosen = [
        activations(model, stage.output, images)
        # A class token, and 8 × 16 patches.
        .reshape(len(images), 1 + 8 * 16, -1)[:, 1:]
        .reshape(len(images), -1)
        for stage in stages(model)
        if stage.name in names
    ]
    expected = plain_cka(*chosen, drawn_batches(settings, len(images)))
    assert as_matrix(found, "model", "model").iloc[0, 1] == pytest.approx(
        expected, abs=1e-6
    )


def test_a_single_layer_is_compared_with_itself(models):
    settings = LayerSettings(names=("conv2",), progress=False)
    assert layer_cka(models, IMAGES, settings)["cka"].iloc[0] == pytest.approx(1)


def test_a_layer_without_class_token_is_named():
    settings = LayerSettings(names=("patches", "mlp"), tokens="class", progress=False)
    with pytest.raises(ValueError, match="no class token at patches"):
        layer_cka({"model": transformer()}, IMAGES[:, :32, :32], settings)


def test_a_layer_that_breaks_is_named(models):
    model = keras.models.clone_model(models["seed0"])
    model.get_layer("conv2").kernel.assign(
        np.full(model.get_layer("conv2").kernel.shape, np.nan)
    )
    settings = LayerSettings(names=("conv1", "conv2"), progress=False)
    with pytest.raises(ValueError, match="conv2 of broken holds NaN"):
        layer_cka({"broken": model}, IMAGES, settings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "block"}, "layer, unit, branch, stage"),
        ({"tokens": "all"}, "class, spatial, both"),
        ({"batch_size": 7}, "batch size of 8 or more, got 7"),
    ],
)
def test_wrong_settings_say_what_is_right(options, message):
    with pytest.raises(ValueError, match=message):
        LayerSettings(**options)
