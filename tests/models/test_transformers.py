import sys

import binaries
import keras
import numpy as np
import pytest
from hub_backbones import hub_features

from transfusion_tf.models import (
    DEIT_ARCHITECTURES,
    SwinArchitecture,
    build,
    cut_blocks,
    input_scaling_of,
    named_tensors,
    stage_names,
    stages,
)
from transfusion_tf.models.architectures import ARCHITECTURES
from transfusion_tf.models.random_weights import randomize, seed_random_layers
from transfusion_tf.models.swin import swin_features

# KerasHub's own, of its own Swin.
pytestmark = pytest.mark.filterwarnings("ignore:Layer 'attn'.*mask:UserWarning")

MINIS = ("deit_mini", "swin_mini")
IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 64, 64, 3)).astype("float32")


def drawn(variables, seed=0) -> None:
    """Gives all weights, biases and norms too, values that change what is computed."""
    for index, variable in enumerate(variables):
        generator = np.random.default_rng([seed, index])
        middle = 1.0 if variable.name == "gamma" else 0.0
        variable.assign(generator.normal(middle, 0.1, variable.shape))


def hub_pair(name, size=64):
    """KerasHub's backbone, and our model with the same weights."""
    hub = ARCHITECTURES[name].hub
    more = {"window_size": 4} if name == "swin_mini" else {}
    backbone = hub.make((size, size, 3), **more)
    drawn(backbone.weights)
    model = build(name, (size, size, 3), 2)
    values = hub.tensors(backbone)
    for tensor in named_tensors(model):
        if tensor.path in values:
            tensor.variable.assign(values[tensor.path])
    return backbone, model


