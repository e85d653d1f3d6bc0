"""Colour work on the batch: what it does, and that only seeds decide it."""

import colorsys
import dataclasses
import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance

from transfusion_tf.datasets import Augmentation
from transfusion_tf.errors import UserError
from transfusion_tf.input_pipeline import Augmenter
from transfusion_tf.input_pipeline.augmentation import color_draws

IMAGES = np.random.default_rng(0).integers(40, 200, (4, 16, 16, 3)).astype(np.uint8)
SEEDS = np.arange(8).reshape(4, 2)
YIQ = Augmentation(hue=0.1, contrast=0.3)
HSV = dataclasses.replace(YIQ, color_space="hsv")


def augment(augmentation, colors, images=IMAGES, seeds=SEEDS):
    """With one change for all images: hue, contrast and what follows in a draw."""
    colors = [*colors, *(0, 1, 0, 1, 1, 0)[len(colors) :]]
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


@pytest.mark.parametrize("space", ["hsv", "torchvision"])
def test_hue_turns_in_hsv(space):
    policy = dataclasses.replace(YIQ, color_space=space)
    result = augment(policy, [0.07, 1.0]).reshape(-1, 3)[:64]
    for pixel, found in zip(IMAGES.reshape(-1, 3), result, strict=False):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel / 255)
        expected = colorsys.hsv_to_rgb((hue + 0.07) % 1, saturation, value)
        np.testing.assert_allclose(found, 255 * np.array(expected), atol=0.05)


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
    colors = np.tile(np.float32([0, 1, 0, 1, 1, 0]), (4, 1))
    colors[1, 2] = 1
    result = Augmenter(Augmentation(grayscale=0.2))(
        tf.constant(IMAGES), tf.constant(colors), tf.constant(SEEDS)
    )
    kept = [np.array_equal(*pair) for pair in zip(result, IMAGES, strict=True)]
    assert kept == [True, False, True, True]


@pytest.mark.parametrize("augmentation", [YIQ, HSV], ids=["yiq", "hsv"])
def test_brightness_multiplies_every_channel(augmentation):
    augmentation = dataclasses.replace(augmentation, brightness=0.2)
    result = augment(augmentation, [0.0, 1.0, 0.0, 1.2])
    np.testing.assert_allclose(result, np.float32(IMAGES) * 1.2, atol=0.05)


def test_saturation_moves_every_channel_away_from_the_luma():
    augmentation = dataclasses.replace(YIQ, saturation=0.2)
    result = augment(augmentation, [0.0, 1.0, 0.0, 1.0, 0.9])
    luma = (IMAGES @ np.float32([0.299, 0.587, 0.114]))[..., None]
    np.testing.assert_allclose(result, luma + 0.9 * (IMAGES - luma), atol=0.1)


def test_saturation_in_hsv_is_that_of_tf_image():
    augmentation = dataclasses.replace(HSV, saturation=0.2)
    expected = tf.image.adjust_saturation(IMAGES / np.float32(255), 0.9) * 255
    result = augment(augmentation, [0.0, 1.0, 0.0, 1.0, 0.9])
    np.testing.assert_allclose(result, expected, atol=0.05)


def pil_changes(hue, contrast, brightness, saturation):
    """Torchvision's changes of a PIL image, by Pillow and the standard library."""

    def turned(image):
        pixels = np.asarray(image).reshape(-1, 3) / 255
        hsv = [colorsys.rgb_to_hsv(*pixel) for pixel in pixels]
        rgb = [colorsys.hsv_to_rgb((h + hue) % 1, s, v) for h, s, v in hsv]
        size = np.asarray(image).shape
        return Image.fromarray(np.uint8(np.round(255 * np.reshape(rgb, size))))

    return [
        lambda image: ImageEnhance.Brightness(image).enhance(brightness),
        lambda image: ImageEnhance.Contrast(image).enhance(contrast),
        lambda image: ImageEnhance.Color(image).enhance(saturation),
        turned,
    ]


