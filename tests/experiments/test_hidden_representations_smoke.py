"""Every table and figure runs at the scale `smoke`; donors stand side by side."""

import shutil

import numpy as np
import pandas as pd
import pytest
from smoke_studies import assert_is_drawn, run_binary

from transfusion_tf import files
from transfusion_tf.training import RunDirectory
from transfusion_tf_experiments.papers import hidden_representations as paper

pytestmark = pytest.mark.slow

NATURAL, MEDICAL = paper.SCALES["smoke"]().donors


@pytest.fixture(scope="module")
def everything(workspace):
    found = run_binary(workspace, "--study=hidden_representations/all", "--scale=smoke")
    assert found.returncode == 0, found.stderr[-3000:]
    return workspace / "studies" / "hidden-representations-all-smoke"


def test_the_report_has_a_chapter_for_each_and_a_front_page(everything):
    page = (everything / "report.html").read_text()
    assert "Does the paper’s finding hold here?" in page
    scale = paper.SCALES["smoke"]()
    for make in paper.CHAPTERS.values():
        assert make(scale).title in page
    assert f"{MEDICAL} saw grey images alone" in page
    assert "stands in for ResNet50" in page


@pytest.mark.parametrize("name", paper.CHAPTERS)
def test_each_yields_its_figure_and_its_numbers(everything, name):
    assert_is_drawn(everything, name)


def test_every_claim_is_judged(everything):
    table = pd.read_csv(everything / "claims.csv")
    assert len(table) == 13
    # One target is in no other colour, and two folds give no slope to leave one out of.
    asked = table[table["verdict"] != "not asked"]
    assert len(asked) >= 9
    assert set(asked["verdict"]) <= {"holds", "does not hold", "not decided here"}
    assert np.isfinite(asked["estimate"]).all()


def test_no_patient_is_trained_and_tested_on(everything, workspace):
    record = files.read_json(everything / "study.json")
    tested = {}
    for name in record["runs"]:
        run_dir = workspace / "runs" / name
        table = pd.read_parquet(run_dir / "predictions.parquet")
        sides = {
            split: set(part["patient_id"]) for split, part in table.groupby("split")
        }
        assert not sides["validation"] & sides["test"]
        fold = files.read_json(run_dir / "config.json")["fold"]
        tested.setdefault(fold, set()).update(sides["test"])
    assert len(tested) == 2
    assert not set.intersection(*tested.values())


def test_donors_stand_side_by_side_in_a_study_of_one_s_own(workspace, everything):
    """One of them from a card, on pixels that are not the architecture's own."""
    record = files.read_json(everything / "study.json")
    donor = RunDirectory(workspace / "runs" / record["donor_runs"][0])
    name = "clinic" + "".join(donor.best_weights.suffixes)
    shutil.copy(donor.best_weights, workspace / name)
    (workspace / "clinic.toml").write_text(
        f'title = "Our clinic"\nfile = "{name}"\n'
        'input_scaling = "zero_to_one"\ncolor = "gray"\n'
    )
    found = run_binary(
        workspace,
        "--dataset=phantom_retina_few",
        "--seeds=1",
        "--steps=2",
        "--batch_size=4",
        "--eval_every=2",
        "--initializations=random,transfer",
        f"--donors={NATURAL},{MEDICAL},{workspace / 'clinic.toml'}",
    )
    assert found.returncode == 0, found.stderr[-3000:]
    folder = workspace / "studies" / "phantom_retina_few"
    page = (folder / "report.html").read_text()
    assert f"transfer from {NATURAL}" in page
    assert f"transfer from {MEDICAL}" in page
    assert "Does it matter which donor?" in page
    assert f"{MEDICAL} against {NATURAL}" in page
    assert "clinic (Our clinic) gets its pixels as zero_to_one: RGB, 0 to 1." in page
    assert "clinic saw grey images alone" in page
    # Each donor has random weights on the same pixels to be compared with.
    table = pd.read_csv(folder / "tables" / "runs.csv")
    starts = table[["model", "initialization"]].drop_duplicates()
    assert (starts["initialization"] == "random").sum() == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--study=transfusion/table1", "--donors=a,b"), "has one donor: give --donor"),
        (
            ("--dataset=phantom_retina_few", "--donor=imagenet", "--donors=a,b"),
            "--donor names one donor and --donors several",
        ),
        (
            (
                "--dataset=phantom_retina_few",
                "--models=resnet50",
                "--donors=imagenet,radimagenet",
            ),
            "TRANSFUSION_DATA",
        ),
    ],
)
def test_what_does_not_fit_is_one_clear_error(
    tmp_path, monkeypatch, arguments, message
):
    monkeypatch.delenv("TRANSFUSION_DATA", raising=False)
    found = run_binary(tmp_path, *arguments)
    assert found.returncode == 2
    assert message in found.stderr
    assert "Traceback" not in found.stderr
    assert not list(tmp_path.glob("runs/*"))