@pytest.mark.slow
@pytest.mark.parametrize("name", MINIS)
def test_features_are_those_of_kerashubs_backbone(name):
    backbone, model = hub_pair(name)
    scaled = model.get_layer(f"input_scaling_{input_scaling_of(model)}").output
    ours = keras.Model(model.input, [scaled, model.get_layer("norm").output])

    pixels, features = ours(IMAGES)
    expected = keras.ops.convert_to_numpy(hub_features(backbone, pixels))

    assert expected.std() > 0.1
    np.testing.assert_allclose(
        np.reshape(features, expected.shape), expected, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", MINIS)
def test_weights_below_the_head_are_kerashubs_with_their_shapes(name):
    backbone, model = hub_pair(name)
    theirs = ARCHITECTURES[name].hub.tensors(backbone)

    assert {path: values.shape for path, values in theirs.items()} == {
        tensor.path: tensor.shape
        for tensor in named_tensors(model)
        if not tensor.path.startswith("logits/")
    }
    # "deit_small_patch16_224" of the authors' code has no distillation token.
    assert not any("distillation" in path for path in theirs)
    assert len(theirs) == len(backbone.weights) - (name == "deit_mini")


@pytest.mark.slow
def test_resnet18_computes_what_kerashubs_backbone_computes():
    backbone, model = hub_pair("resnet18")
    scaled = model.get_layer("input_scaling_imagenet_mean_std").output
    last = stages(model)[-1].output

    pixels, features = keras.Model(model.input, [scaled, last])(IMAGES)

    np.testing.assert_allclose(
        features, backbone(pixels, training=False), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", MINIS)
def test_the_minis_have_a_few_hundred_thousand_weights(smallest_model, name):
    assert 200_000 < smallest_model(name).count_params() < 500_000


def test_a_deits_head_reads_the_class_token_alone(smallest_model):
    model = smallest_model("deit_mini")
    norm = keras.Model(model.input, model.get_layer("norm").output)

    expected = model.get_layer("logits")(norm(IMAGES)[:, 0])

    np.testing.assert_allclose(model(IMAGES), keras.ops.sigmoid(expected), rtol=1e-5)


def test_a_swins_head_reads_the_mean_over_places(smallest_model):
    model = smallest_model("swin_mini")
    norm = keras.Model(model.input, model.get_layer("norm").output)

    expected = model.get_layer("logits")(np.mean(norm(IMAGES), axis=(1, 2)))

    np.testing.assert_allclose(model(IMAGES), keras.ops.sigmoid(expected), rtol=1e-5)


def test_a_cut_deit_is_the_first_blocks_of_the_whole(smallest_model):
    whole = smallest_model("deit_mini")
    cut = build("deit_mini[blocks=2]", (64, 64, 3), 5, seed=0)

    assert stage_names(cut) == ("patch_embed", "block1", "block2")
    assert cut_blocks(cut) == ("block3", "block4", "block5", "block6")
    assert cut_blocks(whole) == ()
    outputs = [
        keras.Model(model.input, stages(model)[2].output)(IMAGES)
        for model in (whole, cut)
    ]
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-5)


def test_images_need_not_be_square():
    deit = build("deit_mini", (64, 96, 3), 2, seed=0)
    swin = build("swin_mini", (64, 96, 3), 2, seed=0)
    images = np.zeros((1, 64, 96, 3), "float32")

    assert stages(deit)[0].output.shape == (None, 1 + 8 * 12, 64)
    assert stages(swin)[-1].output.shape == (None, 4, 6, 80)
    for model in (deit, swin):
        assert np.isfinite(model(images)).all()


# Maps of 8 x 10 and 4 x 5 tokens, in windows of 4.
OBLONG = np.random.default_rng(1).uniform(0, 255, (2, 64, 80, 3)).astype("float32")


@pytest.mark.slow
@pytest.mark.parametrize(
    "size",
    [
        pytest.param((224, 224), marks=pytest.mark.exhaustive),
        (224, 256),
        pytest.param((544, 544), marks=pytest.mark.exhaustive),
        (64, 64),
    ],
)
def test_swins_window_is_the_published_one_at_every_size(weightless_model, size):
    tables = [
        weight.shape
        for weight in weightless_model("swin_t", size).weights
        if weight.name == "relative_position_bias_table"
    ]
    heads = [3] * 2 + [6] * 2 + [12] * 6 + [24] * 2
    assert tables == [(13 * 13, number) for number in heads]


@pytest.mark.parametrize(
    "size", [(64, 80), pytest.param((80, 80), marks=pytest.mark.exhaustive), (32, 48)]
)
def test_a_swins_weights_fit_it_at_another_size(smallest_model, size):
    donor = smallest_model("swin_mini")
    model = build("swin_mini", (*size, 3), 5)

    assert [(tensor.path, tensor.shape) for tensor in named_tensors(model)] == [
        (tensor.path, tensor.shape) for tensor in named_tensors(donor)
    ]
    model.set_weights(donor.get_weights())
    assert np.isfinite(model(np.resize(IMAGES, (1, *size, 3)))).all()


def test_shifted_windows_hand_on_what_one_window_has_seen():
    model = build("swin_mini", OBLONG.shape[1:], 2, seed=0)
    drawn(model.weights)
    blocks = keras.Model(model.input, [stage.output for stage in stages(model)[1:3]])
    changed = OBLONG.copy()
    changed[:, :32, :32] = 255 - changed[:, :32, :32]  # the first window's pixels

    regular, shifted = (
        np.any(np.not_equal(before, after), axis=(0, 3))
        for before, after in zip(blocks(OBLONG), blocks(changed), strict=True)
    )

    expected = np.zeros((8, 10), bool)
    expected[:4, :4] = True
    np.testing.assert_array_equal(regular, expected)
    expected[:6, :6] = True  # windows that start at 2 end before 6
    np.testing.assert_array_equal(shifted, expected)


# What is masked is -infinity in float16, whose range is the narrower one.
@pytest.mark.parametrize(
    "policy",
    [
        "mixed_float16",
        pytest.param("mixed_bfloat16", marks=pytest.mark.exhaustive),
    ],
)
def test_a_filled_up_swin_answers_in_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = build("swin_mini", OBLONG.shape[1:], 3, seed=0)
    finally:
        keras.config.set_dtype_policy("float32")

    expected = build("swin_mini", OBLONG.shape[1:], 3, seed=0)(OBLONG)

    np.testing.assert_allclose(model(OBLONG), expected, atol=0.02)


@pytest.mark.parametrize("name", MINIS)
def test_a_saved_model_loads_in_safe_mode_and_computes_the_same(
    tmp_path, smallest_model, name
):
    model = smallest_model(name)
    model.save(tmp_path / "model.keras")

    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)

    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))


