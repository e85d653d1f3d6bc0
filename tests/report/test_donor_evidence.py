"""What claims about donors are put together from, on a planted cross-validation."""

import numpy as np
import pytest
from report.planted_donors import (
    AFTER,
    BEFORE,
    FOLDS,
    KEPT,
    MEDICAL,
    NATURAL,
    RANDOM,
    PlantedDonors,
)

from transfusion_tf.evaluation import estimate_over_folds
from transfusion_tf.report import donor_evidence as donors
from transfusion_tf.report.evidence import Evidence, MissingEvidenceError
from transfusion_tf.report.fold_quantity import FoldQuantity, mean_over_targets
from transfusion_tf.studies import read_study

# 120 test images and 1 200 training images a fold, as planted.
RATIO = 0.1


@pytest.fixture(scope="module")
def planted(planted_study, plant, tmp_path_factory):
    return PlantedDonors(planted_study, plant, tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def record(planted):
    return read_study(planted.write())


@pytest.fixture(scope="module")
def evidence(planted, record):
    ids = {run.config: run.run_id for run in record.runs}
    return Evidence(record, ids, planted.analyses)


@pytest.fixture(scope="module")
def cell(planted, record):
    by_id = {run.run_id: run for run in record.runs}

    def configs(dataset, donor, first=False):
        ids = planted.of(dataset=dataset, donor=donor, first=first)
        return [by_id[run_id].config for run_id in ids]

    return configs


def test_donors_are_compared_on_test_fold_by_fold(evidence, cell):
    cells = cell("retina", NATURAL), cell("retina", MEDICAL)
    found = donors.test_difference(evidence, *cells)
    scores = [evidence.runs(each) for each in cells]
    expected = {
        fold: scores[0][fold].score.value - scores[1][fold].score.value
        for fold in FOLDS
    }
    assert found.values == pytest.approx(expected)
    assert found.test_to_train == RATIO
    interval = found.interval()
    assert interval.low == estimate_over_folds(list(expected.values()), RATIO).low
    assert interval.over == "fold"


def test_what_donors_lose_of_their_likeness(evidence, cell):
    found = donors.grown_apart(evidence, cell("skin", NATURAL), cell("skin", MEDICAL))
    expected = {fold: BEFORE - AFTER - 0.01 * fold for fold in FOLDS}
    assert found.values == pytest.approx(expected)


def test_random_starts_against_donors(evidence, cell):
    found = donors.random_over_donors(
        evidence,
        *(cell("skin", NATURAL), cell("skin", MEDICAL), cell("skin", None)),
        stages=(0, 1),
    )
    expected = RANDOM - BEFORE - 0.01 * np.mean(FOLDS)
    assert found.interval().estimate == pytest.approx(expected)
    assert set(found.values) == set(FOLDS)


def test_prediction_similarity_above_that_of_independent_mistakes(evidence, cell):
    cells = cell("retina", NATURAL), cell("retina", MEDICAL)
    found = donors.similarity_excess(evidence, *cells)
    assert set(found.values) == set(FOLDS)
    # One noise is planted in all runs: they err alike.
    assert min(found.values.values()) > 0.2


def test_the_gain_that_goes_with_keeping_is_a_slope_with_its_sign_turned(
    evidence, cell
):
    pairs = [
        (cell(dataset, NATURAL, first), cell(dataset, None))
        for dataset in ("retina", "skin")
        for first in (False, True)
    ]
    points = []
    for number, (ours, theirs) in enumerate(pairs):
        for fold in FOLDS:
            level = evidence.runs(theirs)[fold].score.value
            gain = evidence.runs(ours)[fold].score.value / level - 1
            # Planted: from stage to stage all fall by the same, so one slope is all's.
            kept = KEPT[NATURAL] + 0.02 * fold + 0.01 * (number % 2)
            points.append((fold, kept, gain))
    fold, kept, gain = np.array(points).T

    def lost(folds):
        own = np.isin(fold, folds)
        return -0.1 * np.polyfit(kept[own], gain[own], 1)[0]

    count = len(FOLDS)
    expected = {
        left_out: count * lost(FOLDS)
        - (count - 1) * lost([each for each in FOLDS if each != left_out])
        for left_out in FOLDS
    }
    found = donors.falling_slope(evidence, pairs, 0.1)
    assert found.values == pytest.approx(expected)


def test_too_few_points_have_no_slope(evidence, cell):
    pair = cell("retina", NATURAL)[:2], cell("retina", None)
    with pytest.raises(MissingEvidenceError, match="no slope"):
        donors.falling_slope(evidence, [pair], 0.1)


def test_a_study_without_the_comparison_says_so(record, cell):
    ids = {run.config: run.run_id for run in record.runs}
    bare = Evidence(record, ids, [])
    with pytest.raises(MissingEvidenceError, match="no analysis fold_initial"):
        donors.grown_apart(bare, cell("skin", NATURAL), cell("skin", MEDICAL))


def test_the_mean_over_targets_is_fold_by_fold():
    left = FoldQuantity({0: 1.0, 1: 2.0, 2: 6.0}, 0.25)
    right = FoldQuantity({0: 3.0, 1: 4.0}, 0.35)
    mean = mean_over_targets([left, right])
    assert mean.values == {0: 2.0, 1: 3.0}
    assert mean.test_to_train == pytest.approx(0.3)
