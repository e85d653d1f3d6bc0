"""A `.keras` file from anywhere: Keras's layers are loaded, all else is refused.

What is refused is refused before anything of the file runs: a canary file says so.
"""

import json
import os
import resource
import zipfile
from concurrent.futures import ThreadPoolExecutor

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf.errors import UserError
from transfusion_tf.initialization import MeanVar
from transfusion_tf.models import build
from transfusion_tf.representations.model_files import load_model_file


def small_model(*layers):
    return keras.Sequential([keras.Input((8, 8, 3)), *layers, keras.layers.Flatten()])


def save(model, path):
    model.save(path)
    return path


@pytest.fixture
def file(tmp_path):
    """A sound model that a test may change."""
    layers = [keras.layers.Conv2D(2, 3, name="edges"), keras.layers.ReLU()]
    return save(small_model(*layers), tmp_path / "model.keras")


def rewrite(file, **members):
    """Replaces or adds members of the archive; dots in names are written `__`."""
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    for name, value in members.items():
        content[name.replace("__", ".")] = value
    with zipfile.ZipFile(file, "w") as archive:
        for name, value in content.items():
            archive.writestr(name, value)


def change_config(file, change):
    with zipfile.ZipFile(file) as archive:
        config = json.loads(archive.read("config.json"))
    change(config["config"]["layers"])
    rewrite(file, config__json=json.dumps(config))


def replace_layer(file, **layer):
    """Puts another layer in the place of the ReLU."""

    def change(layers):
        layers[2] = {"registered_name": None, "config": {"name": "relu"}, **layer}

    change_config(file, change)


@pytest.mark.parametrize(
    "model",
    [
        lambda: build("cbr_tiny", (64, 64, 3), 3, dropout=0.5, seed=1),
        lambda: build("cbr_tiny", (64, 64, 3), 3, input_scaling="caffe"),
        lambda: small_model(
            keras.layers.Normalization(mean=[1, 2, 3], variance=[1, 1, 1]),
            keras.layers.RandomFlip(seed=1),
            keras.layers.Conv2D(2, 3, activation=keras.activations.gelu),
            keras.layers.Conv2D(2, 3, kernel_initializer=MeanVar(np.ones(3), seed=1)),
        ),
    ],
    ids=["cbr", "scaled", "sequential"],
)
def test_a_model_of_keras_layers_is_loaded(model, tmp_path):
    ours = model()
    loaded = load_model_file(save(ours, tmp_path / "model.keras"))
    images = np.random.default_rng(0).uniform(0, 255, (2, *ours.input_shape[1:]))
    np.testing.assert_array_equal(loaded(images), ours(images))


def test_a_compiled_model_with_operations_is_loaded(tmp_path):
    image = keras.Input((8, 8, 3))
    inner = small_model(keras.layers.Conv2D(2, 3))
    inner.compile("adam", "mse", metrics=["accuracy"])
    outputs = keras.ops.mean(inner(image[:, ::-1]) * 2.0, axis=-1, keepdims=True)
    model = keras.Model(image, outputs)
    model.compile(keras.optimizers.SGD(0.1), keras.losses.BinaryCrossentropy())
    loaded = load_model_file(save(model, tmp_path / "model.keras"))
    images = np.ones((2, 8, 8, 3), "float32")
    np.testing.assert_array_equal(loaded(images), model(images))


def assert_refused(file, message):
    with pytest.raises(UserError, match=message) as caught:
        load_model_file(file)
    assert str(file) in str(caught.value)


def test_a_lambda_layer_is_refused_unrun(tmp_path):
    canary = str(tmp_path / "canary")
    code = keras.layers.Lambda(lambda x: (os.makedirs(canary, exist_ok=True), x)[1])
    file = save(small_model(code), tmp_path / "model.keras")
    os.rmdir(canary)
    assert_refused(file, r"holds keras\.layers\.Lambda")
    assert not os.path.exists(canary)


def test_a_lambda_is_refused_whatever_keras_was_told(tmp_path):
    file = save(small_model(keras.layers.Lambda(lambda x: x)), tmp_path / "m.keras")

    def load():
        # Keras keeps the setting for a thread, and there is no way back.
        keras.config.enable_unsafe_deserialization()
        load_model_file(file)

    with (
        ThreadPoolExecutor(1) as thread,
        pytest.raises(UserError, match=r"holds keras\.layers\.Lambda"),
    ):
        thread.submit(load).result()


