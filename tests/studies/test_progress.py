"""What is said of a study before it starts, and while it goes on."""

import pytest
from planted_study import Plant, PlantedStudy

from transfusion_tf.studies.expected_time import expectation, expected_seconds
from transfusion_tf.studies.progress import StudyProgress


@pytest.fixture
def planted(tmp_path):
    """A finished run, and the configs of two more like it."""
    study = PlantedStudy(tmp_path)
    study.add("cbr_tiny", "random", 0, Plant())
    more = [study.config("cbr_tiny", "transfer", seed) for seed in (0, 1)]
    return tmp_path / "runs", {config.run_id: config for config in more}


def test_runs_like_earlier_ones_are_expected_to_take_as_long(planted):
    runs, configs = planted
    assert expected_seconds(configs.values(), runs) == pytest.approx(2 * (48.2 + 4))
    said = expectation(configs, runs, slots=2)
    assert said == "2 runs to train, about 52 s as such runs took before"


def test_nothing_is_expected_of_runs_like_none_before(planted):
    runs, configs = planted
    larger = [config.replace(image_size=128) for config in configs.values()]
    assert expected_seconds(larger, runs) is None
    assert expected_seconds(configs.values(), runs / "empty") is None
    unknown = {config.run_id: config for config in larger[:1]}
    assert expectation(unknown, runs, 1).startswith("1 run to train; how long")


def test_runs_that_were_finished_before_count_as_done(planted):
    _, configs = planted
    progress = StudyProgress("demo", configs, finished=5, shown=False)
    assert progress.summary() == "demo: 5 of 7 runs done, 0 % of the steps"
    progress.end(next(iter(configs)), "finished")
    assert progress.summary().startswith("demo: 6 of 7 runs done, 50 % of the steps")
