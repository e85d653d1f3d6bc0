"""Fréchet distance of images in a network's features."""

import keras
import numpy as np
import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.models import build
from transfusion_tf.representations import (
    RepresentationWarning,
    frechet_distance,
    image_distance,
    pooled_stage,
)

RNG = np.random.default_rng(0)
SOURCE = RNG.integers(0, 256, (60, 64, 64, 3), np.uint8)
TARGET = RNG.integers(0, 128, (50, 64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def features():
    return pooled_stage(build("cbr_tiny", (64, 64, 3), 5, seed=0), "pool1")


def test_images_are_streamed_into_the_distance_of_their_features(features):
    table = image_distance(
        features, SOURCE, TARGET, blocks=4, batch_size=7, progress=False
    )
    x, y = (np.asarray(features(z.astype("f4"))) for z in (SOURCE, TARGET))
    expected = frechet_distance(x, y, blocks=4)
    row = table.iloc[0]
    # Batches of other sizes round otherwise.
    for name in ("value", "corrected", "standard_error", "low", "high"):
        assert row[name] == pytest.approx(getattr(expected, name), rel=1e-4)
    assert (row["images_source"], row["images_target"]) == (60, 50)
    assert (row["features"], row["blocks"]) == (32, 4)


def test_images_of_another_size_are_resized_to_the_networks(features):
    smooth = np.tile(np.linspace(0, 255, 128)[:, None], (1, 128))
    large = np.stack([smooth] * 3, axis=-1)[None].repeat(50, 0)
    large = np.clip(large + 20 * RNG.standard_normal(large.shape), 0, 255)
    table = image_distance(features, SOURCE, large, blocks=0, progress=False)
    assert table["images_target"].item() == 50
    assert table["value"].item() > 0


def test_fewer_images_than_features_are_warned_about(features):
    with pytest.warns(RepresentationWarning, match="20 images for 32 features"):
        image_distance(features, SOURCE[:20], TARGET, blocks=0, progress=False)


@pytest.mark.filterwarnings(
    "ignore::transfusion_tf.representations.RepresentationWarning"
)
def test_few_images_have_a_distance_and_as_many_blocks_as_they_allow(features):
    found = image_distance(features, SOURCE[:5], TARGET[:7], progress=False)
    assert found["value"].item() > 0
    assert found["blocks"].item() == 2
    found = image_distance(features, SOURCE[:2], TARGET[:7], progress=False)
    assert found["value"].item() > 0
    assert found["blocks"].item() == 0
    assert found[["corrected", "low", "high"]].isna().all(axis=None)


def test_blocks_that_were_asked_for_and_cannot_be_are_an_error(features):
    with pytest.raises(UserError, match="5 images are too few for 10 blocks"):
        image_distance(features, SOURCE[:5], TARGET, blocks=10, progress=False)


def sides(first, second, side):
    return (first, second) if side == "source" else (second, first)


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_feature_that_is_not_finite_is_named_with_its_images(side):
    inputs = keras.Input((64, 64, 3))
    means = keras.layers.GlobalAveragePooling2D()(inputs)
    dense = keras.layers.Dense(3)
    model = keras.Model(inputs, dense(means))
    # Infinite for bright images.
    dense.kernel.assign([[1, 1e36, 1]] * 3)
    source, target = sides(SOURCE, TARGET, side)
    with pytest.raises(UserError, match=f"feature 1 of {side} is NaN or infinite"):
        image_distance(model, source, target, progress=False)


@pytest.mark.parametrize("side", ["source", "target"])
def test_an_image_that_is_not_finite_is_named(features, side):
    broken = SOURCE.astype(np.float32)
    broken[37, 5, 5, 0] = np.nan
    source, target = sides(broken, TARGET, side)
    with pytest.raises(UserError, match=f"image 37 of {side} holds NaN"):
        image_distance(features, source, target, progress=False)


@pytest.mark.slow
def test_a_deits_spatial_tokens_are_averaged_at_any_size_of_its_images():
    pytest.importorskip("keras_hub")
    model = build("deit_mini", (64, 96, 3), 5, seed=0)
    block = pooled_stage(model, "block1")
    images = RNG.integers(0, 256, (70, 64, 96, 3), np.uint8)
    found = image_distance(block, images, images[:66], blocks=0, progress=False)
    tokens = np.asarray(block(np.float32(images)))[:, 1:].mean(axis=1)
    expected = frechet_distance(tokens, tokens[:66], blocks=0)
    assert found["value"].item() == pytest.approx(expected.value, rel=1e-3)
