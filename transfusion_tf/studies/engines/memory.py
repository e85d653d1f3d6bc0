"""How much memory a run takes, roughly, and how much there is."""

import contextlib
import math
from pathlib import Path

import keras

from transfusion_tf.errors import UserError
from transfusion_tf.models import build
from transfusion_tf.training import RunConfig

# Python, TensorFlow, the tables of a data set and the input pipeline's buffers.
_PROCESS_BYTES = 900 << 20
_BYTES = 4
# Weights, gradients, two slots of Adam, and copies of them while a state is saved.
_COPIES = 8


def bytes_of_run(config: RunConfig) -> int:
    """What a process takes that trains the run, to a third or so.

    The process itself, weights with gradients and optimizer, and the outputs of all
    layers for one batch; evaluations, of larger batches, keep no outputs. Measured and
    estimated: CBR-Tiny at 64 px 1.0 and 1.0 GB, CBR-LargeT at 128 px 1.6 and 1.4,
    ResNet50 at 64 px 1.9 and 1.9, at 512 px and a batch of 4 3.7 and 5.0.

    Args:
      config: resolved.
    """
    size = config.image_size or 224
    try:
        model = build(config.model, (size, size, 3), 2)
    except UserError:
        # It fails when it is trained, and the others do not.
        return _PROCESS_BYTES
    parameters = model.count_params()
    outputs = sum(_numbers(layer) for layer in model._flatten_layers())
    keras.backend.clear_session()
    numbers = _COPIES * parameters + outputs * config.batch_size
    return _PROCESS_BYTES + _BYTES * numbers


def _numbers(layer: keras.Layer) -> int:
    """How many numbers a layer gives out for one image."""
    # Some layers have no output, or several.
    with contextlib.suppress(AttributeError, ValueError, TypeError):
        return math.prod(layer.output.shape[1:])
    return 0


def bytes_available() -> int | None:
    """What processes may still take on this machine; None where it does not say."""
    found = [_machine(), _container()]
    known = [value for value in found if value is not None]
    return min(known) if known else None


def _machine() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return None


def _container() -> int | None:
    """What the limit of a container, or of a batch system's job, leaves."""
    folder = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):
        limit = int((folder / "memory.max").read_text(encoding="ascii"))
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        # Files that were read lie in memory too, until it is needed.
        for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines():
            if line.startswith("inactive_file "):
                used -= int(line.split()[1])
        return max(0, limit - used)
    return None
