"""What frozen features are worth on new classes."""

import keras
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import t

from transfusion_tf.models import build
from transfusion_tf.representations.batch_norm_statistics import estimate_statistics
from transfusion_tf.representations.few_shot_probe import (
    few_shot_accuracy,
    head_features,
    linear_probe,
    probe_gain,
)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_the_probe_is_a_penalised_logistic_regression():
    # Against a minimum found by another method, of the loss as it stands in textbooks.
    shown, asked = noise(4, 5, 6) + noise(4, 1, 6, seed=1), noise(60, 6, seed=2)
    flat, labels = shown.reshape(-1, 6), np.repeat(np.arange(4), 5)
    mean, std = flat.mean(axis=0), flat.std(axis=0)

    def logits(parameters, images):
        weights, bias = np.split(parameters, [24])
        return (images - mean) / std @ weights.reshape(6, 4) + bias

    def loss(parameters):
        each = logits(parameters, flat)
        right = each[np.arange(20), labels]
        return 0.1 * np.sum(logsumexp(each, axis=1) - right) + 0.5 * np.sum(
            parameters[:24] ** 2
        )

    best = minimize(loss, np.zeros(28), method="BFGS").x
    expected = logits(best, asked).argmax(axis=1)
    assert (linear_probe(shown, asked) == expected).mean() > 0.98
    assert len(set(expected)) == 4


def test_features_that_encode_the_class_are_all_right():
    classes = np.eye(5)[:, None] + 0.01 * noise(5, 8, 5)
    assert few_shot_accuracy(classes).tolist() == pytest.approx([1.0] * 5)


def test_features_of_noise_are_right_by_chance():
    found = few_shot_accuracy(noise(10, 40, 8), episodes=3)
    assert 0.05 < found.mean() < 0.15


def test_episodes_are_the_same_for_all_models_and_channels_may_be_dead():
    features = noise(4, 8, 3)
    with_dead = np.concatenate([features, np.ones((4, 8, 2))], axis=-1)
    assert np.array_equal(few_shot_accuracy(features), few_shot_accuracy(with_dead))


def test_the_gain_has_the_spread_of_random_starts_and_of_classes():
    model, random = np.array([0.5, 0.7, 0.9]), np.array([[0.3, 0.3, 0.6], [0.5] * 3])
    found = probe_gain(model, random)
    assert found.estimate == pytest.approx(0.7 - 0.45)
    of_starts = np.var([0.4, 0.5], ddof=1) / 2
    of_classes = np.var(model - random.mean(axis=0), ddof=1) / 3
    half = (found.high - found.low) / 2
    # Nothing is said of two starts.
    assert np.isnan(half)
    more = np.concatenate([random, random, random])
    found = probe_gain(model, more)
    of_starts = np.var([0.4, 0.5] * 3, ddof=1) / 6
    error = np.sqrt(of_starts + of_classes)
    half = (found.high - found.low) / 2
    assert t.ppf(0.975, 7) * error < half < t.ppf(0.975, 2) * error


def test_features_are_what_the_head_is_given_on_statistics_of_these_images():
    model = build("cbr_tiny", (32, 32, 3), 1, seed=0)
    images = np.random.default_rng(0).integers(0, 255, (12, 32, 32, 3))
    images = images.astype(np.float32)
    found = head_features(model, images)
    settled = estimate_statistics(model, images).restore()
    last = keras.Model(settled.inputs, settled.get_layer("pool4").output)
    expected = last.predict(images, verbose=0).mean(axis=(1, 2))
    assert found == pytest.approx(expected, abs=1e-5)
    assert found.std() > 0.1
