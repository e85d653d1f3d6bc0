"""Moments of streamed activations: those of the sampled ones, on any devices."""

import binaries
import keras
import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf.models import build
from transfusion_tf.representations import Moments, Sampling, StageReader
from transfusion_tf.representations.activations import (
    sample_activations,
    stage_moments,
)

SIZE = 64
SAMPLING = Sampling(points=700, channels=8)
IMAGES = np.random.default_rng(0).integers(0, 256, (40, SIZE, SIZE, 3), np.uint8)


@pytest.fixture(scope="module")
def readers():
    """Two models with other weights."""
    keras.utils.set_random_seed(0)
    models = [build("cbr_tiny", (SIZE, SIZE, 3), 2, seed=seed) for seed in (0, 1)]
    return [StageReader(model) for model in models]


def assert_same_covariances(ours, theirs):
    ours, theirs = ours.covariances(), theirs.covariances()
    assert ours.count == theirs.count
    for name in ("mean_x", "mean_y", "xx", "yy", "xy"):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=1e-12, atol=1e-12
        )
    assert ours.resolution_x == theirs.resolution_x == 2.0**-23


def test_they_are_the_moments_of_the_sampled_activations(readers):
    options = {"repeats": 2, "seed": 3, "progress": False, "batch_size": 8}
    streamed = stage_moments(*readers, IMAGES, SAMPLING, **options)
    sampled = sample_activations(readers, IMAGES, SAMPLING, **options)
    repeats = list(zip(streamed, sampled, strict=True))
    assert len(repeats) == 2
    for moments, (x, y) in repeats:
        assert list(moments) == ["pool1", "pool2", "pool3", "pool4"]
        for name, ours in moments.items():
            theirs = Moments()
            theirs.update(x[name], y[name])
            assert_same_covariances(ours, theirs)


def test_activations_that_are_not_finite_name_stage_and_model(readers):
    images = np.full((40, SIZE, SIZE, 3), 3e38, np.float32)
    with pytest.raises(ValueError, match=r"pool1 in model 'cbr_tiny' are NaN or inf"):
        next(stage_moments(*readers, images, SAMPLING, progress=False))


def test_a_strategy_of_one_device_is_that_device(readers):
    model = build("cbr_tiny", (SIZE, SIZE, 3), 2, seed=0)
    device = tf.config.list_logical_devices()[0].name
    one = StageReader(model, strategy=tf.distribute.OneDeviceStrategy(device))
    assert (one.devices, readers[0].devices) == (1, 1)
    [[ours], [theirs]] = (
        next(sample_activations([reader], IMAGES, SAMPLING, progress=False))
        for reader in (one, readers[0])
    )
    for name, points in ours.items():
        np.testing.assert_array_equal(points, theirs[name])


@pytest.mark.slow
def test_replicas_read_the_same_points_and_merge_to_the_same_moments():
    """On three CPU devices, which must be there before TensorFlow starts."""
    script = """
import numpy as np, tensorflow as tf
from transfusion_tf.models import build
from transfusion_tf.representations import Sampling, StageReader, cca_from_moments
from transfusion_tf.representations.activations import (
    sample_activations, stage_moments)
cpu = tf.config.list_physical_devices("CPU")[0]
parts = [tf.config.LogicalDeviceConfiguration()] * 3
tf.config.set_logical_device_configuration(cpu, parts)
strategy = tf.distribute.MirroredStrategy(
    [device.name for device in tf.config.list_logical_devices("CPU")])
models = [build("cbr_tiny", (64, 64, 3), 2, seed=seed) for seed in (0, 1)]
one = [StageReader(model) for model in models]
three = [StageReader(model, strategy=strategy) for model in models]
assert [reader.devices for reader in (*one, *three)] == [1, 1, 3, 3]
images = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), np.uint8)
options = dict(repeats=2, seed=3, progress=False, batch_size=8)
sampling = Sampling(points=700, channels=8)
rows = {name: np.arange(4) for name in three[0].names}
placed = [three[0].sample(images[:2], rows, rows, device=i)["pool4"].device
          for i in range(3)]
assert [name[-1] for name in placed] == ["0", "1", "2"], placed
ours = list(sample_activations(three, images, sampling, **options))
theirs = list(sample_activations(one, images, sampling, **options))
for a, b in zip(ours, theirs, strict=True):
    for x, y in zip(a, b, strict=True):
        for name in x:
            np.testing.assert_array_equal(x[name], y[name])
ours = list(stage_moments(*three, images, sampling, **options))
theirs = list(stage_moments(*one, images, sampling, **options))
for a, b in zip(ours, theirs, strict=True):
    for name in b:
        x, y = a[name].covariances(), b[name].covariances()
        assert x.count == y.count
        for field in ("mean_x", "mean_y", "xx", "yy", "xy"):
            np.testing.assert_allclose(
                getattr(x, field), getattr(y, field), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(
            cca_from_moments(a[name]).coefficients,
            cca_from_moments(b[name]).coefficients, atol=1e-12)
"""
    binaries.run_script(script)
