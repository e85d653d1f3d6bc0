"""Runs that no study uses are found and removed; what a study stands on stays."""

import pytest

from transfusion_tf import files
from transfusion_tf.errors import UserError
from transfusion_tf.studies.unused_runs import remove_run, unused_runs
from transfusion_tf.training import RunConfig, RunDirectory
from transfusion_tf.training.run_lock import RunHeldError, run_lock


@pytest.fixture
def root(tmp_path):
    """A study of one run, its donor, that donor's donor, and one more run."""
    donors = {
        "used": "donor",
        "donor": "grand_donor",
        "grand_donor": None,
        "left": None,
    }
    for name, donor in donors.items():
        # As in a workspace that was moved.
        path = donor and f"/elsewhere/runs/{donor}"
        config = RunConfig(dataset="clinic", model="cbr_tiny", donor=path)
        directory = RunDirectory(tmp_path / "runs" / name)
        directory.write_config(config)
        directory.update_status(state="finished")
        directory.write_arrays("predictions")
    files.write_json(tmp_path / "studies" / "clinic" / "study.json", {"runs": ["used"]})
    return tmp_path


def names(root):
    return [run.path.name for run in unused_runs(root)]


def test_donors_of_used_runs_are_used(root):
    assert names(root) == ["left"]


def test_runs_that_a_study_names_as_donors_are_used(root):
    record = {"runs": [], "donor_runs": ["left"]}
    files.write_json(root / "studies" / "other" / "study.json", record)
    assert names(root) == []


def test_what_is_no_run_and_what_is_a_link_is_not_ours_to_remove(root):
    (root / "runs" / "notes").mkdir()
    (root / "runs" / "notes" / "plan.txt").write_text("mine")
    (root / "runs" / "left").rename(root / "moved")
    (root / "runs" / "left").symlink_to(root / "moved")
    assert names(root) == []


def test_a_run_is_removed_whole(root):
    (run,) = unused_runs(root)
    assert run.size == sum(file.stat().st_size for file in run.path.iterdir())
    remove_run(run.path)
    assert not run.path.exists()
    assert names(root) == []


def test_a_run_under_way_stays(root):
    path = root / "runs" / "left"
    before = sorted(path.iterdir())
    with run_lock(path), pytest.raises(RunHeldError):
        remove_run(path)
    assert sorted(path.iterdir()) == before


def test_a_study_that_cannot_be_read_removes_nothing(root):
    (root / "studies" / "clinic" / "study.json").write_text("{")
    with pytest.raises(UserError, match=r"study\.json"):
        unused_runs(root)


def test_a_root_without_runs_is_said(tmp_path):
    with pytest.raises(UserError, match="--root"):
        unused_runs(tmp_path)
