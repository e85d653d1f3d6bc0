import keras
import numpy as np
import pytest

from transfusion_tf.initialization.presets import _PUBLISHED_SCALING, IMAGENET_PRESETS
from transfusion_tf.models import (
    INPUT_SCALINGS,
    build,
    dataset_scaling_name,
    input_scaling_description,
    input_scaling_of,
    reads_bgr,
    units_of,
)
from transfusion_tf.models.architectures import ARCHITECTURES

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 75, 75, 3)).astype("float32")


def scaled_inside(model: keras.Model, images: np.ndarray) -> np.ndarray:
    layer = model.get_layer(f"input_scaling_{input_scaling_of(model)}")
    return keras.ops.convert_to_numpy(keras.Model(model.input, layer.output)(images))


def scaled_by(name: str, images: np.ndarray) -> np.ndarray:
    model = build("cbr_tiny", images.shape[1:], 1, input_scaling=name)
    return scaled_inside(model, images)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("resnet50", "resnet50"),
        ("inception_v3", "inception_v3"),
        ("densenet121", "densenet"),
        ("mobilenet_v2", "mobilenet_v2"),
        ("xception", "xception"),
    ],
)
def test_backbones_scale_as_keras_does_for_their_weights(
    weightless_model, name, module
):
    application = getattr(keras.applications, module)
    model = weightless_model(name)
    images = np.random.default_rng(0).uniform(0, 255, (1, 224, 224, 3))

    np.testing.assert_allclose(
        scaled_inside(model, images),
        application.preprocess_input(images.copy()),
        rtol=1e-5,
        atol=1e-5,
    )


def test_our_own_models_expect_imagenets_mean_and_standard_deviation(smallest_model):
    assert input_scaling_of(smallest_model("cbr_tiny")) == "imagenet_mean_std"


@pytest.mark.parametrize(
    ("name", "keras_mode"),
    [
        ("caffe", "caffe"),
        ("minus_one_to_one", "tf"),
        ("imagenet_mean_std", "torch"),
    ],
)
def test_the_named_scalings_are_keras_modes(name, keras_mode):
    expected = keras.applications.imagenet_utils.preprocess_input(
        IMAGES.copy(), mode=keras_mode
    )
    np.testing.assert_allclose(scaled_by(name, IMAGES), expected, rtol=1e-5, atol=1e-5)


def test_the_scalings_without_a_keras_mode_are_what_they_say():
    np.testing.assert_array_equal(scaled_by("none", IMAGES), IMAGES)
    np.testing.assert_allclose(scaled_by("zero_to_one", IMAGES), IMAGES / 255, 1e-6)
    np.testing.assert_allclose(
        scaled_by("caffe_over_255", IMAGES),
        scaled_by("caffe", IMAGES) / 255,
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("name", INPUT_SCALINGS)
def test_a_scaling_survives_saving_in_safe_mode(tmp_path, name):
    model = build("cbr_tiny", (64, 64, 3), 2, seed=0, input_scaling=name)
    model.save(tmp_path / "model.keras")

    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)

    assert input_scaling_of(loaded) == name
    np.testing.assert_array_equal(
        loaded(IMAGES[:, :64, :64]), model(IMAGES[:, :64, :64])
    )


def test_the_models_name_can_carry_the_scaling():
    model = build("cbr_tiny[input_scaling=caffe]", (64, 64, 3), 2)

    assert input_scaling_of(model) == "caffe"


STATISTICS = {"mean": [0.4, 0.3, 0.2], "std": [0.1, 0.2, 0.3]}


def test_a_data_sets_statistics_scale_channel_by_channel():
    model = build("cbr_tiny", (75, 75, 3), 1, pixel_statistics=STATISTICS)

    expected = (IMAGES / 255 - STATISTICS["mean"]) / STATISTICS["std"]
    assert input_scaling_of(model) == "dataset_mean_std"
    np.testing.assert_allclose(scaled_inside(model, IMAGES), expected, atol=1e-5)


