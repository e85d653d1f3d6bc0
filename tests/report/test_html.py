import dataclasses
import html.parser
import re

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from report.levels import check_levels

from transfusion_tf.report import collect, write_report
from transfusion_tf.report.page import data_header, reproduction
from transfusion_tf.report.sample_images import filter_mosaic
from transfusion_tf.studies import own_chapters, read_study
from transfusion_tf.studies.measurements.first_layer_gabors import gabor_changes
from transfusion_tf.studies.measurements.table import TABLE
from transfusion_tf.studies.study_folder import ChapterRecord
from transfusion_tf.training import RunDirectory

# Some of the means that the report publishes.
LEVELS = {
    *(
        "test",
        "best_validation",
        "parameters",
        "train_seconds",
        "steps",
        "mean_while_learning",
    ),
    *("auc/mild", "accuracy", "quadratic_kappa"),
}
VOID = {"meta", "img", "br", "line", "circle", "input", "link", "hr"}


class Page(html.parser.HTMLParser):
    """Collects references and text, and checks that tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.references, self.tags, self.words = [], [], set(), []
        self.ids = []
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


def write_own(study, names=(), *, with_gabors=False, donors=None, **values):
    """Writes a planted study with the chapters that its runs allow, or some of them."""
    ids = {RunDirectory(study.root / "runs" / run).config(): run for run in study.runs}
    chapters = [
        {
            **dataclasses.asdict(dataclasses.replace(chapter, runs=())),
            "runs": [ids[run] for run in chapter.runs],
        }
        for chapter in own_chapters(list(ids))
        if not names or chapter.name in names
    ]
    if with_gabors:
        (shown,) = (chapter for chapter in chapters if chapter["view"] == "filters")
        fits = [gabor_changes(study.root / "runs" / run) for run in shown["runs"]]
        table = study.root / "analyses" / "gabor_changes.csv"
        table.parent.mkdir()
        pd.concat(fits).to_csv(table, index=False)
        shown["analyses"] = {"gabor_changes": ["analyses/gabor_changes.csv"]}
    if donors is not None:
        (shown,) = (each for each in chapters if each["view"] == "donor_worth")
        table = study.root / "analyses" / "donor_quality.csv"
        table.parent.mkdir()
        donors.to_csv(table, index=False)
        shown["analyses"] = {"donor_quality": ["analyses/donor_quality.csv"]}
    return study.write(chapters=chapters, **{"after_paper": False, **values})


@pytest.fixture(scope="module")
def written(planted_study, plant, tmp_path_factory):
    """A report of two models, a donor and a failed run."""
    study = planted_study(tmp_path_factory.mktemp("root"))
    plants = {"random": plant(1.0, 90), "transfer": plant(2.0, 30)}
    study.grid(["cbr_tiny", "cbr_small"], plants)
    study.add_donor()
    study.add_failed("cbr_small", "gabor", 1, "loss is NaN at <step> 120")
    folder = write_own(study, with_gabors=True, title="Fundus & <friends>")
    return write_report(folder)


@pytest.fixture(scope="module")
def page(written):
    return Page(written.read_text())


def test_the_report_is_one_file_without_references_to_others(written, page):
    inside = {each[1:] for each in page.references if each.startswith("#")}
    assert inside <= set(page.ids)
    others = [each for each in page.references if not each.startswith("#")]
    assert others
    assert all(each.startswith("data:image/") for each in others)
    text = written.read_text()
    outside = re.sub(r"data:image/[^\"]*", "", text)
    assert "url(" not in outside
    assert "@import" not in outside
    assert "//" not in outside.replace("http://www.w3.org", "")


def test_the_report_needs_no_script(page):
    assert "script" not in page.tags


def test_what_users_wrote_is_escaped(written, page):
    assert "Fundus & <friends>" in page.text
    assert "<friends>" not in written.read_text()
    assert "loss is NaN at <step> 120" in page.text


def test_the_style_sheet_is_not_escaped(written):
    style = re.search(r"<style>(.*?)</style>", written.read_text(), re.DOTALL)
    assert ".answers > div" in style.group(1)


def test_the_verdict_comes_before_everything_else(page):
    order = [
        "Transfer helps for both models",
        "Does transfer help?",
        "Does a smaller model do as well?",
        "Runs without a result",
        "Accuracy",
        "Tables and figures",
        "The validation metric over training",
        "The images",
        "Where the weights came from",
        "How to reproduce it",
        "What the numbers mean",
    ]
    assert "850 patients" in page.text[: page.text.index(order[0])]
    text = page.text[page.text.index(order[0]) :]
    positions = [text.index(words) for words in order]
    assert positions == sorted(positions)


def test_reproduction_names_command_versions_seeds_and_place(page):
    for words in (
        "transfusion-study --dataset=",
        "python 3.12.1",
        "tensorflow 2.21.0",
        "0, 1, 2",
        "0123abc",
        "for 12 runs, and 2 min 31 s for 1 donor",
    ):
        assert words in page.text


def test_the_page_names_no_files_and_no_folders_of_this_machine(written, page):
    assert ".csv" not in page.text
    assert str(written.parent) not in page.text
    assert "Table 1" not in page.text


def test_notes_on_the_data_name_no_file_and_no_patient(study, plant):
    moved = "patient {!r} is in two splits of the data: moved to test"
    study.dataset |= {
        "left_out": {"no image 'ann-smith.png' in scans/2024": 3},
        "remarks": [
            moved.format("ann"),
            moved.format("bea"),
            "4 images more",
            # As runs noted them before these were reasons alone.
            "/home/ann/an eye/images (first ann s.png): 5 images that no row names",
            "labels.csv, row 3 (scan ann 04): 6 images more",
        ],
    }
    study.add("cbr_tiny", "random", 0, plant())
    (data,) = data_header(read_study(study.write()))
    assert data["notes"] == [
        "3 rows could not be used: no image … in …",
        "patient … is in two splits of the data: moved to test (2 times)",
        "4 images more",
        "5 images that no row names",
        "6 images more",
    ]


def test_fewer_training_images_than_there_are_are_said_at_the_top(study, plant):
    study.grid(["cbr_tiny"], {"random": plant()}, seeds=[0], train_examples=200)
    assert ("200 of 1 200", "training images") in _facts(study)
    study.grid(["cbr_tiny"], {"random": plant()}, seeds=[0], train_examples=400)
    assert ("1 200", "training images") in _facts(study)


def _facts(study):
    (data,) = data_header(read_study(study.write()))
    return [(value.replace("\u202f", " "), what) for value, what in data["facts"]]


def test_the_gains_are_drawn_beside_the_headline(page):
    gains = page.text.index("Test AUC minus that of random weights")
    assert gains < page.text.index("Does transfer help?")


def test_the_contents_lead_to_every_section(page):
    linked = {each for each in page.references if each.startswith("#")}
    named = ("verdict", "accuracy", "chapters", "images", "donors", "reproduce")
    assert linked >= {f"#{name}" for name in named}


def test_classes_of_fewer_than_ten_patients_have_no_numbers_of_their_own(page):
    assert "too few" in page.text[page.text.index("Every metric and every class") :]
    assert "severe (7) and proliferative (6); 10 are the least" in page.text


def test_the_donor_is_described(page):
    assert "cbr_tiny, trained from random weights on Photographs" in page.text


def test_runs_lie_beside_the_page_for_tensorboard(written, page):
    assert "tensorboard --logdir=events" in page.text
    names = {path.parent.name for path in (written.parent / "events").glob("*/*")}
    assert "cbr_tiny-transfer-seed2" in names


def test_all_figures_and_tables_are_written(written):
    figures = {path.name for path in (written.parent / "figures").iterdir()}
    names = {"differences", "costs", "samples"} | {
        f"{name}{ending}"
        for model in ("cbr_tiny", "cbr_small")
        for name, ending in (
            (f"decisions-roc-{model}", ""),
            (f"decisions-confusion-{model}", ""),
            (f"decisions-reliability-{model}", ""),
            (f"convergence-{model}", ""),
            (f"convergence-{model}", "-steps"),
            (f"filters-{model}", ""),
            (f"filters-{model}", "-gabor"),
        )
    }
    assert figures == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    tables = {path.name for path in (written.parent / "tables").iterdir()}
    expected = {"results", "comparisons", "models", "classes", "initialization"} | {
        *("runs", "differences", "convergence", "before_and_after"),
        *("similarity_by_start", "filters", "decisions", "costs", "confident_errors"),
        "donor_quality",
    }
    assert tables == {
        f"{name}.{kind}" for name in expected for kind in ("csv", "md", "tex")
    }
    assert all(path.stat().st_size for path in (written.parent / "figures").iterdir())


def test_levels_are_means_of_the_study_s_measurements(written):
    rows = pd.read_parquet(written.parent / TABLE)
    record = read_study(written.parent)
    chapters = list(record.chapters)
    tables = {
        path.stem: pd.read_csv(path)
        for path in (written.parent / "tables").glob("*.csv")
    }
    # One row per cell, one column per quantity.
    for name in ("results", "classes"):
        keys = ["model", "train_examples", "initialization", "seeds"]
        tables[name] = tables[name].melt(keys, var_name="quantity")
        runs = tuple(run.run_id for run in record.runs)
        chapters.append(ChapterRecord(name, "", "", "", runs=runs))
    seen = {
        quantity
        for chapter in chapters
        if "quantity" in tables[chapter.name]
        for quantity in check_levels(chapter, tables[chapter.name], rows)
    }
    assert seen >= LEVELS


def test_chapters_have_the_design_of_a_papers_page(page):
    assert "Who learns faster" in page.text
    assert "Steps of cbr_tiny to 0." in page.text
    # Nothing of the planted models was compared.
    moved = page.text.index("How alike a model’s representations are before")
    assert "There is nothing to draw yet." in page.text[moved:]


def test_filters_are_one_row_of_pictures_until_they_are_opened(written):
    chapter = re.search(r'id="filters">(.*?)</section>', written.read_text(), re.S)[1]
    shown, opened = chapter.split("<summary>2 more pictures</summary>")
    assert [part.count("<img") for part in (shown, opened)] == [2, 2]


def test_curves_of_two_evaluations_have_no_chapter_on_speed(
    planted_study, plant, tmp_path
):
    study = planted_study(tmp_path, steps=20)
    study.grid(["cbr_tiny"], {"random": plant(1.0, 9), "transfer": plant(2.0, 2)})
    folder = write_own(study, ["convergence"])
    text = Page(write_report(folder).read_text()).text
    speed = text[text.index("Who learns faster The validation") :]
    assert "A curve of fewer than 4 evaluations says nothing of speed" in speed
    assert not list((folder / "figures").glob("convergence*"))


@pytest.mark.slow
def test_the_same_study_makes_the_same_bytes(written):
    files = [written, *sorted((written.parent / "figures").iterdir())]
    before = [file.read_bytes() for file in files]
    # What says that it need not be written again.
    (written.parent / "report.json").unlink()
    write_report(written.parent)
    assert [file.read_bytes() for file in files] == before


@pytest.fixture(scope="module")
def bare(planted_study, plant, tmp_path_factory):
    """The report of two runs that left little, without chapters and images.

    With it, matplotlib's settings before and after.
    """
    study = planted_study(tmp_path_factory.mktemp("bare"))
    plants = {"random": plant(1.0, 90), "transfer": plant(2.0, 30)}
    study.grid(["cbr_tiny"], plants, seeds=(0,))
    for name in study.runs:
        run = RunDirectory(study.root / "runs" / name)
        run.update_status(images_per_second=None, parameters_table1=None, machine=None)
    before = dict(matplotlib.rcParams)
    report = write_report(study.write(), show_images=False)
    return report, before, dict(matplotlib.rcParams)


@pytest.fixture(scope="module")
def bare_page(bare):
    return Page(bare[0].read_text())


def test_images_can_be_left_out(bare, bare_page):
    assert "Sample images were left out of this report on request." in bare_page.text
    assert not any("jpeg" in reference for reference in bare_page.references)
    assert not (bare[0].parent / "figures" / "samples.png").exists()


def test_a_study_that_was_asked_for_no_chapters_has_its_verdict_alone(bare_page):
    assert "Does transfer help?" in bare_page.text
    assert "Tables and figures" not in bare_page.text


def test_numbers_survive_a_status_without_speed(bare_page):
    assert "Accuracy" in bare_page.text
    assert "Table 1" not in bare_page.text


def test_drawing_leaves_matplotlibs_global_state_alone(bare):
    _, before, after = bare
    assert after == before
    assert pyplot.get_fignums() == []


def test_a_study_without_results_still_has_a_page(study):
    study.add_failed("cbr_tiny", "random", 0, "no space left on the disk")
    page = Page(write_report(study.write()).read_text())
    assert "No run has finished yet." in page.text
    assert "no space left on the disk" in page.text


def test_runs_that_never_reach_the_threshold_are_drawn(study, plant):
    plants = {"random": plant(2.0, 30), "transfer": plant(0.1, 2000)}
    study.grid(["cbr_tiny"], plants)
    folder = write_own(study, ["convergence"])
    page = Page(write_report(folder).read_text())
    assert "never from transfer" in page.text
    assert "not all seeds get there from transfer" in page.text


def test_findings_have_a_report_too(study, plant):
    study.dataset |= {"kind": "findings", "referable_from": None, "metric": "mean_auc"}
    run = study.add("cbr_tiny", "random", 0, plant())
    lines = run.metrics().rename(
        columns={"validation/referable_auc": "validation/mean_auc"}
    )
    run.write_config(run.config().replace(metric="mean_auc"))
    run.write_lines("metrics.jsonl", lines.to_dict("records"))
    page = Page(write_report(study.write()).read_text())
    assert "averaged over the classes" in page.text
    assert "5 findings" in page.text


def test_runs_without_pictures_are_reported(study, plant):
    run = study.add("cbr_tiny", "random", 0, plant())
    for name in ("samples.npz", "first_layer.npz", "initialization.csv"):
        (run.path / name).unlink()
    page = Page(write_report(write_own(study, ["filters"])).read_text())
    assert "The runs kept no sample images." in page.text


def test_filters_of_a_pair_share_a_scale():
    kernels = np.zeros((2, 2, 3, 1))
    kernels[0, 0] = 0.5
    dim, bright = filter_mosaic(kernels, 1.0), filter_mosaic(kernels, 0.5)
    assert dim[0, 0].tolist() == [191] * 3
    assert bright[0, 0].tolist() == [255] * 3
    assert dim[6, 6].tolist() == bright[6, 6].tolist() == [128] * 3


def test_the_recipe_names_what_a_run_uses_beyond_the_usual(
    page, planted_study, plant, tmp_path
):
    assert "learning rate 0.001" in page.text
    assert "gradient clipping" not in page.text
    study = planted_study(tmp_path)
    study.add("cbr_tiny", "random", 0, plant(1.0, 90), gradient_clipping=1.0)
    study.add("cbr_tiny", "random", 1, plant(1.0, 90), warmup_steps=20)
    recipe = reproduction(read_study(study.write()))["recipe"]
    assert recipe["gradient clipping"] == "1.0, None"
    assert recipe["warmup steps"] == "0, 20"


def test_what_each_model_has_of_its_own_is_named_in_the_recipe_and_in_no_label(
    planted_study, plant, tmp_path
):
    study = planted_study(tmp_path)
    for model, rate in (("cbr_tiny", 0.001), ("cbr_small", 0.003)):
        for seed in (0, 1):
            study.add(model, "random", seed, plant(1.0, 90), learning_rate=rate)
    record = read_study(study.write())
    assert reproduction(record)["recipe"]["learning rate"] == (
        "0.001 (cbr_tiny); 0.003 (cbr_small)"
    )
    assert collect(record).models == ("cbr_tiny", "cbr_small")


def measured_donor(study, gain):
    """What is measured of the study's donor, a row per number."""
    found = {"validation": 0.4, "chance": 0.1, "probe": 0.1 + gain, "probe_gain": gain}
    found |= {"probe_gain_low": gain - 0.02, "probe_gain_high": gain + 0.02}
    rows = [{"quantity": f"donor_{key}", "value": found[key]} for key in found]
    rows.append({"quantity": "donor_gabor_share", "item": "filters of 3 × 3 pixels"})
    return pd.DataFrame(rows).assign(
        unit="accuracy",
        model="cbr_tiny",
        donor="photographs",
        donor_run=study.donors[0],
    )


