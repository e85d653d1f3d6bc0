"""ImageNet's weights of `keras.applications`, and what starts are made of them.

Files are planted where Keras looks for what it has downloaded.
"""

import re

import keras
import numpy as np
import pytest

from transfusion_tf.initialization import (
    DonorUnavailableError,
    donor_from_file,
    donor_from_model,
    initialize,
    load_donor,
    parse_spec,
)
from transfusion_tf.initialization.plans import plan_tensors
from transfusion_tf.models import build, named_tensors
from transfusion_tf.models.architectures import smallest_size
from transfusion_tf.models.backbones import KERAS_APPLICATIONS, imagenet_file

FILES = {
    "resnet50": "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "inception_v3": "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "densenet121": "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "mobilenet_v2": (
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    ),
    "efficientnet_v2_b0": "efficientnetv2-b0_notop.h5",
    "xception": "xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "convnext_tiny": "convnext_tiny_notop.h5",
}
APPLICATIONS = {
    "densenet121": keras.applications.DenseNet121,
    "mobilenet_v2": keras.applications.MobileNetV2,
    "efficientnet_v2_b0": keras.applications.EfficientNetV2B0,
    "xception": keras.applications.Xception,
    "convnext_tiny": keras.applications.ConvNeXtTiny,
}
# The smallest; the others have kinds of layers that are tested one by one.
NAMES = [
    name if name == "mobilenet_v2" else pytest.param(name, marks=pytest.mark.exhaustive)
    for name in APPLICATIONS
]


def planted(model, seed):
    """The model with values that no initializer gives."""
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(generator.gamma(2.0, 0.1, variable.shape).astype("float32"))
    return model


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    """Keras's folder of weights, empty, and no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    # Keras has read that variable when it was imported.
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / "models").mkdir()
    return tmp_path


@pytest.fixture(scope="module")
def application():
    """Keras's network without its head, with weights that no initializer gives."""
    made = {}

    def get(name):
        if name not in made:
            make = APPLICATIONS[name]
            model = make(include_top=False, weights=None, input_shape=(96, 96, 3))
            made[name] = planted(model, seed=1)
        return made[name]

    return get


@pytest.mark.parametrize("name", FILES)
def test_without_a_network_the_error_says_which_file_to_put_where(
    keras_home, weightless, weightless_model, name
):
    place = f"put {FILES[name]} into {keras_home / 'models'}"
    with pytest.raises(DonorUnavailableError, match=re.escape(place)):
        weightless(lambda: load_donor("imagenet", weightless_model(name)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_imagenet_s_weights_are_those_of_keras_s_file(
    keras_home, monkeypatch, weightless_model, application, name
):
    application(name).save(keras_home / "models" / imagenet_file(name))
    # The file is not the published one, and need not have its hash.
    monkeypatch.setattr("keras.src.utils.file_utils.validate_file", lambda *_, **__: 1)

    donor = load_donor("imagenet", weightless_model(name))

    assert donor.input_scaling == KERAS_APPLICATIONS[name].input_scaling
    expected = application(name).get_weights()
    assert len(donor.tensors) == len(expected)
    for (path, values), wanted in zip(donor.tensors.items(), expected, strict=True):
        wanted = wanted.reshape(values.shape)  # ConvNeXt's depthwise kernels
        np.testing.assert_array_equal(values, wanted, err_msg=path)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_keras_s_own_network_fits(
    tmp_path, weightless_model, application, name, suffix
):
    path = tmp_path / f"donor{suffix}"
    save = application(name).save_weights if "weights" in suffix else None
    (save or application(name).save)(path)

    donor = donor_from_file(path, weightless_model(name))

    for values, wanted in zip(
        donor.tensors.values(), application(name).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(values, wanted.reshape(values.shape))


@pytest.mark.parametrize("name", APPLICATIONS)
def test_statistics_reset_norms_alone_and_gabors_are_in_the_first_kernel(
    weightless_model, name
):
    model = weightless_model(name)

    norms = keras.layers.BatchNormalization | keras.layers.LayerNormalization
    for planned in plan_tensors(model, parse_spec("mean_var")):
        norm = isinstance(planned.tensor.owner, norms)
        head = planned.stage == "head"
        expected = "random" if head else "identity" if norm else "mean_var"
        assert planned.scheme == expected, planned.tensor.path
    first, *rest = (p.scheme for p in plan_tensors(model, parse_spec("gabor")))
    assert (first, {*rest}) == ("gabor", {"random"})


SPECS = [
    "random",
    "transfer",
    "mean_var[bn=mean_var]",
    "sampled[bn=transfer]",
    "shuffled",
    "transfer:{0}+mean_var",
    "gabor",
]


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", APPLICATIONS)
def test_every_start_is_a_function_of_donor_and_seed(application, name):
    size = smallest_size(name)
    model = build(name, (size, size, 3), 3)
    slimmed = {"convnext_tiny": "stage2", "xception": "entry3"}.get(name, "block2")
    slim = build(f"{name}[slim_after={slimmed}]", (size, size, 3), 3)
    whole = build(name, (size, size, 3), 5)
    donor = donor_from_model(planted(whole, seed=2), "donor")
    cases = [(model, spec.format(slimmed)) for spec in SPECS]

    for network, spec in [*cases, (slim, f"transfer:{slimmed}+mean_var")]:
        first, again, other = (
            started(network, spec, donor, seed) for seed in (4, 4, 5)
        )
        for path, values in first.items():
            assert np.isfinite(values).all(), path
            np.testing.assert_array_equal(values, again[path], err_msg=path)
        assert not np.array_equal(other["logits/kernel"], first["logits/kernel"])


def started(model, spec, donor, seed):
    initialize(model, spec, donor, seed)
    return {tensor.path: tensor.value() for tensor in named_tensors(model)}
