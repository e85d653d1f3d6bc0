"""Writing whole or not at all; reading what was made to do harm."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support import files_of_at_most

from transfusion_tf import files
from transfusion_tf.errors import UserError

ARRAYS = {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.array([7])}


@pytest.fixture
def archive(tmp_path):
    np.savez(tmp_path / "arrays.npz", **ARRAYS)
    return tmp_path / "arrays.npz"


def assert_same_arrays(found):
    assert found.keys() == ARRAYS.keys()
    for name, values in ARRAYS.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype


# Writing.


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    files.write_text(tmp_path / "a.txt", "old")
    with (
        files_of_at_most(1000),
        pytest.raises(UserError, match=r"no space left .*a\.txt"),
    ):
        files.write_text(tmp_path / "a.txt", "new" * 1000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_space_that_may_not_be_taken_is_missing_before_anything_is_written(tmp_path):
    """As under a quota: the disk itself has room."""
    with (
        files_of_at_most(1000),
        pytest.raises(UserError, match="no space left on the disk, or in your quota"),
    ):
        files.require_space(tmp_path / "new" / "w.h5", 10)
    files.require_space(tmp_path / "new" / "w.h5", 10)
    assert not list(tmp_path.iterdir())


def test_more_than_the_disk_holds_is_missing(tmp_path):
    with pytest.raises(UserError, match=r"no space left .*w\.h5"):
        files.require_space(tmp_path / "w.h5", 1 << 60)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file/a\.txt"):
        files.write_text(tmp_path / "file" / "a.txt", "text")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
def test_where_no_folder_can_be_made_is_said():
    """There the system says that there is no such file, as of one to be read."""
    with pytest.raises(UserError, match="cannot write /proc/new"):
        files.write_text("/proc/new/folder/a.txt", "text")
    with pytest.raises(UserError, match="cannot write /proc/new"):
        files.require_writable("/proc/new/folder")


@pytest.mark.parametrize("kind", ["a file", "a link to nowhere", "a link to itself"])
def test_what_is_no_folder_cannot_be_written_to(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "a file":
        path.write_text("")
    else:
        path.symlink_to("x" if kind.endswith("itself") else "nowhere")
    for folder in (path, path / "runs"):
        with pytest.raises(UserError, match=rf"cannot write {folder}: "):
            files.require_writable(folder)


def test_asking_whether_a_folder_can_be_written_to_leaves_nothing(tmp_path):
    files.require_writable(tmp_path)
    files.require_writable(tmp_path / "new" / "folder")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_half_is_removed_and_nothing_else(tmp_path):
    kept = {".lock", "a.txt", ".hidden", ".12", "state"}
    for name in (*kept - {"state"}, ".4711.best.weights.h5"):
        (tmp_path / name).write_text("")
    (tmp_path / "state").mkdir()
    files.remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept


# Reading.


def test_arrays_come_back_as_they_were(archive):
    assert_same_arrays(files.read_arrays(archive))


def test_a_flipped_byte_is_never_taken_for_data(archive):
    sound = archive.read_bytes()
    refused = 0
    for position in range(len(sound)):
        content = bytearray(sound)
        content[position] ^= 0x55
        archive.write_bytes(content)
        try:
            found = files.read_arrays(archive)
        except UserError:
            refused += 1
        else:
            # Dates, for one, mean nothing. A name may be damaged, a value never.
            for name in found.keys() & ARRAYS.keys():
                np.testing.assert_array_equal(found[name], ARRAYS[name])
    assert refused > len(sound) / 2


def test_pickled_objects_are_refused_unrun(tmp_path):
    class Canary:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "canary"),))

    for name in ("a.npz", "a.npy"):
        save = np.savez if name == "a.npz" else np.save
        save(tmp_path / name, np.array([Canary()]))
        with pytest.raises(UserError, match=rf"{name} is damaged"):
            files.read_arrays(tmp_path / name)
    assert not (tmp_path / "canary").exists()


def test_a_pickle_under_another_name_is_refused_unrun(tmp_path):
    import pickle

    class Canary:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "canary"),))

    (tmp_path / "a.npz").write_bytes(pickle.dumps(Canary()))
    with pytest.raises(UserError, match="is damaged"):
        files.read_arrays(tmp_path / "a.npz")
    assert not (tmp_path / "canary").exists()


def test_an_array_larger_than_its_bytes_is_refused_unmade(tmp_path):
    header = io.BytesIO()
    claim = {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)}
    np.lib.format.write_array_header_1_0(header, claim)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", header.getvalue() + bytes(100))
    with pytest.raises(UserError, match="claims 4000000000000 bytes"):
        files.read_arrays(tmp_path / "a.npz")


def test_a_bomb_of_zeros_is_refused_unpacked(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", np.zeros(2**27, np.uint8))
    with pytest.raises(UserError, match="claims 134217856 bytes"):
        files.read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"[" * 10**6, b"{", b"\xff", b""])
def test_what_is_no_json_is_named(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json is not valid JSON"):
        files.read_json(tmp_path / "a.json")


def test_a_folder_is_replaced_whole_or_stays(tmp_path):
    def fill(name):
        with files.replacing_folder(tmp_path / "folder") as folder:
            (folder / name).touch()
            if name == "unfinished":
                raise KeyError(name)

    fill("old")
    fill("new")
    with pytest.raises(KeyError):
        fill("unfinished")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
