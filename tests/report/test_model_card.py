"""What the card of an exported model says, of planted runs."""

import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from planted_study import Plant, PlantedStudy
from sklearn.metrics import roc_auc_score

from transfusion_tf.datasets.images import read_rgb, to_square
from transfusion_tf.evaluation import prediction_table, referable_score
from transfusion_tf.report.model_card import Export, model_card
from transfusion_tf.studies.comparison_tables import table_path
from transfusion_tf.studies.measurements.donor_measures import donor_parts
from transfusion_tf.studies.study_folder import read_study

EXPORT = Export("ONNX", "model.onnx", "import onnxruntime", "alike", "2026-01-01")
# Of Mitchell et al. (2019), figure 1.
SECTIONS = [
    *("Model details", "Intended use", "Factors", "Metrics", "Evaluation data"),
    *("Training data", "Quantitative analyses", "Ethical considerations"),
    "Caveats and recommendations",
]


def rows_of(card):
    """First cell -> the others, of all tables."""
    lines = re.findall(r"^\| (.*) \|$", card, re.M)
    return [re.split(r"(?<!\\) \| ", line) for line in lines]


@pytest.fixture
def planted(tmp_path):
    return PlantedStudy(tmp_path)


def only_run(planted):
    (run,) = read_study(planted.write()).runs
    return run


def test_graded_disease_has_its_threshold_of_validation_and_rates_of_test(planted):
    planted.add("cbr_tiny", "random", 0, Plant(2.0))
    run = only_run(planted)
    card = model_card(run, EXPORT)
    assert re.findall(r"^## (.*)$", card, re.M) == SECTIONS

    def scored(split):
        table = run.directory.predictions(split)
        outputs = table.filter(like="probability/").to_numpy(float)
        grades = table.filter(like="label/").to_numpy(float).argmax(axis=1)
        return grades >= 2, referable_score(outputs, 2)

    truth, scores = scored("test")
    cells = {tuple(row[:2]): row[2:] for row in rows_of(card) if len(row) == 5}
    for point, side in (("90 % specificity", False), ("90 % sensitivity", True)):
        shown = cells["moderate and up", point]
        threshold = float(shown[0])
        chosen_on, chosen = scored("validation")
        right = (chosen > threshold) == chosen_on
        assert right[chosen_on == side].mean() == pytest.approx(0.9, abs=0.02)
        for cell, of in zip(shown[1:], (True, False), strict=True):
            rate = ((scores > threshold) == truth)[truth == of].mean()
            estimate, low, high = map(float, re.findall(r"[\d.]+", cell))
            assert estimate == pytest.approx(rate, abs=0.011)
            assert low < estimate < high

    (main,) = [row[1] for row in rows_of(card) if row[0] == "AUC of referable disease"]
    assert float(main.split()[0]) == pytest.approx(
        roc_auc_score(truth, scores), abs=6e-4
    )


def test_findings_that_few_patients_have_are_named_and_get_no_number(planted):
    classes = ["a|b", "rare"]
    planted.dataset |= {"kind": "findings", "classes": classes, "metric": "mean_auc"}
    run = planted.add("cbr_tiny", "random", 0, Plant())
    generator = np.random.default_rng(0)
    tables = []
    for split in ("validation", "test"):
        labels = np.stack([np.arange(90) % 2, np.arange(90) < 4], 1).astype(float)
        outputs = np.clip(0.6 * labels + 0.4 * generator.random((90, 2)), 0, 1)
        ids = [f"{split}{index}" for index in range(90)]
        tables.append(prediction_table(ids, ids, split, labels, outputs, classes))
    run.write_table("predictions.parquet", pd.concat(tables))
    run.write_config(run.config().replace(metric="mean_auc"))
    card = model_card(only_run(planted), EXPORT)
    shown = {row[0]: row[1:] for row in rows_of(card)}
    assert shown["AUC of rare"] == ["too few patients (4)"]
    assert shown["AUC of a\\|b"][0].startswith("1.000")
    assert shown["rare"][0] == "too few test patients (4)"
    assert "fewer than 10 patients with rare (4)" in card


def test_one_of_several_classes_is_a_softmax_and_scored_by_its_output(planted):
    planted.dataset |= {"kind": "class", "referable_from": None}
    run = planted.add("cbr_tiny", "random", 0, Plant(), head="softmax")
    run.write_config(run.config().replace(metric="mean_auc"))
    card = model_card(only_run(planted), EXPORT)
    assert "a softmax; in this order: none, mild" in card
    assert "The score is the output of that class." in card
    questions = [row[0] for row in rows_of(card) if len(row) == 5]
    assert questions.count("mild") == 2


def test_softmax_of_grades_is_scored_from_the_referable_one_up(planted):
    planted.add("cbr_tiny", "random", 0, Plant(), head="softmax")
    card = model_card(only_run(planted), EXPORT)
    assert "a softmax; in this order" in card
    assert "the share of the outputs from moderate up in the sum of all" in card


