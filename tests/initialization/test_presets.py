import json
import re
import shutil

import h5py
import keras
import numpy as np
import pytest
from hub_backbones import hub_features

from transfusion_tf.initialization import (
    DonorMismatchError,
    DonorUnavailableError,
    donor_from_preset,
    initialize,
    is_preset,
    load_donor,
    preset_fingerprint,
)
from transfusion_tf.models import build, named_tensors
from transfusion_tf.models.architectures import ARCHITECTURES

# KerasHub's own, of its own Swin.
pytestmark = pytest.mark.filterwarnings("ignore:Layer 'attn'.*mask:UserWarning")

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
MORE = {"deit_mini": {}, "deit_ti": {}, "swin_mini": {"window_size": 4}, "resnet18": {}}


def save_preset(name, folder, size=64, **changes):
    """A KerasHub backbone with drawn weights, saved as KerasHub saves it."""
    keras_hub = pytest.importorskip("keras_hub")
    hub = ARCHITECTURES[name].hub
    make = getattr(keras_hub.models, hub.class_name)
    options = {**hub.config, **MORE[name], **changes}
    backbone = make(image_shape=(size, size, 3), **options)
    for index, variable in enumerate(backbone.weights):
        generator = np.random.default_rng(index)
        middle = 1.0 if variable.name in ("gamma", "moving_variance") else 0.0
        variable.assign(abs(generator.normal(middle, 0.1, variable.shape)))
    backbone.save_to_preset(str(folder))
    return backbone


@pytest.fixture(
    scope="module",
    params=["deit_mini", pytest.param("swin_mini", marks=pytest.mark.exhaustive)],
)
def preset(request, tmp_path_factory):
    """(model name, folder, backbone)."""
    folder = tmp_path_factory.mktemp(request.param) / "preset"
    return request.param, folder, save_preset(request.param, folder)


@pytest.fixture(scope="module")
def deit_preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deit") / "preset"
    save_preset("deit_mini", folder)
    return folder


def damaged(folder, target, **changes):
    """A copy of a preset with other values in its config."""
    target.mkdir()
    stated = json.loads((folder / "config.json").read_text())
    stated["config"] |= changes
    (target / "config.json").write_text(json.dumps(stated))
    (target / "model.weights.h5").symlink_to(folder / "model.weights.h5")
    return target


def features(model):
    """Pixels as the network sees them, and what it makes of them."""
    scaled = model.get_layer("input_scaling_imagenet_mean_std").output
    last = model.get_layer("norm").output
    return keras.Model(model.input, [scaled, last])(IMAGES)


def test_a_model_with_a_presets_weights_computes_what_the_backbone_does(preset):
    name, folder, backbone = preset
    model = build(name, (64, 64, 3), 2)

    initialize(model, "transfer", load_donor(str(folder), model))

    pixels, found = features(model)
    expected = keras.ops.convert_to_numpy(hub_features(backbone, pixels))
    assert expected.std() > 0.01
    np.testing.assert_allclose(
        np.reshape(found, expected.shape), expected, rtol=1e-4, atol=1e-4
    )


def test_a_preset_has_every_tensor_below_the_head(preset):
    name, folder, _ = preset
    model = build(name, (64, 64, 3), 2)

    donor = load_donor(str(folder), model, input_scaling="imagenet_mean_std")

    assert list(donor.tensors) == [
        tensor.path
        for tensor in named_tensors(model)
        if not tensor.path.startswith("logits/")
    ]
    assert (donor.name, donor.source) == ("preset", folder)
    assert donor.input_scaling == "imagenet_mean_std"


@pytest.mark.slow
def test_resnet18_takes_a_preset_too(tmp_path):
    backbone = save_preset("resnet18", tmp_path / "preset")
    model = build("resnet18", (64, 64, 3), 2)

    donor = load_donor(str(tmp_path / "preset"), model)
    initialize(model, "transfer", donor)

    assert len(donor.tensors) == len(backbone.weights)
    kernel = backbone.get_layer("stack3_block1_2_conv").kernel
    np.testing.assert_array_equal(
        donor.tensors["conv5_block2_2_conv/kernel"],
        keras.ops.convert_to_numpy(kernel),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "resized"),
    [
        ("deit_mini", 96, "tokens/position_embedding"),
        pytest.param("swin_mini", 80, "_bias_table", marks=pytest.mark.exhaustive),
    ],
)
def test_a_preset_may_be_of_another_image_size(tmp_path, name, size, resized):
    window = {"window_size": 5} if name == "swin_mini" else {}
    save_preset(name, tmp_path / "preset", size, **window)
    model = build(name, (64, 64, 3), 2)

    report = initialize(model, "transfer", load_donor(str(tmp_path / "preset"), model))

    found = [record.path for record in report if record.resized_from]
    assert found
    assert all(path.endswith(resized) for path in found)


@pytest.mark.slow
def test_a_cut_deit_takes_a_whole_preset(deit_preset):
    model = build("deit_mini[blocks=2]", (64, 64, 3), 2)

    report = initialize(model, "transfer", load_donor(str(deit_preset), model))

    assert report.counts()["random"] == 2  # the head


def test_a_preset_of_other_sizes_is_refused_with_both(tmp_path, deit_preset):
    folder = damaged(deit_preset, tmp_path / "preset", hidden_dim=32, num_heads=2)
    model = build("deit_mini", (64, 64, 3), 2)

    with pytest.raises(
        DonorMismatchError,
        match="not of deit_mini: its num_heads is 2, not 4; its hidden_dim is 32, not",
    ):
        load_donor(str(folder), model)


