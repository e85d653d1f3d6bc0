"""A study repeats nothing, survives interruption, and isolates failures."""

import dataclasses
import json

import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.report import write_report
from transfusion_tf.studies import Study, grid, run_study
from transfusion_tf.studies.own_chapters import donor_chapters
from transfusion_tf.training import RunConfig, RunDirectory, RunOptions

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def options(data_root):
    return RunOptions(data_root=data_root, progress=False)


@pytest.fixture(scope="module")
def donor_card(tmp_path_factory):
    """A tiny source domain, so that pretraining takes seconds."""
    from transfusion_tf.datasets import load_card

    text = load_card("photographs").path.read_text()
    text = text.replace("crops = 3000", "crops = 140")
    text = text.replace("steps = 300", "steps = 4").replace(
        "eval_every = 150", "eval_every = 4"
    )
    folder = tmp_path_factory.mktemp("donor")
    (folder / "dataset.toml").write_text(text)
    return str(folder / "dataset.toml")


@pytest.fixture(scope="module")
def study(prepared, clinic_root, donor_card):
    base = RunConfig(
        dataset=str(clinic_root),
        model="cbr_tiny",
        donor=donor_card,
        batch_size=4,
        steps=4,
        eval_every=2,
    )
    runs = grid(
        base,
        models=["cbr_tiny"],
        initializations=["random", "transfer", "mean_var", "gabor"],
    )
    return Study(name="small", title="A small study", runs=runs)


@pytest.fixture(scope="module")
def result(study, options, tmp_path_factory):
    root = tmp_path_factory.mktemp("workspace")
    return run_study(study, root, options=options, command="transfusion-study ...")


def times(result):
    return {
        run.path.name: (run.path / "status.json").stat().st_mtime_ns
        for run in result.runs
    }


def test_every_run_is_finished_and_the_donor_is_a_run_like_any_other(result):
    assert len(result.runs) == 4
    assert not result.failed
    assert all(run.finished() for run in result.runs)
    record = json.loads((result.path / "study.json").read_text())
    assert len(record["donor_runs"]) == 1
    assert RunDirectory(result.runs[0].path.parent / record["donor_runs"][0]).finished()


def test_transfer_starts_from_the_pretrained_run(result):
    record = json.loads((result.path / "study.json").read_text())
    for run in result.runs:
        config = run.config()
        if config.initialization in ("transfer", "mean_var"):
            assert config.donor_weights == record["donor_runs"][0]
        if config.initialization == "random":
            assert config.donor is None


def test_a_second_call_trains_nothing(study, options, result):
    before = times(result)
    again = run_study(study, result.path.parents[1], options=options)
    assert times(again) == before


def test_a_donor_is_measured_once_and_said_each_time(
    study, options, result, small_probe, capsys
):
    asked = dataclasses.replace(
        study, name="measured", chapters=donor_chapters(study.runs)
    )
    root, stamps = result.path.parents[1], set()
    for _ in range(2):
        run_study(asked, root, options=dataclasses.replace(options, progress=True))
        assert capsys.readouterr().err.count("over random weights") == 1
        (table,) = (root / "analyses").glob("donor_quality-*.csv")
        stamps.add(table.stat().st_mtime_ns)
    assert len(stamps) == 1


def test_an_interrupted_study_repeats_no_finished_run(study, options, result, tmp_path):
    done = 0

    def interrupt(count):
        nonlocal done
        done += count
        if done == 14:  # the donor's 4 steps, two runs of 4, half of the third
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(
            study, tmp_path, options=dataclasses.replace(options, on_step=interrupt)
        )
    finished = {
        path.parent.name: path.stat().st_mtime_ns
        for path in (tmp_path / "runs").glob("*/status.json")
        if json.loads(path.read_text())["state"] == "finished"
    }
    assert len(finished) == 3
    again = run_study(study, tmp_path, options=options)
    assert not again.failed
    for name, stamp in finished.items():
        path = tmp_path / "runs" / name / "status.json"
        assert path.stat().st_mtime_ns == stamp
    for ours, theirs in zip(again.runs, result.runs, strict=True):
        assert ours.status()["test"] == theirs.status()["test"]


def test_one_failed_run_is_recorded_and_the_others_go_on(
    study, options, tmp_path, capsys
):
    bad = study.runs[0].replace(learning_rate=1e30, seed=50)
    mixed = dataclasses.replace(study, runs=(bad, study.runs[0]))
    result = run_study(mixed, tmp_path, options=options)
    assert len(result.runs) == 1
    (message,) = result.failed.values()
    assert "learning_rate" in message
    assert write_report(result.path).exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"initialization": "transfer:pool9"}, "pool1"),
        ({"freeze": "block2"}, "pool1"),
        ({"train_examples": 10_000}, "has only"),
        ({"donor": "no/such/file.h5", "initialization": "transfer"}, "no donor"),
    ],
)
def test_what_would_fail_is_said_before_the_donor_is_pretrained(
    study, options, tmp_path, changes, message
):
    runs = (*study.runs, study.runs[0].replace(**changes))
    with pytest.raises(UserError, match=message):
        run_study(dataclasses.replace(study, runs=runs), tmp_path, options=options)
    assert not (tmp_path / "runs").exists()


def test_the_report_covers_the_study(result):
    page = write_report(result.path).read_text()
    for word in ("random", "transfer", "mean_var", "gabor", "A small study"):
        assert word in page
