"""Nothing speaks to the network: neither training nor a comparison."""

import sys

import numpy as np
import pytest

from transfusion_tf.representations import compare_models
from transfusion_tf.studies.measurements.run_models import load_run_model
from transfusion_tf.training import train

# Python tells of every name that is looked up and every connection.
_EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request")
_seen: list[tuple] = []
_watching = False


def _watch(event, arguments):
    if _watching and event in _EVENTS:
        _seen.append((event, arguments))


@pytest.fixture
def connections():
    """Those of the test, so far."""
    global _watching
    sys.addaudithook(_watch)  # There is no way to remove one.
    _seen.clear()
    _watching = True
    yield _seen
    _watching = False


def test_a_connection_would_be_seen(connections):
    import socket

    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", 9), 1)
    assert connections


def test_training_and_comparing_make_no_connection(
    config, options, connections, tmp_path
):
    run = train(config.replace(steps=2, eval_every=2), tmp_path / "run", options)
    models = [load_run_model(run.directory.path, kind) for kind in ("initial", "final")]
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    compare_models(*models, images, points=64, channels=8, repeats=1, progress=False)
    assert connections == []
