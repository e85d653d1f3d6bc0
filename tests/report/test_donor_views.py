"""Chapters that compare donors, drawn from a planted cross-validation."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import textbook
from report import planted_donors
from report.golden import check_golden
from report.levels import check_levels
from report.planted_donors import (
    AFTER,
    BEFORE,
    FOLDS,
    KEPT,
    MEDICAL,
    NATURAL,
    RANDOM,
    TARGETS,
    PlantedDonors,
)
from report.seen import empty_axes, quotes_its_table, words_shown

from transfusion_tf.evaluation import labels_and_probabilities, prediction_similarity
from transfusion_tf.report import write_report
from transfusion_tf.report.chapters import KINDS, draw_chapter
from transfusion_tf.report.donor_facts import donor_facts, donor_notes
from transfusion_tf.report.material import read_material
from transfusion_tf.studies import read_study
from transfusion_tf.studies.measurements.collect import measure_study
from transfusion_tf.studies.measurements.table import TABLE, Measurements

# All pictures of a planted study are drawn first.
pytestmark = pytest.mark.slow

# 120 test images and 1 200 training images a fold, as planted.
RATIO = 0.1

# Some of the means that chapters publish.
LEVELS = {
    *("test", "balanced_accuracy", "expected_calibration_error"),
    *("cca", "noise_floor"),
}


@pytest.fixture(scope="module")
def planted(planted_study, plant, tmp_path_factory):
    return PlantedDonors(planted_study, plant, tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def record(planted):
    return read_study(planted.write())


@pytest.fixture(scope="module")
def measurements(planted, record):
    return measure_study(planted.root / "studies" / "planted")


@pytest.fixture(scope="module")
def drawn(record, measurements, tmp_path_factory):
    """Chapter -> its view, drawn once; and the folder of the pictures."""
    folder = tmp_path_factory.mktemp("figures")
    views = {
        chapter.name: draw_chapter(read_material(record, chapter, measurements), folder)
        for chapter in record.chapters
    }
    return views, folder


def value(view, **wanted):
    table = view.table
    for name, what in wanted.items():
        table = table[table[name] == what]
    (row,) = table.to_dict("records")
    return row


def ends(row):
    return row["value"], row["low"], row["high"]


def run_of(record, planted, **wanted):
    (run_id,) = planted.of(**wanted)
    return next(run for run in record.runs if run.run_id == run_id)


@pytest.mark.parametrize("view", ["donor_similarity", "gain_and_similarity"])
def test_charts_and_sentences_call_the_measure_by_its_name(record, measurements, view):
    chapter = next(chapter for chapter in record.chapters if chapter.view == view)
    chapter = dataclasses.replace(chapter, options={"similarity_measure": "pwcca"})
    material = read_material(record, chapter, measurements)
    words = " ".join(words_shown(KINDS[view], material))
    assert "PWCCA" in words
    assert words.count("CCA") == words.count("PWCCA")


def test_every_view_of_donors_has_a_chapter_here(record):
    assert {chapter.view for chapter in record.chapters} == set(planted_donors.VIEWS)


def test_numbers_are_those_of_before(drawn):
    check_golden("donors", drawn[0])


def test_levels_are_means_of_the_study_s_measurements(record, measurements, drawn):
    rows = pd.read_parquet(record.root / "studies" / "planted" / TABLE)
    seen = {
        quantity
        for chapter in record.chapters
        if "quantity" in drawn[0][chapter.name].table
        for quantity in check_levels(chapter, drawn[0][chapter.name].table, rows)
    }
    assert seen >= LEVELS


def test_every_chapter_draws_something_in_all_axes(drawn):
    views, folder = drawn
    for name, view in views.items():
        assert view.pictures, name
        for picture in view.pictures:
            assert picture.name.startswith(name)
            assert empty_axes(folder / f"{picture.name}.svg") == [], picture.name


@pytest.mark.parametrize("name", ["table2", "figure3", "figure4", "figure5"])
def test_chapters_say_numbers_of_their_table(drawn, name):
    view = drawn[0][name]
    assert quotes_its_table(view), view.sentences


def test_donors_and_ways_of_fine_tuning_are_told_apart(drawn):
    table = drawn[0]["table2"].table
    labels = {"random"} | {
        name + way for name in (NATURAL, MEDICAL) for way in ("", ", head first")
    }
    for target in TARGETS:
        rows = table[(table["dataset"] == target) & (table["quantity"] == "test")]
        assert set(rows["initialization"]) == labels
        assert set(rows["seeds"]) == {len(FOLDS)}


def test_a_donor_s_auc_and_gain_are_means_over_folds(drawn, record, planted):
    ours, theirs = (
        [
            run_of(
                record, planted, dataset="skin", donor=donor, first=False, fold=fold
            ).score.value
            for fold in FOLDS
        ]
        for donor in (MEDICAL, None)
    )
    view = drawn[0]["table2"]
    keys = {"dataset": "skin", "initialization": MEDICAL}
    assert value(view, **keys, quantity="test")["value"] == pytest.approx(np.mean(ours))
    gain = value(view, **keys, quantity="difference_to_random")
    assert ends(gain) == pytest.approx(textbook.folds(np.subtract(ours, theirs), RATIO))


def test_calibration_and_balanced_accuracy_are_those_of_the_runs(
    drawn, record, planted
):
    runs = [
        run_of(record, planted, dataset="retina", donor=NATURAL, first=True, fold=fold)
        for fold in FOLDS
    ]
    for name in ("expected_calibration_error", "balanced_accuracy"):
        row = value(
            drawn[0]["table2"],
            dataset="retina",
            initialization=f"{NATURAL}, head first",
            quantity=name,
        )
        expected = np.mean([run.test_metrics[name] for run in runs])
        assert row["value"] == pytest.approx(expected)


def test_the_paper_s_value_stands_beside_its_target_alone(drawn):
    table = drawn[0]["table2"].table.dropna(subset=["paper"])
    (row,) = table.to_dict("records")
    assert (row["dataset"], row["initialization"]) == ("retina", "random")
    assert row["paper"] == 0.529


def test_representations_are_compared_fold_by_fold(drawn):
    view = drawn[0]["figure3"]
    pair = f"{NATURAL} – {MEDICAL}"
    folds = {
        f"{pair}, before": [BEFORE + 0.01 * fold for fold in FOLDS],
        f"{pair}, after": [AFTER + 0.02 * fold for fold in FOLDS],
        f"{MEDICAL}, before – after": [
            KEPT[MEDICAL] - 0.2 + 0.02 * fold for fold in FOLDS
        ],
    }
    for name, values in folds.items():
        row = value(view, dataset="skin", pair=name, stage="pool3", quantity="cca")
        assert ends(row) == pytest.approx(textbook.folds(values, RATIO)), name
    row = value(
        view, dataset="skin", pair="random – random", stage="pool1", quantity="cca"
    )
    assert row["value"] == pytest.approx(RANDOM)


def test_gabors_are_found_in_the_donor_that_has_them(drawn):
    view = drawn[0]["figure4"]
    natural, medical = (
        value(view, initialization=name, quantity="gabor_share")["value"]
        for name in (NATURAL, MEDICAL)
    )
    assert natural > 0.95
    assert medical < 0.6
    colors = [
        value(view, initialization=name, quantity="color_share")["value"]
        for name in (NATURAL, MEDICAL)
    ]
    assert colors[0] == pytest.approx(0, abs=1e-9)
    assert colors[1] == pytest.approx(2 / 3, abs=0.1)


def test_prediction_similarity_is_that_of_the_folds_predictions(drawn, record, planted):
    folds = []
    for fold in FOLDS:
        tables = [
            run_of(
                record, planted, dataset="retina", donor=donor, first=False, fold=fold
            ).directory.predictions("test")
            for donor in (NATURAL, MEDICAL)
        ]
        classes = record.runs[0].dataset["classes"]
        labels, ours = labels_and_probabilities(tables[0], classes)
        _, theirs = labels_and_probabilities(tables[1], classes)
        patients = tables[0]["patient_id"].to_numpy()
        folds.append(prediction_similarity(labels, ours, theirs, patients, "grade"))
    keys = {"dataset": "retina", "pair": f"{NATURAL} – {MEDICAL}"}
    view = drawn[0]["figure5"]
    for quantity in ("similarity", "independent"):
        expected = np.mean([getattr(fold, quantity) for fold in folds])
        assert value(view, **keys, quantity=quantity)["value"] == pytest.approx(
            expected
        )
    excess = value(view, **keys, quantity="excess")
    expected = textbook.folds([fold.excess.estimate for fold in folds], RATIO)
    assert ends(excess) == pytest.approx(expected)


def test_one_donor_with_itself_stands_beside_two_donors(
    record, measurements, planted, tmp_path
):
    # Two runs of each donor, which stand for two seeds on one test set.
    planted_excess = {NATURAL: 0.05, MEDICAL: 0.02}
    rows = measurements.rows
    one = rows[rows["quantity"] == "prediction_similarity_excess"].iloc[0]
    repeated = [
        {**one, "run": runs[0], "run_b": runs[1], "value": value}
        for donor, value in planted_excess.items()
        for runs in [planted.of(dataset="retina", donor=donor, first=False)]
    ]
    rows = pd.concat([rows, pd.DataFrame(repeated)], ignore_index=True)
    chapter = next(c for c in record.chapters if c.view == "mistakes")
    known = Measurements(rows, test_to_train=measurements.test_to_train)
    view = draw_chapter(read_material(record, chapter, known), tmp_path)
    row = value(view, dataset="retina", quantity="excess_of_one_donor")
    assert row["value"] == pytest.approx((0.05 + 0.02) / 2)
    cells = [dict(zip(view.sheet.heads, line, strict=True)) for line in view.sheet.rows]
    assert [cell["of one donor with itself"] for cell in cells] == ["+0.035", ""]
    # The other target has none, and that is said.
    assert "--seeds=2" in " ".join(view.sentences)


def test_where_no_donor_is_repeated_the_page_says_how_it_would_be(drawn):
    view = drawn[0]["figure5"]
    assert "excess_of_one_donor" not in set(view.table["quantity"])
    assert "One donor with itself: empty where no two runs" in " ".join(view.sentences)


def test_gain_against_similarity_has_a_point_a_fold_and_numpy_s_slope(
    drawn, record, planted
):
    # Without those whose head was trained first, as in the paper.
    points, apart = [], []
    for dataset in TARGETS:
        own = []
        for fold in FOLDS:
            keys = {"dataset": dataset, "fold": fold, "first": False}
            ours = run_of(record, planted, **keys, donor=NATURAL)
            theirs = run_of(record, planted, **keys, donor=None)
            gain = ours.score.value / theirs.score.value - 1
            own.append((KEPT[NATURAL] - 0.1 + 0.02 * fold, gain))
        points += own
        apart += list(np.array(own) - np.mean(own, axis=0))
    view = drawn[0]["figure6"]
    keys = {"initialization": NATURAL, "stage": "pool2"}
    assert value(view, **keys, quantity="points")["value"] == len(points) == 6
    within = value(view, **keys, quantity="slope_within")["value"]
    assert within == pytest.approx(0.1 * np.polyfit(*zip(*apart, strict=True), 1)[0])
    slope = value(view, **keys, quantity="slope")
    expected = np.polyfit(*zip(*points, strict=True), 1)[0]
    assert slope["value"] == pytest.approx(0.1 * expected)
    assert slope["low"] < slope["value"] < slope["high"]
    slopes = view.table[view.table["quantity"] == "slope"]
    slopes = slopes.loc[slopes["initialization"] == NATURAL, "value"]
    falling = (slopes < 0).sum()
    said = f"{NATURAL}: the line falls at {falling} of {len(slopes)} stages."
    assert said in view.sentences


def test_targets_say_how_many_images_they_have(drawn):
    row = value(drawn[0]["table1"], dataset="skin", quantity="images")
    assert row["value"] == 1200 + 200 + 120
    assert "1\u202f520 images" in drawn[0]["table1"].sentences[-1]
    assert value(drawn[0]["table1"], dataset="skin", quantity="classes")["value"] == 5


def test_a_gray_donor_on_a_colour_target_is_named(record):
    notes = " ".join(donor_notes(record))
    assert f"{MEDICAL} saw grey images alone; in colour here: retina, skin." in notes
    assert f"{NATURAL} saw grey" not in notes
    # CBR's own input scaling, in words.
    assert "gets its pixels as" in notes
    facts = {donor_facts(record, run) for run in record.runs} - {None}
    assert {fact.name for fact in facts} == {NATURAL, MEDICAL}


def test_the_report_says_how_donors_are_fed(planted):
    chapters = [row for row in planted.chapters() if row["name"] == "table2"]
    page = write_report(planted.write(chapters)).read_text()
    assert "gets its pixels as" in page
    assert "saw grey images alone" in page
    assert "There is nothing to draw yet" not in page
    assert f"{MEDICAL}, head first" in page


def test_without_runs_a_chapter_says_what_is_missing(planted):
    chapters = [
        {**chapter, "runs": ["never-made"], "analyses": {}}
        for chapter in planted.chapters()
    ]
    page = write_report(planted.write(chapters)).read_text()
    assert page.count("1 of 1 run has no result yet") == len(chapters)


def test_a_single_fold_is_drawn_without_an_interval(planted, tmp_path):
    chapters = [
        {**chapter, "runs": planted.of(fold=0)}
        for chapter in planted.chapters()
        if chapter["view"] in ("donor_similarity", "mistakes", "gain_and_similarity")
    ]
    folder = planted.write(chapters)
    record, measurements = read_study(folder), measure_study(folder)
    for chapter in record.chapters:
        view = draw_chapter(read_material(record, chapter, measurements), tmp_path)
        assert view.pictures, chapter.name
        table = view.table[view.table["quantity"].isin(["cca", "similarity"])]
        assert pd.isna(table["low"]).all(), chapter.name
        if chapter.view in ("mistakes", "donor_similarity"):
            assert "One fold each" in view.sentences[-1]
