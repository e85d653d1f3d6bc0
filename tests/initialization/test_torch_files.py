import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from torch_writer import Storage, write_torch_file

from transfusion_tf.errors import UserError
from transfusion_tf.initialization.torch_files import read_torch_file

FORMATS = pytest.mark.parametrize("older", [False, True], ids=["zip", "older"])
GENERATOR = np.random.default_rng(0)
STATE = OrderedDict(
    {
        "conv.weight": GENERATOR.normal(size=(4, 3, 2, 5)).astype("f4"),
        "conv.bias": GENERATOR.normal(size=4),
        "half": GENERATOR.normal(size=(3, 2)).astype("f2"),
        "turned": GENERATOR.normal(size=(5, 2, 3)).astype("f4").transpose(2, 0, 1),
        "num_batches_tracked": np.array(7),
    }
)


@pytest.fixture
def write(tmp_path, monkeypatch):
    def written(state, **options):
        return write_torch_file(tmp_path / "w.pth", state, monkeypatch, **options)

    return written


class Calls:
    """Pickled, what calls something when Python reads it."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@FORMATS
def test_every_tensor_is_read_as_it_was_whatever_its_order_in_memory(write, older):
    read = read_torch_file(write(STATE, older=older))

    assert list(read) == list(STATE)
    for name, values in STATE.items():
        np.testing.assert_array_equal(read[name], values.astype("f4"), err_msg=name)
        assert read[name].dtype == np.float32


def test_a_part_of_a_storage_that_tensors_share_is_read(write):
    shared = Storage("s", np.arange(6, dtype="f4"))
    offsets = iter((0, 4))

    def share(storage, offset, shape, *rest):
        return (shared, next(offsets), (2,), *rest)

    read = read_torch_file(write({"a": np.ones(2), "b": np.ones(2)}, change=share))

    assert {name: values.tolist() for name, values in read.items()} == {
        "a": [0, 1],
        "b": [4, 5],
    }


@FORMATS
@pytest.mark.parametrize(
    ("item", "named"),
    [
        (lambda to: Calls(os.system, f"touch {to}"), r"posix\.system"),
        (lambda to: Calls(open, to, "w"), r"(io|_io)\.open"),
        (
            lambda to: Calls(exec, f"open({str(to)!r}, 'w')"),
            r"__builtin__\.(exec|eval)",
        ),
        (lambda to: np.dtype("f4"), r"numpy\.dtype"),
        (lambda to: OrderedDict, r"weight is a _Name"),
        (lambda to: 0.5, "instruction BINFLOAT"),
        (lambda to: {"nested": 1}, "weight is a dict, and no tensor"),
        (lambda to: "text", "weight is a str, and no tensor"),
    ],
)
def test_what_is_no_tensor_is_refused_by_name_and_not_run(
    write, tmp_path, older, item, named
):
    made = tmp_path / "made"
    path = write({"weight": item(made), "bias": np.ones(2)}, older=older)

    with pytest.raises(UserError, match=rf"w\.pth is refused: .*{named}"):
        read_torch_file(path)
    assert not made.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_plain_pickle_is_refused_and_not_run(tmp_path, protocol):
    path, made = tmp_path / "w.pt", tmp_path / "made"
    path.write_bytes(pickle.dumps(Calls(os.system, f"touch {made}"), protocol))

    with pytest.raises(UserError, match=r"posix\.system"):
        read_torch_file(path)
    assert not made.exists()


def changed(**values):
    names = ("storage", "offset", "shape", "strides", "grad", "hooks")

    def change(*arguments):
        return tuple((dict(zip(names, arguments, strict=True)) | values).values())

    return change


@FORMATS
@pytest.mark.parametrize(
    "values",
    [
        {"offset": 3},
        {"offset": -1},
        {"strides": (3,)},
        {"strides": (-1,)},
        {"strides": (1, 1)},
        {"shape": (7,)},
        {"shape": (2**40,), "strides": (0,)},
        {"shape": (0,)},
        {"shape": [6]},
        {"shape": ("6",)},
        {"storage": "0"},
        {"storage": Storage("0", np.ones(4, "f4"), size=8)},
        {"storage": Storage("0", np.ones(8, "f4"), size=4)},
        {"storage": Storage("0", np.ones(4, "f4"), size=2**60)},
        {"storage": Storage("0", np.ones(4, "f4"), size=-1)},
    ],
    ids=str,
)
def test_a_tensor_must_lie_within_a_storage_that_is_there(write, older, values):
    path = write({"w": np.ones(6, "f4")}, older=older, change=changed(**values))

    with pytest.raises(UserError, match=r"w\.pth is not a readable PyTorch"):
        read_torch_file(path)


def test_tensors_that_share_values_to_be_many_are_refused(write):
    shared = Storage("s", np.ones(100, "f4"))

    path = write(
        {str(number): np.ones(100) for number in range(20)},
        change=changed(storage=shared),
    )

    with pytest.raises(UserError, match="more values than it stores"):
        read_torch_file(path)


def test_whole_numbers_of_other_sizes_are_refused(write):
    with pytest.raises(UserError, match=r"asks for torch\.IntStorage"):
        read_torch_file(write({"w": np.ones(2, "i4")}))


@FORMATS
def test_values_that_are_not_finite_are_refused(write, older):
    path = write({"w": np.array([1.0, np.inf], "f4")}, older=older)

    with pytest.raises(UserError, match="w holds NaN or infinity"):
        read_torch_file(path)


@FORMATS
def test_a_file_that_ends_too_soon_is_refused(write, older):
    path = write(STATE, older=older)
    whole = path.read_bytes()

    for length in (0, 1, 2, 20, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="is not a readable PyTorch weight file"):
            read_torch_file(path)


@FORMATS
def test_a_damaged_byte_is_refused_or_changes_values_alone(write, older):
    path = write(STATE, older=older)
    whole = path.read_bytes()
    for position in GENERATOR.integers(0, len(whole), 300):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(GENERATOR.integers(8))
        path.write_bytes(damaged)
        try:
            read = read_torch_file(path)
        except UserError:
            continue
        assert all(values.dtype == np.float32 for values in read.values())


def test_a_key_whose_hash_would_not_end_is_refused(write):
    path = write({"w": np.ones(1, "f4")}, older=True)
    doubled = b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(60))
    # In place of ["0"], the key of its storage: pairs of pairs, 60 times over.
    keys = pickle.dumps(["0"], protocol=2)
    hostile = b"\x80\x02)q\x00" + doubled + b"]h\x3ca."
    assert path.read_bytes().count(keys) == 1
    path.write_bytes(path.read_bytes().replace(keys, hostile))

    with pytest.raises(UserError, match="key is no text"):
        read_torch_file(path)


def test_a_packed_archive_is_refused(tmp_path, write):
    path = write(STATE)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)

    with pytest.raises(UserError, match="is packed"):
        read_torch_file(path)


def test_an_empty_state_is_refused(write):
    with pytest.raises(UserError, match="no tensors by name"):
        read_torch_file(write(OrderedDict()))
