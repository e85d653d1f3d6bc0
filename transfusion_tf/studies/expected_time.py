"""How long runs will take, as others like them took before on this machine."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from transfusion_tf.errors import UserError
from transfusion_tf.studies.progress import duration
from transfusion_tf.training import RunConfig, RunDirectory
from transfusion_tf.training.run_directory import run_seconds

# The newest; what they took is much alike.
_MOST_READ = 200


def expectation(configs: Mapping[str, RunConfig], runs: Path, slots: int) -> str:
    """How many runs are to be trained, and how long that will take, in words.

    Args:
      configs: resolved, by run id.
      runs: the folder of all runs' folders.
      slots: how many are trained at once.
    """
    count = f"{len(configs)} run{'s' if len(configs) != 1 else ''} to train"
    seconds = expected_seconds(configs.values(), runs)
    if seconds is None:
        return f"{count}; how long that takes shows after the first minute"
    at_once = min(slots, len(configs))
    return f"{count}, about {duration(seconds / at_once)} as such runs took before"


def expected_seconds(configs: Iterable[RunConfig], runs: Path) -> float | None:
    """What runs would take one after the other; None where nothing like them was run.

    Args:
      configs: resolved.
      runs: the folder of all runs' folders.
    """
    configs = list(configs)
    known = _seconds_per_step(runs)
    if not configs or any(_shape(config) not in known for config in configs):
        return None
    return sum(config.steps * known[_shape(config)] for config in configs)


def _seconds_per_step(runs: Path) -> dict[tuple[Any, ...], float]:
    """By shape, of the finished runs that are there."""
    folders = sorted(runs.glob("*/status.json"), key=lambda file: file.stat().st_mtime)
    found: dict[tuple[Any, ...], list[float]] = {}
    for file in folders[-_MOST_READ:]:
        directory = RunDirectory(file.parent)
        try:
            status, config = directory.status(), directory.config()
        except (UserError, OSError, ValueError, KeyError):
            continue
        if status.get("state") == "finished" and status.get("step"):
            rate = run_seconds(status) / status["step"]
            found.setdefault(_shape(config), []).append(rate)
    return {shape: float(np.median(rates)) for shape, rates in found.items()}


def _shape(config: RunConfig) -> tuple[Any, ...]:
    return config.model, config.image_size, config.batch_size, config.mixed_precision
