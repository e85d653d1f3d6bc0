"""RadImageNet's kind of file: a ResNet50 without its top in legacy HDF5.

The file is written here, in the layout that Keras 2 wrote, with values that no
initializer gives.
"""

import shutil

import h5py
import keras
import numpy as np
import pytest

from transfusion_tf.initialization import (
    DonorMismatchError,
    donor_from_file,
    donor_from_model,
    initialize,
)
from transfusion_tf.models import build, named_tensors

pytestmark = pytest.mark.slow


def save_legacy(model, path):
    """`layer_names` in order; in each layer's group `<layer>/<weight>:0`."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.4.0"
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, layer.weights, strict=True):
                group[name] = keras.ops.convert_to_numpy(weight)


@pytest.fixture(scope="module")
def application():
    model = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(64, 64, 3), pooling="avg"
    )
    generator = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(generator.gamma(2.0, 0.1, weight.shape).astype("float32"))
    return model


@pytest.fixture(scope="module")
def published(application, tmp_path_factory):
    path = tmp_path_factory.mktemp("radimagenet") / "RadImageNet-ResNet50_notop.h5"
    save_legacy(application, path)
    return path


@pytest.fixture(scope="module")
def model():
    return build("resnet50[input_scaling=caffe_over_255]", (64, 64, 3), 3)


@pytest.fixture
def damaged(published, tmp_path):
    """A copy of the file, to be damaged."""
    return shutil.copy(published, tmp_path / "damaged.h5")


def test_every_tensor_is_the_file_s(application, published, model):
    donor = donor_from_file(published, model, input_scaling="caffe_over_255")
    initialize(model, "transfer", donor)

    stored = {
        f"{layer.name}/{weight.name}": keras.ops.convert_to_numpy(weight)
        for layer in application.layers
        for weight in layer.weights
    }
    compared = 0
    for tensor in named_tensors(model):
        if tensor.path in stored:
            np.testing.assert_array_equal(tensor.value(), stored[tensor.path])
            compared += 1
    assert compared == len(stored) == 318
    assert donor.sha256 == donor_from_model(application, "application").sha256


def test_layers_of_other_names_are_matched_by_their_order(published, model, damaged):
    """As of a file whose layers an older Keras named: `res2a_branch2a`."""
    with h5py.File(damaged, "a") as file:
        names = [f"old_{i}" for i in range(len(file.attrs["layer_names"]))]
        for old, new in zip(file.attrs["layer_names"], names, strict=True):
            file.move(old, new)
        file.attrs["layer_names"] = [name.encode() for name in names]
    expected = donor_from_file(published, model)
    assert donor_from_file(damaged, model).sha256 == expected.sha256


def _without_a_tensor(file):
    group = file["conv2_block1_1_conv"]
    names = list(group.attrs["weight_names"])
    group.attrs["weight_names"] = names[:1]
    del group[names[1]]


def _without_a_layer(file):
    names = list(file.attrs["layer_names"])
    names.remove("conv3_block2_2_bn")
    file.attrs["layer_names"] = names
    del file["conv3_block2_2_bn"]


def _with_a_renamed_layer(file):
    names = [str(name) for name in file.attrs["layer_names"]]
    names[names.index("conv1_conv")] = "first_conv"
    file.attrs["layer_names"] = names
    file.move("conv1_conv", "first_conv")


def _with_a_renamed_tensor(file):
    group = file["conv1_bn"]
    group.move("conv1_bn/gamma:0", "conv1_bn/scale:0")
    names = [str(name) for name in group.attrs["weight_names"]]
    names = [name.replace("gamma", "scale") for name in names]
    group.attrs["weight_names"] = names


def _with_a_tensor_of_other_rank(file):
    group = file["conv1_conv"]
    values = group["conv1_conv/kernel:0"][()]
    del group["conv1_conv/kernel:0"]
    group["conv1_conv/kernel:0"] = values.reshape(147, 64)


@pytest.mark.parametrize(
    ("damage", "theirs", "ours"),
    [
        (_without_a_tensor, "", "conv2_block1_1_conv/bias"),
        (_without_a_layer, "", "conv3_block2_2_bn"),
        (_with_a_renamed_layer, "only in the donor: first_conv", "conv1_conv"),
        (_with_a_renamed_tensor, "only in the donor: conv1_bn/scale", "conv1_bn/gamma"),
        (_with_a_tensor_of_other_rank, "donor \\[\\(147, 64\\)", "\\(7, 7, 3, 64\\)"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused_with_both_sides(
    damaged, model, damage, theirs, ours
):
    with h5py.File(damaged, "a") as file:
        damage(file)
    with pytest.raises(DonorMismatchError, match=f"(?s){theirs}.*{ours}"):
        donor_from_file(damaged, model)


def test_a_tensor_of_another_shape_is_refused_before_a_weight_is_set(damaged, model):
    with h5py.File(damaged, "a") as file:
        group = file["conv1_conv"]
        values = group["conv1_conv/kernel:0"][()]
        del group["conv1_conv/kernel:0"]
        group["conv1_conv/kernel:0"] = values[:5, :5]
    donor = donor_from_file(damaged, model)
    before = [tensor.value().copy() for tensor in named_tensors(model)]
    message = r"conv1_conv/kernel \(donor \(5, 5, 3, 64\), model \(7, 7, 3, 64\)\)"
    with pytest.raises(DonorMismatchError, match=message):
        initialize(model, "transfer", donor)
    for tensor, values in zip(named_tensors(model), before, strict=True):
        np.testing.assert_array_equal(tensor.value(), values)
