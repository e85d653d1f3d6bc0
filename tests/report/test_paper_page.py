import html.parser
import json
import re

import pandas as pd
import pytest
from report.planted_chapters import PlantedChapters, chapter

from transfusion_tf.report import write_report
from transfusion_tf.studies import read_study
from transfusion_tf.studies.claims import Claim, claim_to_dict
from transfusion_tf.studies.contrasts import (
    StepsToThreshold,
    Unavailable,
    on_test,
    speed_over,
)

# All pictures of a planted study are drawn first.
pytestmark = pytest.mark.slow

VOID = {"meta", "img", "br", "line", "circle", "input", "link", "hr"}


class Page(html.parser.HTMLParser):
    """Collects ids, references and text, and checks that tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.references, self.ids = [], [], []
        self.tags, self.words = set(), []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.references += [value for name, value in attrs if name in ("src", "href")]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "title"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def claims_of(planted):
    """One of every verdict, as `study.json` has them."""

    def runs(start, count=3):
        return tuple(planted.ids["cbr_tiny", start, seed] for seed in range(count))

    random = runs("random")
    claims = [
        Claim(
            "Transfer gains <little>.",
            "table 1, section 3.2",
            "test AUC, transfer minus random",
            "AUC",
            "alike",
            on_test(runs("transfer")) - on_test(random),
            published=0.0008,
        ),
        Claim(
            "Its scale alone speeds training up.",
            "figure 6, section 5",
            "steps to the threshold, random over mean_var",
            "doublings of speed",
            "above",
            speed_over(runs("mean_var"), random),
        ),
        Claim(
            "Steps shrink.",
            "figure 8",
            "steps",
            "steps",
            "above",
            StepsToThreshold(runs("transfer", 1), random)
            - StepsToThreshold(runs("random", 1), random),
        ),
        Claim(
            "ImageNet ranks models.",
            "section 2",
            "rank correlation",
            "rank correlation",
            "above",
            Unavailable("no donors"),
        ),
    ]
    ids = {run: run for run in planted.study.runs}
    return [claim_to_dict(claim, ids) for claim in claims]


@pytest.fixture(scope="module")
def written(planted_study, plant, tmp_path_factory):
    """A page with claims, a failed run, and chapters that lack something."""
    study = planted_study(tmp_path_factory.mktemp("root"), patients=60)
    planted = PlantedChapters(study, plant)
    study.add_failed("cbr_small", "gabor", 1, "loss is NaN at <step> 120")
    failed = study.failed[0]["run"]
    all_chapters = {each["name"]: each for each in planted.chapters()}
    chapters = [
        all_chapters["table1"],
        chapter("table3", "accuracy", [failed]),
        all_chapters["table5"]
        | {"analyses": {"population_trained": ["analyses/gone.csv"]}},
        all_chapters["figure7"] | {"runs": [*all_chapters["figure7"]["runs"], failed]},
        chapter("figure1", "example_images", all_chapters["table1"]["runs"]),
        chapter("figure99", "hologram", all_chapters["table1"]["runs"]),
    ]
    claims = claims_of(planted)
    folder = study.write(
        chapters=chapters,
        claims=claims,
        title="A & <paper>",
        not_in_paper=["hue = 0.02 (retina): appendix A says hue, and not how far"],
    )
    return write_report(folder)


@pytest.fixture(scope="module")
def page(written):
    return Page(written.read_text())


def test_the_page_is_one_file_without_references_to_others(written, page):
    inside = [each for each in page.references if each.startswith("#")]
    assert {each[1:] for each in inside} <= set(page.ids)
    others = [each for each in page.references if not each.startswith("#")]
    assert others
    assert all(each.startswith("data:image/") for each in others)
    text = re.sub(r"data:image/[^\"]*", "", written.read_text())
    assert "url(" not in text
    assert "//" not in text.replace("http://www.w3.org", "")
    assert "script" not in page.tags


def test_what_users_wrote_is_escaped(written, page):
    assert "A & <paper>" in page.text
    assert "Transfer gains <little>." in page.text
    assert "<little>" not in written.read_text()


def test_the_front_page_counts_what_holds(page):
    assert (
        "1 holds, 1 does not, 1 is not decided here and 1 was not asked "
        "(of 4 findings)." in page.text
    )


def test_a_verdict_is_told_by_word_and_symbol(page):
    for words in ("✗ does not hold", "✓ holds", "○ not decided here", "– not asked"):
        assert words in page.text


def test_a_claim_shows_its_estimate_and_interval(written, page):
    table = pd.read_csv(written.parent / "claims.csv")
    gain, speed, steps, _ = table.to_dict("records")
    for row in (gain, speed):
        numbers = "{estimate:+.3f} {unit} {low:+.3f} to {high:+.3f}".format(**row)
        assert numbers.replace("-", "−") in page.text
    assert f"−{-steps['estimate']:.0f} steps" in page.text
    assert "too few seeds for an interval" in page.text
    assert "no donors" in page.text


def test_a_claim_shows_the_papers_value_where_it_prints_one(page):
    assert "test AUC, transfer minus random; in the paper +0.001 AUC" in page.text
    assert page.text.count("in the paper +") == 1


def test_the_order_is_data_claims_contents_chapters_runs_reproduction(page):
    order = [
        "A & <paper>",
        "Drawn by this program",
        "Does the paper’s finding hold here?",
        "Tables and figures",
        "About table1 What it shows.",
        "About figure99 What it shows.",
        "Runs without a result",
        "Where the weights came from",
        "Not in the paper What the paper leaves open, and what stands here. hue = 0.02",
        "How to reproduce it",
        "What the numbers mean",
    ]
    # Where they stand last: the contents at the top name some of them.
    positions = [page.text.rindex(words) for words in order]
    assert positions == sorted(positions)


def test_every_chapter_is_listed_and_can_be_reached(page):
    names = ["table1", "table3", "table5", "figure7", "figure99"]
    assert set(names) <= set(page.ids)
    assert {f"#{name}" for name in names} <= set(page.references)


def test_example_images_stand_in_a_row_of_their_data_set(written, page):
    assert "models see 64 × 64 pixels." in page.text
    table = pd.read_csv(written.parent / "tables" / "figure1.csv")
    assert list(table["quantity"]) == ["image_size", "training_images", "classes"]


def test_chapters_say_what_they_lack(page):
    assert "1 of 1 run has no result yet (1 failed)." in page.text
    assert "1 of 13 runs has no result yet (1 failed)." in page.text
    assert "analyses/gone.csv has not been made yet" in page.text
    assert "no view called hologram" in page.text
    assert "loss is NaN at <step> 120" in page.text


def test_the_papers_numbers_are_marked_as_other_data(page):
    assert "0.958 ± 0.0003" in page.text
    assert "paper: its own data and donors" in page.text
    assert "The paper’s numbers without a counterpart here (1)" in page.text
    assert "0.964" in page.text


def test_figures_and_tables_lie_beside_the_page(written):
    figures = {path.name for path in (written.parent / "figures").iterdir()}
    names = ("table1", "figure1", "figure7-cbr_tiny", "figure7-cbr_tiny-speed")
    assert figures == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    tables = {path.name for path in (written.parent / "tables").iterdir()}
    assert tables >= {"table1.csv", "table1.md", "table1.tex", "runs.csv"}


def test_the_run_table_says_which_chapter_uses_a_run(written):
    runs = pd.read_csv(written.parent / "tables" / "runs.csv")
    both = runs[(runs["model"] == "cbr_tiny") & (runs["chapters"] != "")]
    used = both.loc[both["initialization"] == "random", "chapters"].dropna()
    assert "table1 table5 figure7 figure1 figure99" in set(used)


def test_a_study_without_any_finished_run_has_a_page_too(study):
    study.add_failed("cbr_tiny", "random", 0, "no space left on the disk")
    runs = [study.failed[0]["run"]]
    folder = study.write(chapters=[chapter("table1", "accuracy", runs)])
    page = Page(write_report(folder).read_text())
    assert "There is nothing to draw yet." in page.text
    assert "No run has finished yet." in page.text
    assert "Does the paper’s finding hold here?" not in page.text


def test_chapters_are_read_as_the_study_wrote_them(study, plant):
    study.add("cbr_tiny", "random", 0, plant())
    written = chapter(
        "table1",
        "accuracy",
        study.runs,
        options={"by_class": True},
        published=[{"quantity": "test", "value": 0.9}],
        notes=["A note."],
        analyses={"population_trained": ["analyses/best.csv"]},
    )
    folder = study.write(chapters=[written])
    (found,) = read_study(folder).chapters
    assert found.runs == tuple(study.runs)
    assert found.options == {"by_class": True}
    assert found.published == ({"quantity": "test", "value": 0.9},)
    assert found.notes == ("A note.",)
    assert found.analyses == {"population_trained": ("analyses/best.csv",)}
    assert json.loads((folder / "study.json").read_text())["chapters"] == [written]
