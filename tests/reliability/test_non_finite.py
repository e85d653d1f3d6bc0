"""NaN and infinity, wherever they come from: stopped, named, and nothing kept."""

import csv

import h5py
import keras
import numpy as np
import pytest
from support import read_rows, write_rows

from transfusion_tf.datasets import load_card, prepare
from transfusion_tf.errors import UserError
from transfusion_tf.models import build
from transfusion_tf.training import NonFiniteError, RunDirectory, train


def assert_nothing_non_finite_is_kept(folder):
    """Weights and saved states, as far as there are any."""
    for file in folder.rglob("*.h5"):
        with h5py.File(file) as weights:
            weights.visititems(_assert_finite)
    for file in folder.glob("state/*.npz"):
        with np.load(file) as arrays:
            for name in arrays.files:
                _assert_finite(name, arrays[name])
    assert not (folder / "final.keras").exists()


def _assert_finite(name, values):
    if not isinstance(values, h5py.Group):
        assert np.isfinite(values[()]).all(), name


def with_float_images(clinic, bad):
    """The clinic's card on float images, one of which holds a bad pixel."""
    folder = clinic.parent
    rows = read_rows(folder / "labels.csv")
    for number, row in enumerate(rows):
        pixels = np.random.default_rng(number).normal(size=(40, 40))
        pixels[3, 4] = bad if number == 7 else 0.0
        row["image"] = f"{number:03d}.npy"
        np.save(folder / "images" / row["image"], pixels)
    write_rows(folder / "labels.csv", rows)
    text = clinic.read_text().replace("image_size", 'intensity = "minmax"\nimage_size')
    clinic.write_text(text)
    return clinic


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_pixel_is_named_with_its_row_before_anything_is_written(
    clinic, tmp_path, bad
):
    card = load_card(with_float_images(clinic, bad))
    with pytest.raises(UserError, match=r"row 9.*not finite"):
        prepare(card, tmp_path / "data", workers=1, progress=False)
    assert not list((tmp_path / "data").rglob("*.tfrecord*"))


@pytest.mark.parametrize("bad", ["nan", "inf", "NaN"])
def test_a_label_is_named_with_its_row(clinic, tmp_path, bad):
    table = clinic.parent / "labels.csv"
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    rows[7]["grade"] = bad
    write_rows(table, rows)
    with pytest.raises(UserError, match=rf"row 9.*label '{bad}'"):
        prepare(load_card(clinic), tmp_path / "data", workers=1, progress=False)


def test_a_donors_weight_is_named_before_the_first_step(config, options, tmp_path):
    donor = build("cbr_tiny", (64, 64, 3), 5)
    kernel = donor.get_layer("conv3").kernel
    values = keras.ops.convert_to_numpy(kernel).copy()
    values[0, 0, 0, 0] = np.nan
    kernel.assign(values)
    donor.save_weights(tmp_path / "donor.weights.h5")
    changes = {"donor": str(tmp_path / "donor.weights.h5")}
    for initialization in ("transfer", "mean_var"):
        with pytest.raises(UserError, match=r"donor\.weights\.h5.* NaN or infinity"):
            train(
                config.replace(initialization=initialization, **changes),
                tmp_path / "run",
                options,
            )
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_rate_of_a_million_is_stopped_and_named(config, options, tmp_path, optimizer):
    changes = {"optimizer": optimizer, "learning_rate": 1e6, "steps": 40}
    with pytest.raises(NonFiniteError, match=r"(after|at) step \d+"):
        train(config.replace(**changes), tmp_path / "run", options)
    assert RunDirectory(tmp_path / "run").status()["state"] == "failed"
    assert_nothing_non_finite_is_kept(tmp_path / "run")


@pytest.mark.slow
def test_the_binary_says_so_in_one_message_and_ends_with_an_error(
    config, data_root, start, tmp_path
):
    process = start(
        config, data_root, tmp_path, learning_rate=1e6, optimizer="sgd", steps=40
    )
    _, said = process.communicate()
    assert process.returncode == 2
    assert said.splitlines()[-1].startswith("error: ")
    assert "step" in said.splitlines()[-1]
    (run,) = (tmp_path / "runs").iterdir()
    assert_nothing_non_finite_is_kept(run)
