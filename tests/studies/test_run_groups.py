"""Seeds are compared over seeds, folds over folds, on planted runs."""

import numpy as np
import pytest
import textbook
from planted_study import Plant, PlantedStudy

from transfusion_tf.studies import read_study
from transfusion_tf.studies.measurements.collect import collect
from transfusion_tf.studies.run_groups import RunGroup, grouped, training_sizes

PATIENTS = 40


@pytest.fixture
def study(tmp_path):
    return PlantedStudy(tmp_path, patients=PATIENTS)


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    """A record of two starts, five folds each."""
    study = PlantedStudy(tmp_path_factory.mktemp("root"), patients=PATIENTS)
    return read_study(study.add_folds({"random": 1.0, "transfer": 2.0}).write())


def groups_of(record):
    """Initialization -> its runs."""
    measurements = collect(record)
    return {
        start: RunGroup(runs, measurements)
        for start, runs in grouped(
            record.runs, lambda run: run.config.initialization
        ).items()
    }


def scores(group):
    return np.array([group.runs[key].score.value for key in sorted(group.runs)])


def ends(found):
    return found.estimate, found.low, found.high


def test_runs_are_told_apart_by_seed_and_in_a_cross_validation_by_fold(folded, study):
    group = groups_of(folded)["random"]
    assert group.folded
    assert sorted(group.runs) == [(0, fold) for fold in range(5)]
    assert group.ids == tuple(group.runs[key].run_id for key in sorted(group.runs))
    study.add("cbr_tiny", "random", 3, Plant())
    (alone,) = groups_of(read_study(study.write())).values()
    assert list(alone.runs) == [3]
    assert not alone.folded


def test_folds_share_training_images_which_widens_their_intervals(folded):
    found = groups_of(folded)
    ours, theirs = (scores(found[start]) for start in ("transfer", "random"))
    # Of five folds one is for testing and four to train on.
    expected = textbook.folds(ours - theirs, 0.25)
    assert ends(found["transfer"].test_minus(found["random"])) == pytest.approx(
        expected
    )
    level = found["transfer"].test
    assert (level.over, level.seeds) == ("fold", 5)
    estimate, low, high = textbook.folds(ours, 0.25)
    assert ends(level) == pytest.approx((estimate, max(low, 0), min(high, 1)))


def test_one_number_per_fold_is_averaged_as_the_test_metric_is(folded):
    group = groups_of(folded)["random"]
    values = {key: 0.1 * key[1] ** 2 for key in group.runs}
    expected = textbook.folds(list(values.values()), 0.25)
    assert ends(group.mean_of(values)) == pytest.approx(expected)
    assert group.mean_of(dict.fromkeys(values, np.nan)) is None


def test_several_seeds_of_one_fold_are_compared_over_seeds(study):
    for seed in range(3):
        study.add("cbr_tiny", "random", seed, Plant(), fold=2)
    (group,) = groups_of(read_study(study.write())).values()
    assert not group.folded
    values = {key: float(key[0]) for key in group.runs}
    assert ends(group.mean_of(values)) == pytest.approx(textbook.seeds([0, 1, 2]))


def test_quantities_are_averaged_and_told_run_by_run(study):
    for seed in range(3):
        study.add("cbr_tiny", "random", seed, Plant())
    (group,) = groups_of(read_study(study.write())).values()
    assert group.values("train_seconds") == {0: 48.2, 1: 49.2, 2: 50.2}
    expected = textbook.seeds([48.2, 49.2, 50.2])
    assert ends(group.average("train_seconds")) == pytest.approx(expected)
    assert group.values("knn_score") == {}
    assert group.average("knn_score") is None


def test_a_level_s_interval_ends_where_its_unit_does(study):
    for seed, signal in enumerate((0.0, 3.0, -3.0)):
        study.add("cbr_tiny", "random", seed, Plant(signal))
    (group,) = groups_of(read_study(study.write())).values()
    assert (group.test.low, group.test.high) == (0, 1)


def test_runs_of_other_test_patients_do_not_compare(study):
    study.add("cbr_tiny", "random", 0, Plant())
    study.fold = "elsewhere-"
    study.add("cbr_tiny", "transfer", 0, Plant())
    found = groups_of(read_study(study.write()))
    assert found["transfer"].test_minus(found["random"]) is None
    assert found["transfer"].test_minus(None) is None


def test_gains_are_ratios_of_means(study):
    for seed in range(3):
        study.add("cbr_tiny", "random", seed, Plant(0.5))
        study.add("cbr_tiny", "transfer", seed, Plant(2.0))
    found = groups_of(read_study(study.write()))
    gain = found["transfer"].test_over(found["random"])
    ours, theirs = (scores(found[start]) for start in ("transfer", "random"))
    assert gain.estimate == pytest.approx(ours.mean() / theirs.mean())
    assert 1 < gain.low < gain.estimate < gain.high


def test_folds_whose_sizes_differ_by_a_few_images_count_as_one_size(study):
    for number in range(5):
        study.dataset["counts"]["train"]["images"] = 1200 + number
        study.add("cbr_tiny", "random", 0, Plant(), fold=number)
    sizes = training_sizes(read_study(study.write()).runs)
    assert set(sizes.values()) == {1202}
