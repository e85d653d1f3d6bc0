"""Colour work on the batch: what it does, and that only seeds decide it."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf.datasets import Augmentation
from transfusion_tf.errors import UserError
from transfusion_tf.input_pipeline import Augmenter

IMAGES = np.random.default_rng(0).integers(40, 200, (4, 16, 16, 3)).astype(np.uint8)
SEEDS = np.arange(8).reshape(4, 2)
YIQ = Augmentation(hue=0.1, contrast=0.3)
HSV = dataclasses.replace(YIQ, color_space="hsv")


def augment(augmentation, colors, images=IMAGES, seeds=SEEDS):
    colors = np.tile(np.float32(colors), (len(images), 1))
    augmenter = Augmenter(augmentation)
    return augmenter(
        tf.constant(images), tf.constant(colors), tf.constant(seeds)
    ).numpy()


@pytest.mark.parametrize("augmentation", [YIQ, HSV], ids=["yiq", "hsv"])
def test_no_change_asked_is_no_change_made(augmentation):
    np.testing.assert_allclose(augment(augmentation, [0.0, 1.0]), IMAGES, atol=1e-2)


@pytest.mark.parametrize("augmentation", [YIQ, HSV], ids=["yiq", "hsv"])
def test_contrast_is_that_of_tf_image(augmentation):
    expected = tf.image.adjust_contrast(tf.cast(IMAGES, tf.float32), 1.25)
    expected = tf.clip_by_value(expected, 0, 255)
    np.testing.assert_allclose(augment(augmentation, [0.0, 1.25]), expected, atol=0.05)


def test_hsv_hue_is_that_of_tf_image():
    expected = tf.image.adjust_hue(IMAGES / np.float32(255), 0.07) * 255
    np.testing.assert_allclose(augment(HSV, [0.07, 1.0]), expected, atol=0.05)


def test_yiq_hue_keeps_luma_and_turns_chroma():
    images = np.full((1, 4, 4, 3), 120, np.uint8)
    images[..., 0] = 140
    luma = np.float32([0.299, 0.587, 0.114])
    turned = augment(YIQ, [0.1, 1.0], images, SEEDS[:1])
    np.testing.assert_allclose(turned @ luma, images @ luma, atol=0.1)
    assert np.abs(turned - images).max() > 3


def test_a_third_of_a_turn_swaps_the_primary_colours():
    images = np.zeros((1, 2, 2, 3), np.uint8) + 100
    images[..., 0] = 160
    turned = augment(YIQ, [1 / 3, 1.0], images, SEEDS[:1])[0, 0, 0]
    assert turned.argmax() in (1, 2)


def test_without_colour_the_luma_is_left_in_all_channels():
    result = augment(Augmentation(grayscale=0.2), [0.0, 1.0, 1.0])
    luma = IMAGES @ np.float32([0.299, 0.587, 0.114])
    for channel in range(3):
        np.testing.assert_allclose(result[..., channel], luma, atol=0.05)


def test_only_the_images_that_were_drawn_lose_their_colour():
    colors = np.float32([[0, 1, 0], [0, 1, 1], [0, 1, 0], [0, 1, 0]])
    result = Augmenter(Augmentation(grayscale=0.2))(
        tf.constant(IMAGES), tf.constant(colors), tf.constant(SEEDS)
    )
    kept = [np.array_equal(*pair) for pair in zip(result, IMAGES, strict=True)]
    assert kept == [True, False, True, True]


@pytest.mark.parametrize(
    "name",
    ["keras.layers.RandomContrast", "keras_cv.layers.RandomHue"],
)
def test_layers_by_name_draw_from_the_seeds_alone(name):
    tf.config.experimental.enable_op_determinism()  # as training does
    if name.startswith("keras_cv"):
        pytest.importorskip("keras_cv")
    augmentation = Augmentation(layers=({"name": name, "factor": 0.4},))
    first = augment(augmentation, [0.0, 1.0])
    np.testing.assert_array_equal(first, augment(augmentation, [0.0, 1.0]))
    other = augment(augmentation, [0.0, 1.0], seeds=SEEDS + 5)
    assert np.abs(first - other).max() > 1
    assert first.min() >= 0
    assert first.max() <= 255


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"name": "os.system"}, "should stand in keras.layers"),
        ({"name": "keras.layers.RandomSmile"}, "no layer 'RandomSmile'"),
        ({"name": "keras.layers.RandomContrast", "strength": 1}, "RandomContrast"),
        ({"name": "keras.layers.deserialize", "config": {}}, "is no layer"),
        ({"name": "keras.layers.Lambda", "function": "x"}, "runs code"),
        ({"name": "keras.layers.TextVectorization"}, "or reads files"),
    ],
)
def test_a_layer_that_cannot_be_made_is_named(layer, message):
    with pytest.raises(UserError, match=message):
        Augmenter(Augmentation(layers=(layer,)))


def test_a_layer_that_loads_a_model_from_a_file_is_refused_unrun(tmp_path):
    class Writer(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 16, 16, 3])])
        def serve(self, x):
            with tf.control_dependencies([tf.io.write_file(canary, "here")]):
                return tf.identity(x)

    canary = str(tmp_path / "canary")
    tf.saved_model.save(Writer(), str(tmp_path / "saved"))
    layer = {
        "name": "keras.layers.TFSMLayer",
        "filepath": str(tmp_path / "saved"),
        "call_endpoint": "serve",
    }
    with pytest.raises(UserError, match="TFSMLayer' is refused"):
        augment(Augmentation(layers=(layer,)), [0.0, 1.0])
    assert not (tmp_path / "canary").exists()
