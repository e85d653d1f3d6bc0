import dataclasses

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from report import planted_donors, planted_reuse
from report.golden import check_golden
from report.levels import check_levels
from report.planted_chapters import CCA, SLIM, STAGES, PlantedChapters
from report.seen import empty_axes, quotes_its_table, words_shown

from transfusion_tf.errors import UserError
from transfusion_tf.initialization import gabor_filter_bank
from transfusion_tf.report import paper_values
from transfusion_tf.report.chapters import KINDS, draw_chapter
from transfusion_tf.report.material import read_material
from transfusion_tf.studies import read_study
from transfusion_tf.studies.measurements.collect import measure_study
from transfusion_tf.studies.measurements.first_layer_gabors import gabor_changes
from transfusion_tf.studies.measurements.table import TABLE, Measurements
from transfusion_tf.studies.study_folder import ChapterRecord

# All pictures of a planted study are drawn first.
pytestmark = pytest.mark.slow

COLUMNS = {
    *("dataset", "model", "initialization", "train_examples", "quantity", "value"),
    *("std", "low", "high", "seeds", "paper", "paper_spread"),
}

# Some of the means that chapters publish.
LEVELS = {
    *(
        "test",
        "auc/severe",
        "parameters",
        "parameters_table1",
        "mean_while_learning",
        "steps",
    ),
    *("cca", "noise_floor", "cca_at_start", "cca_at_end"),
}


