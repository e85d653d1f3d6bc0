"""What a study leaves on the disk, said and checked before its first run."""

import functools
import shutil
from collections.abc import Collection
from pathlib import Path

from transfusion_tf.errors import UserError
from transfusion_tf.models import build
from transfusion_tf.training import RunConfig

_WEIGHT_BYTES = 4
# Final and best weights; at most, for one file is both where they are the same.
_KEPT_COPIES = 2
# Weights and two slots of Adam, in the latest, the previous and the best state.
_STATE_COPIES = 9
# Predictions, sample images, TensorBoard's events, tables.
_OTHER_BYTES = 1 << 20


def bytes_needed(configs: Collection[RunConfig], jobs: int) -> int:
    """What runs leave at most, and what those under way take beside it.

    Args:
      configs: resolved, of runs that are yet to be trained.
      jobs: how many are trained at once.
    """
    weights = [_weight_bytes(c.model, c.image_size or 224) for c in configs]
    kept = sum(_KEPT_COPIES * size + _OTHER_BYTES for size in weights)
    under_way = _STATE_COPIES * sum(sorted(weights)[-jobs:])
    return kept + under_way


def check_disk_space(configs: Collection[RunConfig], root: Path, jobs: int) -> str:
    """What the study needs below `root`, in words.

    Raises:
      UserError: the disk has less room than that.
    """
    needed = bytes_needed(configs, jobs)
    folder = root
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    text = f"the runs to train ({len(configs)}) take up to {in_words(needed)}"
    if needed > free:
        raise UserError(
            f"{text} below {root}, but the disk has {in_words(free)} left: free some "
            "space, choose another --root, or train fewer runs"
        )
    return f"{text} of the {in_words(free)} that are free below {root}"


@functools.cache
def _weight_bytes(model: str, image_size: int) -> int:
    try:
        built = build(model, (image_size, image_size, 3), 2)
    except UserError:
        return 0  # It fails when it is trained, and the others do not.
    return _WEIGHT_BYTES * built.count_params()


def in_words(size: int) -> str:
    """Bytes as MB or GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
