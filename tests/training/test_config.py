"""A config is frozen, hashable by content, and complains about nonsense."""

import dataclasses
import json
from typing import get_args, get_origin

import pytest

from transfusion_tf.datasets.splits import PROTOCOLS
from transfusion_tf.errors import UserError
from transfusion_tf.models import DATASET_MEAN_STD, STANDARD_UNITS
from transfusion_tf.training import RunConfig
from transfusion_tf.training.config import _STANDARD_UNITS, recipe_fields
from transfusion_tf.training.resolved_config import answered, card_of, resolve
from transfusion_tf.training.settings import setting_of

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
        {"aspect": "stretch"},
        {"kernel_initializer": "he_normal"},
        {"one_channel": True},
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


def test_every_field_but_a_place_sets_runs_apart():
    """Whatever is added to a config later: other content, another id."""
    active = CONFIG.replace(schedule="plateau", head_steps=10, fold=0)
    for field in dataclasses.fields(RunConfig):
        other = active.replace(**{field.name: another_value(active, field)})
        same = other.run_id == active.run_id
        assert same == setting_of(field).location, field.name


def another_value(config, field):
    """A valid value of the field that is not the config's."""
    choices = setting_of(field).choices
    value = getattr(config, field.name)
    if choices:
        return next(choice for choice in choices if choice != value)
    by_hand = {"fold": 1, "dropout": 0.5, "minimum_learning_rate": 1e-5}
    if field.name in by_hand:
        return by_hand[field.name]
    kind = next(iter(get_args(field.type)), field.type)
    if kind in (bool, int, float):
        return not value if kind is bool else (value or 0) + 1
    return {"a": [1.0]} if get_origin(kind) else f"{value}-other"


def test_the_run_id_is_the_same_in_every_process_and_release():
    """Who changes this on purpose says in the changelog that runs are trained anew."""
    assert CONFIG.run_id == "cbr_tiny-random-0-91630dfd64cb"


def test_the_run_id_is_a_readable_folder_name():
    name = CONFIG.replace(model="resnet50[slim_after=block2,width=0.5]").run_id
    assert name.startswith("resnet50-slim_after-block2-width-0-5")
    assert all(c.isalnum() or c in "_-" for c in name)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", -1),
        ("batch_size", 0),
        ("eval_every", 0),
        ("donor_steps", 0),
        ("train_examples", 0),
        ("optimizer", "lion"),
        ("schedule", "linear"),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("early_stopping", -1),
        ("input_scaling", "caffe"),
        ("learning_rate", 0.0),
        ("weight_decay", -0.1),
        ("gradient_clipping", 0.0),
        ("warmup_steps", -1),
        ("plateau_patience", 0),
        ("minimum_learning_rate", -1e-6),
        ("head_steps", -1),
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
            {"schedule": "cosine", "steps": 9, "head_steps": 4, "warmup_steps": 5},
            "--warmup_steps must be below --steps=9",
        ),
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


def test_every_field_says_what_it_is_and_whether_the_recipe_shows_it():
    for field in dataclasses.fields(RunConfig):
        setting = setting_of(field)
        assert setting.help.endswith("."), field.name
        assert setting.recipe in ("always", "used", "never"), field.name
        assert not (setting.location and setting.recipe != "never"), field.name


def test_choices_that_other_packages_own_are_theirs():
    fields = {field.name: field for field in dataclasses.fields(RunConfig)}
    assert setting_of(fields["fold_protocol"]).choices == PROTOCOLS
    assert setting_of(fields["input_scaling"]).choices == (
        DATASET_MEAN_STD,
        STANDARD_UNITS,
    )
    assert _STANDARD_UNITS == STANDARD_UNITS


def test_the_recipe_shows_what_is_always_told_and_what_has_an_effect():
    usual = recipe_fields([CONFIG])
    assert usual[:3] == ["batch_size", "steps", "eval_every"]
    assert "head_learning_rate" not in usual
    head_first = CONFIG.replace(head_steps=10, head_learning_rate=0.1)
    added = set(recipe_fields([CONFIG, head_first])) - set(usual)
    assert added == {"head_steps", "head_learning_rate"}


def test_the_recipe_leaves_out_what_has_no_effect():
    idle = CONFIG.replace(head_learning_rate=0.1, plateau_patience=3, folds=3)
    assert recipe_fields([idle]) == recipe_fields([CONFIG])


@pytest.mark.parametrize(
    ("model", "steps", "momentum", "images"),
    [
        ("resnet50", 0, 0.8, None),
        ("resnet50", 199, 0.8, 256),
        ("inception_v3", 1999, 0.9, 256),
        ("resnet101[slim_after=block2,width=0.5]", 2000, None, None),
        ("mobilenet_v2", 19_999, 0.99, None),  # of its own, 0.999
        ("efficientnet_v2_b0", 199, 0.8, 256),
        ("efficientnet_v2_b0", 1999, None, 256),  # its own, 0.9
        ("convnext_tiny", 100, None, None),
        ("cbr_tiny", 100, None, None),
    ],
)
def test_batch_norm_forgets_its_start_in_short_runs(model, steps, momentum, images):
    config = RunConfig(dataset="phantom_chest", model=model, steps=steps)
    card = card_of(config)
    assert answered(config, card).batch_norm_momentum == momentum
    assert answered(config, card).batch_norm_images == images
    asked = config.replace(batch_norm_momentum=0.95, batch_norm_images=0)
    assert answered(asked, card).batch_norm_momentum == 0.95
    assert answered(asked, card).batch_norm_images == 0


def test_own_epochs_say_whether_a_run_is_a_short_one(config, data_root, prepared):
    planned = config.replace(
        model="resnet50", steps=3000, eval_every=3000, steps_per_epoch=3000
    )
    resolved, _ = resolve(planned, data_root, prepared=prepared)
    assert resolved.steps < 200
    assert (resolved.batch_norm_momentum, resolved.batch_norm_images) == (0.8, 256)
    again, _ = resolve(resolved, data_root, prepared=prepared)
    assert again.run_id == resolved.run_id
