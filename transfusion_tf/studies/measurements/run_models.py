"""A run's models, as they were before training, at its end and at their best."""

import json
import os
import warnings
from pathlib import Path

import keras
import tensorflow as tf

from transfusion_tf.errors import one_of
from transfusion_tf.models import build
from transfusion_tf.recent import Recent
from transfusion_tf.representations.batch_norm_statistics import estimate_statistics
from transfusion_tf.representations.moments import RepresentationWarning
from transfusion_tf.representations.snapshots import Graph, Snapshot, check_finite
from transfusion_tf.studies.measurements.image_sources import SplitImages
from transfusion_tf.training import RunDirectory
from transfusion_tf.training.weights import load_run_weights

WEIGHTS = ("initial", "best", "final")
# What "after training" may mean.
TRAINED = ("final", "best")

# Caches of this process, by what they are made of; what was asked for first goes.
_MOST_BYTES = 1 << 29
_graphs: Recent[Graph] = Recent(_MOST_BYTES, lambda graph: graph.size)
_weights: Recent[tuple[tf.Tensor, ...]] = Recent(
    _MOST_BYTES,
    lambda weights: sum(4 * tensor.shape.num_elements() for tensor in weights),
)


def load_run_model(run: str | Path, weights: str = "final") -> keras.Model:
    """A run's model: built from code, then its weights and nothing else are loaded.

    Args:
      run: A run directory.
      weights: `initial`, `best` or `final`.

    Raises:
      UserError: If there is no run, the run left no such weights, they are damaged
        or of another model, or one is NaN or infinite.

    Warns:
      RepresentationWarning: If the run is not finished.
    """
    directory = _checked(run, weights)
    model = _build(directory)
    load_run_weights(model, directory, weights)
    check_finite(Snapshot.of(model), str(directory.weights_file(weights)))
    return model


def run_snapshot(run: str | Path, weights: str = "final") -> Snapshot:
    """As `load_run_model`, on the graph that this process keeps for the run's shape.

    Weights that were read lately are not read, nor checked, again unless a file of
    the run has changed.

    Args:
      run: A run directory.
      weights: `initial`, `best` or `final`.

    Raises:
      UserError: As `load_run_model`.

    Warns:
      RepresentationWarning: If the run is not finished.
    """
    directory = _checked(run, weights)
    graph = _graphs.get(_shape(directory), lambda: Graph(_build(directory)))

    def load() -> tuple[tf.Tensor, ...]:
        load_run_weights(graph.model, directory, weights)
        snapshot = Snapshot.of(graph.model, graph)
        check_finite(snapshot, str(directory.weights_file(weights)))
        return snapshot.weights

    if not directory.finished():
        return Snapshot(graph, load())
    return Snapshot(graph, _weights.get(_state(directory, weights), load))


def estimated_snapshot(run: str | Path, weights: str, images: SplitImages) -> Snapshot:
    """As `run_snapshot`, with batch norm statistics that these images give.

    Args:
      run: A run directory.
      weights: `initial`, `best` or `final`.
      images: What statistics are estimated on. Those of finished runs are kept.

    Raises:
      UserError: As `load_run_model`.

    Warns:
      RepresentationWarning: If the run is not finished.
    """
    snapshot = run_snapshot(run, weights)
    directory = RunDirectory(run)

    def estimate() -> tuple[tf.Tensor, ...]:
        return estimate_statistics(snapshot, images).weights

    if not directory.finished():
        return Snapshot(snapshot.graph, estimate())
    key = (*_state(directory, weights), images.key)
    return Snapshot(snapshot.graph, _weights.get(key, estimate))


def _checked(run: str | Path, weights: str) -> RunDirectory:
    if weights not in WEIGHTS:
        raise one_of("weights", weights, WEIGHTS)
    directory = RunDirectory(run)
    config = directory.config()
    directory.intact(directory.path / "config.json")
    if not directory.finished():
        status = directory.status()
        warnings.warn(
            f"run {directory.path.name} is not finished (state "
            f"{status.get('state')!r}, step {status.get('step', 0)} of "
            f"{config.steps}): its weights may change",
            RepresentationWarning,
            stacklevel=3,
        )
    return directory


def _build(directory: RunDirectory) -> keras.Model:
    config = directory.config()
    size = int(config.image_size or directory.dataset()["image_size"])
    return build(
        config.model,
        (size, size, 3),
        len(directory.dataset()["classes"]),
        input_scaling=config.pixel_units,
        pixel_statistics=config.pixel_statistics,
        one_channel=config.one_channel,
        head=config.head or "sigmoid",
    )


def _shape(directory: RunDirectory) -> tuple:
    """All that `_build` depends on."""
    config, dataset = directory.config(), directory.dataset()
    statistics = config.pixel_statistics
    return (
        config.model,
        config.image_size or dataset["image_size"],
        len(dataset["classes"]),
        config.head or "sigmoid",
        config.pixel_units,
        config.one_channel,
        json.dumps(dict(statistics) if statistics else None, sort_keys=True),
    )


def _state(directory: RunDirectory, weights: str) -> tuple:
    """What tells these weights from those that the folder may hold another time."""
    found = []
    for path in (directory.path / "status.json", directory.weights_file(weights)):
        status = path.stat() if path.exists() else None
        found.append(status and (status.st_ino, status.st_size, status.st_mtime_ns))
    return (os.path.abspath(directory.path), weights, *found)
