"""A run's nearest neighbours, against scikit-learn's."""

import keras
import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from transfusion_tf.evaluation import METRICS
from transfusion_tf.models import build
from transfusion_tf.representations import KNNSettings, RepresentationWarning
from transfusion_tf.studies.measurements.image_sources import SplitImages
from transfusion_tf.studies.measurements.nearest_neighbors import knn_of_split, run_knn
from transfusion_tf.studies.measurements.run_models import load_run_model
from transfusion_tf.training import RunDirectory


@pytest.mark.slow
def test_a_run_has_its_metric_at_every_stage(trained_root, data_root, prepared):
    run = sorted((trained_root / "runs").iterdir())[0]
    table = run_knn(run, data_root, settings=KNNSettings(k=5, progress=False))
    assert table["part"].tolist() == ["pool1", "pool2", "pool3", "pool4", "head"]
    assert table["channels"].tolist() == [32, 64, 128, 256, 5]
    assert set(table["tokens"]) == {"spatial"}
    assert set(table["train_images"]) == {len(prepared.examples("train"))}
    assert set(table["images"]) == {len(prepared.examples("test"))}
    assert set(table["metric"]) == {RunDirectory(run).config().metric}
    expected = by_scikit_learn(run, prepared, table["metric"].iloc[0])
    assert table["value"].iloc[1] == pytest.approx(expected)


def by_scikit_learn(run, prepared, metric):
    """The metric of 5 neighbours at pool2, with nothing of ours but the model."""
    model = load_run_model(run)
    read = keras.Model(model.inputs, model.get_layer("pool2").output)
    features, labels = {}, {}
    for split in ("train", "test"):
        images = SplitImages(prepared, split)[:].astype(np.float32)
        features[split] = np.asarray(read(images)).mean(axis=(1, 2))
        labels[split] = prepared.labels(prepared.examples(split))
    found = KNeighborsClassifier(5, metric="cosine", algorithm="brute")
    found.fit(features["train"], labels["train"].argmax(axis=1))
    shares = np.zeros(labels["test"].shape)
    shares[:, found.classes_] = found.predict_proba(features["test"])
    return METRICS[metric](labels["test"], shares, referable_from=2)


@pytest.mark.slow
def test_a_run_without_enough_images_is_warned_about(trained_root, data_root, prepared):
    run = sorted((trained_root / "runs").iterdir())[0]
    count = len(prepared.examples("train"))
    settings = KNNSettings(progress=False)
    with pytest.warns(RepresentationWarning, match=f"there are {count} training"):
        table = run_knn(run, data_root, weights="initial", settings=settings)
    assert set(table["k"]) == {count}


@pytest.mark.slow
def test_a_transformers_tokens_are_taken_in_three_ways(prepared):
    pytest.importorskip("keras_hub")
    model = build("deit_mini", (32, 32, 3), 5, seed=0)
    settings = KNNSettings(k=5, vote="softmax", progress=False)
    table = knn_of_split(model, prepared, "mean_auc", settings=settings)
    first = table[table["part"] == "patch_embed"]
    assert first["tokens"].tolist() == ["class", "spatial", "both"]
    assert first["channels"].tolist() == [64, 64, 128]
    assert first["value"].between(0, 1).all()
    assert table[table["part"] == "head"]["tokens"].tolist() == ["spatial"]