def test_thresholds_part_outputs_that_are_all_near_1(planted):
    classes = ["edema", "mass"]
    planted.dataset |= {"kind": "findings", "classes": classes, "metric": "mean_auc"}
    run = planted.add("cbr_tiny", "random", 0, Plant())
    labels = np.stack([np.arange(90) % 2, np.arange(90) % 3 == 0], 1).astype(float)
    outputs = (1 - 2e-7 * (1 + 2 * (labels == 0))).astype(np.float32)
    ids = [str(index) for index in range(90)]
    tables = [
        prediction_table([split + i for i in ids], ids, split, labels, outputs, classes)
        for split in ("validation", "test")
    ]
    run.write_table("predictions.parquet", pd.concat(tables))
    run.write_config(run.config().replace(metric="mean_auc"))
    points = [r for r in rows_of(model_card(only_run(planted), EXPORT)) if len(r) == 5]
    thresholds = [float(row[2]) for row in points if row[:1] == ["edema"]]
    assert len(thresholds) == 2
    for threshold in thresholds:
        assert np.array_equal(outputs[:, 0] > threshold, labels[:, 0] == 1)


def test_its_code_makes_of_a_turned_picture_what_training_saw(
    planted, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    corners = np.array([[250, 120, 10], [60, 200, 90]], np.uint8).repeat(32, 0)
    picture = Image.fromarray(corners.repeat(32, 1))
    turned = Image.Exif()
    turned[0x0112] = 6
    picture.save("image.png", exif=turned)
    planted.dataset |= {"aspect": "pad", "image_size": 64, "stored_size": 64}
    planted.add("cbr_tiny", "random", 0, Plant())
    card = model_card(only_run(planted), EXPORT)
    found: dict = {}
    exec(re.search(r"```python\n(.*?)```", card, re.S)[1], found)
    expected = to_square(read_rgb(tmp_path / "image.png"), 64, "pad")
    np.testing.assert_array_equal(found["pixels"], expected[None])


def test_thresholds_of_few_validation_patients_are_among_the_limits(planted):
    planted.add("cbr_tiny", "random", 0, Plant(2.0))
    run = only_run(planted)
    table = run.directory.predictions("validation")
    referable = table["label/mild"] + table["label/none"] == 0
    few = table["patient_id"].isin(table["patient_id"][referable].unique()[:3])
    kept = [table[few | ~referable], run.directory.predictions("test")]
    assert "Thresholds were chosen on fewer" not in model_card(run, EXPORT)
    run.directory.write_table("predictions.parquet", pd.concat(kept))
    card = model_card(only_run(planted), EXPORT)
    assert "validation patients with or without moderate and up (3)" in card


def test_limits_are_those_of_the_run(planted):
    planted.add("cbr_tiny", "random", 0, Plant(0.0), mixed_precision=True)
    card = model_card(only_run(planted), EXPORT)
    limits = card.partition("## Caveats")[2]
    assert "It may have learned nothing" in limits
    assert "trained in 16 bits" in limits
    assert "one seed" in limits
    assert "fold" not in limits
    assert "Drawn by this program" in card


@pytest.mark.parametrize(("gain", "weak"), [(0.0, True), (0.3, False)])
def test_a_donor_is_named_with_what_was_measured_of_it(planted, gain, weak):
    planted.add("cbr_tiny", "transfer", 0, Plant(2.0))
    run = only_run(planted)
    assert "features of its donor are worth was not measured" in model_card(run, EXPORT)
    values = {
        "validation": 0.8,
        "chance": 0.1,
        "probe_gain": gain,
        "probe_gain_low": gain - 0.1,
        "probe_gain_high": gain + 0.1,
        "gabor_share": 0.4,
        "gabor_chance": 0.1,
        "kernel_scale": 0.3,
    }
    rows = [
        {"quantity": f"donor_{name}", "value": value, "item": "", "unit": "accuracy"}
        for name, value in values.items()
    ]
    named = {"model": "cbr_tiny", "donor": "photographs", "donor_run": ""}
    (part,) = donor_parts([run.config])
    path = planted.root / table_path("donor_quality", part)
    path.parent.mkdir()
    pd.DataFrame(rows).assign(**named).to_csv(path, index=False)
    card = model_card(run, EXPORT)
    assert "donor: photographs (validation accuracy 0.80" in card
    assert "not measured" not in card
    assert ("The donor photographs" in card and "is weak" in card) == weak


def test_without_test_images_nothing_is_claimed(planted):
    run = planted.add("cbr_tiny", "random", 0, Plant(2.0))
    run.write_table("predictions.parquet", run.predictions("validation"))
    card = model_card(only_run(planted), EXPORT)
    assert "There are no test images." in card
    assert "It was never tested" in card
