"""The binaries as a user meets them: help, mistakes, exit codes, own data."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from binaries import run

from transfusion_tf.datasets import load_card
from transfusion_tf_experiments.flags import command_line

ROOT = Path(__file__).parents[2]
NOWHERE = "--root=/proc/nowhere"
EXAMPLE = "--dataset=own_data_example"
BINARIES = ("prepare_data", "train", "study", "report")


@pytest.mark.parametrize("binary", BINARIES)
def test_help_is_printed_without_importing_tensorflow(binary):
    script = (
        "import sys\n"
        f"from transfusion_tf_experiments import {binary} as module\n"
        "sys.argv = ['transfusion', '--help']\n"
        "try:\n    module.main()\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "assert 'tensorflow' not in sys.modules\n"
        "assert 'keras' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--root" in done.stdout


@pytest.mark.parametrize("argument", ["list", "--help"])
def test_a_pipe_that_is_closed_ends_it_quietly(argument):
    command = [sys.executable, "-m", "transfusion_tf_experiments.prepare_data"]
    with subprocess.Popen(
        [*command, argument], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # As `| head -0` does.
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_studies_are_listed_with_one_line_each():
    done = run("study", "--list_studies")
    assert done.returncode == 0
    assert re.search(r"^demo +\w", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("binary", "arguments", "message"),
    [
        ("study", ["--dataset=nowhere"], "unknown data set 'nowhere'"),
        ("study", [], "give --study or --dataset"),
        ("study", ["--study=x"], "unknown study 'x'; valid: demo"),
        (
            "study",
            [EXAMPLE, "--models=vgg"],
            "unknown model 'vgg'",
        ),
        (
            "study",
            [EXAMPLE, "--initializations=transfer", "--donor=nowhere.h5"],
            "no donor 'nowhere.h5'",
        ),
        ("study", [EXAMPLE, "--seeds=0"], "--seeds"),
        (
            "study",
            [EXAMPLE, "--train_examples=ten"],
            "--train_examples",
        ),
        ("train", [EXAMPLE, "--steps=0"], "--steps"),
        (
            "train",
            [EXAMPLE, "--strategy=x"],
            "auto, one, mirrored",
        ),
        ("train", [], "--dataset is missing"),
        ("prepare_data", ["prepare"], "usage"),
        ("report", ["nothing"], "no study 'nothing'"),
        ("prepare_data", ["audit", "phantom_skin_few", NOWHERE], "cannot write /proc"),
        ("prepare_data", ["show", "phantom_skin_few", NOWHERE], "cannot write /proc"),
        ("train", [EXAMPLE, NOWHERE], "cannot write /proc"),
        ("study", [EXAMPLE, NOWHERE], "cannot write /proc"),
        ("report", ["--published=x", NOWHERE], "cannot write /proc"),
    ],
)
@pytest.mark.slow
def test_a_mistake_is_one_message_and_an_exit_code(
    tmp_path, binary, arguments, message
):
    done = run(binary, *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.slow
def test_a_study_of_ones_own_data_as_the_readme_shows_it(tmp_path):
    """The README's card is the packaged example; its command runs on it."""
    readme = (ROOT / "README.md").read_text()
    card = load_card("own_data_example")
    assert card.path.read_text().replace("sample/", "") in readme
    arguments = [
        f"--dataset={card.path}",
        "--models=cbr_tiny",
        "--initializations=random,gabor",
        "--seeds=2",
        "--steps=2",
        "--eval_every=1",
        "--batch_size=4",
        "--root=workspace",
        "--jobs=1",
    ]
    done = run("study", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = Path(done.stdout.strip().splitlines()[-1])
    assert report.name == "report.html"
    assert report.exists()
    again = run("study", *arguments, cwd=tmp_path)
    assert again.returncode == 0
    assert again.stdout == done.stdout


def test_a_command_is_kept_relative_to_where_it_was_typed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    typed = [f"--root={tmp_path}/ws", f"--data_root={tmp_path}", "--shard=1/2", "/a/b"]
    monkeypatch.setattr(sys, "argv", ["/bin/transfusion-study", *typed])
    assert command_line() == "transfusion-study --root=ws --data_root=. /a/b"
    monkeypatch.setattr(sys, "argv", ["/site/transfusion_tf_experiments/study.py"])
    assert command_line() == "python -m transfusion_tf_experiments.study"
