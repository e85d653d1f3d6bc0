import hashlib

import h5py
import keras
import numpy as np
import pytest

from transfusion_tf.initialization import (
    DonorMismatchError,
    DonorUnavailableError,
    donor_from_file,
    donor_from_model,
    load_donor,
)
from transfusion_tf.models import build, named_tensors

FORMATS = [".weights.h5", ".keras", ".h5"]


def save(model, path):
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_gives_the_weights_of_the_model_that_was_saved(
    tmp_path, model, donor_model, donor, suffix
):
    path = save(donor_model, tmp_path / f"donor{suffix}")

    loaded = donor_from_file(path, model)

    assert list(loaded.tensors) == list(donor.tensors)
    for name, values in donor.tensors.items():
        np.testing.assert_array_equal(loaded.tensors[name], values, err_msg=name)
    assert loaded.sha256 == donor.sha256
    assert (loaded.name, loaded.source) == (path.name, path)


def test_the_head_is_no_part_of_a_donor(donor):
    assert not [path for path in donor.tensors if path.startswith("logits")]


def test_a_keras_archive_says_which_pixels_it_expects(tmp_path, model):
    saved = build("cbr_tiny", (64, 64, 3), 2, input_scaling="caffe")

    loaded = donor_from_file(save(saved, tmp_path / "donor.keras"), model)

    assert loaded.input_scaling == "caffe"


@pytest.mark.slow
def test_a_compiled_and_trained_models_file_is_read_too(tmp_path, model):
    trained = build("cbr_tiny", (64, 64, 3), 2, dropout=0.5, seed=1)
    trained.compile(keras.optimizers.Adam(), "binary_crossentropy")
    trained.fit(np.zeros((2, 64, 64, 3)), np.eye(2), verbose=0)

    expected = donor_from_model(trained, "trained")
    for suffix in FORMATS:
        path = save(trained, tmp_path / f"donor{suffix}")
        assert donor_from_file(path, model).sha256 == expected.sha256, suffix


@pytest.mark.slow
def test_keras_applications_own_files_fit_whatever_their_counters(tmp_path):
    keras.layers.Conv2D(1, 1)  # moves Keras's counters on by one
    application = keras.applications.InceptionV3(
        include_top=False, weights=None, input_shape=(75, 75, 3)
    )
    assert "conv2d" not in [layer.name for layer in application.layers]
    model = build("inception_v3", (75, 75, 3), 1)
    expected = donor_from_model(application, "application")

    for suffix in (".weights.h5", ".h5"):
        path = save(application, tmp_path / f"donor{suffix}")
        assert donor_from_file(path, model).sha256 == expected.sha256, suffix


@pytest.mark.slow
def test_a_backbone_nested_in_another_model_is_found(tmp_path):
    backbone = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(64, 64, 3)
    )
    image = keras.Input((64, 64, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(backbone(image))
    nested = keras.Model(image, keras.layers.Dense(2)(pooled))
    expected = donor_from_model(backbone, "backbone")

    for suffix in FORMATS:
        path = save(nested, tmp_path / f"donor{suffix}")
        assert donor_from_file(path, "resnet50").sha256 == expected.sha256, suffix


def test_layers_without_names_in_the_file_are_matched_by_class(
    tmp_path, model, donor_model, donor
):
    path = save(donor_model, tmp_path / "donor.weights.h5")
    with h5py.File(path, "a") as file:
        for group in file["layers"].values():
            del group["vars"].attrs["name"]

    assert donor_from_file(path, model).sha256 == donor.sha256


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_of_another_architecture_is_refused_with_both_sides(
    tmp_path, model, suffix
):
    larger = build("cbr_large_t", (64, 64, 3), 5)
    path = save(larger, tmp_path / f"donor{suffix}")

    with pytest.raises(DonorMismatchError, match=r"cbr_tiny; only in the donor: .*5"):
        donor_from_file(path, model)


def test_a_file_that_lacks_layers_is_refused_with_their_names(tmp_path, model):
    larger = build("cbr_large_t", (64, 64, 3), 5)
    path = save(model, tmp_path / "donor.weights.h5")

    with pytest.raises(DonorMismatchError, match="only in the model: conv5, bn5"):
        donor_from_file(path, larger)


def test_a_fingerprint_changes_with_one_weight(donor_model, donor):
    kernel = donor_model.get_layer("conv3").kernel
    before = keras.ops.convert_to_numpy(kernel)
    after = before.copy()
    after[0, 0, 0, 0] = np.nextafter(after[0, 0, 0, 0], np.float32(10))

    kernel.assign(after)
    changed = donor_from_model(donor_model, "changed").sha256
    kernel.assign(before)

    assert changed != donor.sha256
    assert donor_from_model(donor_model, "other name").sha256 == donor.sha256


def test_a_donor_is_a_copy_and_cannot_be_written_to(model):
    donor = donor_from_model(model, "donor")
    before = donor.tensors["conv1/kernel"].copy()

    for tensor in named_tensors(model):
        tensor.variable.assign(np.zeros(tensor.shape))

    np.testing.assert_array_equal(donor.tensors["conv1/kernel"], before)
    with pytest.raises(ValueError, match="read-only"):
        donor.tensors["conv1/kernel"][:] = 0


def test_a_stated_file_checksum_is_held_to(tmp_path, model, donor_model):
    path = save(donor_model, tmp_path / "donor.weights.h5")
    right = hashlib.sha256(path.read_bytes()).hexdigest()

    assert donor_from_file(path, model, file_sha256=right.upper())
    with pytest.raises(ValueError, match=f"has SHA-256 {right}, expected 00"):
        donor_from_file(path, model, file_sha256="00")


def test_a_flag_may_name_a_file(tmp_path, model, donor_model, donor):
    path = save(donor_model, tmp_path / "donor.weights.h5")

    assert load_donor(str(path), model).sha256 == donor.sha256


def test_a_donor_that_does_not_exist_is_refused(model):
    with pytest.raises(DonorUnavailableError, match="neither 'imagenet' nor a file"):
        load_donor("imagnet", model)


def test_for_cbr_the_error_says_where_a_donor_can_come_from(model):
    with pytest.raises(DonorUnavailableError, match="--donor=drawn_textures"):
        load_donor("imagenet", model)
