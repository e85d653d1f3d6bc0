"""A run's weights: how it begins, and how a model gets them again afterwards.

Initial weights follow from the seed and the donor, bit for bit, so a run keeps their
hash instead of a file, unless it is asked to keep both.
"""

import hashlib
from pathlib import Path

import keras
import numpy as np

from transfusion_tf import files
from transfusion_tf.errors import UserError, one_of
from transfusion_tf.initialization import (
    Donor,
    InitializationReport,
    initialize,
    load_donor,
)
from transfusion_tf.initialization.weight_files import (
    check_archive,
    check_weight_file,
)
from transfusion_tf.models import named_tensors, reads_bgr
from transfusion_tf.recent import Recent
from transfusion_tf.training.config import RunConfig
from transfusion_tf.training.resolved_config import donor_file, donor_input_scaling
from transfusion_tf.training.run_directory import RunDirectory

WEIGHTS = ("initial", "best", "final")

_MOST_DONOR_BYTES = 1 << 29
_donors: Recent[Donor] = Recent(
    _MOST_DONOR_BYTES,
    lambda donor: sum(tensor.nbytes for tensor in donor.tensors.values()),
)


def initialize_run(model: keras.Model, config: RunConfig) -> InitializationReport:
    """Gives a model the weights that a run of this config begins with.

    Args:
      model: built as the config says, whatever its weights are now.
      config: a resolved one.

    Raises:
      UserError: the donor is gone, or does not fit.
    """
    donor = None if config.donor is None else _donor(model, config)
    return initialize(
        model,
        config.initialization,
        donor,
        config.seed,
        kernel_initializer=config.kernel_initializer,
    )


def _donor(model: keras.Model, config: RunConfig) -> Donor:
    """The config's donor; runs that follow each other read it once."""
    assert config.donor is not None
    spec = donor_file(config.donor)
    scaling = donor_input_scaling(config.donor)
    file = Path(spec).expanduser()
    state = file.stat() if file.is_file() else None
    # What the donor itself is, and what of the model decides which tensors it gives.
    key = (
        spec,
        state and (state.st_size, state.st_mtime_ns),
        config.donor_weights,
        scaling,
        config.model,
        config.image_size,
    )
    return _donors.get(key, lambda: load_donor(spec, model, input_scaling=scaling))


def weights_sha256(model: keras.Model) -> str:
    """What tells a model's weights from others: of paths, shapes and values."""
    digest = hashlib.sha256()
    for tensor in named_tensors(model):
        values = tensor.value()
        digest.update(f"{tensor.path} {values.shape}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def first_kernel(model: keras.Model) -> np.ndarray:
    """The first convolution's kernel, float32 [height, width, RGB, out]."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel = keras.ops.convert_to_numpy(layer.kernel)
            return kernel[:, :, ::-1] if reads_bgr(model) else kernel
    raise ValueError(f"{model.name} has no convolution")


def save_weights(model: keras.Model, path: Path) -> None:
    """Replaces a `.weights.h5`, where there is room for it."""
    files.require_space(path, _weight_bytes(model))
    with files.replacing(path) as temporary:
        model.save_weights(temporary)


def save_model(model: keras.Model, path: Path) -> None:
    """Replaces a `.keras` file, where there is room for it."""
    files.require_space(path, _weight_bytes(model))
    with files.replacing(path) as temporary:
        model.save(temporary)


def _weight_bytes(model: keras.Model) -> int:
    return sum(4 * int(np.prod(weight.shape)) for weight in model.weights)


def load_run_weights(model: keras.Model, run: RunDirectory, weights: str) -> None:
    """Gives a model the weights that a run had: `initial`, `best` or `final`.

    Initial ones are read where the run kept them, and else made again.

    Args:
      model: built as the run's config says.
      run: a run directory.
      weights: which of them.

    Raises:
      UserError: the run has no such weights, or a file is not what the run left;
        initial weights that come out otherwise than when the run began.
    """
    if weights not in WEIGHTS:
        raise one_of("weights", weights, WEIGHTS)
    file = run.weights_file(weights)
    if weights == "initial" and not file.is_file():
        _make_again(model, run)
        return
    if not file.is_file():
        status = run.status()
        raise UserError(
            f"run {run.path} has no {file.name} (state {status.get('state')!r}, step "
            f"{status.get('step', 0)} of {run.config().steps}): train it to its end, "
            "or restore the file"
        )
    _load(model, run, file)


def _load(model: keras.Model, run: RunDirectory, file: Path) -> None:
    check = check_archive if file.suffix == ".keras" else check_weight_file
    check(run.intact(file))
    try:
        model.load_weights(file)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{file} does not hold the weights of {run.config().model} at this image "
            f"size: {str(error).splitlines()[0]}"
        ) from error


def _make_again(model: keras.Model, run: RunDirectory) -> None:
    expected = run.status().get("initial_sha256")
    if expected is None:
        raise UserError(
            f"run {run.path} has not begun, or its {run.weights_file('initial').name} "
            "is gone: train it again"
        )
    initialize_run(model, run.config())
    if weights_sha256(model) != expected:
        raise UserError(
            f"the initial weights of run {run.path.name}, made again from its seed and "
            "donor, are not those it began with: another donor, other versions or "
            "another kind of processor. Train the run again here, with "
            "--keep_initial_weights if its folder is to be read elsewhere"
        )