# "IMAGENET-pretrained weights" came from PyTorch, whose donors saw images of this mean
# and deviation as mean 0 and deviation 1.
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
TARGETS = {
    "colour": STATISTICS,
    "grey": {"mean": [0.3] * 3, "std": [0.2] * 3},
    "dark": {"mean": [0.01, 0.02, 0.03], "std": [0.004] * 3},
    "ImageNet": IMAGENET,
}
KERAS_MODES = {
    "caffe": lambda x: keras_mode(x, "caffe"),
    "caffe_over_255": lambda x: keras_mode(x, "caffe") / 255,
    "minus_one_to_one": lambda x: keras_mode(x, "tf"),
    "efficientnet_lite": lambda x: (x - 127) / 128,
    "imagenet_mean_std": lambda x: keras_mode(x, "torch"),
    "zero_to_one": lambda x: x / 255,
    "none": lambda x: x,
}


def keras_mode(images, mode):
    return keras.applications.imagenet_utils.preprocess_input(images.copy(), mode=mode)


def colours(statistics: dict) -> np.ndarray:
    """One scene as a data set of these statistics has it: RGB, 0 to 255."""
    scene = np.random.default_rng(1).normal(size=(2, 75, 75, 3))
    scene = (scene - scene.mean((0, 1, 2))) / scene.std((0, 1, 2))
    return 255 * (scene * statistics["std"] + statistics["mean"])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("units", INPUT_SCALINGS)
def test_standardised_images_come_in_the_units_that_a_donor_was_trained_on(
    units, target
):
    model = build(
        *("cbr_tiny", (75, 75, 3), 1),
        input_scaling=units,
        pixel_statistics=TARGETS[target],
    )

    seen = scaled_inside(model, colours(TARGETS[target]).astype("float32"))

    trained_on = KERAS_MODES[units](colours(IMAGENET))
    deviation = trained_on.std((0, 1, 2))
    np.testing.assert_allclose(
        seen / deviation, trained_on / deviation, atol=1e-3, rtol=1e-3
    )
    assert reads_bgr(model) == units.startswith("caffe")


@pytest.mark.parametrize("name", ["resnet50", "inception_v3", "deit_mini", "cbr_tiny"])
def test_standardised_images_come_in_the_units_of_a_model_s_own_donors(
    weightless, name
):
    size = 80
    shape = (size, size, 3)
    model = weightless(
        lambda: build(name, shape, 1, pixel_statistics=TARGETS["colour"])
    )

    donors = ARCHITECTURES[name].input_scaling
    assert input_scaling_of(model) == dataset_scaling_name(donors)
    again = weightless(lambda: build(name, shape, 1, input_scaling=donors))
    image = np.full((1, size, size, 3), 255 * np.array(IMAGENET["mean"]), "float32")
    mean = np.full((1, size, size, 3), 255 * np.array(STATISTICS["mean"]), "float32")
    np.testing.assert_allclose(
        scaled_inside(model, mean), scaled_inside(again, image), atol=1e-4
    )


def test_every_published_preset_is_trained_on_what_its_architecture_takes():
    for name in IMAGENET_PRESETS:
        assert ARCHITECTURES[name].input_scaling == _PUBLISHED_SCALING, name


@pytest.mark.parametrize("units", INPUT_SCALINGS)
def test_names_of_standardised_images_say_the_units(units):
    name = dataset_scaling_name(units)
    assert units_of(name) == units_of(units) == units
    assert "mean of the run's training images" in input_scaling_description(name)
    described = input_scaling_description(units)
    assert units == "imagenet_mean_std" or described in input_scaling_description(name)


@pytest.mark.parametrize(
    ("statistics", "options", "message"),
    [
        ({"mean": [0.4, 0.3, 0.2]}, {}, "mean and std, three numbers each"),
        (STATISTICS | {"std": [0.1, 0.2]}, {}, "three numbers each"),
        (STATISTICS | {"std": [0.1, 0, 0.3]}, {}, "above 0"),
        (STATISTICS, {"input_scaling": "bgr"}, "unknown input scaling 'bgr'"),
    ],
)
def test_statistics_that_can_not_be_are_an_error(statistics, options, message):
    with pytest.raises(ValueError, match=message):
        build("cbr_tiny", (64, 64, 3), 1, pixel_statistics=statistics, **options)
