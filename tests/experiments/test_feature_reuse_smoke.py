"""Every table and figure of the feature-reuse paper runs, at the scale `smoke`."""

import numpy as np
import pandas as pd
import pytest
from smoke_studies import (
    assert_is_drawn,
    modification_times,
    run_and_report,
    run_study,
)

from transfusion_tf_experiments.papers import feature_reuse

pytestmark = pytest.mark.slow

SCALE = feature_reuse.SCALES["smoke"]()


@pytest.fixture(scope="module")
def everything(workspace):
    """The folder of a study of all chapters, with its claims and its report."""
    return run_and_report(workspace, "feature_reuse/all")


def test_the_report_has_a_chapter_for_each_and_a_front_page(everything):
    page = (everything / "report.html").read_text()
    assert "Does the paper’s finding hold here?" in page
    assert "has not been made yet" not in page
    assert "cannot be read" not in page
    for make in feature_reuse.CHAPTERS.values():
        assert make(SCALE).title in page.replace("’", "'").replace("&#39;", "'")


@pytest.mark.parametrize("name", feature_reuse.CHAPTERS)
def test_each_yields_its_figure_and_its_numbers(everything, name):
    assert_is_drawn(everything, name)


def test_every_claim_is_judged(everything):
    table = pd.read_csv(everything / "claims.csv")
    assert len(table) == len(feature_reuse.claims(SCALE))
    # One seed decides nothing; after four steps a metric or a distance may be 0.
    asked = table[table["verdict"] != "not asked"]
    assert set(asked["verdict"]) == {"not decided here"}
    assert np.isfinite(asked["estimate"]).all()
    reasons = table.loc[table["verdict"] == "not asked", "reason"]
    known = ("divide by", "too few", "no Swin is trained")
    assert all(any(part in reason for part in known) for reason in reasons)
    # Two claims are about Swin; after four steps skill may be none.
    assert len(reasons) <= 5


def test_a_second_time_repeats_nothing(everything, workspace):
    before = modification_times(workspace)
    run_study(workspace, "feature_reuse/all")
    assert modification_times(workspace) == before
