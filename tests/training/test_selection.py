"""Evaluations one after the other: which is best, what is a plateau, when it ends."""

import dataclasses
import json

import pytest

from transfusion_tf.errors import UserError
from transfusion_tf.training import RunConfig
from transfusion_tf.training.selection import (
    count_evaluation,
    ends_early,
    ends_head,
)
from transfusion_tf.training.state import Progress

CONFIG = RunConfig(
    dataset="phantom_retina_64",
    model="cbr_tiny",
    metric="referable_auc",
    learning_rate=1e-4,
)
PLATEAU = CONFIG.replace(schedule="plateau", plateau_patience=2)


def after(config, aucs, losses=None, every=10, progress=None):
    """The progress after evaluations every so many steps, from step 0 on."""
    progress = progress or Progress()
    losses = losses or [0.5] * len(aucs)
    for auc, loss in zip(aucs, losses, strict=True):
        if ends_early(progress, config):
            break
        count_evaluation(progress, config, {"referable_auc": auc, "loss": loss})
        progress.step += every
    return progress


def test_the_best_is_by_the_metric_and_the_first_of_equals():
    progress = after(CONFIG, [0.5, 0.8, 0.8, 0.7])
    assert (progress.best_step, progress.best_metric) == (10, 0.8)
    assert progress.evaluations_without_gain == 2


def test_by_loss_the_lowest_is_best():
    config = CONFIG.replace(early_stopping_metric="loss")
    progress = after(config, [0.5, 0.8, 0.9], [0.7, 0.4, 0.6])
    assert progress.best_step == 10


def test_early_stopping_ends_after_so_many_evaluations_without_gain():
    config = CONFIG.replace(early_stopping=3, early_stopping_metric="loss")
    aucs = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
    progress = after(config, aucs, [0.5, 0.4, 0.4, 0.5, 0.41, 0.3])
    assert progress.step == 50
    assert progress.best_step == 10


def test_every_plateau_counts_anew_and_a_gain_starts_it_again():
    values = [0.5, 0.5, 0.6, 0.6, 0.6, 0.6]
    assert after(PLATEAU, values).plateaus == 1
    assert after(PLATEAU, [*values, 0.6]).plateaus == 2


def test_a_plateau_at_the_least_rate_ends_the_run():
    # 1e-4, 1e-5, 1e-6: the third plateau is one too many.
    progress = after(PLATEAU, [0.5] * 20)
    assert progress.plateaus == 3
    assert progress.step == 70
    assert not ends_early(dataclasses.replace(progress, plateaus=2), PLATEAU)


def test_rates_that_are_no_power_of_ten_above_the_least_end_with_it_too():
    # The paper's rate from random weights: 3e-4, 3e-5, 3e-6, 1e-6.
    progress = after(PLATEAU.replace(learning_rate=3e-4), [0.5] * 20)
    assert progress.plateaus == 4


def test_without_a_least_rate_no_plateau_is_the_last():
    progress = after(PLATEAU.replace(minimum_learning_rate=0.0), [0.5] * 20)
    assert progress.step == 200


def test_the_warm_up_is_no_plateau():
    assert after(PLATEAU.replace(warmup_steps=20), [0.5] * 4).plateaus == 0
    assert after(PLATEAU.replace(warmup_steps=20), [0.5] * 5).plateaus == 1


def test_while_the_head_is_trained_alone_nothing_is_stopped():
    config = PLATEAU.replace(head_steps=20, early_stopping=2)
    progress = after(config, [0.6, 0.5, 0.5])
    assert progress.evaluations_without_gain == progress.evaluations_on_plateau == 0
    assert progress.best_step == 0
    # The first evaluation after it is the best so far.
    assert after(config, [0.6, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]).step == 60


def test_the_best_of_a_fine_tuned_run_is_neither_its_start_nor_its_head_phase():
    config = CONFIG.replace(early_stopping_metric="loss", head_steps=20)
    losses = [0.9, 0.6, 0.5, 0.56, 0.54, 0.52]
    aucs = [0.5] * len(losses)
    # Up to the head's last step the best is the head's.
    assert after(config, aucs[:3], losses[:3]).best_step == 20
    progress = after(config, aucs, losses)
    assert (progress.best_step, progress.best_metric) == (50, -0.52)
    worse = after(config, aucs, [0.9, 0.6, 0.5, 0.7, 0.8, 0.9])
    assert (worse.best_step, worse.evaluations_without_gain) == (30, 2)
    whole = after(config.replace(head_steps=0), aucs, losses)
    assert whole.best_step == 20


def test_the_head_alone_ends_after_so_many_evaluations_without_a_better_accuracy():
    # "EarlyStopping(monitor='val_acc', patience=2)" of the hidden-representations
    # paper's code; the loss, which the best weights go by, does not count.
    config = CONFIG.replace(head_steps=200, head_early_stopping=2, learning_rate=1e-3)
    progress = Progress()
    ended = []
    for accuracy in (0.9, 0.5, 0.6, 0.6, 0.7, 0.7, 0.6):
        values = {"referable_auc": 0.5, "loss": 0.5, "accuracy": accuracy}
        count_evaluation(progress, config, values)
        ended.append(ends_head(progress, config))
        progress.step += 10
    # Step 0, where the head is random, is no accuracy to be better than.
    assert ended == [False] * 6 + [True]
    assert not ends_head(progress, config.replace(head_steps=60))
    assert not ends_head(progress, config.replace(head_early_stopping=0))
    with pytest.raises(UserError, match="has none of"):
        count_evaluation(progress, config, {"referable_auc": 0.5, "loss": 0.5})


def test_counts_go_on_where_a_saved_state_left_them():
    values = [0.5, 0.6, 0.6, 0.6, 0.6, 0.6]
    half = json.loads(json.dumps(dataclasses.asdict(after(PLATEAU, values[:4]))))
    rest = after(PLATEAU, values[4:], progress=Progress(**half))
    assert rest == after(PLATEAU, values)
