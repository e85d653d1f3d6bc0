"""Runs of one shape share a compiled graph, and none notices the others."""

import dataclasses
import shutil

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from transfusion_tf.models import build
from transfusion_tf.representations import (
    KNNSettings,
    LayerSettings,
    Sampling,
    Settings,
    SplitImages,
    StageReader,
    compare_before_and_after,
    compare_models,
    compare_population,
    knn_by_part,
    layer_cka,
    layer_cka_before_and_after,
    load_run_model,
    model_travel,
    named_outputs,
    run_dataset,
    run_images,
    run_knn,
    run_travel,
)
from transfusion_tf.representations.run_models import run_snapshot
from transfusion_tf.representations.snapshots import Graph, Snapshot
from transfusion_tf.training import RunDirectory

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
SETTINGS = Settings(
    sampling=Sampling(points=100, channels=8),
    measures=("cca",),
    repeats=1,
    progress=False,
)
few_points = pytest.mark.filterwarnings(
    "ignore::transfusion_tf.representations.RepresentationWarning"
)


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


# Of runs.


@pytest.fixture(scope="module")
def runs(trained_root):
    return sorted((trained_root / "runs").iterdir())


@few_points
@pytest.mark.slow
def test_numbers_of_runs_that_follow_others_are_those_of_models_of_their_own(
    runs, data_root
):
    images = run_images(runs[0], data_root)
    cka_settings = LayerSettings(kind="stage", batch_size=8, progress=False)
    knn_settings = KNNSettings(k=3, progress=False)
    for run in reversed(runs):
        one_run = compare_before_and_after(run, data_root, settings=SETTINGS)
        layers = layer_cka_before_and_after(run, data_root, settings=cka_settings)
        knn = run_knn(run, data_root, settings=knn_settings)
        travel = run_travel(run)
    population = compare_population(runs, data_root, settings=SETTINGS)

    own = {
        (run, weights): load_run_model(run, weights)
        for run in runs
        for weights in ("initial", "best")
    }
    first = runs[0]
    models = {weights: own[first, weights] for weights in ("initial", "best")}
    config = RunDirectory(first).config()
    assert_same(
        one_run,
        compare_models(*models.values(), images, **asked(SETTINGS)),
    )
    assert_same(layers, layer_cka(models, images, cka_settings))
    assert_same(travel, model_travel(*models.values()))
    prepared = run_dataset(first, data_root)
    assert_same(
        knn,
        knn_by_part(own[first, "best"], prepared, config.metric, settings=knn_settings),
    )
    pair = [own[run, "best"] for run in (runs[1], runs[2])]
    named = (population["run_a"] == runs[1].name) & (
        population["run_b"] == runs[2].name
    )
    values = compare_models(*pair, images, **asked(SETTINGS))["value"]
    assert population[named]["value"].to_list() == values.to_list()


def asked(settings):
    return {
        "points": settings.sampling.points,
        "channels": settings.sampling.channels,
        "measures": settings.measures,
        "repeats": settings.repeats,
        "progress": False,
    }


def assert_same(ours, theirs):
    """Bit for bit, in all that both say."""
    pd.testing.assert_frame_equal(
        ours[theirs.columns].reset_index(drop=True), theirs, check_exact=True
    )


@pytest.mark.slow
def test_runs_of_one_shape_share_a_graph_and_weights_are_read_once(runs):
    first, second = (run_snapshot(run) for run in runs[:2])
    assert first.graph is second.graph
    again = run_snapshot(runs[0])
    assert all(
        one is other for one, other in zip(first.weights, again.weights, strict=True)
    )


@pytest.mark.slow
def test_weights_that_were_changed_are_read_again(runs, tmp_path):
    run = RunDirectory(shutil.copytree(runs[0], tmp_path / runs[0].name))
    before = run_snapshot(run.path)
    run.update_status(sha256={})
    perturbed(load_run_model(run.path), 1).save_weights(run.path / "best.weights.h5")
    after = run_snapshot(run.path)
    kernel = after.model.get_layer("conv1").kernel
    np.testing.assert_array_equal(
        after.value(kernel), load_run_model(run.path).get_layer("conv1").kernel
    )
    assert not np.array_equal(before.value(kernel), after.value(kernel))


def test_images_of_a_small_split_are_decoded_once(prepared, tmp_path):
    stored = shutil.copytree(prepared.path, tmp_path / "stored")
    images = SplitImages(dataclasses.replace(prepared, path=stored), "test")
    read = images[[3, 1]]
    for file in stored.glob("*.tfrecord*"):
        file.write_bytes(b"")
    np.testing.assert_array_equal(images[[1, 3, 1]], read[[1, 0, 1]])
    with pytest.raises(Exception, match="cut off"):
        images[[0]]


@pytest.mark.slow
def test_runs_on_the_same_data_share_their_images(runs, data_root):
    assert run_images(runs[0], data_root) is run_images(runs[1], data_root)
