"""The saved state: whole or refused, small, finite, and the one before is kept."""

import errno
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.training.state import Progress, StateFiles


def variables_of(value, size=5):
    return [
        keras.Variable(np.full((2, size), value, "float32"), name="kernel"),
        keras.Variable(np.array(value, "int32"), name="iteration"),
    ]


@pytest.fixture
def states(tmp_path):
    """Two states were saved, of step 1 and step 2."""
    states = StateFiles(tmp_path)
    for step in (1, 2):
        states.save(variables_of(step), Progress(step=step, losses=[0.1 * step]))
    return states


def load(states):
    """Step and message; the values must be those of that step."""
    variables = variables_of(0)
    progress, message = states.load(variables)
    step = progress.step if progress else 0
    for variable in variables:
        np.testing.assert_array_equal(variable, np.full(variable.shape, step))
    return step, message


def flip(file, position):
    content = bytearray(file.read_bytes())
    content[position] ^= 0x55
    file.write_bytes(content)


def test_the_newest_state_is_restored(states):
    assert load(states) == (2, "")


def test_a_damaged_state_gives_way_to_the_one_before_and_that_is_said(states, tmp_path):
    latest = tmp_path / "latest.npz"
    flip(latest, latest.read_bytes().index(np.full(5, 2, "<f4").tobytes()))
    step, message = load(states)
    assert step == 1
    assert message.startswith("latest.npz can't be used (")
    assert message.endswith("; went back to previous.npz")


def test_two_damaged_states_start_again_and_that_is_said(states, tmp_path):
    for name in ("latest.npz", "previous.npz"):
        (tmp_path / name).write_bytes(b"half a file")
    step, message = load(states)
    assert step == 0
    assert "latest.npz can't be used" in message
    assert "previous.npz can't be used" in message
    assert message.endswith("started again from step 0")


@pytest.mark.slow
def test_no_flipped_byte_is_taken_for_data(states, tmp_path):
    latest = tmp_path / "latest.npz"
    sound = latest.read_bytes()
    latest.unlink()  # Or the write would go to previous.npz, too.
    variables = variables_of(0)
    for position in range(len(sound)):
        latest.write_bytes(sound)
        flip(latest, position)
        progress, message = states.load(variables)
        step = progress.step
        assert all((np.asarray(variable) == step).all() for variable in variables)
        assert (step, bool(message)) in ((2, False), (1, True)), position


@pytest.mark.parametrize("length", [0, 1, 100, 0.5, 0.999])
def test_a_state_that_is_cut_off_gives_way_to_the_one_before(states, tmp_path, length):
    content = (tmp_path / "latest.npz").read_bytes()
    (tmp_path / "latest.npz").unlink()
    size = length if isinstance(length, int) else int(length * len(content))
    (tmp_path / "latest.npz").write_bytes(content[:size])
    assert load(states)[0] == 1


def test_the_state_of_another_model_is_an_error(states):
    with pytest.raises(UserError, match="belongs to another model"):
        states.load(variables_of(0, size=6))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_named_and_not_saved(states, bad):
    with pytest.raises(UserError, match=r"kernel is not finite after step 3"):
        states.save([keras.Variable([bad], name="kernel")], Progress(step=3))
    assert load(states) == (2, "")


def test_a_file_system_without_hard_links_will_do(states, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    states.save(variables_of(3), Progress(step=3))
    assert load(states) == (3, "")
    (tmp_path / "latest.npz").unlink()
    assert load(states)[0] == 2


def test_nothing_else_is_left_in_the_folder(states, tmp_path):
    assert {path.name for path in tmp_path.iterdir()} == {"latest.npz", "previous.npz"}


def test_all_beside_the_variables_stays_below_ten_kilobytes(tmp_path):
    """After 50 evaluations of 100 steps each, of a data set with 14 findings."""
    rng = np.random.default_rng(0)
    names = [f"validation/auc/finding {index}" for index in range(14)]
    lines = [
        {"step": 100 * step, **dict(zip(names, rng.random(14).tolist(), strict=True))}
        for step in range(50)
    ]
    losses = rng.random(99, np.float32).astype(np.float64).tolist()
    progress = Progress(step=5099, losses=losses, metrics=lines, timing=lines[:0])
    StateFiles(tmp_path).save(variables_of(1), progress)
    with zipfile.ZipFile(tmp_path / "latest.npz") as archive:
        assert archive.getinfo("progress.npy").file_size < 10_000
    assert StateFiles(tmp_path).load(variables_of(0))[0] == progress
