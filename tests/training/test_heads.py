"""A donor of exclusive classes is trained with a softmax, as ImageNet models are."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf.datasets import load_card
from transfusion_tf.errors import UserError
from transfusion_tf.models import build
from transfusion_tf.training.steps import loss_function

LOGITS = tf.constant([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]])
LABELS = tf.constant([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def test_softmax_loss_is_categorical_cross_entropy():
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, reduction=None)
    found = loss_function("softmax")(LABELS, LOGITS)
    np.testing.assert_allclose(found, expected(LABELS, LOGITS), rtol=1e-6)


def test_sigmoid_loss_is_the_mean_binary_cross_entropy():
    expected = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)
    found = loss_function("sigmoid")(LABELS, LOGITS)
    np.testing.assert_allclose(found, expected(LABELS, LOGITS), rtol=1e-6)


def test_an_unlabelled_example_has_no_loss():
    labels = tf.constant([[np.nan] * 3, [0.0, 1.0, 0.0]], tf.float32)
    found = loss_function("softmax")(labels, LOGITS).numpy()
    assert found[0] == 0
    assert found[1] > 0


@pytest.mark.parametrize("head", ["sigmoid", "softmax"])
def test_the_model_s_output_is_the_head_of_its_logits(head):
    model = build("cbr_tiny", (64, 64, 3), 4, seed=0, head=head)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    logits = keras.Model(model.input, model.get_layer("logits").output)(images)
    expected = getattr(keras.ops, head)(logits)
    np.testing.assert_allclose(model(images), expected, atol=1e-6)


def test_imagenet_donors_have_a_softmax_and_medical_tasks_sigmoids():
    assert load_card("imagenet2012").labels.head == "softmax"
    assert load_card("chexpert").labels.head == "sigmoid"
    assert load_card("phantom_retina").labels.head == "sigmoid"


def test_findings_cannot_exclude_each_other(tmp_path):
    text = load_card("phantom_chest").path.read_text()
    text = text.replace("[labels]", '[labels]\nhead = "softmax"')
    (tmp_path / "dataset.toml").write_text(text)
    with pytest.raises(UserError, match=r"labels\.head.*sigmoid"):
        load_card(str(tmp_path))
