"""Freeze, then fine-tune; and all that a protocol adds, stopped and gone on with."""

import dataclasses

import keras
import numpy as np
import pytest

from transfusion_tf.input_pipeline import Augmenter, train_batches
from transfusion_tf.models import build, head_layers, named_tensors
from transfusion_tf.training import train
from transfusion_tf.training.steps import make_steps
from transfusion_tf.training.strategy import make_strategy

# Every evaluation after the first of fine-tuning is one of a plateau, with this seed.
PROTOCOL = {
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "gradient_clipping": 1.0,
    "schedule": "plateau",
    "warmup_steps": 1,
    "plateau_patience": 1,
    "minimum_learning_rate": 1e-9,
    "early_stopping_metric": "loss",
    "learning_rate": 1e-4,
    "eval_every": 1,
    "head_steps": 2,
    "head_learning_rate": 1.0,
    "seed": 3,
}


def moved(before, model):
    """Names of the layers that have a weight which is no longer what it was."""
    return {
        tensor.layer.name
        for tensor in named_tensors(model)
        if not np.array_equal(before[tensor.path], tensor.value())
    }


def test_the_head_is_trained_alone_then_everything(prepared):
    model = build("cbr_tiny", (32, 32, 3), 5)
    names = {tensor.layer.name for tensor in named_tensors(model)}
    head = {layer.name for layer in head_layers(model)} & names
    optimizer, head_optimizer = keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    head_optimizer.build(model.get_layer("logits").trainable_variables)
    steps = make_steps(
        model,
        optimizer,
        Augmenter(prepared.card.augmentation),
        make_strategy("one"),
        4,
        head_optimizer=head_optimizer,
    )
    batch = next(iter(train_batches(prepared, 4)))
    for step, expected in ((steps.train_head, head), (steps.train, names)):
        before = {tensor.path: tensor.value() for tensor in named_tensors(model)}
        step(batch)
        # Statistics of batch norm are among the weights.
        assert moved(before, model) == expected
    assert all(layer.trainable for layer in model.layers)


def test_a_scaled_loss_is_clipped_and_penalized_as_one_that_is_not(prepared):
    batch = next(iter(train_batches(prepared, 4)))
    weights = []
    for wrap in (lambda plain: plain, keras.optimizers.LossScaleOptimizer):
        model = build("cbr_tiny", (32, 32, 3), 5, seed=1)
        optimizer = wrap(keras.optimizers.SGD(0.1))
        optimizer.build(model.trainable_variables)
        steps = make_steps(
            model,
            optimizer,
            Augmenter(prepared.card.augmentation),
            make_strategy("one"),
            4,
            gradient_clipping=0.01,
            l2_penalty=0.5,
        )
        steps.train(batch)
        weights.append(model.get_weights())
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def tuned(config, options, tmp_path_factory):
    """A run with all of it, never stopped."""
    folder = tmp_path_factory.mktemp("tuned") / "run"
    return train(config.replace(**PROTOCOL), folder, options)


def test_rates_are_the_heads_then_warm_then_a_tenth_after_each_plateau(tuned):
    metrics = tuned.directory.metrics()
    rates = metrics["train/learning_rate"].to_numpy()
    assert list(rates[:3]) == [1.0, 1.0, 1.0]
    # A line has the rate of the next step. Step 3 ends the warm-up; those after it are
    # plateaus, as no loss is lower than the first of fine-tuning.
    losses = metrics["validation/loss"].to_numpy()
    assert losses[4:].min() > losses[3]
    np.testing.assert_allclose(rates[3:], [1e-4, 1e-4, 1e-5, 1e-6], rtol=1e-5)


def test_the_best_weights_are_those_of_the_lowest_loss_after_the_heads_phase(tuned):
    metrics = tuned.directory.metrics()
    metrics = metrics[metrics["step"] > PROTOCOL["head_steps"]]
    best = metrics.loc[metrics["validation/loss"].idxmin()]
    assert tuned.best_step == best["step"]
    assert tuned.validation["loss"] == pytest.approx(best["validation/loss"])
    assert (
        tuned.directory.status()["best_validation"] == best["validation/referable_auc"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, pytest.param(2, marks=pytest.mark.exhaustive), 5])
def test_a_stopped_run_goes_on_with_its_optimizers_and_plateaus(
    config, options, stop_at, tuned, tmp_path, step
):
    config = config.replace(**PROTOCOL)
    folder = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        train(config, folder, stop_at(step))
    again = train(config, folder, options)
    for name in ("metrics.jsonl", "predictions.parquet"):
        ours, theirs = (run.directory.path / name for run in (again, tuned))
        assert ours.read_bytes() == theirs.read_bytes()
    ours, theirs = (
        keras.saving.load_model(run.directory.final_model, compile=False).get_weights()
        for run in (again, tuned)
    )
    for weight, same in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(weight, same)


@pytest.mark.slow
def test_the_last_plateau_ends_a_run(config, options, tmp_path):
    changes = {"minimum_learning_rate": 1e-4, "head_steps": 0}
    config = config.replace(**{**PROTOCOL, **changes}, steps=50, dropout=0.0)
    # A rate so small that the loss gains nothing.
    config = dataclasses.replace(config, learning_rate=1e-4, warmup_steps=0)
    config = config.replace(batch_norm_momentum=0.999999, weight_decay=0.0)
    result = train(config, tmp_path / "run", options)
    assert result.directory.finished()
    assert result.directory.status()["step"] < 50


@pytest.mark.slow
def test_the_rest_of_the_head_s_steps_is_skipped_once_it_has_learned_enough(
    config, options, stop_at, tmp_path
):
    config = config.replace(
        # So small that no prediction changes.
        head_learning_rate=1e-12,
        head_steps=50,
        head_early_stopping=1,
        steps=52,
        eval_every=1,
    )
    whole = train(config, tmp_path / "whole", options)
    steps = list(whole.directory.metrics()["step"])
    assert steps == [0, 1, 2, 51, 52]
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "stopped", stop_at(51))
    again = train(config, tmp_path / "stopped", options)
    ours, theirs = (
        (run.directory.path / "metrics.jsonl").read_bytes() for run in (whole, again)
    )
    assert ours == theirs