@pytest.mark.parametrize("name", MINIS)
def test_mixed_precision_computes_in_bfloat16_and_answers_in_float32(
    smallest_model, name
):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(name, (64, 64, 3), 5, seed=0)
    finally:
        keras.config.set_dtype_policy("float32")

    assert stages(model)[-1].output.dtype == "bfloat16"
    assert {variable.dtype for variable in model.weights} == {"float32"}
    probabilities = model(IMAGES)
    assert keras.backend.standardize_dtype(probabilities.dtype) == "float32"
    np.testing.assert_allclose(probabilities, smallest_model(name)(IMAGES), atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", MINIS)
def test_a_training_step_moves_every_embedding_and_kernel(name):
    model = build(name, (64, 64, 3), 2, seed=0)
    before = {tensor.path: tensor.value() for tensor in named_tensors(model)}

    # One step: to trace it takes longer.
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", run_eagerly=True)
    history = model.fit(IMAGES, np.eye(2)[[0, 1, 0]], verbose=0)

    assert np.isfinite(history.history["loss"]).all()
    still = [
        tensor.path
        for tensor in named_tensors(model)
        if np.array_equal(before[tensor.path], tensor.value())
        and tensor.name not in ("bias", "beta", "gamma")
    ]
    assert still == []


def test_the_same_seed_gives_the_same_weights_and_another_does_not(smallest_model):
    first = smallest_model("swin_mini").get_weights()
    again, other = (
        build("swin_mini", (64, 64, 3), 5, seed=seed).get_weights() for seed in (0, 1)
    )

    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("name", MINIS)
def test_random_weights_have_the_published_scale(smallest_model, name):
    for tensor in named_tensors(smallest_model(name)):
        values = tensor.value()
        if tensor.path.startswith("logits/"):
            continue
        if tensor.is_normalization or tensor.name == "bias":
            assert (values == (tensor.name == "gamma")).all(), tensor.path
        elif tensor.path == "patch_embed/kernel":
            assert abs(values).max() <= 1 / np.sqrt(8 * 8 * 3)
        else:
            error = 5 / np.sqrt(2 * values.size)
            assert values.std() == pytest.approx(0.02, rel=error), tensor.path


def stochastic_swin(seed):
    image = keras.Input((32, 32, 3))
    architecture = SwinArchitecture(8, (2, 2), (2, 4), 16, 2, drop_path=0.5)
    model = keras.Model(image, swin_features(image, architecture))
    randomize(model, 0)
    seed_random_layers(model, seed)
    drawn(model.trainable_variables)
    return model


@pytest.mark.slow
def test_stochastic_depth_is_a_function_of_the_seed_and_absent_in_inference():
    images = IMAGES[:, :32, :32] / 255
    models = [stochastic_swin(seed) for seed in (1, 1, 2)]

    first, again, other = (model(images, training=True) for model in models)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, models[0](images))
    np.testing.assert_array_equal(models[0](images), models[2](images))


@pytest.mark.slow
def test_stochastic_depth_grows_evenly_to_the_authors_rate(weightless_model):
    model = weightless_model("swin_t")
    rates = {
        layer.name: layer.rate for layer in model.layers if "drop_path" in layer.name
    }

    assert "block1_attention_drop_path" not in rates
    assert rates["block2_mlp_drop_path"] == pytest.approx(0.2 / 11)
    assert rates["block12_attention_drop_path"] == pytest.approx(0.2)


def test_without_kerashub_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)

    # Of a number of blocks that no other test has built.
    for name in ("resnet18", "deit_mini[blocks=5]"):
        with pytest.raises(ValueError, match=r"pip install 'transfusion_tf\[transf"):
            build(name, (64, 64, 3), 2)


def test_a_precision_policy_holds_for_the_models_built_under_it(smallest_model):
    before = smallest_model("deit_mini")  # KerasHub's layers are looked up once
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = build("deit_mini[blocks=1]", (64, 64, 3), 2)
    finally:
        keras.config.set_dtype_policy("float32")
    after = build("deit_mini[blocks=1]", (64, 64, 3), 2)

    for model, dtype in ((before, "float32"), (mixed, "bfloat16"), (after, "float32")):
        assert model.get_layer("block1_mlp_dense").compute_dtype == dtype


@pytest.mark.slow
def test_kerashub_is_not_imported_for_other_models():
    script = (
        "import sys\n"
        "from transfusion_tf.models import build\n"
        "build('cbr_tiny', (64, 64, 3), 2)\n"
        "assert 'keras_hub' not in sys.modules\n"
    )
    binaries.run_script(script)


def test_published_sizes_are_those_of_the_deit_paper():
    """DeiT, table 1: width 192, 384, 768 with heads of 64 channels; 12 blocks."""
    for name in ("deit_ti", "deit_s", "deit_b"):
        deit = DEIT_ARCHITECTURES[name]
        assert (deit.patch, deit.blocks, deit.width / deit.heads) == (16, 12, 64)
