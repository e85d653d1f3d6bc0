"""Studies of one data set lie beside each other, each question under its own name."""

import pytest

from transfusion_tf import files
from transfusion_tf.errors import UserError
from transfusion_tf.studies import grid
from transfusion_tf.studies.study_names import free_name, named, question
from transfusion_tf.training import RunConfig


def runs_of(initializations, seeds=1):
    return grid(
        RunConfig(dataset="clinic", model="cbr_tiny"),
        models=["cbr_tiny"],
        initializations=initializations,
        seeds=range(seeds),
    )


@pytest.fixture
def root(tmp_path):
    """With a study of random weights under the name of its data."""
    record = {"question": question(runs_of(["random"]))}
    files.write_json(tmp_path / "studies" / "clinic" / "study.json", record)
    return tmp_path


def test_the_first_study_has_the_name_of_its_data(tmp_path):
    assert free_name("clinic", runs_of(["random"]), tmp_path) == "clinic"


def test_more_seeds_are_the_same_question(root):
    assert free_name("clinic", runs_of(["random"], seeds=3), root) == "clinic"


def test_another_question_has_another_name_and_keeps_it(root):
    runs = runs_of(["random", "gabor"])
    assert free_name("clinic", runs, root) == "clinic-2"
    record = {"question": question(runs)}
    files.write_json(root / "studies" / "clinic-2" / "study.json", record)
    assert free_name("clinic", runs, root) == "clinic-2"
    assert free_name("clinic", runs_of(["gabor"]), root) == "clinic-3"


def test_a_name_that_another_question_has_is_refused(root):
    assert named("clinic", runs_of(["random"], seeds=2), root) == "clinic"
    with pytest.raises(UserError, match="clinic holds a study of another question"):
        named("clinic", runs_of(["gabor"]), root)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "two words"])
def test_a_name_that_no_folder_can_have_is_refused(name, tmp_path):
    with pytest.raises(UserError, match="--name="):
        named(name, runs_of(["random"]), tmp_path)
