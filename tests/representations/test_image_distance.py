"""Fréchet distance of images in a network's features."""

import numpy as np
import pytest

from transfusion_tf.models import build
from transfusion_tf.representations import (
    RepresentationWarning,
    frechet_distance,
    image_distance,
    inception_features,
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


@pytest.mark.slow
def test_inception_takes_a_weights_file_and_gives_2048_features(tmp_path):
    donor = build("inception_v3", (75, 75, 3), 3, seed=1)
    donor.save_weights(tmp_path / "inception.weights.h5")
    model = inception_features(tmp_path / "inception.weights.h5")
    assert model.input_shape == (None, 299, 299, 3)
    assert model.output_shape == (None, 2048)
    np.testing.assert_array_equal(
        model.get_layer("conv2d_93").kernel, donor.get_layer("conv2d_93").kernel
    )


def test_a_weights_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.h5 does not exist"):
        inception_features(tmp_path / "nothing.h5")
