"""Models of one shape share a compiled graph, and none notices the others."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf.models import build
from transfusion_tf.representations import StageReader, named_outputs
from transfusion_tf.representations.snapshots import Graph, Snapshot

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)


def perturbed(model, seed):
    """Other weights in every tensor, moving statistics included."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        values = np.asarray(variable)
        variable.assign(values * rng.uniform(0.5, 1.5, values.shape) + 0.01)
    return model


@pytest.mark.parametrize(
    "name",
    [
        "cbr_tiny",
        pytest.param("deit_mini", marks=pytest.mark.slow),
        pytest.param("swin_mini", marks=pytest.mark.slow),
    ],
)
def test_a_shared_graph_computes_what_a_models_own_does(name):
    model = build(name, (64, 64, 3), 2)
    graph = Graph(model)
    # All stages, compiled by TensorFlow with the model's variables in the graph.
    outputs = keras.Model(model.inputs, named_outputs(model))
    read = tf.function(lambda images: outputs(images, training=False))
    images = tf.constant(IMAGES, tf.float32)
    snapshots, expected = [], []
    for seed in (1, 2):
        snapshots.append(Snapshot.of(perturbed(model, seed), graph))
        expected.append(read(images))
    # The second first, and the first with the second's traces.
    found = [StageReader(snapshot).read(images) for snapshot in reversed(snapshots)]
    for own, stages in zip(expected, reversed(found), strict=True):
        for stage, values in own.items():
            np.testing.assert_array_equal(stages[stage], values)
    first, second = found
    assert all(not np.array_equal(first[stage], second[stage]) for stage in first)


def test_snapshots_of_one_graph_are_traced_once():
    models = [build("cbr_tiny", (64, 64, 3), 2, seed=seed) for seed in (0, 1)]
    graph = Graph(models[0])
    traced = []

    def forward(images):
        traced.append(images)
        return graph.model(images, training=False)

    read = graph.function(forward)
    images = tf.constant(IMAGES, tf.float32)
    first, second = (read(Snapshot.of(m, graph).weights, images) for m in models)
    assert len(traced) == 1
    assert not np.array_equal(first, second)


def test_a_snapshot_stays_what_it_was_when_its_model_changes():
    model = build("cbr_tiny", (64, 64, 3), 2, seed=0)
    snapshot = Snapshot.of(model)
    kernel = model.get_layer("conv1").kernel
    before = np.array(kernel)
    read = StageReader(snapshot, ["conv1"]).read(IMAGES)["conv1"]
    perturbed(model, 1)
    np.testing.assert_array_equal(snapshot.value(kernel), before)
    again = StageReader(snapshot, ["conv1"]).read(IMAGES)["conv1"]
    np.testing.assert_array_equal(again, read)
    snapshot.restore()
    np.testing.assert_array_equal(kernel, before)