@pytest.fixture(scope="module")
def planted(planted_study, plant, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    return PlantedChapters(planted_study(root, patients=60), plant)


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


def chapter_of(record, name):
    return next(chapter for chapter in record.chapters if chapter.name == name)


def rows_of(view, **wanted):
    table = view.table
    for name, value in wanted.items():
        table = table[table[name] == value]
    return table


def value_of(view, **wanted):
    (value,) = rows_of(view, **wanted)["value"]
    return value


def cell_of(record, measurements, name, model, start):
    chapter = chapter_of(record, name)
    (results,) = read_material(record, chapter, measurements).results
    panel = next(panel for panel in results.model_results if panel.model == model)
    return panel, panel.starts[start]


def test_every_view_has_a_planted_chapter(record):
    here = {chapter.view for chapter in record.chapters}
    elsewhere = {*planted_donors.VIEWS, *planted_reuse.VIEWS}
    elsewhere |= {"decisions", "costs", "confident_errors", "example_images"}
    elsewhere |= {"learning_rates", "donor_worth"}
    assert here | elsewhere == set(KINDS)


def test_numbers_are_those_of_before(drawn):
    check_golden("chapters", drawn[0])


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
            assert (folder / f"{picture.name}.png").stat().st_size


@pytest.mark.parametrize("name", ["table5", "figure2", "figure3", "figure4"])
def test_charts_and_sentences_call_the_measure_by_its_name(record, measurements, name):
    chapter = chapter_of(record, name)
    chapter = dataclasses.replace(chapter, options={"similarity_measure": "svcca"})
    material = read_material(record, chapter, measurements)
    words = " ".join(words_shown(KINDS[chapter.view], material))
    assert "SVCCA" in words
    assert words.count("CCA") == words.count("SVCCA")


def test_axes_without_marks_are_found(tmp_path):
    figure = Figure()
    line, nothing, bars, image, unseen = figure.subplots(1, 5)
    line.plot([0, 1])
    nothing.set_title("Nothing")
    bars.bar([0], [1])
    image.imshow([[0, 1], [2, 3]])
    unseen.set_axis_off()
    figure.savefig(tmp_path / "figure.svg")
    assert empty_axes(tmp_path / "figure.svg") == ["axes_2"]


def test_every_table_holds_finite_numbers_that_vary(drawn):
    for name, view in drawn[0].items():
        column = "explained" if name == "figure21" else "value"
        values = view.table[column]
        assert np.isfinite(values).mean() > 0.9, name
        assert values.nunique() > 5, name


def test_tables_share_their_columns(drawn):
    for name, view in drawn[0].items():
        if name != "figure21":
            assert set(view.table.columns) >= COLUMNS, name


def test_every_chapter_says_numbers_of_its_table(drawn):
    for name, view in drawn[0].items():
        assert quotes_its_table(view), (name, view.sentences)


def test_other_numbers_are_not_those_of_the_table(drawn):
    view = dataclasses.replace(drawn[0]["table1"], sentences=("It rises by 0.1234.",))
    assert not quotes_its_table(view)


def test_sheets_have_a_cell_for_every_head(drawn):
    for view in drawn[0].values():
        assert view.sheet.rows
        assert {len(row) for row in view.sheet.rows} == {len(view.sheet.heads)}


def test_accuracy_is_the_mean_over_runs(record, measurements, drawn):
    panel, cell = cell_of(record, measurements, "table1", "cbr_tiny", "transfer")
    keys = {"model": "cbr_tiny", "initialization": "transfer"}
    (test,) = rows_of(drawn[0]["table1"], quantity="test", **keys).to_dict("records")
    assert (test["value"], test["low"]) == (cell.test.estimate, cell.test.low)
    ours, theirs = (
        np.mean([run.score.value for run in panel.starts[start].runs.values()])
        for start in ("transfer", "random")
    )
    assert test["value"] == pytest.approx(ours)
    found = value_of(drawn[0]["table1"], quantity="difference_to_random", **keys)
    assert found == pytest.approx(ours - theirs)


def test_accuracy_tells_parameters_and_the_donors(record, drawn):
    tiny = {"model": "cbr_tiny"}
    assert value_of(drawn[0]["table1"], quantity="parameters", **tiny) == 1_081_000


def test_accuracy_by_class_is_the_mean_over_seeds(record, measurements, drawn):
    _, cell = cell_of(record, measurements, "table2", "cbr_small", "random")
    expected = np.mean([run.test_metrics["auc/severe"] for run in cell.runs.values()])
    found = value_of(
        drawn[0]["table2"],
        model="cbr_small",
        initialization="random",
        quantity="auc/severe",
    )
    assert found == pytest.approx(expected)


def test_data_sizes_keep_the_sizes_apart(drawn):
    tests = rows_of(
        drawn[0]["table4"], model="cbr_tiny", initialization="transfer", quantity="test"
    )
    by_size = tests.set_index("train_examples")["value"]
    assert set(by_size.index) == {100, 1200}
    assert by_size[100] < by_size[1200]


def test_convergence_counts_the_steps_of_the_panel(record, measurements, drawn):
    _, cell = cell_of(record, measurements, "figure6", "cbr_tiny", "transfer")
    keys = {"model": "cbr_tiny", "initialization": "transfer"}
    assert value_of(drawn[0]["figure6"], quantity="steps", **keys) == pytest.approx(
        cell.mean_steps()
    )
    assert value_of(drawn[0]["figure6"], quantity="reached", **keys) == 3
    _, baseline = cell_of(record, measurements, "figure6", "cbr_tiny", "random")
    times = value_of(drawn[0]["figure6"], quantity="times_as_fast", **keys)
    assert times == pytest.approx(baseline.mean_steps() / cell.mean_steps())


def test_a_study_may_set_the_threshold(record, measurements, tmp_path):
    chapter = chapter_of(record, "figure6")
    high = dataclasses.replace(chapter, options={"threshold": 0.999})
    view = draw_chapter(read_material(record, high, measurements), tmp_path)
    assert set(rows_of(view, quantity="reached")["value"]) == {0}
    assert rows_of(view, quantity="steps")["value"].isna().all()
    assert all("0.999" in sentence for sentence in view.sentences[:2])


def test_together_a_slimmed_model_runs_against_the_whole_one(drawn):
    view = drawn[0]["figure8"]
    assert len(view.pictures) == 1
    lead = rows_of(view, model=SLIM, quantity="lead_over_random")
    assert (lead["value"] > 0).all()
    assert len(lead) == 1


def test_convergence_by_class_has_a_threshold_of_each_class(drawn):
    quantities = set(drawn[0]["figure16"].table["quantity"])
    assert {"steps/auc/mild", "times_as_fast/auc/none"} <= quantities
    assert "lead_over_random/auc/none" in quantities


def test_stages_stand_in_network_order_and_their_gains_add_up(drawn):
    view = drawn[0]["figure7"]
    starts = [row[1] for row in view.sheet.rows]
    assert starts == ["random", "transfer:pool1", "transfer:pool3", "transfer"]
    gains = rows_of(view, quantity="lead_over_previous")["value"]
    whole = value_of(view, initialization="transfer", quantity="lead_over_random")
    assert gains.sum() == pytest.approx(whole)
    assert len(gains) == 3
    saved = rows_of(view, quantity="steps_saved_over_previous")["value"]
    random, transfer = (
        value_of(view, initialization=start, quantity="steps")
        for start in ("random", "transfer")
    )
    assert saved.sum() == pytest.approx(random - transfer)


def test_frozen_tells_the_three_treatments_apart(record, measurements, drawn):
    tests = rows_of(drawn[0]["figure12"], quantity="test")
    by_stage = tests.groupby("frozen")["initialization"].apply(set)
    assert by_stage["pool2"] == {"random", "transfer:pool2", "transfer"}
    assert by_stage["pool4"] == {"random", "transfer"}
    chapter = chapter_of(record, "figure12")
    (results,) = read_material(record, chapter, measurements).results
    cell = results.model_results[0].starts["transfer, pool2 frozen"]
    found = tests[
        (tests["frozen"] == "pool2") & (tests["initialization"] == "transfer")
    ]
    assert found["value"].item() == cell.test.estimate


def test_similarity_by_start_is_the_mean_over_pairs(planted, drawn):
    best = pd.DataFrame(planted.analyses["best"])
    part = best[(best["model"] == "cbr_small") & (best["stage"] == "pool2")]
    keys = {"model": "cbr_small", "stage": "pool2", "quantity": "cca"}
    means = part.groupby("pair")["value"].mean()
    for pair in ("transfer – transfer", "random – random"):
        found = value_of(drawn[0]["table5"], pair=pair, **keys)
        assert found == pytest.approx(means[pair])
    gap = rows_of(drawn[0]["table5"], quantity="cca_difference", model="cbr_small")
    expected = means["transfer – transfer"] - means["random – random"]
    assert gap.loc[gap["stage"] == "pool2", "value"].item() == pytest.approx(expected)
    assert (gap["low"] < gap["value"]).all()


def test_similarity_of_starts_averages_the_top_stages(drawn):
    view = drawn[0]["figure2"]
    assert set(view.table["stage"]) == {"pool3 + pool4"}
    expected = np.mean([CCA["random – random"][0] - 0.09 * stage for stage in (2, 3)])
    found = rows_of(view, pair="random – random", quantity="cca")["value"]
    assert found.to_numpy() == pytest.approx(expected, abs=0.06)


def test_before_and_after_pairs_the_seeds(drawn):
    gap = rows_of(drawn[0]["figure3"], quantity="difference_to_random")
    assert gap["value"].to_numpy() == pytest.approx(0.1)
    assert set(gap["stage"]) == set(STAGES)


def test_start_and_end_find_the_planted_line(drawn):
    view = drawn[0]["figure4"]
    keys = {"pair": "random – random", "model": "cbr_tiny", "stage": "pool1"}
    assert value_of(view, quantity="slope", **keys) == pytest.approx(0.8, abs=0.1)
    assert value_of(view, quantity="r_squared", **keys) > 0.9
    alike = rows_of(view, pair="transfer – transfer", quantity="r_squared")["value"]
    assert alike.isna().all()
    assert "all start alike" in {row[4] for row in view.sheet.rows}


def test_start_and_end_say_when_there_are_too_few_pairs(
    record, planted, measurements, tmp_path
):
    chapter = chapter_of(record, "figure4")
    two = [planted.ids[("cbr_tiny", "random", seed)] for seed in (0, 1)]
    few = dataclasses.replace(chapter, runs=tuple(two))
    view = draw_chapter(read_material(record, few, measurements), tmp_path)
    assert "Fewer than 3 pairs" in view.sentences[0]


def test_filters_tell_how_far_they_moved(record, measurements, drawn):
    _, cell = cell_of(record, measurements, "figure5", "cbr_small", "transfer")
    moves = []
    for run in cell.runs.values():
        initial, best = run.directory.first_layer()
        moves.append(np.linalg.norm(best - initial) / np.linalg.norm(initial))
    keys = {"model": "cbr_small", "initialization": "transfer"}
    assert value_of(drawn[0]["figure5"], quantity="moved", **keys) == pytest.approx(
        np.mean(moves)
    )
    shares = rows_of(drawn[0]["figure5"], quantity="gabor_share_before")["value"]
    assert shares.between(0.05, 0.5).all()


def test_what_gabors_a_chapter_shows_were_measured_and_are_not_fitted_again(
    record, measurements, drawn, tmp_path
):
    chapter = chapter_of(record, "figure5")
    rows = measurements.rows
    of_gabors = rows["quantity"].str.startswith("gabor_share")
    planted = rows.assign(value=rows["value"].where(~of_gabors, 0.25))
    material = read_material(record, chapter, Measurements(planted))
    view = draw_chapter(material, tmp_path)
    shares = view.table[view.table["quantity"].str.startswith("gabor_share")]
    assert shares["value"].tolist() == [0.25] * 12
    assert "(Gabor share 25 % → 25 %, chance 25 %)" in view.sentences[0]


def test_filters_too_small_for_a_gabor_are_still_shown(planted_study, plant, tmp_path):
    study = planted_study(tmp_path, patients=60)
    run = study.add("cbr_tiny", "random", 0, plant())
    small = np.random.default_rng(0).normal(size=(3, 3, 3, 8)).astype(np.float32)
    run.write_arrays("first_layer", initial=small, final=1.5 * small)
    record = read_study(study.write())
    chapter = ChapterRecord("f", "F", "", "filters", runs=(run.path.name,))
    view = draw_chapter(read_material(record, chapter), tmp_path)
    assert value_of(view, quantity="moved") == pytest.approx(0.5)
    assert not view.table["quantity"].str.startswith("gabor").any()
    assert "Gabor" not in view.sentences[0]
    # What fits them says why there is none, which the chapter's notes tell.
    with pytest.raises(UserError, match="too small"):
        gabor_changes(run.path)


def test_the_bank_has_sixteen_orientations_by_four_frequencies(drawn):
    table = drawn[0]["figure21"].table
    assert len(table) == len(gabor_filter_bank())
    assert table.groupby("frequency")["orientation"].nunique().tolist() == [16] * 4
    turned = (table["fitted_orientation"] - table["orientation"]) % 180
    assert np.minimum(turned, 180 - turned).max() < 5


def test_the_papers_values_stand_beside_ours_where_their_keys_agree(drawn):
    table = drawn[0]["table1"].table
    beside = table[table["paper"].notna()]
    (row,) = beside.to_dict("records")
    assert (row["model"], row["initialization"]) == ("cbr_tiny", "random")
    assert (row["quantity"], row["paper"]) == ("test", 0.958)
    assert row["paper_spread"] == 0.0003


def test_the_papers_rows_without_a_counterpart_are_kept(record, drawn):
    published = chapter_of(record, "table1").published
    (left,) = paper_values.unmatched(drawn[0]["table1"].table, published)
    assert left["model"] == "resnet50"


def test_the_paper_is_named_as_other_data_unless_it_is_the_same():
    row = {"quantity": "test", "value": 0.9}
    assert paper_values.label([row]) == "paper: its own data and donors"
    named = row | {"data": "RETINA, ImageNet donors"}
    assert paper_values.label([named]) == "paper: RETINA, ImageNet donors"
    same = row | {"dataset": "chexpert"}
    assert paper_values.label([same], ["chexpert"]) == "paper"


def test_settings_that_only_set_models_apart_are_in_no_label(
    planted_study, plant, tmp_path
):
    study = planted_study(tmp_path, patients=60)
    runs = [
        study.add("cbr_tiny", "random", 0, plant()),
        study.add("cbr_small", "random", 0, plant(), batch_norm_momentum=0.9),
    ]
    record = read_study(study.write())
    names = tuple(run.path.name for run in runs)
    material = read_material(
        record, ChapterRecord("t", "T", "", "accuracy", runs=names)
    )
    assert material.results[0].models == ("cbr_tiny", "cbr_small")


def test_runs_of_several_data_sets_are_kept_apart(planted_study, plant, tmp_path):
    study = planted_study(tmp_path, patients=60)
    names = []
    for dataset in ("retina", "chest"):
        run = study.add("cbr_tiny", "random", 0, plant(), dataset=dataset)
        run.write_dataset(study.dataset | {"name": dataset})
        names.append(run.path.name)
    record = read_study(study.write())
    chapter = ChapterRecord("f", "F", "", "convergence", runs=tuple(names))
    view = draw_chapter(read_material(record, chapter), tmp_path / "figures")
    assert [picture.name for picture in view.pictures] == [
        "f-retina-cbr_tiny",
        "f-chest-cbr_tiny",
    ]
    assert set(view.table["dataset"]) == {"retina", "chest"}


@pytest.fixture(scope="module")
def without_comparisons(measurements):
    rows = measurements.rows
    return Measurements(rows[rows["stage"] == ""], measurements.patient_draws)


@pytest.mark.parametrize("name", ["table5", "figure2", "figure3", "figure4"])
def test_a_comparison_that_is_not_made_yet_is_said_and_no_error(
    record, without_comparisons, name, tmp_path
):
    chapter = chapter_of(record, name)
    paths = {kind: ("analyses/gone.csv",) for kind in chapter.analyses}
    chapter = dataclasses.replace(chapter, analyses=paths)
    material = read_material(record, chapter, without_comparisons)
    assert "analyses/gone.csv has not been made yet" in material.missing[0]
    assert draw_chapter(material, tmp_path).pictures == ()


def test_a_comparison_that_is_damaged_is_said_and_no_error(
    record, planted, measurements
):
    damaged = planted.root / "analyses" / "damaged.csv"
    damaged.write_text("")
    chapter = dataclasses.replace(
        chapter_of(record, "table5"),
        analyses={"population_trained": ("analyses/damaged.csv",)},
    )
    (said,) = read_material(record, chapter, measurements).missing
    assert "damaged.csv cannot be read" in said


def test_pairs_of_other_chapters_are_left_out(record, planted, measurements):
    chapter = chapter_of(record, "table5")
    tiny = [planted.ids[("cbr_tiny", "random", seed)] for seed in (0, 1, 2)]
    few = dataclasses.replace(chapter, runs=tuple(tiny))
    material = read_material(record, few, measurements)
    table = material.of("cca", weights="trained")
    assert set(table["initialization"]) | set(table["initialization_b"]) == {"random"}
    assert set(table["model"]) == {"cbr_tiny"}