@pytest.mark.slow
def test_a_preset_of_another_kind_of_backbone_is_refused(deit_preset):
    model = build("swin_mini", (64, 64, 3), 2)

    with pytest.raises(DonorMismatchError, match="it is a DeiTBackbone, not a Swin"):
        load_donor(str(deit_preset), model)


def test_a_model_that_is_not_built_on_kerashub_takes_no_preset(deit_preset):
    model = build("cbr_tiny", (64, 64, 3), 2)

    with pytest.raises(DonorMismatchError, match="cbr_tiny is not built on KerasHub"):
        load_donor(str(deit_preset), model)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_shape": [10**6, 10**6, 3]}, "up to 4096 pixels"),
        ({"image_shape": [64, 64]}, r"image_shape should be \[height, width, 3\]"),
        ({"window_size": 10**5}, "window_size should be a whole number up to 64"),
        ({"num_layers": 10**6}, "its num_layers is 1000000, not 6"),
        ({"image_shape": [128, 128, 3]}, "weights of preset .* are not those of deit"),
    ],
)
def test_a_config_that_does_not_fit_its_weights_is_refused(
    tmp_path, deit_preset, changes, said
):
    folder = damaged(deit_preset, tmp_path / "damaged", **changes)
    model = build("deit_mini", (64, 64, 3), 2)

    with pytest.raises(ValueError, match=said):
        load_donor(str(folder), model)


@pytest.mark.slow
def test_weights_that_the_file_lacks_are_not_left_random(tmp_path, deit_preset):
    folder = tmp_path / "preset"
    shutil.copytree(deit_preset, folder)
    with h5py.File(folder / "model.weights.h5", "a") as file:
        del file["layers/dei_t_encoder/encoder_layers"]
    model = build("deit_mini", (64, 64, 3), 2)

    with pytest.raises(ValueError, match=r"not in the file|are not those of"):
        load_donor(str(folder), model)


@pytest.mark.slow
def test_weights_that_are_no_numbers_are_refused(tmp_path):
    backbone = save_preset("deit_mini", tmp_path / "preset")
    backbone.weights[0].assign(np.full(backbone.weights[0].shape, np.nan))
    backbone.save_to_preset(str(tmp_path / "preset"))
    model = build("deit_mini", (64, 64, 3), 2)

    with pytest.raises(ValueError, match="tokens/class_token holds NaN or infinity"):
        load_donor(str(tmp_path / "preset"), model)


def test_a_folder_without_a_preset_says_what_should_be_there(tmp_path, deit_preset):
    model = build("deit_mini", (64, 64, 3), 2)
    (tmp_path / "half").mkdir()
    config = (deit_preset / "config.json").read_text()
    (tmp_path / "half" / "config.json").write_text(config)

    with pytest.raises(DonorUnavailableError, match="holds no KerasHub preset"):
        load_donor(str(tmp_path), model)
    with pytest.raises(DonorUnavailableError, match=r"has no model\.weights\.h5"):
        load_donor(str(tmp_path / "half"), model)


def test_a_preset_is_told_from_a_run_directory(tmp_path, deit_preset):
    (tmp_path / "config.json").write_text('{"model": "deit_mini"}')

    assert is_preset(deit_preset)
    assert not is_preset(tmp_path)
    assert not is_preset(tmp_path / "nowhere")


def test_fingerprints_tell_presets_apart(tmp_path, deit_preset):
    other = tmp_path / "other"
    shutil.copytree(deit_preset, other)
    assert preset_fingerprint(other) == preset_fingerprint(deit_preset)

    with h5py.File(other / "model.weights.h5", "a") as file:
        file["layers/dei_t_encoder/layer_norm/vars/0"][0] += 1

    assert len(preset_fingerprint(deit_preset)) == 16
    assert preset_fingerprint(other) != preset_fingerprint(deit_preset)


@pytest.mark.slow
def test_without_a_network_the_error_says_what_to_put_where(tmp_path, monkeypatch):
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    model = build("deit_ti", (32, 32, 3), 1)
    name = "deit_tiny_distilled_patch16_224_imagenet"

    for donor in ("imagenet", name):
        with pytest.raises(
            DonorUnavailableError,
            match=rf"cannot download .* {name}\. .*put config\.json and "
            rf"model\.weights\.h5 of .*/{name}/1 into {tmp_path}/.*/{name}/1, where "
            "it is found .* as imagenet, or into any folder for --donor",
        ) as raised:
            load_donor(donor, model)

    # Put there, it is found.
    (folder,) = re.findall(r"into (\S+), where", str(raised.value))
    save_preset("deit_ti", folder, size=224)
    assert load_donor("imagenet", model).name == "imagenet"


def test_an_architecture_without_a_published_preset_says_which_have_one():
    model = build("deit_mini", (64, 64, 3), 1)

    with pytest.raises(DonorUnavailableError, match=r"only for resnet50.*deit_s"):
        load_donor("imagenet", model)


def test_an_unknown_name_is_refused():
    model = build("deit_mini", (64, 64, 3), 1)

    with pytest.raises(DonorUnavailableError, match="nor a preset that KerasHub has"):
        load_donor("deit_small_distilled", model)


@pytest.mark.slow
def test_a_preset_folder_can_be_given_as_a_path(deit_preset):
    model = build("deit_mini", (64, 64, 3), 2)

    donor = donor_from_preset(deit_preset, model, name="mine")

    assert (donor.name, donor.input_scaling) == ("mine", None)
