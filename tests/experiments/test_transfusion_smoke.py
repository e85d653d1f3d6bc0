"""Every table and figure of the paper runs, at the scale `smoke`."""

import numpy as np
import pandas as pd
import pytest
from smoke_studies import (
    assert_is_drawn,
    modification_times,
    run_and_report,
    run_binary,
    run_study,
)

from transfusion_tf import files
from transfusion_tf_experiments.papers import transfusion

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def everything(workspace):
    return run_and_report(workspace, "transfusion/all")


def test_the_report_has_a_chapter_for_each_and_a_front_page(everything):
    page = (everything / "report.html").read_text()
    assert "Does the paper’s finding hold here?" in page
    scale = transfusion.SCALES["smoke"]()
    for make in transfusion.CHAPTERS.values():
        assert make(scale).title in page


@pytest.mark.parametrize("name", transfusion.CHAPTERS)
def test_each_yields_its_figure_and_its_numbers(everything, name):
    assert_is_drawn(
        everything, name, column="explained" if name == "figure21" else "value"
    )


def test_one_alone_reuses_the_runs(everything, workspace):
    before = modification_times(workspace)
    folder = run_and_report(workspace, "transfusion/figure3")
    assert modification_times(workspace) == before
    assert (folder / "figures" / "figure3.png").exists()
    assert "figure4" not in (folder / "report.html").read_text()


def test_every_claim_is_judged(everything):
    table = pd.read_csv(everything / "claims.csv")
    assert len(table) >= 12
    # One seed decides nothing but what two runs of each start were made for.
    asked = table[table["verdict"] != "not asked"]
    assert set(asked["verdict"]) <= {"holds", "does not hold", "not decided here"}
    assert np.isfinite(asked["estimate"]).all()
    reasons = set(table.loc[table["verdict"] == "not asked", "reason"])
    assert reasons <= {"no run from random weights reaches the threshold"}


def test_a_second_time_repeats_nothing(everything, workspace):
    before = modification_times(workspace)
    run_study(workspace, "transfusion/all")
    assert modification_times(workspace) == before


def test_a_user_s_own_card_takes_the_place_of_the_paper_s_data(workspace, everything):
    """A task of two classes has no referable grade: said, not faked."""
    folder = run_and_report(
        workspace, "transfusion/table4", dataset="chest_kermany", source="sample"
    )
    assert folder.name == "transfusion-table4-smoke-chest_kermany"
    page = (folder / "report.html").read_text()
    assert "no referable grade" in page
    assert "left out" in page
    chapter = files.read_json(folder / "study.json")["chapters"][0]
    assert chapter["runs"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--study=transfusion/figure11",), "unknown study 'transfusion/figure11'"),
        (("--study=transfusion/figure7", "--scale=tiny"), "paper, small, smoke"),
        (("--study=demo", "--scale=small"), "--study=demo takes no --scale"),
        (("--dataset=photographs", "--scale=small"), "--scale is for a study by name"),
        (("--study=transfusion/table1", "--models=cbr_tiny"), "--models"),
        (("--study=transfusion/table1",), "TRANSFUSION_DATA"),
        (
            (
                "--study=transfusion/table1",
                "--scale=smoke",
                "--dataset=chest_kermany",
                "--source=nowhere",
            ),
            "nowhere",
        ),
    ],
)
def test_what_does_not_fit_is_one_clear_error(tmp_path, arguments, message):
    found = run_binary(tmp_path, *arguments)
    assert found.returncode == 2
    assert message in found.stderr
    assert "Traceback" not in found.stderr
    assert not list(tmp_path.glob("runs/*"))
