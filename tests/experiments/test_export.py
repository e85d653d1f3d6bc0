"""`transfusion-export` as a user meets it."""

import os
import re
import shutil
import sys

import binaries
import numpy as np
import pandas as pd
import pytest
from support import files_of_at_most

from transfusion_tf.errors import UserError
from transfusion_tf.models.export_formats import FORMATS
from transfusion_tf.training import RunDirectory
from transfusion_tf_experiments.model_export import CARD, export
from transfusion_tf_experiments.model_sources import find_run


@pytest.fixture(scope="module")
def run(trained_root):
    return RunDirectory(min((trained_root / "runs").glob("cbr_tiny-gabor-0-*")))


@pytest.fixture
def own_run(run, tmp_path):
    """A run that a test may change."""
    shutil.copytree(run.path, tmp_path / "run")
    return RunDirectory(tmp_path / "run")


@pytest.mark.parametrize("name", FORMATS)
def test_the_lines_of_the_card_give_the_runs_prediction(
    name, run, trained_root, clinic_root, tmp_path, monkeypatch
):
    folder, checked = export(run, name, tmp_path / "model", trained_root / "data")
    assert re.search(r"\d+ test images against the run's own predictions", checked)
    row = run.predictions("test").iloc[-1]
    (picture,) = clinic_root.glob(f"**/{row['example_id']}*")
    shutil.copy(picture, folder / "image.png")
    monkeypatch.chdir(folder)
    names = {}
    for code in re.findall(r"```python\n(.*?)```", (folder / CARD).read_text(), re.S):
        exec(code, names)
    expected = row.filter(like="probability/").to_numpy(float)
    # The run's image went through a JPEG.
    np.testing.assert_allclose(names["probabilities"][0], expected, atol=0.01)


def test_what_is_there_is_replaced_by_the_same_run_in_the_same_format_alone(
    run, own_run, trained_root, tmp_path
):
    target, data = tmp_path / "out", trained_root / "data"
    for _ in range(2):
        folder, _ = export(run, "keras", target, data)
    assert sorted(os.listdir(folder)) == ["export.json", "model.keras", CARD]
    with pytest.raises(UserError, match="holds something else"):
        export(own_run, "keras", target, data)
    facts = (target / "export.json").read_text()
    (target / "export.json").write_text("[]")
    with pytest.raises(UserError, match="holds something else"):
        export(run, "keras", target, data)
    (target / "export.json").write_text(facts)
    (target / "notes.txt").touch()
    with pytest.raises(UserError, match="holds something else"):
        export(run, "keras", target, data)
    assert not list(tmp_path.glob(".*"))


def test_a_file_that_says_something_else_is_not_left(own_run, trained_root, tmp_path):
    table = own_run.path / "predictions.parquet"
    predictions = pd.read_parquet(table)
    predictions["probability/severe"] = 1 - predictions["probability/severe"]
    predictions.to_parquet(table)
    with pytest.raises(UserError, match="does not say what the run's model does"):
        export(own_run, "keras", tmp_path / "out", trained_root / "data")
    assert not list(tmp_path.glob("*out*"))


def test_a_run_in_16_bits_is_held_against_its_model_in_32(
    own_run, trained_root, tmp_path
):
    own_run.write_config(own_run.config().replace(mixed_precision=True))
    own_run.update_status(state="finished")
    table = own_run.path / "predictions.parquet"
    predictions = pd.read_parquet(table)
    predictions["probability/severe"] = 1 - predictions["probability/severe"]
    predictions.to_parquet(table)
    folder, checked = export(own_run, "keras", tmp_path / "out", trained_root / "data")
    off = re.search(r"made in 16, are off by (\S+) on average, (\S+) at most", checked)
    assert 0 < float(off[1]) < float(off[2]) <= 1
    assert float(re.search(r"largest difference is (\S+),", checked)[1]) < 1e-4
    assert "made in 16" in (folder / CARD).read_text()


def test_without_its_data_drawn_pixels_are_held_against_the_runs_model(
    own_run, tmp_path
):
    config = own_run.config().replace(dataset=str(tmp_path / "gone" / "dataset.toml"))
    own_run.write_config(config)
    own_run.update_status(state="finished")
    folder, checked = export(own_run, "saved_model", tmp_path / "out", tmp_path)
    assert "drawn pixels against the run's Keras model" in checked
    assert "no dataset card" in checked
    assert str(tmp_path) not in (folder / CARD).read_text()


def test_a_run_that_is_not_finished_is_refused(own_run, tmp_path):
    own_run.update_status(state="stopped", step=1)
    with pytest.raises(UserError, match=r"not finished .*step 1 of 2"):
        export(own_run, "keras", tmp_path / "out", tmp_path)


def test_damaged_weights_are_refused(own_run, tmp_path):
    weights = own_run.best_weights
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UserError, match="is not the file that the run left"):
        export(own_run, "keras", tmp_path / "out", tmp_path)


@pytest.mark.parametrize("name", ["dataset.json", "predictions.parquet"])
def test_a_run_that_lacks_a_file_or_has_half_of_it_is_refused(own_run, tmp_path, name):
    file = own_run.path / name
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        export(own_run, "keras", tmp_path / "out", tmp_path)
    file.unlink()
    with pytest.raises(UserError, match=rf"is damaged: .*{name}.*train the run again"):
        export(own_run, "keras", tmp_path / "out", tmp_path)


def test_a_missing_extra_is_named_before_anything_is_read(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"transfusion_tf\[export\]"):
        export(run, "onnx", tmp_path / "out", tmp_path)


def test_a_full_disk_leaves_nothing(run, trained_root, tmp_path):
    with files_of_at_most(1 << 20), pytest.raises(UserError, match="no space left"):
        export(run, "keras", tmp_path / "out", trained_root / "data")
    assert not list(tmp_path.iterdir())


def test_a_file_and_a_place_without_folders_are_no_targets(run, tmp_path):
    (tmp_path / "file").touch()
    for target in (tmp_path / "file", "/proc/nothing/here", tmp_path / ("x" * 300)):
        with pytest.raises(UserError, match=r"is a file|cannot write|too long"):
            export(run, "keras", target, tmp_path)


def test_a_run_that_is_not_there_is_named_with_those_that_are(run, trained_root):
    with pytest.raises(UserError, match=f"did you mean '{run.path.name}'"):
        find_run(f"{run.path.name}x", str(trained_root))


@pytest.mark.slow
def test_one_command_writes_it_below_the_root(run, trained_root, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    for name in ("data", "runs"):
        (root / name).symlink_to(trained_root / name)
    done = binaries.run("export", run.path.name, f"--root={root}", "--format=keras")
    assert done.returncode == 0, done.stderr
    folder = root / "exports" / f"{run.path.name}-keras"
    assert done.stdout.splitlines()[-1] == str(folder)
    assert not done.stderr
