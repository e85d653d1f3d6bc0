import dataclasses

import numpy as np
import pandas as pd
import pytest
from report.golden import check_golden
from report.levels import check_levels
from report.planted_reuse import CNN, CUT, DEIT, DISTANCES, FEW, STAGES, planted, sweep
from report.seen import empty_axes, quotes_its_table

from transfusion_tf.report.chapters import draw_chapter
from transfusion_tf.report.material import read_material
from transfusion_tf.report.rows import gains_rows, transfer_runs
from transfusion_tf.studies import read_study
from transfusion_tf.studies.contrasts import PairAverage
from transfusion_tf.studies.measurements.collect import measure_study
from transfusion_tf.studies.measurements.table import TABLE, Measurements
from transfusion_tf.studies.study_folder import ChapterRecord

# All pictures of a planted study are drawn first.
pytestmark = pytest.mark.slow

SKIN, RETINA = "phantom_skin_64", "phantom_retina_64"

# Some of the means that chapters publish.
LEVELS = {
    *("test", "parameters", "mean_while_learning", "steps", "drop", "knn", "distance"),
    *("cka_before_after", "cka_statistics_weights", "frechet_distance"),
}


@pytest.fixture(scope="module")
def study(planted_study, plant, tmp_path_factory):
    return planted(planted_study, plant, tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def record(study):
    return read_study(study.write())


@pytest.fixture(scope="module")
def measurements(study, record):
    return measure_study(study.root / "studies" / "planted")


@pytest.fixture(scope="module")
def drawn(record, measurements, tmp_path_factory):
    """Chapter -> its view, drawn once; and the folder of the pictures."""
    figures = tmp_path_factory.mktemp("figures")
    views = {
        chapter.name: draw_chapter(
            read_material(record, chapter, measurements), figures
        )
        for chapter in record.chapters
    }
    return views, figures


def material_of(record, measurements, name):
    chapter = next(chapter for chapter in record.chapters if chapter.name == name)
    return read_material(record, chapter, measurements)


def row_of(view, **wanted):
    table = view.table
    for name, value in wanted.items():
        table = table[table[name] == value]
    (row,) = table.to_dict("records")
    return row


def values_of(record, study, *cell):
    runs = {run.run_id: run for run in record.runs}
    return [runs[name].score.value for name in study.cell(*cell)]


def test_numbers_are_those_of_before(drawn):
    check_golden("reuse", drawn[0])


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
    views, figures = drawn
    for name, view in views.items():
        assert view.pictures, name
        for picture in view.pictures:
            assert picture.name.startswith(name)
            assert empty_axes(figures / f"{picture.name}.svg") == [], picture.name


def test_every_chapter_has_numbers_a_sheet_and_sentences(drawn):
    # Means over cells, of which another test says what they are.
    means = {"table1", "figure3"}
    for name, view in drawn[0].items():
        values = view.table["value"]
        assert np.isfinite(values).mean() > 0.6, name
        assert np.ptp(values.dropna()) > 0, name
        assert {len(row) for row in view.sheet.rows} == {len(view.sheet.heads)}, name
        assert name in means or quotes_its_table(view), (name, view.sentences)


def test_starts_say_weights_minus_random(record, study, drawn):
    weights, random = (
        np.mean(values_of(record, study, SKIN, 200, DEIT, start))
        for start in ("transfer", "random")
    )
    said = drawn[0]["table1"].sentences[0]
    assert f"{DEIT}: WT minus RI is {weights - random:+.3f} on {SKIN}," in said


def test_maps_say_the_mean_over_each_half(study, drawn):
    table = study.analyses["layer_cka"]
    own = table[table["run"].isin(study.cell(SKIN, 200, CNN, "transfer"))]
    own = own[own["layer_a"] == own["layer_b"]]
    halves = [
        own.loc[own["layer_a"].isin(half), "cka"].mean()
        for half in (STAGES[CNN][:2], STAGES[CNN][2:])
    ]
    said = " ".join(drawn[0]["figure3"].sentences)
    first, second = (f"{half:.3f}" for half in halves)
    assert (
        f"{CNN} on {SKIN}: layers before and after training from transferred weights "
        f"have a CKA of {first} in the first half of the network and {second} in"
    ) in said


def test_cells_are_told_apart_by_start_though_learning_rates_differ(
    record, measurements
):
    found = transfer_runs.transfer_runs(material_of(record, measurements, "figure2"))
    assert {cell.model for cell in found} == {DEIT, CNN}
    skin = [cell for cell in found if (cell.dataset, cell.model) == (SKIN, DEIT)]
    fractions = [cell.fraction for cell in skin]
    assert fractions[0] is None
    assert fractions[1:] == pytest.approx([0, 2 / 7, 4 / 7, 1])
    assert [cell.initialization for cell in skin] == ["random", *sweep(DEIT)]
    assert all(len(cell.runs) == 3 for cell in found)


@pytest.mark.parametrize(
    ("initialization", "expected"),
    [
        ("random", None),
        ("gabor", None),
        ("mean_var", 0.0),
        ("mean_var[strict_reference]", 0.0),
        ("transfer:patch_embed+mean_var", 1 / 7),
        ("transfer:block3+mean_var[strict_reference]", 4 / 7),
        ("transfer", 1.0),
    ],
)
def test_fractions_count_the_stages_that_are_transferred(initialization, expected):
    found = transfer_runs.fraction(initialization, STAGES[DEIT])
    assert found == (None if expected is None else pytest.approx(expected))


def test_fractions_count_groups_of_stages_where_the_chapter_names_them(
    record, measurements
):
    material = material_of(record, measurements, "figure2")
    groups = {DEIT: ("patch_embed", "block1", "block3", "block6")}
    chapter = dataclasses.replace(material.chapter, options={"groups": groups})
    found = transfer_runs.transfer_runs(dataclasses.replace(material, chapter=chapter))
    shares = {
        cell.initialization: cell.fraction for cell in found if cell.model == DEIT
    }
    assert shares["transfer:block1+mean_var"] == 2 / 4
    assert shares["transfer:block3+mean_var"] == 3 / 4


def test_starts_shows_each_data_set_and_the_paper_s_value(record, study, drawn):
    view = drawn[0]["table1"]
    keys = {"dataset": SKIN, "model": CNN, "initialization": "random"}
    row = row_of(view, quantity="test", **keys)
    values = values_of(record, study, SKIN, 200, CNN, "random")
    assert row["value"] == pytest.approx(np.mean(values))
    assert row["paper"] == 0.7
    assert f"{RETINA}, {FEW}" in view.sheet.heads


def test_gains_are_ratios_of_means(record, study, drawn):
    view = drawn[0]["figure1"]
    keys = {"dataset": SKIN, "model": DEIT, "initialization": "transfer"}
    weights, statistics, random = (
        np.mean(values_of(record, study, SKIN, 200, DEIT, start))
        for start in ("transfer", "mean_var", "random")
    )
    expected = {
        "relative_gain": weights / random,
        "feature_reuse_share": (weights - statistics) / weights,
    }
    for quantity, value in expected.items():
        row = row_of(view, quantity=quantity, **keys)
        assert row["value"] == pytest.approx(value)
        assert row["low"] < value < row["high"]


def test_gains_stand_in_skill_too_where_every_metric_has_the_same_chance(
    record, study, measurements, drawn
):
    random, statistics, weights = (
        np.mean(values_of(record, study, RETINA, 200, DEIT, start))
        for start in ("random", "mean_var", "transfer")
    )
    (run,) = study.cell(RETINA, 200, DEIT, "transfer")[:1]
    chance = measurements.of("chance", run=(run,))["value"].item()
    keys = {"dataset": RETINA, "train_examples": 200, "model": DEIT}
    expected = {
        "skill_over_random": (weights - random) / (1 - chance),
        "skill_over_statistics": (weights - statistics) / (1 - chance),
    }
    assert 0 < chance < 1
    for quantity, value in expected.items():
        row = row_of(drawn[0]["figure1"], quantity=quantity, **keys)
        assert row["value"] == pytest.approx(value)


def test_layers_of_one_start_are_held_against_some_of_another(study, measurements):
    statistics, weights = (
        tuple(study.cell(SKIN, 200, DEIT, start)) for start in ("mean_var", "transfer")
    )
    pairs = PairAverage(
        "layer_cka",
        statistics,
        weights,
        match="same",
        stages="first quarter",
        other_stages="second half",
    )
    rows = measurements.of("layer_cka", run=statistics, weights="trained")
    own = rows[(rows["position"] == 0) & rows["position_b"].isin([4, 5, 6])]
    found = pairs.value(measurements, (*statistics, *weights))
    assert found == pytest.approx(own["value"].mean())


def test_gains_say_which_data_set_is_nearest(drawn):
    view = drawn[0]["figure1"]
    for name, distance in DISTANCES.items():
        row = row_of(view, quantity="frechet_distance", dataset=name)
        assert row["value"] == distance
    said = " ".join(view.sentences)
    assert said.index(f"{SKIN} (20") < said.index(f"{RETINA} (60")


def test_shades_of_gains_go_from_the_least_reuse_to_the_most(record, measurements):
    rows = pd.DataFrame(
        gains_rows.gain_rows(material_of(record, measurements, "figure1"))
    )
    reuse = rows[rows["quantity"] == "feature_reuse_share"].sort_values("value")
    assert (reuse["shade"].iloc[0], reuse["shade"].iloc[-1]) == (0, 1)
    assert reuse["shade"].is_monotonic_increasing


def test_without_distances_gains_are_drawn_all_the_same(record, measurements, tmp_path):
    rows = measurements.rows[measurements.rows["run"] != ""]
    without = Measurements(rows, measurements.patient_draws)
    view = draw_chapter(material_of(record, without, "figure1"), tmp_path)
    assert view.pictures
    assert "was not measured" in view.sentences[-1]


def test_the_sweep_takes_gains_over_statistics(record, study, drawn):
    view = drawn[0]["figure2"]
    keys = {"dataset": SKIN, "model": CNN, "initialization": "transfer"}
    row = row_of(view, quantity="statistics_gain", **keys)
    weights, statistics = (
        np.mean(values_of(record, study, SKIN, 200, CNN, start))
        for start in ("transfer", "mean_var")
    )
    assert row["value"] == pytest.approx(weights / statistics)


def test_maps_are_means_over_seeds(study, drawn):
    view = drawn[0]["figure3"]
    assert len(view.pictures) == 2
    table = study.analyses["layer_cka"]
    runs = study.cell(SKIN, 200, CNN, "transfer")
    own = table[table["run"].isin(runs)]
    own = own[(own["layer_a"] == "pool1") & (own["layer_b"] == "pool3")]
    row = row_of(
        view, model=CNN, stage="pool1", pair="pool3", quantity="cka_before_after"
    )
    assert row["value"] == pytest.approx(own["cka"].mean())
    assert row["seeds"] == 3


def test_a_profile_has_a_row_a_part_in_network_order(study, drawn):
    view = drawn[0]["figure5"]
    part = view.table[
        (view.table["model"] == DEIT) & (view.table["initialization"] == "transfer")
    ]
    assert tuple(part["stage"]) == STAGES[DEIT]
    table = study.analyses["robustness"]
    runs = study.cell(SKIN, 200, DEIT, "transfer")
    own = table[table["run"].isin(runs) & (table["part"] == "block2")]
    row = row_of(view, model=DEIT, initialization="transfer", stage="block2")
    assert row["value"] == pytest.approx(own["drop"].mean())


def test_travel_says_how_much_less_far_transferred_weights_go(drawn):
    said = " ".join(drawn[0]["figure4"].sentences)
    assert f"{CNN}: from transferred weights layers travel 0.5" in said
    assert "logits" not in {row[-1] for row in drawn[0]["figure4"].sheet.rows}


def test_knn_keeps_every_kind_of_tokens_and_the_best_depth(drawn):
    view = drawn[0]["figure6"]
    deit = view.table[view.table["model"] == DEIT]
    assert set(deit["pair"].dropna()) == {"class", "spatial", "both"}
    best = row_of(view, model=CNN, initialization="transfer", quantity="best_knn")
    assert best["value"] == pytest.approx(0.5 + 0.15 + 0.2, abs=0.03)
    assert "features are best at pool4" in " ".join(view.sentences)


@pytest.fixture(scope="module")
def on_two_data_sets(study, record, measurements):
    """A chapter's material, with what the retina's runs would have of the skin's."""

    def material(figure):
        chapter = next(c for c in record.chapters if c.name == figure)
        cells = [key for key in study.ids if key[0] == SKIN and key[2] != CUT]
        other = {study.ids[key]: study.ids[RETINA, *key[1:]] for key in cells}
        own = measurements.rows[measurements.rows["run"].isin(chapter.runs)]
        planted = own[own["stage"] != ""].replace({"run": other, "run_b": other})
        rows = pd.concat([measurements.rows, planted], ignore_index=True)
        both = Measurements(rows, measurements.patient_draws)
        runs = [*chapter.runs, *(other[run] for run in chapter.runs)]
        return read_material(record, dataclasses.replace(chapter, runs=runs), both)

    return material


@pytest.mark.parametrize("figure", ["figure4", "figure5", "figure6"])
def test_every_data_set_has_a_panel_of_its_own(on_two_data_sets, figure, tmp_path):
    # Figures 5 and 6 have a column a data set; figure 4 is "averaged over all
    # datasets", and figure 17 each.
    material = on_two_data_sets(figure)
    view = draw_chapter(material, tmp_path)
    panels = {row[0] for row in view.sheet.rows} - {""}
    wanted = {f"{model}, {data}" for model in (DEIT, CNN) for data in (SKIN, RETINA)}
    if figure == "figure4":
        wanted |= {f"{model}, mean of data sets" for model in (DEIT, CNN)}
    assert panels == wanted
    assert len(view.pictures) == (2 if figure == "figure6" else 1)


def test_speed_up_is_that_of_mean_steps_over_statistics(drawn):
    view = drawn[0]["figure8"]
    keys = {"model": DEIT, "dataset": SKIN}
    steps = {
        start: row_of(view, initialization=start, quantity="steps", **keys)["value"]
        for start in ("mean_var", "transfer")
    }
    row = row_of(view, initialization="transfer", quantity="speed_up", **keys)
    assert row["value"] == pytest.approx(steps["mean_var"] / steps["transfer"])
    assert row["value"] > 1


def test_the_best_learning_rate_is_that_of_the_best_end_on_validation(
    record, study, measurements, tmp_path
):
    # The planted runs from random weights have a rate of 3e-4, the others of 1e-4.
    cells = [study.cell(SKIN, 200, DEIT, start) for start in ("random", "transfer")]
    runs = [run for cell in cells for run in cell]
    chapter = ChapterRecord("learning_rates", "", "", "learning_rates", runs=runs)
    view = draw_chapter(read_material(record, chapter, measurements), tmp_path)
    row = row_of(view, initialization="random", quantity="validation")
    curves = measurements.of("score", run=cells[0], split="validation")
    ends = curves[curves["step"] == curves["step"].max()]
    assert row["value"] == pytest.approx(ends["value"].mean())
    best = row_of(view, initialization="random", quantity="best_rate")
    assert best["value"] == pytest.approx(3e-4)
    assert "the best rate is 0.0003 from RI and 0.0001 from WT" in view.sentences[0]


def test_attention_shows_transformers_alone(drawn):
    view = drawn[0]["attention_distance"]
    assert set(view.table["model"]) == {DEIT}
    near = row_of(view, initialization="transfer", stage="block1", pair="head 1")
    far = row_of(view, initialization="mean_var", stage="block1", pair="head 1")
    assert near["value"] == pytest.approx(6, abs=0.1)
    assert far["value"] == pytest.approx(20, abs=0.1)


def test_a_cut_model_is_compared_with_the_whole_one(record, study, drawn):
    view = drawn[0]["truncated_deit"]
    cut, whole = (
        np.mean(values_of(record, study, SKIN, 200, model, "transfer"))
        for model in (CUT, DEIT)
    )
    row = row_of(view, model=CUT, quantity="difference_to_whole")
    assert row["value"] == pytest.approx(cut - whole)
    assert [row[1] for row in view.sheet.rows] == ["3", "6"]


@pytest.fixture(scope="module")
def without_comparisons(measurements):
    rows = measurements.rows
    return Measurements(rows[rows["stage"] == ""], measurements.patient_draws)


@pytest.mark.parametrize(
    "view", ["layer_similarity", "travel", "robustness", "knn_by_depth", "attention"]
)
def test_what_was_not_analysed_is_empty_and_no_error(
    record, without_comparisons, view, tmp_path
):
    chapter = ChapterRecord("empty", "", "", view, runs=tuple(record.chapters[0].runs))
    material = read_material(record, chapter, without_comparisons)
    found = draw_chapter(material, tmp_path)
    assert not found.pictures
    assert isinstance(found.table, pd.DataFrame)
