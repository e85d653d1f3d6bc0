import zipfile

import h5py
import numpy as np
import pytest

from transfusion_tf.initialization import donor_from_file


@pytest.fixture
def weights(tmp_path, donor_model):
    path = tmp_path / "donor.weights.h5"
    donor_model.save_weights(path)
    return path


def replace_first_kernel(path, how) -> None:
    with h5py.File(path, "a") as file:
        variables = file["layers/conv2d/vars"]
        values = variables["0"][()]
        del variables["0"]
        how(variables, values)


def test_text_is_no_weights_file(tmp_path, model):
    path = tmp_path / "donor.weights.h5"
    path.write_text("weights")

    with pytest.raises(ValueError, match=r"donor.weights.h5 is not a readable Keras"):
        donor_from_file(path, model)


def test_a_truncated_file_is_refused(weights, model):
    weights.write_bytes(weights.read_bytes()[:4000])

    with pytest.raises(ValueError, match="is not a readable Keras weights file"):
        donor_from_file(weights, model)


def test_hdf5_of_another_kind_is_refused(tmp_path, model):
    path = tmp_path / "table.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros(3)

    with pytest.raises(ValueError, match="not one of Keras weights"):
        donor_from_file(path, model)


def test_a_zip_without_weights_is_refused(tmp_path, model):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")

    with pytest.raises(ValueError, match=r"no model.weights.h5"):
        donor_from_file(path, model)


def test_a_link_to_another_file_is_not_followed(weights, model, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["0"] = np.zeros((5, 5, 3, 32), "float32")

    def link(variables, values):
        variables["0"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/0")

    replace_first_kernel(weights, link)

    with pytest.raises(ValueError, match="conv2d/vars/0 is a link"):
        donor_from_file(weights, model)


def test_data_in_another_file_is_not_read(weights, model, tmp_path):
    raw = tmp_path / "raw.bin"
    raw.write_bytes(bytes(5 * 5 * 3 * 32 * 4))

    def external(variables, values):
        variables.create_dataset(
            "0", values.shape, "float32", external=[(str(raw), 0, h5py.h5f.UNLIMITED)]
        )

    replace_first_kernel(weights, external)

    with pytest.raises(ValueError, match="takes its data from another file"):
        donor_from_file(weights, model)


def test_an_array_larger_than_its_bytes_is_refused_unread(weights, model):
    def bomb(variables, values):
        variables.create_dataset(
            "0", (100_000, 100_000), "float32", chunks=(100, 100), compression="gzip"
        )

    replace_first_kernel(weights, bomb)

    with pytest.raises(ValueError, match="claims 40000000000 bytes but stores 0"):
        donor_from_file(weights, model)


def test_a_file_that_contains_itself_is_refused(weights, model):
    with h5py.File(weights, "a") as file:
        file["layers/conv2d/again"] = file["layers"]

    with pytest.raises(ValueError, match="contains itself"):
        donor_from_file(weights, model)


def test_values_that_are_no_numbers_are_refused(weights, model):
    def text(variables, values):
        variables["0"] = "kernel"

    replace_first_kernel(weights, text)

    with pytest.raises(ValueError, match="not numbers"):
        donor_from_file(weights, model)
