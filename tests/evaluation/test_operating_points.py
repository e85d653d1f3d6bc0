import numpy as np
import pytest
from sklearn.metrics import auc, recall_score, roc_auc_score, roc_curve

from transfusion_tf.evaluation.operating_points import (
    BinaryScores,
    rates_above,
    roc_band,
    threshold_at_sensitivity,
    threshold_at_specificity,
)


def drawn(seed, shift=1.0, patients=60, images=3, decimals=2):
    """Scores of patients whose images score alike, with ties."""
    generator = np.random.default_rng(seed)
    positive = np.repeat(generator.random(patients) < 0.4, images)
    own = np.repeat(generator.normal(size=patients), images)
    scores = shift * positive + own + 0.3 * generator.normal(size=patients * images)
    names = np.repeat([f"p{i}" for i in range(patients)], images)
    return BinaryScores(positive, np.round(scores, decimals), names)


def test_curves_of_runs_are_averaged_at_equal_specificity():
    runs = [drawn(0), drawn(1)]
    band = roc_band(runs, samples=5)
    expected = []
    for run in runs:
        false, true, _ = roc_curve(run.positive, run.scores, drop_intermediate=False)
        expected.append(np.interp(band.false_positive_rate, false, true))
    assert band.sensitivity == pytest.approx(np.mean(expected, axis=0))
    assert band.sensitivity[-1] == 1


def test_a_band_over_patients_is_wider_than_one_over_images():
    run = drawn(2)
    images = BinaryScores(run.positive, run.scores, np.arange(len(run.scores)))
    widths = [
        np.mean(band.high - band.low) for band in map(roc_band, ([run], [images]))
    ]
    assert widths[0] > 1.3 * widths[1]


def test_a_band_covers_the_curve_it_is_of():
    truth = roc_band([drawn(3, patients=4000)], samples=2).sensitivity
    covered = []
    for seed in range(60):
        band = roc_band([drawn(10 + seed)], samples=150)
        covered.append((band.low <= truth) & (truth <= band.high))
    middle = np.mean(covered, axis=0)[10:90:10]
    assert 0.85 < middle.mean() <= 1


@pytest.mark.parametrize("wanted", [0.5, 0.9, 0.97, 1.0])
def test_thresholds_have_at_least_what_is_asked_and_no_more_than_need_be(wanted):
    run = drawn(4)
    negative, positive = run.scores[~run.positive], run.scores[run.positive]
    specific = threshold_at_specificity(run, wanted)
    assert np.mean(negative <= specific) >= wanted
    lower = negative[negative < specific].max()
    assert np.mean(negative <= lower) < wanted
    sensitive = threshold_at_sensitivity(run, wanted)
    assert np.mean(positive > sensitive) >= wanted
    higher = positive[positive > sensitive].min()
    assert np.mean(positive > higher) < wanted


def test_rates_are_means_over_runs_within_intervals_over_patients():
    runs, thresholds = [drawn(5), drawn(6)], [0.4, 0.7]
    sensitivity, specificity = rates_above(runs, thresholds)
    for found, label in ((sensitivity, 1), (specificity, 0)):
        expected = np.mean(
            [
                recall_score(run.positive, run.scores > threshold, pos_label=label)
                for run, threshold in zip(runs, thresholds, strict=True)
            ]
        )
        assert found.estimate == pytest.approx(expected)
        assert found.low < expected < found.high


def test_the_area_below_the_curve_is_the_auc():
    run = drawn(7, decimals=8)
    band = roc_band([run], samples=2)
    area = auc(band.false_positive_rate, band.sensitivity)
    assert area == pytest.approx(roc_auc_score(run.positive, run.scores), abs=0.01)
