"""A run's models: its own weights, read once, on a graph that runs of a shape share."""

import shutil

import numpy as np
import pandas as pd
import pytest

from transfusion_tf.representations import (
    KNNSettings,
    LayerSettings,
    Sampling,
    Settings,
    compare_models,
    layer_cka,
    model_travel,
)
from transfusion_tf.representations.batch_norm_statistics import estimate_statistics
from transfusion_tf.studies.measurements.layer_similarity import (
    layer_cka_before_and_after,
)
from transfusion_tf.studies.measurements.model_states import ModelStates
from transfusion_tf.studies.measurements.nearest_neighbors import knn_of_split, run_knn
from transfusion_tf.studies.measurements.run_images import (
    held_out_images,
    run_dataset,
    run_images,
    run_split,
)
from transfusion_tf.studies.measurements.run_models import load_run_model, run_snapshot
from transfusion_tf.studies.measurements.stage_similarity import (
    compare_before_and_after,
    compare_population,
)
from transfusion_tf.studies.measurements.weight_travel import run_travel
from transfusion_tf.training import RunDirectory

SETTINGS = Settings(
    sampling=Sampling(points=100, channels=8),
    measures=("cca",),
    repeats=1,
    progress=False,
)

# Few images and few points: enough to run, few enough to be warned about.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::transfusion_tf.representations.RepresentationWarning"
    ),
]


@pytest.fixture(scope="module")
def runs(trained_root):
    return sorted((trained_root / "runs").iterdir())


@pytest.fixture
def broken(runs, tmp_path):
    """A copy of a run that a test may damage."""
    return shutil.copytree(runs[0], tmp_path / runs[0].name)


def test_the_model_is_the_runs_with_its_weights(runs):
    initial = load_run_model(runs[0], "initial").get_layer("conv1").kernel
    final = load_run_model(runs[0]).get_layer("conv1").kernel
    stored = RunDirectory(runs[0]).first_layer()
    np.testing.assert_array_equal(initial, stored[0])
    np.testing.assert_array_equal(final, stored[1])


def test_weights_that_are_not_those_that_the_run_left_are_named(broken):
    file = RunDirectory(broken).best_weights
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=f"{file.name} is not the file .*SHA"):
        load_run_model(broken, "best")


def test_a_config_that_is_not_the_one_that_was_trained_is_named(broken):
    file = broken / "config.json"
    file.write_text(file.read_text().replace('"seed": ', '"seed": 1'))
    with pytest.raises(ValueError, match=f"{file.name} is not the file .*SHA"):
        load_run_model(broken, "best")


def test_damaged_weights_of_an_older_run_are_named(broken):
    RunDirectory(broken).update_status(sha256={})
    (broken / "best.weights.h5").write_bytes(b"half a file")
    with pytest.raises(ValueError, match=r"best\.weights\.h5 is not a readable"):
        load_run_model(broken, "best")


def test_weights_that_are_not_numbers_are_named(broken):
    RunDirectory(broken).update_status(sha256={})
    model = load_run_model(broken, "best")
    kernel = model.get_layer("conv3").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    model.save_weights(broken / "best.weights.h5")
    with pytest.raises(ValueError, match=r"best\.weights\.h5 is broken: conv3/kernel"):
        load_run_model(broken, "best")


def test_an_unfinished_run_is_warned_about(broken):
    load_run_model(broken, "best").save_weights(broken / "best.weights.h5")
    RunDirectory(broken).update_status(state="stopped", step=1, sha256={})
    with pytest.warns(UserWarning, match="not finished .*step 1 of 2"):
        load_run_model(broken, "best")


def test_numbers_of_runs_that_follow_others_are_those_of_models_of_their_own(
    runs, data_root
):
    images = run_images(runs[0], data_root)
    held_out = held_out_images(runs[0], data_root)
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
        for weights in ("initial", "final")
    }
    first = runs[0]
    # Estimated on the images of the first run's training split, for all models.
    estimated = {
        key: estimate_statistics(model, run_split(first, data_root, "train"))
        for key, model in own.items()
    }
    models = {
        "initial": estimated[first, "initial"],
        "trained": estimated[first, "final"],
    }
    config = RunDirectory(first).config()
    assert_same(
        one_run,
        compare_models(*models.values(), held_out, **asked(SETTINGS)),
    )
    assert_same(layers, layer_cka(models, images, cka_settings))
    ends = (own[first, weights] for weights in ("initial", "final"))
    assert_same(travel.drop(columns="kind"), model_travel(*ends))
    prepared = run_dataset(first, data_root)
    assert_same(
        knn,
        knn_of_split(
            own[first, "final"], prepared, config.metric, settings=knn_settings
        ),
    )
    pair = [estimated[run, "final"] for run in (runs[1], runs[2])]
    named = (population["run_a"] == runs[1].name) & (
        population["run_b"] == runs[2].name
    )
    values = compare_models(*pair, held_out, **asked(SETTINGS))["value"]
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


def test_runs_of_one_shape_share_a_graph_and_weights_are_read_once(runs):
    first, second = (run_snapshot(run) for run in runs[:2])
    assert first.graph is second.graph
    again = run_snapshot(runs[0])
    assert all(
        one is other for one, other in zip(first.weights, again.weights, strict=True)
    )


def test_statistics_are_estimated_once_for_all_comparisons_of_a_run(runs, data_root):
    states = ModelStates()
    wanted = {"model": (runs[0], "trained")}
    first, second = (states.snapshots(wanted, data_root)["model"] for _ in range(2))
    assert first.weights is second.weights
    (stored,) = (
        ModelStates(batch_norm_statistics="stored")
        .snapshots(wanted, data_root)
        .values()
    )
    assert first.graph is stored.graph
    assert first.weights is not stored.weights


def test_weights_that_were_changed_are_read_again(runs, tmp_path):
    run = RunDirectory(shutil.copytree(runs[0], tmp_path / runs[0].name))
    before = run_snapshot(run.path, "best")
    run.update_status(sha256={})
    model = load_run_model(run.path, "best")
    model.get_layer("conv1").kernel.assign(model.get_layer("conv1").kernel + 1.0)
    model.save_weights(run.path / "best.weights.h5")
    after = run_snapshot(run.path, "best")
    kernel = after.model.get_layer("conv1").kernel
    np.testing.assert_array_equal(
        after.value(kernel), load_run_model(run.path, "best").get_layer("conv1").kernel
    )
    assert not np.array_equal(before.value(kernel), after.value(kernel))
