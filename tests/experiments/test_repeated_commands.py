"""A study's command that was carried out before is not carried out again, unless
something that it stands on has changed.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from absl.testing import flagsaver
from binaries import run
from support import write_clinic

from transfusion_tf import files
from transfusion_tf_experiments import repeated_commands
from transfusion_tf_experiments.study import FLAGS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def carried_out(tmp_path_factory):
    """Where a study of one run of one step has just been carried out."""
    place = tmp_path_factory.mktemp("place")
    write_clinic(place / "clinic", patients=40)
    done = run("study", *arguments(place), cwd=place)
    assert done.returncode == 0, done.stderr
    return place


def arguments(place, **changes):
    flags = {
        "dataset": place / "clinic" / "dataset.toml",
        "root": place / "workspace",
        "models": "cbr_tiny",
        "initializations": "random",
        "seeds": 1,
        "steps": 1,
        "eval_every": 1,
        "batch_size": 4,
        "jobs": 1,
    }
    return [f"--{name}={value}" for name, value in (flags | changes).items()]


@pytest.fixture
def place(carried_out, monkeypatch):
    """The same, as it was, for a test that may change it."""
    kept = carried_out.with_name("kept")
    if not kept.exists():
        shutil.copytree(carried_out, kept)
    shutil.rmtree(carried_out)
    shutil.copytree(kept, carried_out)
    monkeypatch.chdir(carried_out)
    return carried_out


def earlier_report(place, **changes):
    with flagsaver.flagsaver():
        FLAGS(["transfusion-study", *arguments(place, **changes)])
        return repeated_commands.earlier_report(repeated_commands.asked_for())


def asked_for(place, **changes):
    with flagsaver.flagsaver():
        FLAGS(["transfusion-study", *arguments(place, **changes)])
        return repeated_commands.asked_for()


def test_its_report_is_found_without_tensorflow(place):
    script = (
        "import sys\n"
        "from transfusion_tf_experiments import study\n"
        f"sys.argv = ['transfusion-study', *{arguments(place)}]\n"
        "try:\n    study.main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == earlier_report(place)
    assert Path(done.stdout.strip()).exists()


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def first(place, pattern):
    return sorted(place.glob(pattern))[0]


CHANGES = {
    "a label": lambda place: edit(place / "clinic" / "labels.csv", ",0", ",1"),
    "an image": lambda place: first(place, "clinic/images/*").write_bytes(
        sorted(place.glob("clinic/images/*"))[1].read_bytes()
    ),
    "what the card says of metrics": lambda place: edit(
        place / "clinic" / "dataset.toml", "[", "# A remark.\n["
    ),
    "a run that is gone": lambda place: shutil.rmtree(first(place, "workspace/runs/*")),
    "a run that failed": lambda place: edit(
        first(place, "workspace/runs/*/status.json"), "finished", "failed"
    ),
    "a report that is gone": lambda place: first(
        place, "workspace/studies/*/report.html"
    ).unlink(),
    "the study's record": lambda place: edit(
        first(place, "workspace/studies/*/study.json"), "random", "transfer"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_carried_out_where_something_has_changed(place, change):
    assert earlier_report(place) is not None
    CHANGES[change](place)
    assert earlier_report(place) is None


@pytest.mark.parametrize(
    "changes", [{"seeds": 2}, {"show_images": False}, {"learning_rate": 0.5}]
)
def test_another_command_is_carried_out(place, changes):
    assert earlier_report(place, **changes) is None


def test_a_donor_card_that_changed_carries_it_out(place):
    card = place / "card.toml"
    card.write_text("name = 'a'")
    before = asked_for(place, donors=f"{card},{'x' * 300}")
    card.write_text("name = 'b'")
    assert asked_for(place, donors=f"{card},{'x' * 300}") != before


def test_another_source_or_library_carries_it_out(place, monkeypatch):
    assert earlier_report(place) is not None
    versions = repeated_commands.library_versions
    monkeypatch.setattr(
        repeated_commands,
        "library_versions",
        lambda names: versions(names) | {"keras": "99"},
    )
    assert earlier_report(place) is None


def test_what_was_left_out_is_tried_again(place):
    folder = first(place, "workspace/studies/*")
    stamp = folder / "command.json"
    record = files.read_json(folder / "study.json")
    chapter = {"notes": ["The comparison knn was left out: no data."]}
    files.write_json(folder / "study.json", record | {"chapters": [chapter]})
    repeated_commands.remember({}, folder)
    assert not stamp.exists()
