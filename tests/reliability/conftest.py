import subprocess
import sys

import binaries
import keras
import numpy as np
import pytest

from transfusion_tf.training import RunConfig, RunOptions


@pytest.fixture(scope="session")
def config(prepared):
    """A run of a second or two, with dropout, augmentation and batch norm."""
    return RunConfig(
        dataset=str(prepared.card.path),
        model="cbr_tiny",
        batch_size=4,
        steps=14,
        eval_every=4,
        dropout=0.3,
    )


@pytest.fixture(scope="session")
def options(prepared, data_root):
    return RunOptions(data_root=data_root, progress=False)


@pytest.fixture(scope="session")
def start():
    """Starts the binary on a run."""

    def start(config, data_root, root, *, anew=False, **changes):
        """`transfusion-train` of the run; `anew` imports TensorFlow in it, too."""
        values = {
            "dataset": config.dataset,
            "model": config.model,
            "batch_size": config.batch_size,
            "steps": config.steps,
            "eval_every": config.eval_every,
            "dropout": config.dropout,
            "data_root": data_root,
            "root": root,
            **changes,
        }
        flags = [f"--{name}={value}" for name, value in values.items()]
        if not anew:
            return binaries.start("train", *flags)
        return subprocess.Popen(
            [sys.executable, "-m", "transfusion_tf_experiments.train", *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture(scope="session")
def undisturbed(config, options, shared, train_once):
    """The run that all the disturbed ones must equal."""
    return train_once(config, shared / "undisturbed", options)


@pytest.fixture(scope="session")
def assert_equals_undisturbed(undisturbed):
    """Checks last weights, metrics and predictions, bit for bit."""

    def check(result):
        for ours, theirs in zip(weights(result), weights(undisturbed), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        for name in ("metrics.jsonl", "initialization.csv", "dataset.json"):
            ours, theirs = (
                (run.directory.path / name).read_bytes()
                for run in (result, undisturbed)
            )
            assert ours == theirs, name
        for split in ("validation", "test"):
            ours, theirs = (
                run.directory.predictions(split) for run in (result, undisturbed)
            )
            assert ours.equals(theirs), split
        assert not result.directory.state.exists()

    return check


def weights(result):
    model = keras.saving.load_model(result.directory.final_model, compile=False)
    return [np.asarray(variable) for variable in model.weights]
