"""Networks of `keras.applications`: as Keras has them, under names that stay."""

import keras
import numpy as np
import pytest
from keras.src.applications.convnext import ConvNeXt

from transfusion_tf.models import (
    INPUT_SCALINGS,
    batch_norm_layers,
    build,
    named_tensors,
    randomize,
    seed_random_layers,
    stage_names,
)
from transfusion_tf.models.architectures import smallest_size
from transfusion_tf.models.backbones import KERAS_APPLICATIONS, KERAS_FAMILIES
from transfusion_tf.models.convnext import LayerScale, convnext
from transfusion_tf.models.input_scaling import scale_images
from transfusion_tf.models.random_weights import random_values

FIRST_OF_EACH = [next(iter(family.members)) for family in KERAS_FAMILIES]
NEW = ["densenet121", "mobilenet_v2", "efficientnet_v2_b0", "xception", "convnext_tiny"]
IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")


def drawn(weights):
    """Values that no initializer gives; variances stay positive."""
    generator = np.random.default_rng(0)
    return [w + 0.1 * abs(generator.normal(size=w.shape)) for w in weights]


def mini(**arguments):
    return ConvNeXt([1, 1, 2, 1], [8, 12, 16, 20], name="convnext_mini", **arguments)


def mini_convnext():
    image = keras.Input((64, 64, 3))
    pixels = scale_images(image, INPUT_SCALINGS["imagenet_mean_std"])
    model = convnext(mini, input_tensor=pixels, include_top=False, weights=None)
    randomize(model, 0)
    model.set_weights(drawn(model.get_weights()))
    return model


def copy_weights(model, other):
    """Depthwise kernels are grouped ones in Keras's ConvNeXt, of another shape."""
    for variable, values in zip(other.weights, model.get_weights(), strict=True):
        variable.assign(values.reshape(variable.shape))


def test_a_convnext_is_keras_s_with_its_preprocessing():
    theirs = mini(
        include_top=False, weights=None, pooling="avg", input_shape=(64, 64, 3)
    )
    ours = mini_convnext()
    copy_weights(ours, theirs)

    expected = theirs(IMAGES)
    np.testing.assert_allclose(ours(IMAGES), expected, rtol=1e-4, atol=1e-4)
    assert np.std(expected) > 0.1


PREPROCESSING = {
    "efficientnet_v2_b0": keras.applications.EfficientNetV2B0,
    "convnext_tiny": keras.applications.ConvNeXtTiny,
}


@pytest.mark.parametrize("name", PREPROCESSING)
def test_pixels_are_those_of_keras_s_own_preprocessing(
    weightless, weightless_model, name
):
    make = PREPROCESSING[name]
    models = (
        weightless(lambda: make(include_top=False, weights=None)),
        weightless_model(name),
    )

    pixels = [
        keras.Model(model.input, next(x for x in model.layers if x.weights).input)
        for model in models
    ]
    images = np.tile(IMAGES, (1, 4, 4, 1))[:, :224, :224]
    theirs, ours = (model(images) for model in pixels)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", PREPROCESSING)
def test_features_are_keras_s_with_its_own_preprocessing(name):
    make = PREPROCESSING[name]
    theirs = make(
        include_top=False, weights=None, pooling="avg", input_shape=(64, 64, 3)
    )
    model = build(name, (64, 64, 3), 1)
    ours = keras.Model(model.input, model.get_layer("logits").input)
    theirs.set_weights(drawn(theirs.get_weights()))
    copy_weights(theirs, ours)

    expected = np.array(theirs(IMAGES))
    unit = expected.std()
    np.testing.assert_allclose(ours(IMAGES) / unit, expected / unit, atol=1e-4)


@pytest.mark.parametrize("name", FIRST_OF_EACH)
def test_names_and_pixels_do_not_depend_on_what_was_built_before(
    weightless, weightless_model, name
):
    first = weightless_model(name)
    # Channels are reversed and taken by operations, which are no layers.
    later = weightless(
        lambda: build(f"{name}[input_scaling=caffe]", (96, 96, 3), 5, one_channel=True)
    )

    assert [layer.name for layer in later.layers[2:]] == [
        layer.name for layer in first.layers[2:]
    ]
    paths = [tensor.path for tensor in named_tensors(later)]
    assert paths == [tensor.path for tensor in named_tensors(first)]
    assert named_tensors(later)[0].shape[2] == 1


@pytest.mark.parametrize("name", FIRST_OF_EACH)
def test_a_declared_momentum_is_the_network_s(weightless_model, name):
    momenta = {layer.momentum for layer in batch_norm_layers(weightless_model(name))}

    assert momenta == {KERAS_APPLICATIONS[name].batch_norm_momentum} - {0.0}


