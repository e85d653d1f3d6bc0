"""What TensorBoard reads of a study, and of a run."""

import pytest
import tensorflow as tf
from planted_study import Plant, PlantedStudy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from transfusion_tf.studies.study_events import event_names, write_study_events
from transfusion_tf.studies.study_folder import read_study
from transfusion_tf.training.run_directory import RunDirectory

DONORS = {"transfer": Plant(2.5), "random": Plant()}


def read(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def said_of(events):
    """HParams's data by kind."""
    metadata = events.PluginTagToContent("hparams")
    return {
        tag.rpartition("/")[2]: HParamsPluginData.FromString(content)
        for tag, content in metadata.items()
    }


@pytest.fixture
def study(tmp_path):
    planted = PlantedStudy(tmp_path, patients=20)
    planted.grid(["cbr_tiny"], DONORS, seeds=(0, 1))
    planted.grid(["cbr_tiny"], {"random": Plant()}, seeds=(0,), freeze="pool1")
    return read_study(planted.write())


def test_runs_have_names_that_say_what_differs(study):
    assert event_names(study.runs) == [
        "cbr_tiny-transfer-seed0",
        "cbr_tiny-transfer-seed1",
        "cbr_tiny-random-seed0",
        "cbr_tiny-random-seed1",
        "cbr_tiny-random-frozen-pool1-seed0",
    ]


def test_runs_that_nothing_sets_apart_by_name_end_in_their_ids(tmp_path):
    planted = PlantedStudy(tmp_path, patients=20)
    for rate in (0.1, 0.01):
        planted.add("cbr_tiny", "random", 0, Plant(), learning_rate=rate)
    runs = read_study(planted.write()).runs
    names = [f"cbr_tiny-random-seed0-{run.run_id[-6:]}" for run in runs]
    assert event_names(runs) == names


def test_every_run_has_its_curves_under_the_names_of_its_metrics(study, tmp_path):
    write_study_events(study.runs, tmp_path)
    for name, run in zip(event_names(study.runs), study.runs, strict=True):
        scalars = read(tmp_path / name).Scalars("validation/referable_auc")
        steps, values = run.curve()
        assert [scalar.step for scalar in scalars] == steps.tolist()
        assert [scalar.value for scalar in scalars] == pytest.approx(values.tolist())


def test_hparams_compares_what_differs_and_knows_each_run(study, tmp_path):
    write_study_events(study.runs, tmp_path)
    experiment = said_of(read(tmp_path))["experiment"].experiment
    compared = {info.name for info in experiment.hparam_infos}
    assert compared == {"initialization", "donor", "freeze", "seed"}
    tags = [info.name.tag for info in experiment.metric_infos]
    assert tags[:2] == ["result/test", "result/validation"]

    said = said_of(read(tmp_path / "cbr_tiny-transfer-seed1"))["session_start_info"]
    values = said.session_start_info.hparams
    assert values["initialization"].string_value == "transfer"
    assert values["donor"].string_value == "photographs"
    assert values["seed"].number_value == 1
    assert values["train_images"].number_value == 1200


def test_what_is_there_stays_and_what_the_study_lost_goes(study, tmp_path):
    write_study_events(study.runs, tmp_path)
    before = {path: path.stat().st_ino for path in tmp_path.glob("*/*")}
    write_study_events(study.runs[:-1], tmp_path)
    after = {path: path.stat().st_ino for path in tmp_path.glob("*/*")}
    assert len(after) == 4
    assert after.items() <= before.items()


def test_a_runs_own_events_say_what_it_is_and_what_it_came_to(trained_root):
    for folder in (trained_root / "runs").iterdir():
        run, events = RunDirectory(folder), read(folder / "events")
        said = said_of(events)["session_start_info"].session_start_info
        assert said.hparams["seed"].number_value == run.config().seed
        for split in ("validation", "test"):
            (result,) = events.Tensors(f"result/{split}")
            status, value = run.status(), tf.make_ndarray(result.tensor_proto)
            assert value == pytest.approx(status[split]["referable_auc"])
            assert result.step == status["best_step"]
