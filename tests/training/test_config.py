"""A config is frozen, hashable by content, and complains about nonsense."""

import json

import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.training import RunConfig

CONFIG = RunConfig(dataset="phantom_retina_64", model="cbr_tiny", data="abc")


def test_it_survives_json():
    text = json.dumps(CONFIG.replace(augmentation={"hue": 0.1}).to_dict())
    again = RunConfig.from_dict(json.loads(text))
    assert again.run_id == CONFIG.replace(augmentation={"hue": 0.1}).run_id


def test_the_run_id_depends_on_content_not_on_where_things_lie():
    moved = CONFIG.replace(dataset="/elsewhere/dataset.toml", donor="/elsewhere/run")
    assert moved.run_id == CONFIG.run_id


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"steps": 7},
        {"data": "abd"},
        {"donor_weights": "x"},
        {"augmentation": {"hue": 0.1}},
        {"freeze": "pool1"},
        {"optimizer": "adamw"},
        {"weight_decay": 0.01},
        {"gradient_clipping": 1.0},
        {"warmup_steps": 10},
        {"schedule": "plateau"},
        {"schedule": "plateau", "plateau_patience": 3},
        {"early_stopping_metric": "loss"},
        {"head_steps": 10},
        {"head_steps": 10, "head_learning_rate": 0.1},
        {"fold": 0},
        {"fold": 1},
        {"fold": 0, "folds": 3},
        {"fold": 0, "fold_protocol": "paper"},
        {"augmentation": {"grayscale": 0.2}},
        {"augmentation": {"random_crop": 1.2}},
    ],
)
def test_all_that_decides_the_result_changes_the_run_id(changes):
    names = [CONFIG.run_id]
    for end in range(1, len(changes) + 1):
        names.append(CONFIG.replace(**dict([*changes.items()][:end])).run_id)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "changes",
    [
        {"plateau_patience": 3, "minimum_learning_rate": 1e-5},
        {"head_learning_rate": 0.1},
        {"folds": 3, "fold_protocol": "paper"},
    ],
)
def test_what_has_no_effect_does_not_change_the_run_id(changes):
    assert CONFIG.replace(**changes).run_id == CONFIG.run_id


def test_runs_of_earlier_versions_keep_their_ids():
    augmentation = {"policy": "chest", "crop": True, "hue": 0.02}
    config = CONFIG.replace(augmentation=augmentation)
    assert CONFIG.run_id == "cbr_tiny-random-0-a86da3194eb1"
    assert config.run_id == "cbr_tiny-random-0-c03ef1ec197a"
    later = augmentation | {"random_crop": 1.0, "grayscale": 0.0}
    assert config.replace(augmentation=later).run_id == config.run_id


def test_the_run_id_is_a_readable_folder_name():
    name = CONFIG.replace(model="resnet50[slim_after=block2,width=0.5]").run_id
    assert name.startswith("resnet50-slim_after-block2-width-0-5")
    assert all(c.isalnum() or c in "_-" for c in name)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("batch_size", 0),
        ("train_examples", 0),
        ("optimizer", "lion"),
        ("schedule", "cosine"),
        ("dropout", 1.0),
        ("learning_rate", 0.0),
        ("weight_decay", -0.1),
        ("gradient_clipping", 0.0),
        ("warmup_steps", -1),
        ("plateau_patience", 0),
        ("head_steps", 1000),
        ("head_learning_rate", 0.0),
        ("fold", 5),
        ("folds", 1),
        ("fold_protocol", "nested"),
    ],
)
def test_nonsense_is_refused_with_the_flag_named(field, value):
    with pytest.raises(UserError, match=f"--{field} "):
        CONFIG.replace(**{field: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": "imagenet", "warmup_steps": 5}, "--warmup_steps must be 0"),
        (
            {"schedule": "plateau", "learning_rate": 1e-7},
            "--minimum_learning_rate must be at most --learning_rate=1e-07",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        CONFIG.replace(**changes)


def test_a_config_of_another_version_is_named():
    with pytest.raises(UserError, match="unknown fields learning_rat"):
        RunConfig.from_dict({**CONFIG.to_dict(), "learning_rat": 1})