def deviation(weightless_model, name, path):
    tensors = {t.path: t for t in named_tensors(weightless_model(name))}
    values = random_values(tensors[path], 3)
    np.testing.assert_array_equal(values, random_values(tensors[path], 3))
    assert not np.array_equal(values, random_values(tensors[path], 4))
    return values.std()


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        # Glorot's, as Keras counts what goes in and out: 9 inputs of each channel.
        ("mobilenet_v2", "block_3_depthwise/kernel", (2 / (9 * 145)) ** 0.5),
        ("xception", "block7_sepconv1/depthwise_kernel", (2 / (9 * 729)) ** 0.5),
        ("xception", "block7_sepconv1/pointwise_kernel", (1 / 728) ** 0.5),
        ("densenet121", "conv3_block4_1_conv/kernel", (2 / (224 + 128)) ** 0.5),
        # Two over what goes out (Tan and Le 2021, in their code).
        ("efficientnet_v2_b0", "block5b_dwconv2/kernel", (2 / 9) ** 0.5),
        ("efficientnet_v2_b0", "block5b_expand_conv/kernel", (2 / 672) ** 0.5),
        # Liu et al. 2022, appendix A.1.
        ("convnext_tiny", "convnext_tiny_stem_conv/kernel", 0.02),
        (
            "convnext_tiny",
            "convnext_tiny_stage_2_block_4_depthwise_conv/kernel",
            0.02,
        ),
        (
            "convnext_tiny",
            "convnext_tiny_stage_2_block_4_pointwise_conv_1/kernel",
            0.02,
        ),
    ],
)
def test_kernels_begin_as_keras_or_the_authors_draw_them(
    weightless_model, name, path, expected
):
    assert deviation(weightless_model, name, path) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("mobilenet_v2", "block_16_depthwise/kernel"),
        ("xception", "block7_sepconv1/depthwise_kernel"),
    ],
)
def test_another_initializer_sees_what_a_depthwise_filter_sees(
    weightless_model, name, path
):
    tensors = {t.path: t for t in named_tensors(weightless_model(name))}

    values = random_values(tensors[path], 0, "he_normal")
    assert values.std() == pytest.approx((2 / 9) ** 0.5, rel=0.05)


def test_convnexts_branches_begin_small_and_are_left_out_as_published(weightless_model):
    model = weightless_model("convnext_tiny")
    rates = [layer.rate for layer in model.layers if layer.name.endswith("_drop_path")]
    factors = [t for t in named_tensors(model) if t.path.endswith("layer_scale/gamma")]

    np.testing.assert_allclose(rates, np.linspace(0, 0.1, 18))
    assert len(factors) == 18
    np.testing.assert_array_equal(random_values(factors[0], 0), np.float32(1e-6))


def test_convnexts_stochastic_depth_is_a_function_of_the_seed_and_absent_in_inference():
    model = mini_convnext()
    for layer in model.layers:
        if layer.name.endswith("_drop_path") and layer.rate:
            layer.rate = 0.5
    images = np.concatenate([IMAGES] * 4)

    def trained(seed):
        seed_random_layers(model, seed)
        return np.array(model(images, training=True))

    first = trained(1)
    other = trained(2)
    np.testing.assert_array_equal(trained(1), first)
    assert not np.array_equal(other, first)
    np.testing.assert_array_equal(model(IMAGES), model(IMAGES))


def test_a_convnext_is_loaded_as_it_was_saved(tmp_path):
    model = mini_convnext()
    model.save(tmp_path / "model.keras")

    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)

    assert stage_names(loaded) == stage_names(model)
    assert [t.path for t in named_tensors(loaded)] == [
        t.path for t in named_tensors(model)
    ]
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))


def test_layer_scale_computes_in_the_precision_of_the_model():
    layer = LayerScale(0.5, dtype="mixed_bfloat16")

    scaled = layer(np.ones((2, 4, 4, 3), "float32"))

    assert scaled.dtype == "bfloat16"
    assert layer.gamma.dtype == "float32"
    np.testing.assert_array_equal(np.array(scaled, "float32"), 0.5)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NEW)
def test_every_network_learns_in_mixed_precision_and_is_loaded_as_it_was_saved(
    tmp_path, name
):
    size = max(64, smallest_size(name))
    images = np.random.default_rng(0).uniform(0, 255, (4, size, size, 3))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(name, (size, size, 3), 2, seed=0)
        before = [tensor.value() for tensor in named_tensors(model)]
        model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
        model.fit(images, np.eye(2)[[0, 1, 0, 1]], verbose=0)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
    finally:
        keras.config.set_dtype_policy("float32")

    for old, tensor in zip(before, named_tensors(model), strict=True):
        assert np.isfinite(tensor.value()).all(), tensor.path
        assert not np.array_equal(old, tensor.value()), tensor.path
    assert stage_names(loaded) == stage_names(model)
    np.testing.assert_array_equal(
        loaded.predict_on_batch(images), model.predict_on_batch(images)
    )
