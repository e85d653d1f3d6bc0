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
    ],
)
def test_all_that_decides_the_result_changes_the_run_id(changes):
    assert CONFIG.replace(**changes).run_id != CONFIG.run_id


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
        ("optimizer", "adamw"),
        ("schedule", "cosine"),
        ("dropout", 1.0),
        ("learning_rate", 0.0),
    ],
)
def test_nonsense_is_refused_with_the_flag_named(field, value):
    with pytest.raises(UserError, match=f"--{field}"):
        CONFIG.replace(**{field: value})


def test_a_config_of_another_version_is_named():
    with pytest.raises(UserError, match="unknown fields learning_rat"):
        RunConfig.from_dict({**CONFIG.to_dict(), "learning_rat": 1})