def test_a_layer_that_loads_another_model_is_refused_unrun(file, tmp_path):
    canary = tmp_path / "canary"

    class Writer(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 6, 6, 2])])
        def serve(self, x):
            with tf.control_dependencies([tf.io.write_file(str(canary), "here")]):
                return tf.identity(x)

    tf.saved_model.save(Writer(), str(tmp_path / "saved"))
    config = {"filepath": str(tmp_path / "saved"), "call_endpoint": "serve"}
    replace_layer(file, class_name="TFSMLayer", module="keras.layers", config=config)
    assert_refused(file, r"holds keras\.layers\.TFSMLayer")
    assert not canary.exists()


def function(name, module):
    named = {"class_name": "function", "config": name, "module": module}
    return {
        "class_name": "Activation",
        "module": "keras.layers",
        "config": {"name": "relu", "activation": named},
    }


def bytecode():
    return {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}}


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (function("load_data", "keras.datasets.mnist"), "load_data"),
        (function("system", "os"), "system"),
        (function("datasets.mnist.load_data", "keras.ops"), "load_data"),
        ({"class_name": "layers.Lambda", "module": "keras"}, "Lambda"),
        ({"class_name": "Popen", "module": "subprocess"}, "Popen"),
        ({"class_name": "Tester", "module": "keras.src.testing"}, "Tester"),
        ({"class_name": "MyLayer", "module": None}, "MyLayer"),
        ({"class_name": "Lambda"}, "Lambda"),
        (
            {
                "class_name": "StringLookup",
                "module": "keras.layers",
                "config": {"vocabulary": "/etc/passwd"},
            },
            "StringLookup",
        ),
        (
            {
                "class_name": "Dense",
                "module": "keras.layers",
                "config": {"units": 2, "kernel_initializer": bytecode()},
            },
            "__lambda__",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_layer_of_keras_is_refused(file, layer, named):
    replace_layer(file, **layer)
    assert_refused(file, rf"holds \S*{named}, which is none of Keras's own layers")


def test_a_class_that_this_process_has_registered_is_refused(file):
    @keras.saving.register_keras_serializable("elsewhere")
    class Registered(keras.layers.Layer):
        pass

    replace_layer(
        file,
        class_name="Registered",
        module=None,
        registered_name="elsewhere>Registered",
    )
    assert_refused(file, "Registered")


def test_a_model_of_terabytes_in_a_small_file_is_refused_unmade(file):
    def widen(layers):
        layers[1]["config"]["filters"] = 10**9

    change_config(file, widen)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert_refused(file, r"its model claims 1\d{11} bytes")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18


@pytest.mark.parametrize("name", ["../../outside", "assets/words.txt", "a.npz"])
def test_a_file_beside_the_model_is_refused(file, name):
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(name, "content")
    assert_refused(file, f"holds '{name}'")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_configs_in_one_file_are_refused(file):
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("config.json", "{}")
    assert_refused(file, "once each")


def test_weights_as_numpy_objects_are_refused(file, tmp_path):
    """Keras would read them too."""

    class Canary:
        def __reduce__(self):
            return (open, (str(tmp_path / "canary"), "w"))

    np.savez(tmp_path / "w.npz", layers=np.array([Canary()], dtype=object))
    with zipfile.ZipFile(file) as archive:
        config = archive.read("config.json")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", config)
        archive.write(tmp_path / "w.npz", "model.weights.npz")
    assert_refused(file, "npz")
    assert not (tmp_path / "canary").exists()


def test_a_bomb_of_zeros_is_refused_unpacked(file):
    with zipfile.ZipFile(file) as archive:
        config = archive.read("config.json")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config)
        with archive.open("model.weights.h5", "w") as member:
            for _ in range(100):
                member.write(bytes(2**20))
    assert_refused(file, "model.weights.h5 claims 104857600 bytes")


def test_weights_that_lie_in_another_file_are_refused(file, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["0"] = np.zeros((3, 3, 3, 2), "float32")
    with zipfile.ZipFile(file) as archive:
        (tmp_path / "w.h5").write_bytes(archive.read("model.weights.h5"))
    with h5py.File(tmp_path / "w.h5", "a") as weights:
        del weights["layers/conv2d/vars/0"]
        link = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/0")
        weights["layers/conv2d/vars/0"] = link
    rewrite(file, model__weights__h5=(tmp_path / "w.h5").read_bytes())
    assert_refused(file, "vars/0 is a link")


@pytest.mark.parametrize(
    "config", [b"[" * 100_000, b"{}", b'{"class_name": 5}', b"\xff", b"null"]
)
def test_a_config_that_makes_no_model_is_refused(file, config):
    rewrite(file, config__json=config)
    assert_refused(file, "can be loaded safely")


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "model.keras").write_text("model")
    assert_refused(tmp_path / "model.keras", "is not a readable Keras weights file")