@pytest.mark.parametrize("number", [0, 9, 23])
def test_torchvision_colours_are_those_of_pillow_in_the_same_order(number):
    changes = pil_changes(0.08, 1.2, 1.15, 0.9)
    # Bright ones are cut on the way, so that orders differ.
    images = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    expected = []
    for image in images:
        image = Image.fromarray(image)
        for index in list(itertools.permutations(range(4)))[number]:
            image = changes[index](image)
        expected.append(np.asarray(image, np.float32))
    policy = dataclasses.replace(YIQ, color_space="torchvision")
    result = augment(policy, [0.08, 1.2, 0.0, 1.15, 0.9, number], images, SEEDS[:2])
    # Pillow cuts what is behind the point off after each of the four.
    np.testing.assert_allclose(result, expected, atol=4)
    assert np.abs(result - expected).mean() < 1.5


def test_torchvision_changes_in_any_order():
    orders = draws(dataclasses.replace(YIQ, color_space="torchvision"))[:, 5]
    assert set(orders) == set(range(24))
    assert (draws(YIQ)[:, 5] == 0).all()


def draws(augmentation, count=400):
    seeds = tf.constant(np.arange(2 * count).reshape(count, 2))
    draw = functools.partial(color_draws, augmentation=augmentation)
    # Compiled: one by one, eagerly, they take ten times as long.
    drawn = tf.function(tf.map_fn)(draw, seeds, fn_output_signature=tf.float32)
    return drawn.numpy()


def test_colours_are_changed_within_their_ranges_in_a_share_of_the_images():
    drawn = draws(
        Augmentation(
            hue=0.1, contrast=0.2, brightness=0.2, saturation=0.1, color_share=0.25
        )
    )
    same = (drawn == np.float32([0, 1, 0, 1, 1, 0])).all(axis=1)
    assert 0.7 < same.mean() < 0.8
    changed = np.abs(drawn[~same, :5] - [0, 1, 0, 1, 1])
    assert (changed <= np.array([0.1, 0.2, 0, 0.2, 0.1]) + 1e-6).all()
    assert (changed.max(axis=0)[[0, 1, 3, 4]] > [0.08, 0.16, 0.16, 0.08]).all()


def test_more_that_can_change_leaves_hue_and_contrast_their_draws():
    fewer, more = draws(YIQ), draws(dataclasses.replace(YIQ, brightness=0.2))
    np.testing.assert_array_equal(fewer[:, :3], more[:, :3])
    assert (fewer[:, 3:5] == 1).all()


@pytest.mark.parametrize(
    "name",
    ["keras.layers.RandomContrast", "keras_cv.layers.RandomHue"],
)
def test_layers_by_name_draw_from_the_seeds_alone(name):
    # As training does: without the seed, all that draws would fail after this test.
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    if name.startswith("keras_cv"):
        pytest.importorskip("keras_cv")
    augmentation = Augmentation(layers=({"name": name, "factor": 0.4},))
    first = augment(augmentation, [0.0, 1.0])
    np.testing.assert_array_equal(first, augment(augmentation, [0.0, 1.0]))
    other = augment(augmentation, [0.0, 1.0], seeds=SEEDS + 5)
    assert np.abs(first - other).max() > 1
    assert first.min() >= 0
    assert first.max() <= 255


def test_a_layer_that_branches_on_tensors_works_in_a_compiled_step():
    """The steps themselves are not converted for it."""
    pytest.importorskip("keras_cv")
    layer = {"name": "keras_cv.layers.Equalization"}
    step = tf.function(Augmenter(Augmentation(layers=(layer,))), autograph=False)
    narrow = np.random.default_rng(0).integers(100, 120, (2, 64, 64, 3), np.uint8)
    colors = np.tile(np.float32([0, 1, 0, 1, 1]), (2, 1))
    seeds = np.zeros((2, 2), np.int64)
    equalized = step(narrow, colors, seeds).numpy()
    assert np.ptp(narrow) < 20
    assert np.ptp(equalized) > 200


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
