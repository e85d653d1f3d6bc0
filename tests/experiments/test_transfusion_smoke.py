"""Every table and figure of the paper runs, at the scale `smoke`."""

import numpy as np
import pandas as pd
import pytest
from smoke_studies import assert_is_drawn, run_binary

from transfusion_tf import files
from transfusion_tf_experiments import named_studies
from transfusion_tf_experiments.papers import transfusion, transfusion_scales

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A folder in which all studies were run, by two shards and then as a whole."""
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def everything(workspace):
    found = run_binary(workspace, "--study=transfusion/all", "--scale=smoke")
    assert found.returncode == 0, found.stderr[-3000:]
    return workspace / "studies" / "transfusion-all-smoke"


def test_the_report_has_a_chapter_for_each_and_a_front_page(everything):
    page = (everything / "report.html").read_text()
    assert "Does the paper’s finding hold here?" in page
    scale = transfusion_scales.smoke()
    for make in transfusion.CHAPTERS.values():
        assert make(scale).title in page


@pytest.mark.parametrize("name", transfusion.CHAPTERS)
def test_each_yields_its_figure_and_its_numbers(everything, name):
    assert_is_drawn(
        everything, name, column="explained" if name == "figure21" else "value"
    )


@pytest.mark.parametrize("name", ["table1", "figure3", "figure21"])
def test_one_alone_reuses_the_runs(everything, workspace, name):
    from transfusion_tf.report import write_report
    from transfusion_tf.studies import run_study
    from transfusion_tf.training import Options

    before = {
        path: path.stat().st_mtime_ns for path in workspace.glob("runs/*/status.json")
    }
    study = named_studies.make(f"transfusion/{name}", "smoke").study
    options = Options(data_root=workspace / "data", progress=False)
    result = run_study(study, workspace, options=options)
    assert not result.failed
    assert write_report(result.path).exists()
    after = {
        path: path.stat().st_mtime_ns for path in workspace.glob("runs/*/status.json")
    }
    assert after == before


def test_every_claim_is_judged(everything):
    table = pd.read_csv(everything / "claims.csv")
    assert len(table) >= 12
    assert set(table["verdict"]) <= {
        *("holds", "does not hold", "not decided here"),
    }
    # One seed decides nothing but what two runs of each start were made for.
    assert np.isfinite(table["estimate"]).all()


def test_a_second_time_repeats_nothing(everything, workspace):
    before = {path: path.stat().st_mtime_ns for path in workspace.glob("runs/*/*")}
    before |= {path: path.stat().st_mtime_ns for path in workspace.glob("analyses/*")}
    found = run_binary(workspace, "--study=transfusion/all", "--scale=smoke")
    assert found.returncode == 0, found.stderr[-3000:]
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_user_s_own_card_takes_the_place_of_the_paper_s_data(workspace, everything):
    """A task of two classes has no referable grade: said, not faked."""
    found = run_binary(
        workspace,
        *("--study=transfusion/table4", "--scale=smoke", "--dataset=chest_kermany"),
        *("--source=sample", "--steps=2"),
    )
    assert found.returncode == 0, found.stderr[-3000:]
    (folder,) = (workspace / "studies").glob("transfusion-table4-smoke-*")
    page = (folder / "report.html").read_text()
    assert "no referable grade" in page
    assert "left out" in page
    chapter = files.read_json(folder / "study.json")["chapters"][0]
    assert chapter["runs"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--study=transfusion/figure1",), "unknown study 'transfusion/figure1'"),
        (("--study=transfusion/figure7", "--scale=tiny"), "paper, small, smoke"),
        (("--study=demo", "--scale=small"), "--study=demo takes no --scale"),
        (("--dataset=photographs", "--scale=small"), "--scale is for a study by name"),
        (("--study=transfusion/table1", "--models=cbr_tiny"), "--models"),
        (("--study=transfusion/table1",), "TRANSFUSION_DATA"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(tmp_path, arguments, message):
    found = run_binary(tmp_path, *arguments)
    assert found.returncode == 2
    assert message in found.stderr
    assert "Traceback" not in found.stderr
    assert not list(tmp_path.glob("runs/*"))