@pytest.mark.parametrize(("gain", "weak"), [(0.03, True), (0.05, False)])
def test_a_weak_donor_is_named_before_any_answer(study, plant, gain, weak):
    study.grid(["cbr_tiny"], {"random": plant(1.0), "transfer": plant(2.0)})
    study.add_donor()
    folder = write_own(study, ("donor_quality",), donors=measured_donor(study, gain))
    text = Page(write_report(folder).read_text()).text
    first, _, rest = text.partition("Does transfer help?")
    assert f"5-shot probe +{gain:.3f}" in first
    named = "photographs (cbr_tiny) is weak: what its features gain over random ones"
    assert (named in first) == weak
    assert ("that says little about transfer" in first) == weak
    assert f"+{gain:.3f} {gain - 0.02:+.3f} to {gain + 0.02:+.3f}" in rest


def test_that_a_donor_was_not_measured_is_said(study, plant):
    study.grid(["cbr_tiny"], {"random": plant(1.0), "transfer": plant(2.0)})
    folder = study.write(chapters=[], after_paper=False)
    text = Page(write_report(folder).read_text()).text
    first, _, _ = text.partition("Does transfer help?")
    assert "photographs: what its features are worth was not measured" in first


def test_a_papers_page_names_a_weak_donor_at_its_top_too(study, plant):
    study.grid(["cbr_tiny"], {"random": plant(1.0), "transfer": plant(2.0)})
    study.add_donor()
    donors = measured_donor(study, 0.0)
    folder = write_own(study, ("donor_quality",), donors=donors, after_paper=True)
    main = write_report(folder).read_text().partition("<main>")[2]
    assert "is weak" in main.partition("</ul>")[0]
