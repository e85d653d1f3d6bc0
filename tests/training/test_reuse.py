"""Runs of one shape take turns with one trainer, and none notices the others."""

import json
import zipfile

import keras
import numpy as np
import pytest
from binaries import run_script

from transfusion_tf.models import build
from transfusion_tf.training import RunDirectory, train
from transfusion_tf.training import trainer as trainers
from transfusion_tf.training.strategy import threads_in_use
from transfusion_tf.training.trainer import Trainer
from transfusion_tf.training.weights import WEIGHTS, load_run_weights

pytestmark = pytest.mark.slow

_ALONE = """
import json, sys
from transfusion_tf.training import RunOptions, RunConfig, train
from transfusion_tf.training.strategy import use_threads
use_threads(json.loads(sys.argv[4]))
config = RunConfig.from_dict(json.loads(sys.argv[1]))
train(config, sys.argv[2], RunOptions(data_root=sys.argv[3], progress=False))
"""


def forget_trainers():
    """What waits for a run in this process."""
    trainers._waiting.clear()


@pytest.fixture
def built(monkeypatch):
    """The configs that a trainer was built for."""
    configs = []

    class Counted(Trainer):
        def __init__(self, config, *arguments):
            configs.append(config)
            super().__init__(config, *arguments)

    monkeypatch.setattr(trainers, "Trainer", Counted)
    forget_trainers()
    return configs


def outcome(run):
    """All numbers that a run leaves."""
    run = RunDirectory(run)
    config = run.config()
    model = build(config.model, (64, 64, 3), 5)
    arrays = {}
    for weights in WEIGHTS:
        load_run_weights(model, run, weights)
        arrays[weights] = [np.array(v) for v in model.weights]
    arrays["predictions"] = [
        run.predictions(split).filter(like="probability").to_numpy()
        for split in ("validation", "test")
    ]
    return arrays, (run.path / "metrics.jsonl").read_text()


def assert_same(ours, theirs):
    assert ours[1] == theirs[1]
    for name, arrays in ours[0].items():
        for a, b in zip(arrays, theirs[0][name], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


def test_a_run_after_another_one_gives_what_it_gives_alone(
    config, options, tmp_path, built
):
    after = config.replace(
        seed=7, initialization="gabor", learning_rate=0.01, train_examples=12
    )
    train(after, tmp_path / "alone", options)
    forget_trainers()
    train(config, tmp_path / "first", options)
    train(after, tmp_path / "second", options)
    assert len(built) == 2
    assert_same(outcome(tmp_path / "second"), outcome(tmp_path / "alone"))


# Each has a trainer of its own; what it needs to set to its start differs.
SHAPES = {
    "frozen": {"freeze": "pool2"},
    "mixed precision": {"mixed_precision": True},
    "head first": {"head_steps": 2, "head_learning_rate": 0.01},
    "sgd at a plateau": {"optimizer": "sgd", "schedule": "plateau", "eval_every": 1},
}
# The others are for the nightly tests.
OFTEN = ("frozen", "mixed precision")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            changes, id=name, marks=[] if name in OFTEN else pytest.mark.exhaustive
        )
        for name, changes in SHAPES.items()
    ],
)
def test_runs_of_another_shape_do_not_share_and_do_not_disturb(
    config, options, tmp_path, built, changes
):
    other = config.replace(steps=3, plateau_patience=1, **changes)
    train(other, tmp_path / "alone", options)
    forget_trainers()
    train(other.replace(seed=5), tmp_path / "before", options)
    train(config.replace(steps=2), tmp_path / "between", options)
    train(other, tmp_path / "again", options)
    assert len(built) == 3
    assert_same(outcome(tmp_path / "again"), outcome(tmp_path / "alone"))


@pytest.mark.exhaustive
def test_rates_that_fall_to_zero_over_other_steps_do_not_share(
    config, options, tmp_path, built
):
    falling = config.replace(schedule="cosine", steps=3)
    train(falling, tmp_path / "alone", options)
    forget_trainers()
    train(falling.replace(steps=2), tmp_path / "shorter", options)
    train(falling, tmp_path / "again", options)
    assert len(built) == 3
    assert_same(outcome(tmp_path / "again"), outcome(tmp_path / "alone"))


def test_a_run_after_others_gives_what_it_gives_in_a_process_of_its_own(
    config, options, tmp_path
):
    after = config.replace(seed=11)
    train(config, tmp_path / "first", options)
    train(after, tmp_path / "second", options)
    values = (
        json.dumps(after.to_dict()),
        tmp_path / "alone",
        options.data_root,
        json.dumps(threads_in_use()),
    )
    run_script(_ALONE, *values)
    assert_same(outcome(tmp_path / "second"), outcome(tmp_path / "alone"))


def test_a_stopped_run_goes_on_with_a_trainer_that_others_have_used(
    config, options, stop_at, finished, tmp_path
):
    folder = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        train(config, folder, stop_at(3, save_every_steps=1))
    train(config.replace(seed=4), tmp_path / "other", options)
    train(config, folder, options)
    assert_same(outcome(folder), outcome(finished.directory.path))


def test_a_failed_run_leaves_no_trainer_behind(config, options, tmp_path, built):
    with pytest.raises(ValueError, match="learning_rate"):
        train(config.replace(learning_rate=1e30), tmp_path / "failed", options)
    train(config, tmp_path / "next", options)
    assert len(built) == 2


def test_layers_are_named_as_in_a_fresh_process(config, options, tmp_path, built):
    short = config.replace(steps=1, eval_every=1)
    train(short, tmp_path / "first", options)
    forget_trainers()
    keras.Sequential([keras.layers.Dense(1), keras.layers.Dropout(0.5)])
    train(short, tmp_path / "second", options)
    first, second = (
        zipfile.ZipFile(tmp_path / run / "final.keras").read("config.json")
        for run in ("first", "second")
    )
    assert first == second
