"""A study is a list of runs; a grid is every combination."""

import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.studies import (
    Study,
    grid,
    pretraining_run,
    run_study,
    split_names,
    train_with_donor,
)
from transfusion_tf.training import RunConfig, RunOptions

BASE = RunConfig(dataset="phantom_retina_64", model="cbr_tiny", donor="photographs")


def test_a_grid_is_every_combination():
    runs = grid(
        BASE,
        models=["cbr_tiny", "resnet50"],
        initializations=["random", "transfer"],
        train_examples=[100, None],
        seeds=range(3),
    )
    assert len(set(runs)) == len(runs) == 2 * 2 * 2 * 3
    assert {run.seed for run in runs[:8]} == {0}


@pytest.mark.parametrize(
    ("axis", "values", "message"),
    [
        ("models", ["resnet51"], "unknown model"),
        ("initializations", ["transfr"], "unknown initialization"),
        ("seeds", [], "--seeds"),
    ],
)
def test_what_does_not_exist_is_named_before_anything_runs(axis, values, message):
    axes = {"models": ["cbr_tiny"], "initializations": ["random"], axis: values}
    with pytest.raises(UserError, match=message):
        grid(BASE, **axes)


def test_names_may_hold_commas_inside_brackets():
    text = "cbr_tiny,resnet50[slim_after=block2,width=0.5], random"
    assert split_names(text) == [
        "cbr_tiny",
        "resnet50[slim_after=block2,width=0.5]",
        "random",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "resnet18[slim_after=conv1]"}, "one of block1, block2, block3"),
        ({"model": "cbr_tiny[slim_after=block1]"}, "its stages are pool1, pool2"),
        ({"initialization": "transfer:block1"}, "its stages are pool1, pool2"),
        ({"freeze": "pool9"}, "its stages are pool1, pool2"),
        ({"model": "deit_mini", "image_size": 65}, "multiples of"),
        ({"initialization": "transfer", "donor": None}, "needs --donor"),
        ({"initialization": "transfer", "donor": "gone.h5"}, "no donor 'gone.h5'"),
        ({"initialization": "transfer", "donor": "imagenet"}, "no published ImageNet"),
        ({"metric": "kappa"}, "unknown metric"),
    ],
)
def test_what_cannot_be_is_said_before_data_are_prepared(changes, message, tmp_path):
    if "resnet18" in changes.get("model", ""):
        pytest.importorskip("keras_hub")
    study = Study("mine", "Mine", (BASE, BASE.replace(**changes)))
    options = RunOptions(data_root=tmp_path / "data", progress=False)
    with pytest.raises(UserError, match=message):
        run_study(study, tmp_path, options=options)
    with pytest.raises(UserError, match=message):
        train_with_donor(study.runs[1], tmp_path, options)
    assert not list(tmp_path.iterdir())


def test_a_donor_is_the_recipients_architecture_unslimmed():
    slim = BASE.replace(model="cbr_tiny[slim_after=pool2,width=0.5]", seed=7)
    assert pretraining_run(slim) == pretraining_run(BASE)
    assert pretraining_run(BASE).dataset == "photographs"
    assert pretraining_run(BASE).initialization == "random"


def test_a_donor_is_at_least_as_large_as_its_architecture_needs():
    assert pretraining_run(BASE.replace(model="inception_v3")).image_size == 75
