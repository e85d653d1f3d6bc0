import keras
import numpy as np
import pytest

from transfusion_tf.models import build, freeze_through, named_tensors


@pytest.fixture
def model():
    return build("cbr_tiny", (64, 64, 3), 2, seed=0)


def test_stages_up_to_the_named_one_are_frozen_and_later_ones_learn(model):
    assert freeze_through(model, "pool2") == ("pool1", "pool2")

    assert {variable.path.split("/")[0] for variable in model.trainable_variables} == {
        *("conv3", "bn3", "conv4", "bn4", "logits")
    }


def test_a_frozen_batch_norm_keeps_its_moving_statistics_in_training(model):
    freeze_through(model, "pool2")
    before = {tensor.path: tensor.value() for tensor in named_tensors(model)}
    images = np.random.default_rng(0).uniform(0, 255, (4, 64, 64, 3)).astype("float32")

    model(images, training=True)

    moved = {
        tensor.path
        for tensor in named_tensors(model)
        if not np.array_equal(before[tensor.path], tensor.value())
    }
    assert moved == {
        f"bn{number}/moving_{statistic}"
        for number in (3, 4)
        for statistic in ("mean", "variance")
    }


def test_frozen_weights_stay_bit_for_bit_through_keras_fit(model):
    freeze_through(model, "pool1")
    before = {tensor.path: tensor.value() for tensor in named_tensors(model)}
    images = np.random.default_rng(0).uniform(0, 255, (4, 64, 64, 3)).astype("float32")

    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    model.fit(images, np.eye(2)[[0, 1, 0, 1]], verbose=0)

    kept = {
        tensor.path.split("/")[0]
        for tensor in named_tensors(model)
        if np.array_equal(before[tensor.path], tensor.value())
    }
    assert kept == {"conv1", "bn1"}


def test_an_unknown_stage_is_answered_with_the_known_ones(model):
    with pytest.raises(ValueError, match=r"pool1, pool2, pool3, pool4"):
        freeze_through(model, "block1")
