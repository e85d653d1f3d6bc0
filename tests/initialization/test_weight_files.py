import contextlib
import zipfile

import h5py
import numpy as np
import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.initialization import donor_from_file
from transfusion_tf.initialization.weight_files import read_weight_file


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


def test_values_that_are_not_finite_are_refused(weights, model):
    def break_one(variables, values):
        values[0, 0, 0, 0] = np.nan
        variables["0"] = values

    replace_first_kernel(weights, break_one)

    with pytest.raises(ValueError, match="conv2d/vars/0 holds NaN or infinity"):
        donor_from_file(weights, model)


@pytest.mark.parametrize("link", ["soft", "hard", "virtual"])
def test_data_that_stands_elsewhere_in_the_file_is_refused(weights, model, link):
    def point(variables, values):
        if link == "soft":
            variables["0"] = h5py.SoftLink("/layers/conv2d_1/vars/0")
        elif link == "hard":
            variables["0"] = variables.file["layers/conv2d_1/vars/0"]
        else:
            layout = h5py.VirtualLayout(values.shape, "float32")
            layout[...] = h5py.VirtualSource("other.h5", "0", values.shape)
            variables.create_virtual_dataset("0", layout)

    replace_first_kernel(weights, point)

    with pytest.raises(ValueError, match=r"is a link|stands there twice|another file"):
        donor_from_file(weights, model)


def test_what_a_plug_in_would_unpack_is_refused(weights, model):
    def plug_in(variables, values):
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_chunk(values.shape)
        layout.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple(values.shape)
        h5py.h5d.create(variables.id, b"0", h5py.h5t.IEEE_F32LE, space, layout)

    replace_first_kernel(weights, plug_in)

    with pytest.raises(ValueError, match="needs filter 32015 of HDF5"):
        donor_from_file(weights, model)


def test_many_arrays_that_are_a_bomb_together_are_refused_unread(weights, model):
    with h5py.File(weights, "a") as file:
        for index in range(100):
            # 64 MB each, which is no bomb yet.
            file.create_dataset(f"more/{index}", (2**24,), "float32", chunks=(2**20,))

    with pytest.raises(ValueError, match="all arrays together, claims 67"):
        donor_from_file(weights, model)


def test_an_array_that_is_named_often_is_refused(tmp_path, model):
    path = tmp_path / "donor.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("conv")
        group["kernel"] = np.zeros(8, "float32")
        file.attrs["layer_names"] = ["conv"] * 1000
        group.attrs["weight_names"] = ["kernel", "/conv/kernel"] * 1000

    with pytest.raises(ValueError, match="is named twice"):
        donor_from_file(path, model)


def test_a_bomb_inside_an_archive_is_refused_unpacked(tmp_path, model):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(2**27))

    with pytest.raises(ValueError, match="claims 134217728 bytes"):
        donor_from_file(path, model)


def test_a_flipped_byte_never_ends_in_anything_but_an_error_or_weights(weights, model):
    """HDF5 has no checksums: values may change, but nothing else may happen."""
    sound = weights.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(0, min(len(sound), 20_000), 40):
        content = bytearray(sound)
        content[position] ^= 0x55
        weights.write_bytes(content)
        with contextlib.suppress(UserError):
            read_weight_file(weights)
