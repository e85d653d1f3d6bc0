"""`.npy` and HDF5: the slice asked for, nothing pickled, nothing from elsewhere."""

import h5py
import numpy as np
import pytest

from transfusion_tf.datasets.images import FileImage, Hdf5Image, NpySlice, read_rgb
from transfusion_tf.errors import UserError

VOLUME = np.random.default_rng(0).integers(0, 256, (5, 8, 9), dtype=np.uint8)


@pytest.fixture
def volume(tmp_path):
    np.save(tmp_path / "v.npy", VOLUME)
    return tmp_path / "v.npy"


@pytest.mark.parametrize("shape", [(8, 9), (8, 9, 1), (8, 9, 3)])
def test_an_array_file_is_an_image(tmp_path, shape):
    values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.save(tmp_path / "a.npy", values)
    image = read_rgb(tmp_path / "a.npy")
    assert image.shape == (8, 9, 3)
    np.testing.assert_array_equal(image[..., 0], values.reshape(8, 9, -1)[..., 0])


def test_a_slice_of_a_volume_is_an_image(volume):
    np.testing.assert_array_equal(NpySlice(volume, 3).load()[..., 1], VOLUME[3])


def test_slices_have_fingerprints_of_their_own(volume):
    assert NpySlice(volume, 3).fingerprint() != NpySlice(volume, 4).fingerprint()


def test_a_whole_volume_is_no_image(volume):
    with pytest.raises(UserError, match="name its slice"):
        FileImage(volume).load()


def test_a_slice_that_is_not_there_is_named(volume):
    with pytest.raises(UserError, match="no slice 5: there are 5"):
        NpySlice(volume, 5).load()


def test_deep_values_follow_the_rule(tmp_path):
    np.save(tmp_path / "a.npy", np.linspace(-1, 1, 64).reshape(8, 8))
    with pytest.raises(UserError, match="more than 8 bits"):
        read_rgb(tmp_path / "a.npy")
    image = read_rgb(tmp_path / "a.npy", "minmax")
    assert (image.min(), image.max()) == (0, 255)


@pytest.mark.parametrize("step", [1e-15, 1.0, 1e15])
def test_the_unit_of_values_does_not_matter(tmp_path, step):
    np.save(tmp_path / "a.npy", np.arange(4.0).reshape(2, 2) * step)
    image = read_rgb(tmp_path / "a.npy", "minmax")
    np.testing.assert_array_equal(image[..., 0], [[0, 85], [170, 255]])


def test_values_that_are_not_finite_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[0.0, np.nan]]))
    with pytest.raises(UserError, match="not finite"):
        read_rgb(tmp_path / "a.npy", "minmax")


def test_pickled_objects_are_never_loaded(tmp_path):
    class Canary:
        def __reduce__(self):
            return (open, (str(tmp_path / "canary"), "w"))

    np.save(tmp_path / "a.npy", np.array([[Canary()]]), allow_pickle=True)
    with pytest.raises(UserError, match="Python objects"):
        read_rgb(tmp_path / "a.npy", "minmax")
    assert not (tmp_path / "canary").exists()


def test_a_cut_off_array_is_refused(volume):
    volume.write_bytes(volume.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"not a \.npy array"):
        NpySlice(volume, 0).load()


def test_an_image_of_an_hdf5_data_set(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.stack([VOLUME] * 3, axis=-1)
    image = Hdf5Image(tmp_path / "a.h5", "x", 2)
    np.testing.assert_array_equal(image.load()[..., 0], VOLUME[2])
    assert image.fingerprint() != Hdf5Image(tmp_path / "a.h5", "x", 1).fingerprint()


def test_hdf5_faults_are_named(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = VOLUME
    with pytest.raises(UserError, match="no data set 'y' in it; it has x"):
        Hdf5Image(tmp_path / "a.h5", "y", 0).load()
    with pytest.raises(UserError, match="no slice 9"):
        Hdf5Image(tmp_path / "a.h5", "x", 9).load()
    (tmp_path / "b.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:200])
    with pytest.raises(UserError, match="damaged"):
        Hdf5Image(tmp_path / "b.h5", "x", 0).load()


def test_hdf5_values_in_another_file_are_refused(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = VOLUME
    (tmp_path / "raw").write_bytes(VOLUME.tobytes())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["linked"] = h5py.ExternalLink("secret.h5", "x")
        file.create_dataset(
            "outside",
            VOLUME.shape,
            np.uint8,
            external=[(str(tmp_path / "raw"), 0, VOLUME.nbytes)],
        )
    for name in ("linked", "outside"):
        with pytest.raises(UserError, match="another file"):
            Hdf5Image(tmp_path / "a.h5", name, 0).load()


def create(file, name, shape, dtype, number=None):
    """A data set without values; HDF5 itself, for h5py knows its filters."""
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_chunk((1,) * len(shape))
    if number is not None:
        layout.set_filter(number, h5py.h5z.FLAG_OPTIONAL)
    space = h5py.h5s.create_simple(shape)
    kind = h5py.h5t.py_create(np.dtype(dtype))
    h5py.h5d.create(file.id, name.encode(), kind, space, layout)


def test_hdf5_values_that_a_plug_in_would_unpack_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        create(file, "x", (5, 8, 9), np.uint8, number=32015)
    with pytest.raises(UserError, match="needs filter 32015 of HDF5"):
        Hdf5Image(tmp_path / "a.h5", "x", 0).load()


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((2, 100, 100, 10**9), "u1"), ((2, 8, 9), "V1000000000"), ((2, 8, 9), "S9")],
    ids=["channels", "elements", "texts"],
)
def test_hdf5_values_of_any_size_are_refused_unread(tmp_path, shape, dtype):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        create(file, "x", shape, dtype)
    with pytest.raises(UserError, match="is not an image"):
        Hdf5Image(tmp_path / "a.h5", "x", 0).load()
